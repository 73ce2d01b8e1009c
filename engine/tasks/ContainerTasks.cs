namespace Containers;

/// <summary>Tasks: what runs, or ran, for a container.</summary>
public sealed partial class ContainerTasks
{
    readonly ContainerEngine engine;
    readonly HostPaths paths;
    readonly TaskFiles files;

    internal ContainerTasks(ContainerEngine engine)
    {
        this.engine = engine;
        paths = engine.Paths;
        files = new TaskFiles(paths, engine.Containers, IsFrozen);
    }

    /// <summary>The task of a container.</summary>
    /// <exception cref="ContainerException"><c>ContainerNotFound</c>, <c>TaskNotFound</c>, <c>InvalidId</c>.</exception>
    public ContainerTask Get(string id, string? containerNamespace = null)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        return (files.Read(ns, Names.Id(id)) ?? throw Missing(ns, id)).Task;
    }

    /// <summary>All tasks of a namespace in the order of their containers' ids.</summary>
    public IEnumerable<ContainerTask> List(string? containerNamespace = null)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        var ids = new SortedSet<string>(ContainerStore.ChildNames(paths.RunNamespaceFolder(ns)), StringComparer.Ordinal);
        ids.UnionWith(engine.Containers.ListIds(ns));
        foreach (var id in ids)
        {
            if (files.Read(ns, id) is { } truth) { yield return truth.Task; }
        }
    }

    /// <summary>
    /// The task of a container when the host's restart has ended it and the restart policy wants it back: <c>always</c>, whatever the end was; <c>unless-stopped</c>, where
    /// nobody had stopped it. Null for every other, and for one that was started since.
    /// </summary>
    /// <exception cref="ContainerException"><c>ContainerNotFound</c>, <c>InvalidId</c>, <c>StoreDamaged</c>.</exception>
    public ContainerTask? FindEndedByHostRestart(string id, string? containerNamespace = null)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        var record = engine.Containers.Load(ns, id);
        // With its folder there, the machine was not restarted since the task was made.
        if (Directory.Exists(paths.RunFolder(ns, id)) || files.Read(ns, id) is not { Record: null } truth || truth.Task.State != ContainerTaskState.Stopped) { return null; }
        return RestartPolicy.Parse(record.RestartPolicy).Kind switch
        {
            "always" => truth.Task,
            // The shim writes an end under this policy when somebody asked for it, or when no further run could be made.
            "unless-stopped" => truth.Task.StoppedReason is "HostRestarted" or "RestartFailed" ? truth.Task : null,
            _ => null,
        };
    }

    internal bool Exists(string ns, string id) => files.Exists(ns, id);

    internal ContainerTaskState StateOf(string ns, string id) => files.Read(ns, id)?.Task.State ?? ContainerTaskState.None;

    ContainerException Missing(string ns, string id)
    {
        engine.Containers.Load(ns, id);
        return new ContainerException(ErrorIds.TaskNotFound, $"The container '{id}' has no task. Start-ContainerTask makes one.", id, ContainerErrorCategory.ObjectNotFound);
    }
}
