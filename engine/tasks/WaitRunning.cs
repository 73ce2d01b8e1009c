namespace Containers;

public sealed partial class ContainerTasks
{
    // A shim that dies before the start changes no file.
    static readonly TimeSpan LookAgain = TimeSpan.FromSeconds(5);

    /// <summary>Waits until a task that was created has been started.</summary>
    /// <exception cref="ContainerException"><c>ContainerNotFound</c>, <c>TaskNotFound</c>; <c>TaskNotRunning</c>: it has ended.</exception>
    public Task<ContainerTask> WaitRunningAsync(string id, string? containerNamespace = null, CancellationToken cancel = default) =>
        WaitTaskAsync(id, engine.NamespaceOr(containerNamespace), truth => truth.Task.State is ContainerTaskState.Running or ContainerTaskState.Paused, cancel);

    /// <summary>Waits until the health check of a task that runs has succeeded; one that is unhealthy may become healthy again.</summary>
    /// <exception cref="ContainerException"><c>ContainerNotFound</c>, <c>TaskNotFound</c>; <c>HealthCheckNotFound</c>: it has none; <c>TaskNotRunning</c>: it has ended;
    /// <c>ShimLost</c>: nobody runs the check any more.</exception>
    public Task<ContainerTask> WaitHealthyAsync(string id, string? containerNamespace = null, CancellationToken cancel = default)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        if (engine.Containers.Load(ns, Names.Id(id)).Health is null)
        {
            throw new ContainerException(ErrorIds.HealthCheckNotFound, $"The container '{id}' has no health check, and so it is neither healthy nor unhealthy. Make it with HealthCommand, or wait until it runs.",
                id, ContainerErrorCategory.InvalidOperation);
        }
        return WaitTaskAsync(id, ns, truth =>
        {
            if (truth.Task.State == ContainerTaskState.Running && !truth.ShimLives)
            {
                throw new ContainerException(ErrorIds.ShimLost, $"The shim of container '{id}' is gone, and with it the health check. Stop the task and start it again.", id, ContainerErrorCategory.ConnectionError);
            }
            return truth.Task is { State: ContainerTaskState.Running, Health.Status: ContainerHealthStatus.Healthy };
        }, cancel);
    }

    async Task<ContainerTask> WaitTaskAsync(string id, string ns, Func<TaskFiles.Truth, bool> met, CancellationToken cancel)
    {
        if (!files.Exists(ns, Names.Id(id))) { throw Missing(ns, id); }
        // Watched first, read then: what changes between is not missed.
        using var watch = ContainerLogs.Watch(paths.RunFolder(ns, id));
        while (true)
        {
            var truth = files.Read(ns, id) ?? throw Missing(ns, id);
            if (met(truth)) { return truth.Task; }
            if (truth.Task.State == ContainerTaskState.Stopped) { throw ShimErrors.NotRunning(id); }
            await Waiting.ForAsync(watch, LookAgain, cancel).ConfigureAwait(false);
            ContainerLogs.Drain(watch);
        }
    }

    /// <summary>Sends a signal to a further process of a task.</summary>
    /// <exception cref="ContainerException"><c>ContainerNotFound</c>, <c>TaskNotFound</c>, <c>TaskNotRunning</c>, <c>ExecNotFound</c>, <c>InvalidArgument</c>.</exception>
    public async Task SignalExecAsync(string id, string execId, int signal, string? containerNamespace = null, CancellationToken cancel = default)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        if (signal is < 1 or > 64) { throw ResourceSpec.Bad("Signal", signal, "it is from 1 to 64"); }
        using var answer = await AskAsync(ns, Names.Id(id), "signal", w =>
        {
            w.WriteString("exec", Names.ExecId(execId));
            w.WriteNumber("signal", signal);
        }, cancel).ConfigureAwait(false);
    }
}
