namespace Containers.Cmdlets;

/// <summary>Starts a task with somebody listening from its first byte on.</summary>
static class TaskRun
{
    /// <summary>Starts a task with the caller's own streams in front of its program.</summary>
    public static async Task<ContainerHandOver> StartHandedOverAsync(ContainerEngine engine, string id, string ns, string? detachKeys, CancellationToken cancellation)
    {
        bool made = await PrepareAsync(engine, id, ns, cancellation).ConfigureAwait(false);
        bool started = false;
        try
        {
            return await engine.Tasks.HandOverAsync(id, detachKeys, async token =>
            {
                await engine.Tasks.StartAsync(id, ns, token).ConfigureAwait(false);
                started = true;
            }, ns, cancellation).ConfigureAwait(false);
        }
        catch when (made && !started)
        {
            await engine.Tasks.RemoveAsync(id, force: true, ns, CancellationToken.None).ConfigureAwait(false);
            throw;
        }
    }

    /// <returns>Whether a task was made: one that never ran is of no use to anybody.</returns>
    static async Task<bool> PrepareAsync(ContainerEngine engine, string id, string ns, CancellationToken cancellation)
    {
        ContainerTaskState state = engine.Containers.Get(id, ns).State;
        if (state == ContainerTaskState.Stopped)
            await engine.Tasks.RemoveAsync(id, force: false, ns, cancellation).ConfigureAwait(false);
        if (state is not (ContainerTaskState.Stopped or ContainerTaskState.None))
            return false;
        await engine.Tasks.CreateAsync(id, ns, cancellation).ConfigureAwait(false);
        return true;
    }

    public static async Task<ContainerAttachment> StartAttachedAsync(ContainerEngine engine, string id, string ns, bool input, bool removes, CancellationToken cancellation)
    {
        bool made = false;
        ContainerAttachment? program = null;
        try
        {
            made = await PrepareAsync(engine, id, ns, cancellation).ConfigureAwait(false);
            program = await engine.Tasks.AttachAsync(id, input, removes, ns, cancellation).ConfigureAwait(false);
            await engine.Tasks.StartAsync(id, ns, cancellation).ConfigureAwait(false);
            return program;
        }
        catch
        {
            program?.Dispose();
            if (made)
                await engine.Tasks.RemoveAsync(id, force: true, ns, CancellationToken.None).ConfigureAwait(false);
            throw;
        }
    }
}
