namespace Containers;

public sealed partial class ContainerTasks
{
    // A shim that dies before the start changes no file.
    static readonly TimeSpan LookAgain = TimeSpan.FromSeconds(5);

    /// <summary>Waits until a task that was created has been started.</summary>
    /// <exception cref="ContainerException"><c>ContainerNotFound</c>, <c>TaskNotFound</c>; <c>TaskNotRunning</c>: it has ended.</exception>
    public async Task<ContainerTask> WaitRunningAsync(string id, string? containerNamespace = null, CancellationToken cancel = default)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        if (!files.Exists(ns, Names.Id(id))) { throw Missing(ns, id); }
        // Watched first, read then: what changes between is not missed.
        using var watch = ContainerLogs.Watch(paths.RunFolder(ns, id));
        while (true)
        {
            var task = (files.Read(ns, id) ?? throw Missing(ns, id)).Task;
            if (task.State is ContainerTaskState.Running or ContainerTaskState.Paused) { return task; }
            if (task.State == ContainerTaskState.Stopped) { throw ShimErrors.NotRunning(id); }
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
