using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsDiagnostic.Measure, "Container")]
[OutputType(typeof(ContainerMeasurement))]
public sealed class MeasureContainerCommand : LookingCmdlet
{
    readonly List<ContainerTask> measured = [];

    [Parameter]
    public SwitchParameter Watch { get; set; }

    [Parameter]
    [ValidateRange(0.1, 86400d)]
    public double IntervalSec { get; set; } = 1;

    protected override void ProcessRecord()
    {
        foreach (ContainerTask task in FindTasks())
        {
            // Whoever was named is measured or is an error; of all there are only those count that run.
            bool named = Id?.Contains(task.ContainerId, StringComparer.Ordinal) == true;
            if (named || task.State is ContainerTaskState.Running or ContainerTaskState.Paused)
                measured.Add(task);
        }
    }

    // At once: two readings of each lie some time apart.
    protected override void EndProcessing()
    {
        if (measured.Count == 0)
            return;
        Begin(async (pump, token) =>
        {
            await Task.WhenAll(measured.Select(task => MeasureAsync(task, pump, token))).ConfigureAwait(false);
            return true;
        }).Finish();
    }

    async Task MeasureAsync(ContainerTask task, Pump pump, CancellationToken token)
    {
        try
        {
            ContainerMeasurement reading = await Engine.Measurements.MeasureAsync(task.ContainerId, task.ContainerNamespace, null, token).ConfigureAwait(false);
            pump.Post(() => WriteObject(reading));
            using var clock = new PeriodicTimer(TimeSpan.FromSeconds(IntervalSec));
            while (Watch && await clock.WaitForNextTickAsync(token).ConfigureAwait(false))
            {
                ContainerMeasurement next;
                try
                {
                    next = await Engine.Measurements.MeasureAsync(task.ContainerId, task.ContainerNamespace, reading, token).ConfigureAwait(false);
                }
                catch (ContainerException e) when (e.Id is ErrorIds.TaskNotRunning or ErrorIds.TaskNotFound or ErrorIds.ContainerNotFound or ErrorIds.CgroupNotFound)
                {
                    return; // it has ended, and with it what there was to watch
                }
                reading = next;
                pump.Post(() => WriteObject(next));
            }
        }
        catch (Exception e) when (Errors.IsFailure(e))
        {
            pump.Post(() => WriteError(Errors.Record(e, task.ContainerId)));
        }
    }
}
