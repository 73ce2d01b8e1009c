namespace Containers.Cmdlets;

/// <summary>Starts a task with somebody listening from its first byte on.</summary>
static class TaskRun
{
    public static async Task<ContainerAttachment> StartAttachedAsync(ContainerEngine engine, string id, string ns, bool input, bool removes, CancellationToken cancellation)
    {
        bool made = false;
        ContainerAttachment? program = null;
        try
        {
            ContainerTaskState state = engine.Containers.Get(id, ns).State;
            if (state == ContainerTaskState.Stopped)
                await engine.Tasks.RemoveAsync(id, force: false, ns, cancellation).ConfigureAwait(false);
            if (state is ContainerTaskState.Stopped or ContainerTaskState.None)
            {
                await engine.Tasks.CreateAsync(id, ns, cancellation).ConfigureAwait(false);
                made = true;
            }
            program = await engine.Tasks.AttachAsync(id, input, removes, ns, cancellation).ConfigureAwait(false);
            await engine.Tasks.StartAsync(id, ns, cancellation).ConfigureAwait(false);
            return program;
        }
        catch
        {
            program?.Dispose();
            // A task that we made and that never ran is of no use to anybody.
            if (made)
                await engine.Tasks.RemoveAsync(id, force: true, ns, CancellationToken.None).ConfigureAwait(false);
            throw;
        }
    }
}
