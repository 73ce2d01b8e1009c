using System.Management.Automation;

namespace Containers.Cmdlets;

/// <summary>A cmdlet that talks to the engine.</summary>
public abstract class EngineCmdlet : ContainerCmdlet
{
    ContainerEngine? engine;
    JobStart? job;

    /// <summary>The engine as the environment has it at this moment: variables may change between two calls.</summary>
    protected ContainerEngine Engine => engine ??= OpenEngine();

    internal static ContainerEngine OpenEngine() => new(ContainerHostOptions.FromEnvironment(ModuleLoader.ModuleRoot));

    /// <summary>In ProcessRecord: whether the record was kept for a job, and nothing else is to be done with it.</summary>
    private protected bool IsTaken
    {
        get
        {
            job?.Take();
            return job is not null;
        }
    }

    protected override void BeginProcessing()
    {
        try
        {
            _ = Engine;
        }
        catch (ContainerException e)
        {
            ThrowTerminatingError(Errors.Record(e, null));
        }
        if (this is IJobCmdlet { AsJob.IsPresent: true })
            job = new JobStart(this);
    }

    /// <summary>What a job is given for a parameter whose value is not what the binder made of it.</summary>
    private protected void Amend(string parameter, object? value) => job?.Amend(parameter, value);

    protected override void EndProcessing() => job?.Start();
}

/// <summary>A cmdlet that works in one container namespace.</summary>
public abstract class TenantCmdlet : EngineCmdlet
{
    [Parameter(ValueFromPipelineByPropertyName = true)]
    [ArgumentCompleter(typeof(ContainerNamespaceCompleter))]
    public string? ContainerNamespace { get; set; }
}

/// <summary>A cmdlet whose targets are containers or their tasks.</summary>
public abstract class TargetCmdlet : TenantCmdlet
{
    /// <summary>The ids as they were given; null for all there is.</summary>
    protected abstract IReadOnlyList<string>? Targets { get; }

    /// <summary>What the ids name, wildcards resolved. Each id that names nothing is an error of its own.</summary>
    protected IEnumerable<T> Find<T>(Func<string, T> get, Func<IEnumerable<T>> list, Func<T, string> idOf) where T : class
    {
        foreach (string id in Targets ?? ["*"])
        {
            IReadOnlyList<T> found = [];
            bool pattern = WildcardPattern.ContainsWildcardCharacters(id);
            Try(id, () => found = pattern ? Matching(id, list(), idOf) : [get(id)]);
            foreach (T one in found)
                yield return one;
        }
    }

    /// <summary>The containers that the ids name.</summary>
    protected IEnumerable<Container> FindContainers()
        => Find(id => Engine.Containers.Get(id, ContainerNamespace), () => Engine.Containers.List(ContainerNamespace), container => container.Id);

    /// <summary>The tasks of the containers that the ids name.</summary>
    protected IEnumerable<ContainerTask> FindTasks()
        => Find(id => Engine.Tasks.Get(id, ContainerNamespace), () => Engine.Tasks.List(ContainerNamespace), task => task.ContainerId);

    static List<T> Matching<T>(string id, IEnumerable<T> all, Func<T, string> idOf)
    {
        var pattern = WildcardPattern.Get(id, WildcardOptions.IgnoreCase);
        return all.Where(one => pattern.IsMatch(idOf(one))).ToList();
    }
}

/// <summary>Looks at targets: all there are where no id is given.</summary>
public abstract class LookingCmdlet : TargetCmdlet
{
    [Parameter(Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("ContainerId")]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(ContainerIdCompleter))]
    public string[]? Id { get; set; }

    protected override IReadOnlyList<string>? Targets => Id;
}

/// <summary>Does something to targets, which have to be named.</summary>
public abstract class ActingCmdlet : TargetCmdlet
{
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("ContainerId")]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(ContainerIdCompleter))]
    public string[]? Id { get; set; }

    protected override IReadOnlyList<string>? Targets => Id;
}
