using System.Globalization;
using System.Management.Automation;
using Containers.Linux.Cgroups;

namespace Containers.Cmdlets;

/// <summary>Takes control groups by whatever names them: paths, folders, containers, tasks, processes, units, objects of each.</summary>
public abstract class CgroupCmdlet : TargetCmdlet
{
    protected const string ByPath = "Path";
    protected const string ByProcess = "Process";
    protected const string ByObject = "InputObject";
    protected const string ByUnit = "Unit";

    [Parameter(Mandatory = true, ParameterSetName = ByProcess)]
    public int[]? ProcessId { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = ByObject, ValueFromPipeline = true)]
    public PSObject[]? InputObject { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = ByUnit)]
    public string[]? Unit { get; set; }

    /// <summary>Paths, with wildcards.</summary>
    protected abstract IReadOnlyList<string>? GroupPaths { get; }

    /// <summary>Paths where nothing is named at all.</summary>
    protected virtual IReadOnlyList<string> WithoutAny => [];

    /// <summary>A process may be in one group by one controller and in another by the next: whether all of them are meant.</summary>
    protected virtual bool AllOfProcess => false;

    /// <summary>What to do for one group.</summary>
    /// <param name="path">Its path, or a folder of it.</param>
    /// <param name="target">The container's id where it is one's group, else the path.</param>
    protected abstract void Process(string path, string target);

    protected override void ProcessRecord()
    {
        foreach (PSObject input in InputObject ?? [])
            Try(input, () => ProcessObject(input));
        foreach (int pid in ProcessId ?? [])
            Try(pid, () => ProcessOf(pid));
        foreach (string unit in Unit ?? [])
            Try(unit, () => ProcessUnit(unit));
        if (Targets is not null)
        {
            foreach (ContainerTask task in FindTasks())
                Try(task.ContainerId, () => Process(Engine.Cgroups.PathOf(task.ContainerId, task.ContainerNamespace), task.ContainerId));
        }
        if (GroupPaths is not null || (InputObject is null && ProcessId is null && Unit is null && Targets is null))
        {
            foreach (string path in GroupPaths ?? WithoutAny)
                Try(path, () => ProcessPath(path));
        }
    }

    // A star stands for a name, not for a path: /a/* means the children of /a.
    void ProcessPath(string path)
    {
        if (!WildcardPattern.ContainsWildcardCharacters(path))
        {
            ProcessText(path);
            return;
        }
        int depth = path.Count(c => c == '/');
        var pattern = WildcardPattern.Get(path, WildcardOptions.None);
        string above = path[..path.IndexOfAny(['*', '?', '['])];
        above = above[..Math.Max(above.LastIndexOf('/'), 0)];
        foreach (string one in Engine.Cgroups.Paths(above.Length == 0 ? "/" : above, recurse: depth > above.Count(c => c == '/') + 1))
        {
            if (one.Length > 1 && one.Count(c => c == '/') == depth && pattern.IsMatch(one))
                Try(one, () => Process(one, one));
        }
    }

    // Ids never begin with a slash, and paths always do.
    void ProcessText(string text)
    {
        if (text.StartsWith('/'))
            Process(text, text);
        else
            ProcessContainer(text, ContainerNamespace);
    }

    void ProcessObject(PSObject input)
    {
        switch (input.BaseObject)
        {
            case Cgroup cgroup: Process(cgroup.Path, cgroup.Path); break;
            case CgroupLimit limit: Process(limit.Path, limit.Path); break;
            case CgroupMeasurement measured: Process(measured.Path, measured.Path); break;
            case CgroupEvent happened: Process(happened.Path, happened.Path); break;
            case CgroupProcess member: Process(member.Cgroup, member.Cgroup); break;
            case Container container: ProcessContainer(container.Id, container.ContainerNamespace); break;
            case ContainerTask task: ProcessContainer(task.ContainerId, task.ContainerNamespace); break;
            case System.Diagnostics.Process process: ProcessOf(process.Id); break;
            case int pid: ProcessOf(pid); break;
            case FileSystemInfo file: Process(file.FullName, file.FullName); break;
            case string text: ProcessPath(text); break;
            default: ProcessOther(input); break;
        }
    }

    // By what its properties say it is: a pod has a group, a container's process has a container and a pid.
    void ProcessOther(PSObject input)
    {
        if (input.Properties["CgroupPath"]?.Value is string path)
            Process(path, path);
        else if ((input.Properties["ContainerId"] ?? input.Properties["Id"])?.Value is string id)
            ProcessContainer(id, input.Properties["ContainerNamespace"]?.Value?.ToString() ?? ContainerNamespace);
        else if (input.Properties["ProcessId"]?.Value is int pid)
            ProcessOf(pid);
        else
            throw Errors.Argument($"A {input.BaseObject.GetType().Name} is neither a container, a task, a process nor a control group.", input.BaseObject);
    }

    void ProcessContainer(string id, string? ns)
    {
        // Without a task there is no group, which is easier said of the task.
        _ = Engine.Tasks.Get(id, ns);
        Process(Engine.Cgroups.PathOf(id, ns), id);
    }

    void ProcessOf(int pid)
    {
        IReadOnlyList<Cgroup> groups = Engine.Cgroups.AllForProcess(pid);
        foreach (Cgroup group in AllOfProcess ? groups : groups.Take(1))
            ProcessGroupOf(group);
    }

    protected virtual void ProcessGroupOf(Cgroup group) => Process(group.Path, group.Path);

    /// <summary>What to do for one unit of systemd; the same as for its group where nothing is written.</summary>
    protected virtual void ProcessUnit(string unit) => Process(Engine.Cgroups.PathOfUnit(unit), unit);

    /// <summary>What killing a group would write, and whom it would meet now.</summary>
    protected IEnumerable<string> KillPlan(string path)
        => Engine.Cgroups.PlanKill(path).Concat(Engine.Cgroups.Processes(path, recurse: true)
            .Select(member => string.Create(CultureInfo.InvariantCulture, $"kill -KILL {member.ProcessId} ({Containers.Formats.Display.Visible(member.Command)})")));

    /// <summary>Asks first, and shows the writes that are planned.</summary>
    protected bool ShouldWrite(string target, IEnumerable<string> writes)
    {
        string plan = string.Join(Environment.NewLine, writes.Select(write => "  " + write));
        string name = MyInvocation.MyCommand.Name;
        string said = string.Create(CultureInfo.InvariantCulture, $"Performing the operation \"{name}\" on target \"{target}\"{(plan.Length > 0 ? ":" + Environment.NewLine + plan : ": there is nothing to write.")}");
        return ShouldProcess(said, $"{said}{Environment.NewLine}Continue?", name);
    }
}

/// <summary>Takes groups by path first.</summary>
public abstract class GroupCmdlet : CgroupCmdlet
{
    protected const string ByContainer = "Container";

    [Parameter(ParameterSetName = ByPath, Position = 0)]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(CgroupCompleter))]
    public string[]? Path { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = ByContainer)]
    [Alias("ContainerId")]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(ContainerIdCompleter))]
    public string[]? Container { get; set; }

    protected override IReadOnlyList<string>? GroupPaths => Path;

    protected override IReadOnlyList<string>? Targets => Container;
}

/// <summary>Does something to groups, which have to be named.</summary>
public abstract class ActingGroupCmdlet : GroupCmdlet
{
    protected override void BeginProcessing()
    {
        base.BeginProcessing();
        if (ParameterSetName == ByPath && Path is null && !MyInvocation.ExpectingInput)
            ThrowTerminatingError(Errors.Record(Errors.Argument("No control group is named: give a path such as /jobs, -Container, -ProcessId, or objects on the pipeline.", null), null));
    }
}
