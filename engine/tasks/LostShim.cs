using Containers.Linux;
using Containers.Linux.Cgroups;
using Containers.Linux.Oci;

namespace Containers;

/// <summary>What can be done with a task whose shim is gone, or not there yet: the kernel is asked in its place (docs/shim.md, "A shim that dies").</summary>
public sealed partial class ContainerTasks
{
    static ControlGroup? GroupOf(ContainerRecord record) => ContainerCgroups.PathOf(record) is { } path ? CgroupHost.Detect().Group(path) : null;

    bool IsFrozen(string ns, string id)
    {
        try { return engine.Containers.TryLoadAny(ns, id) is { } record && GroupOf(record)?.Frozen == true; }
        catch (Exception e) when (e is CgroupException or LinuxException or SpecException) { return false; }
    }

    /// <summary>Ends a task that was not started. One that is being created has its creator's lock: with the lock in hand it is created, or nobody's.</summary>
    /// <returns>The state it has then: it may have been started meanwhile.</returns>
    async Task<ContainerTaskState> EndUnstartedAsync(ContainerRecord record, CancellationToken cancel)
    {
        var (ns, id) = (record.Namespace, record.Id);
        using var held = await engine.Containers.LockAsync(ns, id, cancel).ConfigureAwait(false);
        var truth = files.Read(ns, id) ?? throw Missing(ns, id);
        if (truth.Task.State is not (ContainerTaskState.Created or ContainerTaskState.Creating)) { return truth.Task.State; }
        if (truth.Task.State == ContainerTaskState.Created && truth.ShimLives) { await ShutDownAsync(ns, id, cancel).ConfigureAwait(false); }
        else { await EndAsync(record, null).ConfigureAwait(false); }
        return ContainerTaskState.Stopped;
    }

    /// <summary>Gives the bundle of a task that may be started again the limits that its container has now.</summary>
    internal void ChangeResources(ContainerRecord record)
    {
        var bundle = Path.Combine(paths.RunFolder(record.Namespace, record.Id), "config.json");
        if (!record.MayRestart || Folders.Read(bundle, OciJson.MaxSize) is not { } content) { return; }
        var spec = OciJson.ReadSpec(content);
        (spec.Linux ??= new LinuxConfig()).Resources = record.Spec.Linux?.Resources;
        Folders.Replace(bundle, OciJson.WriteSpec(spec));
    }

    /// <summary>Tells a task's shim of another policy. Without a shim, or after the task's end, there is nobody who would start it again.</summary>
    internal async Task ChangeRestartsAsync(string ns, string id, RestartPolicy policy, CancellationToken cancel)
    {
        if (StateOf(ns, id) is ContainerTaskState.None or ContainerTaskState.Stopped) { return; }
        await UnlessEnded(TellAsync()).ConfigureAwait(false);

        async Task TellAsync()
        {
            using var answer = await AskAsync(ns, id, "set-restarts", w =>
            {
                w.WriteString("policy", policy.Kind);
                w.WriteNumber("limit", policy.Limit);
            }, cancel).ConfigureAwait(false);
        }
    }

    async Task EndRestartsAsync(string ns, string id, CancellationToken cancel)
    {
        try { using var answer = await AskAsync(ns, id, "end-restarts", null, cancel).ConfigureAwait(false); }
        catch (ContainerException e) when (e.Id == ErrorIds.ShimTooOld) { } // it starts nothing again
    }

    async Task FreezeAsync(string id, string verb, string? containerNamespace, CancellationToken cancel)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        try
        {
            using var answer = await AskAsync(ns, Names.Id(id), verb, null, cancel).ConfigureAwait(false);
            return;
        }
        catch (ContainerException e) when (e.Id == ErrorIds.ShimLost && GroupOf(engine.Containers.Load(ns, id)) is not null) { }
        var group = GroupOf(engine.Containers.Load(ns, id))!;
        var state = (files.Read(ns, id) ?? throw Missing(ns, id)).Task.State;
        if (state is not (ContainerTaskState.Running or ContainerTaskState.Paused)) { throw ShimErrors.NotRunning(id); }
        var paused = state == ContainerTaskState.Paused;
        if (paused == (verb == "pause")) { throw ShimErrors.ToException(paused ? "TaskPaused" : "TaskNotPaused", "", id); }
        try
        {
            if (paused) { group.Thaw(); }
            else { group.Freeze(); }
        }
        catch (Exception e) when (e is CgroupException or LinuxException)
        {
            throw new ContainerException(ErrorIds.CgroupUnavailable, $"The control group of container '{id}' could not be {(paused ? "thawed" : "frozen")}: {e.Message}. Stop the container, or remove it with Remove-Container -Force.",
                id, ContainerErrorCategory.ResourceBusy, e);
        }
    }
}
