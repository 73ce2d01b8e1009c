using System.Management.Automation;

namespace Containers.Cmdlets;

/// <summary>Takes containers, tasks or control groups, by id, by path or as objects, and says which groups they mean.</summary>
public abstract class LimitCmdlet : TargetCmdlet
{
    protected const string ById = "Id";
    protected const string ByPath = "Path";
    protected const string ByObject = "InputObject";

    [Parameter(Mandatory = true, ParameterSetName = ById, Position = 0)]
    [Alias("ContainerId")]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(ContainerIdCompleter))]
    public string[]? Id { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = ByPath)]
    [ArgumentCompleter(typeof(CgroupCompleter))]
    public string[]? Path { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = ByObject, ValueFromPipeline = true)]
    public PSObject[]? InputObject { get; set; }

    protected override IReadOnlyList<string>? Targets => Id;

    /// <summary>What to do for one group.</summary>
    /// <param name="target">The container's id where it is one's group, else the path.</param>
    protected abstract void Process(string path, string target);

    protected override void ProcessRecord()
    {
        foreach (string path in Path ?? [])
            Try(path, () => Process(path, path));
        foreach (PSObject input in InputObject ?? [])
            Try(input, () => ProcessObject(input));
        if (Id is not null)
        {
            foreach (ContainerTask task in FindTasks())
                Try(task.ContainerId, () => Process(Engine.Cgroups.PathOf(task.ContainerId, task.ContainerNamespace), task.ContainerId));
        }
    }

    void ProcessObject(PSObject input)
    {
        switch (input.BaseObject)
        {
            case Cgroup cgroup: Process(cgroup.Path, cgroup.Path); break;
            case CgroupLimit limit: Process(limit.Path, limit.Path); break;
            case Container container: ProcessContainer(container.Id, container.ContainerNamespace); break;
            case ContainerTask task: ProcessContainer(task.ContainerId, task.ContainerNamespace); break;
            case string id: ProcessContainer(id, ContainerNamespace); break;
            default:
                string? named = (input.Properties["ContainerId"] ?? input.Properties["Id"])?.Value?.ToString();
                ProcessContainer(named ?? throw Errors.Argument($"A {input.BaseObject.GetType().Name} is neither a container, a task nor a control group.", input.BaseObject),
                    input.Properties["ContainerNamespace"]?.Value?.ToString() ?? ContainerNamespace);
                break;
        }
    }

    void ProcessContainer(string id, string? ns) => Process(Engine.Cgroups.PathOf(id, ns), id);
}
