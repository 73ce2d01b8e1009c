using System.Text.Json;
using Containers.Linux;

namespace Containers;

public sealed partial class ContainerTasks
{
    static readonly TimeSpan ShimAnswers = TimeSpan.FromMilliseconds(200);

    /// <summary>
    /// Starts the program. Without a task one is made first; a stopped one is replaced. One that runs already is refused.
    /// </summary>
    /// <exception cref="ContainerException">Those of <see cref="CreateAsync"/>; <c>TaskRunning</c>. A task whose program could not be started
    /// is removed again.</exception>
    public async Task<ContainerTask> StartAsync(string id, string? containerNamespace = null, CancellationToken cancel = default)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        using var held = await engine.Containers.LockAsync(ns, id, cancel).ConfigureAwait(false);
        var truth = files.Read(ns, id);
        var state = truth?.Task.State ?? ContainerTaskState.None;
        if (state is ContainerTaskState.Running or ContainerTaskState.Paused or ContainerTaskState.Restarting)
        {
            throw new ContainerException(ErrorIds.TaskRunning, $"The task of container '{id}' runs already.", id, ContainerErrorCategory.InvalidOperation);
        }
        // With the lock in hand: whoever was creating it is gone, and so may be what it lacks. Without a shim nobody can start what was created.
        var spent = state is ContainerTaskState.Stopped or ContainerTaskState.Creating || state == ContainerTaskState.Created && !truth!.ShimLives;
        if (spent) { await RemoveLockedAsync(ns, id, force: true, cancel).ConfigureAwait(false); }
        var own = state == ContainerTaskState.None || spent;
        if (own) { await CreateLockedAsync(ns, id, cancel).ConfigureAwait(false); }
        try
        {
            using var answer = await AskAsync(ns, id, "start", null, cancel).ConfigureAwait(false);
        }
        catch when (own)
        {
            await RemoveLockedAsync(ns, id, force: true, CancellationToken.None).ConfigureAwait(false);
            throw;
        }
        return (files.Read(ns, id) ?? throw Missing(ns, id)).Task;
    }

    /// <summary>Waits until the program has ended, whoever is or is not there to tell.</summary>
    /// <exception cref="ContainerException"><c>ContainerNotFound</c>, <c>TaskNotFound</c>, also when the task is removed meanwhile.</exception>
    public async Task<ContainerRunResult> WaitAsync(string id, string? containerNamespace = null, CancellationToken cancel = default)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        Names.Id(id);
        while (true)
        {
            cancel.ThrowIfCancellationRequested();
            var truth = files.Read(ns, id) ?? throw Missing(ns, id);
            if (truth.Task.State == ContainerTaskState.Stopped) { return Result(ns, id, truth.Exit, truth.Task.StoppedReason); }
            if (truth.ShimLives)
            {
                try
                {
                    using var shim = await ShimConnection.TryOpenAsync(paths.RunFolder(ns, id), id, cancel).ConfigureAwait(false);
                    if (shim is not null)
                    {
                        using var answer = await shim.RequestAsync("wait", null, cancel).ConfigureAwait(false);
                        return Result(ns, id, Exit(answer.RootElement));
                    }
                }
                catch (ContainerException e) when (e.Id == ErrorIds.ShimLost) { }
                // It lives and does not listen: it is just beginning or just ending.
                await Waiting.ForProcessAsync(truth.Record!.ShimPid, truth.Record.ShimStartTime, ShimAnswers, cancel).ConfigureAwait(false);
            }
            else if (truth.InitLives)
            {
                await Waiting.ForProcessAsync(truth.Record!.Pid, truth.Record.PidStartTime, null, cancel).ConfigureAwait(false);
            }
            else
            {
                // Being created by somebody who holds the lock: whoever gets it next sees more.
                using var held = await engine.Containers.LockAsync(ns, id, cancel).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Sends a signal to the program, or to every process of the container.</summary>
    /// <exception cref="ContainerException"><c>ContainerNotFound</c>, <c>TaskNotFound</c>, <c>TaskNotRunning</c>, <c>InvalidArgument</c>.</exception>
    public async Task SignalAsync(string id, int signal, bool all = false, string? containerNamespace = null, CancellationToken cancel = default)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        if (signal is < 1 or > 64) { throw ResourceSpec.Bad("Signal", signal, "it is from 1 to 64"); }
        var truth = files.Read(ns, Names.Id(id)) ?? throw Missing(ns, id);
        if (truth.Task.State is not (ContainerTaskState.Running or ContainerTaskState.Paused)) { throw ShimErrors.NotRunning(id); }
        if (truth.ShimLives)
        {
            using var answer = await AskAsync(ns, id, "signal", w =>
            {
                w.WriteNumber("signal", signal);
                if (all) { w.WriteBoolean("all", true); }
            }, cancel).ConfigureAwait(false);
            return;
        }
        // Without a shim the kernel is asked directly.
        if (!all)
        {
            Waiting.Signal(truth.Record!.Pid, truth.Record.PidStartTime, signal);
            return;
        }
        var record = engine.Containers.Load(ns, id);
        // Also what is forked meanwhile, and what is frozen.
        if (signal == Libc.SIGKILL && GroupOf(record) is { } group)
        {
            group.Kill();
            return;
        }
        foreach (var pid in engine.Cgroups.ProcessesOf(record))
        {
            if (ProcessTruth.TryStat(pid, out _, out var started)) { Waiting.Signal(pid, started, signal); }
        }
    }

    /// <summary>Asks the program to end by its stop signal, waits, then kills everything in the container. A stopped task is no error.</summary>
    /// <param name="signal">In place of the container's own.</param>
    /// <param name="timeout">In place of the container's own; zero kills at once.</param>
    /// <exception cref="ContainerException"><c>ContainerNotFound</c>, <c>TaskNotFound</c>.</exception>
    public async Task<ContainerRunResult> StopAsync(string id, int? signal = null, TimeSpan? timeout = null, string? containerNamespace = null, CancellationToken cancel = default)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        var record = engine.Containers.Load(ns, id);
        var state = (files.Read(ns, id) ?? throw Missing(ns, id)).Task.State;
        // Nothing runs that could be asked.
        if (state is ContainerTaskState.Created or ContainerTaskState.Creating) { state = await EndUnstartedAsync(record, cancel).ConfigureAwait(false); }
        if (state == ContainerTaskState.Stopped) { return await WaitAsync(id, ns, cancel).ConfigureAwait(false); }

        if (record.MayRestart) { await UnlessEnded(EndRestartsAsync(ns, id, cancel)).ConfigureAwait(false); }
        var patience = timeout ?? TimeSpan.FromSeconds(record.StopTimeoutSec);
        if (patience > TimeSpan.Zero)
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
            try
            {
                // A program that cannot run cannot end: it takes the signal when it goes on.
                await UnlessEnded(SignalAsync(id, signal ?? ContainerSignal.Parse(record.StopSignal), all: false, ns, cancel)).ConfigureAwait(false);
                if (state == ContainerTaskState.Paused) { await UnlessEnded(ResumeAsync(id, ns, cancel)).ConfigureAwait(false); }
                limit.CancelAfter(patience);
                return await WaitAsync(id, ns, limit.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (!cancel.IsCancellationRequested) { }
        }
        await UnlessEnded(SignalAsync(id, Libc.SIGKILL, all: true, ns, cancel)).ConfigureAwait(false);
        return await WaitAsync(id, ns, cancel).ConfigureAwait(false);
    }

    /// <summary>Stops the program as <see cref="StopAsync"/> does, and starts it again. A container without a task is started.</summary>
    /// <exception cref="ContainerException">Those of <see cref="StartAsync"/>.</exception>
    public async Task<ContainerTask> RestartAsync(string id, int? signal = null, TimeSpan? timeout = null, string? containerNamespace = null, CancellationToken cancel = default)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        if (Exists(ns, Names.Id(id)))
        {
            await StopAsync(id, signal, timeout, ns, cancel).ConfigureAwait(false);
            // Its shim tells of the end after it has written it down.
            await AwaitShimAsync(ns, id, cancel).ConfigureAwait(false);
            engine.Events.Tell(ns, ContainerEventType.Restarted, id);
        }
        return await StartAsync(id, containerNamespace, cancel).ConfigureAwait(false);
    }

    /// <summary>Freezes every process of the container.</summary>
    /// <exception cref="ContainerException"><c>ContainerNotFound</c>, <c>TaskNotFound</c>, <c>TaskNotRunning</c>, <c>TaskPaused</c>.</exception>
    public Task PauseAsync(string id, string? containerNamespace = null, CancellationToken cancel = default) => FreezeAsync(id, "pause", containerNamespace, cancel);

    /// <summary>Lets a paused task go on.</summary>
    /// <exception cref="ContainerException"><c>ContainerNotFound</c>, <c>TaskNotFound</c>, <c>TaskNotPaused</c>.</exception>
    public Task ResumeAsync(string id, string? containerNamespace = null, CancellationToken cancel = default) => FreezeAsync(id, "resume", containerNamespace, cancel);

    static async Task UnlessEnded(Task asked)
    {
        try { await asked.ConfigureAwait(false); }
        catch (ContainerException e) when (e.Id is ErrorIds.TaskNotRunning or ErrorIds.TaskNotPaused or ErrorIds.ShimLost) { }
    }

    /// <summary>One request over a connection of its own.</summary>
    internal async Task<JsonDocument> AskAsync(string ns, string id, string op, Action<Utf8JsonWriter>? members, CancellationToken cancel)
    {
        using var shim = await ConnectAsync(ns, id, cancel).ConfigureAwait(false);
        return await shim.RequestAsync(op, members, cancel).ConfigureAwait(false);
    }

    /// <summary>A connection to the shim of a task that has not ended.</summary>
    async Task<ShimConnection> ConnectAsync(string ns, string id, CancellationToken cancel)
    {
        while (true)
        {
            var truth = files.Read(ns, id) ?? throw Missing(ns, id);
            if (await ShimConnection.TryOpenAsync(paths.RunFolder(ns, id), id, cancel).ConfigureAwait(false) is { } shim) { return shim; }
            if (!truth.ShimLives)
            {
                if (truth.Task.State is ContainerTaskState.Stopped or ContainerTaskState.Creating) { throw ShimErrors.NotRunning(id); }
                throw new ContainerException(ErrorIds.ShimLost, $"The shim of container '{id}' is gone, though its program still runs: it can be signalled, stopped and removed, nothing else.",
                    id, ContainerErrorCategory.ConnectionError);
            }
            await Waiting.ForProcessAsync(truth.Record!.ShimPid, truth.Record.ShimStartTime, ShimAnswers, cancel).ConfigureAwait(false);
        }
    }

    internal static ExitRecord? Exit(JsonElement answer) => answer.Deserialize(TaskJson.Default.ExitRecord);

    internal static ContainerRunResult Result(string ns, string id, ExitRecord? exit, string? unseen = null) => new()
    {
        ContainerId = id,
        ContainerNamespace = ns,
        ExitCode = exit?.ExitCode,
        Signal = exit?.Signal,
        OomKilled = exit?.OomKilled ?? false,
        StoppedReason = exit is null ? unseen ?? "ShimLost" : exit.Reason ?? "Exited",
        Duration = exit is { StartedAt: { } started, FinishedAt: { } finished } && finished >= started ? finished - started : null,
    };
}
