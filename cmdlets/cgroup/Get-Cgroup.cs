using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Get, "Cgroup", DefaultParameterSetName = "Path")]
[OutputType(typeof(Cgroup))]
public sealed class GetCgroupCommand : TargetCmdlet
{
    [Parameter(ParameterSetName = "Path", Position = 0)]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(CgroupCompleter))]
    public string[]? Path { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = "Process")]
    public int[]? ProcessId { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = "Container", ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("ContainerId", "Id")]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(ContainerIdCompleter))]
    public string[]? Container { get; set; }

    [Parameter]
    public SwitchParameter Recurse { get; set; }

    protected override IReadOnlyList<string>? Targets => Container;

    protected override void ProcessRecord()
    {
        if (ProcessId is not null)
        {
            foreach (int pid in ProcessId)
                Try(pid, () => Write(Engine.Cgroups.ForProcess(pid)));
        }
        else if (Container is not null)
        {
            foreach (ContainerTask task in FindTasks())
                Try(task.ContainerId, () => Write(Engine.Cgroups.ForContainer(task.ContainerId, task.ContainerNamespace)));
        }
        else
        {
            foreach (string path in Path ?? ["/*"])
                Try(path, () => FindPath(path));
        }
    }

    void FindPath(string path)
    {
        if (!WildcardPattern.ContainsWildcardCharacters(path))
        {
            Write(Engine.Cgroups.Get(path));
            return;
        }
        // A star stands for a name, not for a path: /a/* means the children of /a.
        int depth = path.Count(c => c == '/');
        var pattern = WildcardPattern.Get(path, WildcardOptions.None);
        foreach (Cgroup one in Engine.Cgroups.List("/", recurse: depth > 1))
        {
            if (one.Path.Length > 1 && one.Path.Count(c => c == '/') == depth && pattern.IsMatch(one.Path))
                Write(one);
        }
    }

    void Write(Cgroup cgroup)
    {
        if (!Recurse)
            WriteObject(cgroup);
        else
            WriteObject(Engine.Cgroups.List(cgroup.Path, recurse: true), enumerateCollection: true);
    }
}
