using System.Diagnostics;
using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Get, "Namespace", DefaultParameterSetName = "All")]
[OutputType(typeof(LinuxNamespace))]
public sealed class GetNamespaceCommand : TargetCmdlet
{
    LinuxNamespaceSnapshot? snapshot;

    // A number, and by name only: what comes down the pipeline is a container or a process, never an inode.
    [Parameter]
    public ulong[]? Id { get; set; }

    [Parameter]
    public LinuxNamespaceType[]? Type { get; set; }

    [Parameter]
    public LinuxNamespaceHolder[]? Holder { get; set; }

    [Parameter]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(NamespaceNameCompleter))]
    public string[]? Name { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = "Process")]
    public int[]? ProcessId { get; set; }

    // In every set and of any type: the binder would take a process for the text of a container's id.
    [Parameter(ValueFromPipeline = true)]
    public object? InputObject { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = "Container", Position = 0)]
    [Alias("ContainerId")]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(ContainerIdCompleter))]
    public string[]? Container { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = "Path")]
    [SupportsWildcards]
    public string[]? Path { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = "LiteralPath")]
    [Alias("PSPath", "LP")]
    public string[]? LiteralPath { get; set; }

    protected override IReadOnlyList<string>? Targets => Container;

    protected override void ProcessRecord()
    {
        if (MyInvocation.ExpectingInput || InputObject is not null)
            Try(InputObject, () => WriteOf(InputObject));
        else if (ParameterSetName == "All")
            Try(null, () => Write(Engine.Namespaces.List()));
        foreach (int pid in ProcessId ?? [])
            Try(pid, () => WriteOfProcess(pid));
        foreach (string path in Files())
            Try(path, () => WriteOfPath(path));
        if (Container is not null)
        {
            foreach (ContainerTask task in FindTasks())
                Try(task.ContainerId, () => WriteOfTask(task.ContainerId, task.ContainerNamespace));
        }
    }

    void WriteOf(object? value)
    {
        switch (value is PSObject wrapped ? wrapped.BaseObject : value)
        {
            case Process process:
                WriteOfProcess(process.Id);
                break;
            case FileSystemInfo file:
                WriteOfPath(file.FullName);
                break;
            case Container container:
                WriteOfTask(container.Id, container.ContainerNamespace);
                break;
            case string text when WildcardPattern.ContainsWildcardCharacters(text):
                foreach (string id in Engine.Containers.ListIds(ContainerNamespace).Where(WildcardPattern.Get(text, WildcardOptions.IgnoreCase).IsMatch))
                    WriteOfTask(id, ContainerNamespace);
                break;
            case string text:
                WriteOfTask(text, ContainerNamespace);
                break;
            case not null when PSObject.AsPSObject(value).Properties["ContainerId"]?.Value is string id:
                WriteOfTask(id, PSObject.AsPSObject(value).Properties["ContainerNamespace"]?.Value as string ?? ContainerNamespace);
                break;
            case var other:
                throw Errors.Argument($"A {other?.GetType().Name ?? "null"} has no namespaces: give containers, tasks, processes or files.", other);
        }
    }

    void WriteOfProcess(int pid) => Write(Now(known => known.Knows(pid)).OfProcess(pid));

    void WriteOfTask(string id, string? ns)
    {
        ContainerTask task = Engine.Tasks.Get(id, ns);
        Write(Now(known => task.ProcessId is { } pid && known.Knows(pid)).OfContainer(id, task.ContainerNamespace));
    }

    void WriteOfPath(string path)
    {
        ulong id = Engine.Namespaces.Identify(path).Id;
        if (Now(known => known.Find(id) is not null).Find(id) is { } one)
            Write([one]);
    }

    // One look at the host serves for all that comes down the pipeline, until something comes that was not there then.
    LinuxNamespaceSnapshot Now(Func<LinuxNamespaceSnapshot, bool> knows)
        => snapshot is not null && knows(snapshot) ? snapshot : snapshot = Engine.Namespaces.Snapshot();

    List<string> Files()
    {
        var files = new List<string>();
        foreach (string path in LiteralPath ?? [])
            Try(path, () => files.Add(HostPath(path)));
        foreach (string path in Path ?? [])
            Try(path, () => files.AddRange(WildcardPattern.ContainsWildcardCharacters(path) ? GetResolvedProviderPathFromPSPath(path, out _) : [HostPath(path)]));
        return files;
    }

    void Write(IEnumerable<LinuxNamespace> namespaces)
    {
        List<WildcardPattern>? names = Name?.Select(name => WildcardPattern.Get(name, WildcardOptions.IgnoreCase)).ToList();
        foreach (LinuxNamespace one in namespaces)
        {
            if (Type?.Contains(one.Type) != false && Id?.Contains(one.Id) != false && Holder?.Contains(one.Holder) != false
                && names?.Any(name => one.Name is not null && name.IsMatch(one.Name)) != false)
                WriteObject(one);
        }
    }
}
