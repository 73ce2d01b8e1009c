using System.Management.Automation;
using Containers.Linux.Cgroups;

namespace Containers.Cmdlets;

[Cmdlet("Watch", "Cgroup", DefaultParameterSetName = ByPath)]
[OutputType(typeof(CgroupEvent))]
public sealed class WatchCgroupCommand : ActingGroupCmdlet
{
    readonly List<string> paths = [];

    [Parameter]
    public CgroupEventKind[] Event { get; set; } = [CgroupEventKind.OutOfMemory, CgroupEventKind.Populated, CgroupEventKind.Frozen];

    [Parameter]
    [ValidateSet("cpu", "memory", "io")]
    public string[] Resource { get; set; } = ["memory"];

    [Parameter]
    [Span]
    public TimeSpan Stall { get; set; } = TimeSpan.FromMilliseconds(150);

    [Parameter]
    [Span]
    public TimeSpan Window { get; set; } = TimeSpan.FromSeconds(1);

    [Parameter]
    [ValidateRange(0d, 86400d * 365)]
    public double? TimeoutSec { get; set; }

    // Each is looked at by itself first, so that one that cannot be watched leaves the others.
    protected override void Process(string path, string target)
    {
        Engine.Cgroups.Watch([path], Event, Stall, Window, Resource, _ => { }, new CancellationToken(canceled: true));
        paths.Add(path);
    }

    protected override void EndProcessing()
    {
        if (paths.Count == 0)
            return;
        try
        {
            Begin(async (pump, token) =>
            {
                using var ending = CancellationTokenSource.CreateLinkedTokenSource(token);
                if (TimeoutSec is { } seconds)
                    ending.CancelAfter(TimeSpan.FromSeconds(seconds));
                await Task.Factory.StartNew(() => Engine.Cgroups.Watch(paths, Event, Stall, Window, Resource, happened => pump.Post(() => WriteObject(happened)), ending.Token,
                    () => pump.Post(() => WriteVerbose($"watching {paths.Count} control groups"))), ending.Token, TaskCreationOptions.LongRunning, TaskScheduler.Default).ConfigureAwait(false);
                return true;
            }).Finish();
        }
        catch (ContainerException e)
        {
            WriteError(Errors.Record(e, null));
        }
        catch (TaskCanceledException)
        {
            // The time was over before the watch began.
        }
    }
}
