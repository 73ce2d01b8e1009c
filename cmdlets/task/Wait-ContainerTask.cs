using System.Diagnostics;
using System.Management.Automation;

namespace Containers.Cmdlets;

/// <summary>What <c>Wait-ContainerTask</c> waits for.</summary>
public enum WaitFor
{
    Stopped,
    Running,
}

[Cmdlet(VerbsLifecycle.Wait, "ContainerTask")]
[OutputType(typeof(ContainerRunResult), typeof(ContainerTask))]
public sealed class WaitContainerTaskCommand : ActingCmdlet
{
    readonly Stopwatch waited = new();

    [Parameter]
    public WaitFor For { get; set; }

    [Parameter]
    [ValidateRange(0d, 31536000d)]
    public double? TimeoutSec { get; set; }

    protected override void ProcessRecord()
    {
        waited.Start();
        foreach (ContainerTask task in FindTasks())
        {
            Try(task.ContainerId, () =>
            {
                if (For == WaitFor.Running)
                    WriteObject(Wait(token => InTime(task.ContainerId, inTime => Engine.Tasks.WaitRunningAsync(task.ContainerId, task.ContainerNamespace, inTime), token)));
                else
                    WriteObject(Wait(token => InTime(task.ContainerId, inTime => Engine.Tasks.WaitAsync(task.ContainerId, task.ContainerNamespace, inTime), token)));
            });
        }
    }

    // All targets share the time: what is left of it when their turn comes.
    async Task<T> InTime<T>(string id, Func<CancellationToken, Task<T>> wait, CancellationToken token)
    {
        using var inTime = CancellationTokenSource.CreateLinkedTokenSource(token);
        if (TimeoutSec is { } seconds)
            inTime.CancelAfter(TimeSpan.FromSeconds(Math.Max(0, seconds - waited.Elapsed.TotalSeconds)));
        try
        {
            return await wait(inTime.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException e) when (!token.IsCancellationRequested)
        {
            throw new ContainerException(ErrorIds.WaitTimeout, $"The task of container '{id}' was not {For.ToString().ToLowerInvariant()} after {TimeoutSec} seconds. It goes on; wait longer, or stop it with Stop-ContainerTask.",
                id, ContainerErrorCategory.OperationTimeout, e);
        }
    }
}
