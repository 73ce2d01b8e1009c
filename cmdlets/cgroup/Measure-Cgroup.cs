using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsDiagnostic.Measure, "Cgroup", DefaultParameterSetName = ByPath)]
[OutputType(typeof(CgroupMeasurement))]
public sealed class MeasureCgroupCommand : ActingGroupCmdlet
{
    readonly List<CgroupMeasurement> first = [];

    [Parameter]
    public SwitchParameter Watch { get; set; }

    [Parameter]
    [Alias("Interval")]
    [ValidateRange(0.01, 86400d)]
    public double? IntervalSec { get; set; }

    protected override void Process(string path, string target)
    {
        CgroupMeasurement reading = Engine.Cgroups.Measure(path);
        // Without a second reading there is nothing to wait for.
        if (Watch || IntervalSec is not null)
            first.Add(reading);
        else
            WriteObject(reading);
    }

    protected override void EndProcessing()
    {
        if (first.Count == 0)
            return;
        Begin(async (pump, token) =>
        {
            List<CgroupMeasurement> before = first;
            using var clock = new PeriodicTimer(TimeSpan.FromSeconds(IntervalSec ?? 1));
            do
            {
                await clock.WaitForNextTickAsync(token).ConfigureAwait(false);
                before = Read(before, pump);
            }
            while (Watch && before.Count > 0);
            return true;
        }).Finish();
    }

    List<CgroupMeasurement> Read(List<CgroupMeasurement> before, Pump pump)
    {
        var now = new List<CgroupMeasurement>(before.Count);
        foreach (CgroupMeasurement one in before)
        {
            try
            {
                CgroupMeasurement reading = Engine.Cgroups.Measure(one.Path, one);
                now.Add(reading);
                pump.Post(() => WriteObject(reading));
            }
            catch (ContainerException e) when (Watch && e.Id == ErrorIds.CgroupNotFound)
            {
                // It is gone, and with it what there was to watch.
            }
            catch (ContainerException e)
            {
                pump.Post(() => WriteError(Errors.Record(e, one.Path)));
            }
        }
        return now;
    }
}
