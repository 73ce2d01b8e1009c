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

    protected override void EndProcessing()
    {
        if (measured.Count == 0)
            return;
        Begin(async (pump, token) =>
        {
            IReadOnlyList<ContainerMeasured> first = await Engine.Measurements.MeasureAsync(measured, token).ConfigureAwait(false);
            pump.Post(() =>
            {
                foreach (ContainerMeasured one in first)
                {
                    if (one.Measurement is not null)
                        WriteObject(one.Measurement);
                    else
                        WriteError(Errors.Record(one.Failure!, one.Task.ContainerId));
                }
            });
            if (Watch)
                await Task.WhenAll(first.Where(one => one.Measurement is not null).Select(one => FollowAsync(one.Measurement!, pump, token))).ConfigureAwait(false);
            return true;
        }).Finish();
    }

    async Task FollowAsync(ContainerMeasurement reading, Pump pump, CancellationToken token)
    {
        try
        {
            using var clock = new PeriodicTimer(TimeSpan.FromSeconds(IntervalSec));
            while (await clock.WaitForNextTickAsync(token).ConfigureAwait(false))
            {
                ContainerMeasurement next = await Engine.Measurements.MeasureAsync(reading.ContainerId, reading.ContainerNamespace, reading, token).ConfigureAwait(false);
                reading = next;
                pump.Post(() => WriteObject(next));
            }
        }
        catch (ContainerException e) when (e.Id is ErrorIds.TaskNotRunning or ErrorIds.TaskNotFound or ErrorIds.ContainerNotFound or ErrorIds.CgroupNotFound)
        {
            // It has ended, and with it what there was to watch.
        }
        catch (Exception e) when (Errors.IsFailure(e))
        {
            pump.Post(() => WriteError(Errors.Record(e, reading.ContainerId)));
        }
    }
}
