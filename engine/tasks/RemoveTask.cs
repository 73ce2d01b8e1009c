namespace Containers;

public sealed partial class ContainerTasks
{
    /// <summary>Removes the task of a container whose lock the caller holds.</summary>
    internal Task RemoveLockedAsync(string ns, string id, bool force, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        var truth = files.Read(ns, id);
        if (truth is null) { return Task.CompletedTask; }
        if (truth.InitLives || truth.ShimLives) { throw Running(id); }
        Folders.RemoveTree(paths.RunFolder(ns, id));
        return Task.CompletedTask;
    }

    static ContainerException Running(string id) => new(ErrorIds.TaskRunning,
        $"The task of container '{id}' runs. Stop it with Stop-ContainerTask, or say -Force to kill it.", id, ContainerErrorCategory.ResourceBusy);
}
