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

    [Parameter(Mandatory = true, ParameterSetName = "InputObject", ValueFromPipeline = true)]
    public Process[]? InputObject { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = "Container", Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("ContainerId")]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(ContainerIdCompleter))]
    public string[]? Container { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = "Path")]
    [SupportsWildcards]
    public string[]? Path { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = "LiteralPath", ValueFromPipelineByPropertyName = true)]
    [Alias("PSPath", "LP")]
    public string[]? LiteralPath { get; set; }

    protected override IReadOnlyList<string>? Targets => Container;

    protected override void ProcessRecord()
    {
        foreach (int pid in ProcessId ?? InputObject?.Select(process => process.Id) ?? [])
            Try(pid, () => Write(Now(known => known.Knows(pid)).OfProcess(pid)));
        foreach (string path in Files())
        {
            Try(path, () =>
            {
                ulong id = Engine.Namespaces.Identify(path).Id;
                if (Now(known => known.Find(id) is not null).Find(id) is { } one)
                    Write([one]);
            });
        }
        if (Container is not null)
        {
            foreach (ContainerTask task in FindTasks())
                Try(task.ContainerId, () => Write(Now(known => task.ProcessId is { } pid && known.Knows(pid)).OfContainer(task.ContainerId, task.ContainerNamespace)));
        }
        if (ParameterSetName == "All")
            Try(null, () => Write(Engine.Namespaces.List()));
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
