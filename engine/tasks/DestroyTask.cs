using Containers.Linux;
using Containers.Linux.Cgroups;

namespace Containers;

public sealed partial class ContainerTasks
{
    static readonly TimeSpan ShimEnds = TimeSpan.FromSeconds(15);

    /// <summary>Removes a stopped task. Its container, log and writable layer stay.</summary>
    /// <param name="force">A running task is killed first.</param>
    /// <exception cref="ContainerException"><c>ContainerNotFound</c>, <c>TaskNotFound</c>; <c>TaskRunning</c> without <paramref name="force"/>.</exception>
    public async Task RemoveAsync(string id, bool force = false, string? containerNamespace = null, CancellationToken cancel = default)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        using var held = await engine.Containers.LockAsync(ns, id, cancel).ConfigureAwait(false);
        if (!files.Exists(ns, id)) { throw Missing(ns, id); }
        await RemoveLockedAsync(ns, id, force, cancel).ConfigureAwait(false);
    }

    /// <summary>Removes the task of a container whose lock the caller holds.</summary>
    internal async Task RemoveLockedAsync(string ns, string id, bool force, CancellationToken cancel)
    {
        var truth = files.Read(ns, id);
        if (truth is null) { return; }
        var record = engine.Containers.Load(ns, id);
        var runs = truth.Task.State is ContainerTaskState.Running or ContainerTaskState.Paused or ContainerTaskState.Restarting;
        if (runs && !force) { throw ShimErrors.ToException("TaskRunning", "", id); }

        // The shim ends its task best: it tells every client, and leaves nothing behind. One that is still creating listens to nobody.
        var listens = truth.ShimLives && truth.Task.State != ContainerTaskState.Creating;
        if (listens && truth.Exit is null) { await ShutDownAsync(ns, id, cancel).ConfigureAwait(false); }
        if (listens) { await Waiting.ForProcessAsync(truth.Record!.ShimPid, truth.Record.ShimStartTime, ShimEnds, cancel).ConfigureAwait(false); }
        // Of an end that no shim is left to tell of.
        var untold = truth.Record is not null && files.ReadExit(ns, id) is null;
        await DestroyAsync(record, null).ConfigureAwait(false);
        if (untold) { engine.Events.Tell(ns, ContainerEventType.Died, id); }
        engine.Events.Tell(ns, ContainerEventType.TaskRemoved, id);
    }

    async Task ShutDownAsync(string ns, string id, CancellationToken cancel)
    {
        try
        {
            using var shim = await ShimConnection.TryOpenAsync(paths.RunFolder(ns, id), id, cancel).ConfigureAwait(false);
            if (shim is null) { return; }
            using var answer = await shim.RequestAsync("shutdown", w => w.WriteBoolean("kill", true), cancel).ConfigureAwait(false);
        }
        catch (ContainerException) { } // what a shim does not do, DestroyAsync does
    }

    /// <summary>
    /// Ends and removes whatever there is of a task, in any state, with or without a shim. Every step looks for itself and none minds
    /// that its work was done already: after a clean end this only removes the folder.
    /// </summary>
    async Task DestroyAsync(ContainerRecord record, string? runtime)
    {
        await EndAsync(record, runtime).ConfigureAwait(false);
        RemoveFolders(record.Namespace, record.Id);
    }

    /// <summary>Everything but the task's folder, which then tells of a task whose end nobody saw.</summary>
    async Task EndAsync(ContainerRecord record, string? runtime)
    {
        var (ns, id) = (record.Namespace, record.Id);
        // The shim first, or it would see its task die and write records meanwhile.
        var host = CgroupHost.Detect();
        var shimGroup = host.Group(HostPaths.ShimCgroupPath(ns, id));
        var group = ContainerCgroups.PathOf(record) is { } path ? host.Group(path) : null;
        try
        {
            shimGroup.Kill();
            if (files.Read(ns, id) is { Record: { } task })
            {
                Waiting.Signal(task.ShimPid, task.ShimStartTime, Libc.SIGKILL);
                Waiting.Signal(task.Pid, task.PidStartTime, Libc.SIGKILL);
                await Waiting.ForProcessAsync(task.ShimPid, task.ShimStartTime, ShimEnds, CancellationToken.None).ConfigureAwait(false);
                await Waiting.ForProcessAsync(task.Pid, task.PidStartTime, ShimEnds, CancellationToken.None).ConfigureAwait(false);
            }
            if (Directory.Exists(Path.Combine(paths.RuntimeRoot(ns), id))) { await DeleteContainerAsync(record, runtime).ConfigureAwait(false); }
            RemoveGroup(shimGroup, "/pscontainers-shim");
            // A group of the user's choice may have held processes before; its parents are the user's.
            if (group is not null) { RemoveGroup(group, group.Path.StartsWith("/pscontainers/", StringComparison.Ordinal) ? "/pscontainers" : null); }
        }
        catch (Exception e) when (e is CgroupException or LinuxException)
        {
            throw new ContainerException(ErrorIds.CgroupUnavailable, $"The control groups of container '{id}' could not be removed: {e.Message}. Try again with Remove-Container -Force.",
                id, ContainerErrorCategory.ResourceBusy, e);
        }
    }

    static void RemoveGroup(ControlGroup group, string? parentsFrom)
    {
        group.Kill();
        group.Remove(parentsFrom, TimeSpan.FromSeconds(5));
    }

    void RemoveFolders(string ns, string id)
    {
        // First the mark: one that is left without a folder says that the machine was restarted.
        File.Delete(paths.TaskMark(ns, id));
        Folders.RemoveTree(paths.RunFolder(ns, id));
        if (!Directory.Exists(paths.RunRoot)) { return; }
        using (FileLock.TakeFolder(paths.RunRoot))
        {
            // The runtime's root is one of two that may be left in an empty namespace folder.
            if (Folders.Entries(paths.RunNamespaceFolder(ns)).All(name => name == ".runtime"))
            {
                Folders.RemoveIfEmpty(paths.RuntimeRoot(ns));
                Folders.RemoveIfEmpty(paths.RunNamespaceFolder(ns));
            }
        }
    }

    async Task DeleteContainerAsync(ContainerRecord record, string? runtime)
    {
        try { runtime ??= engine.Host.FindRuntime(record.Runtime); }
        catch (ContainerException) { return; } // uninstalled meanwhile: its processes and groups are ended without it
        using var process = System.Diagnostics.Process.Start(ClosedProgram.Of(runtime, "--root", paths.RuntimeRoot(record.Namespace), "delete", "--force", record.Id))!;
        process.StandardInput.Close();
        using var limit = new CancellationTokenSource(ShimEnds);
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(limit.Token);
            await process.StandardError.ReadToEndAsync(limit.Token).ConfigureAwait(false);
            await output.ConfigureAwait(false);
            await process.WaitForExitAsync(limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) { process.Kill(); }
    }
}
