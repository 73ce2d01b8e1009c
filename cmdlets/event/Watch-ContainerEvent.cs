using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet("Watch", "ContainerEvent")]
[OutputType(typeof(ContainerEvent))]
public sealed class WatchContainerEventCommand : EventCmdlet
{
    readonly List<string> named = [];

    [Parameter]
    [ValidateRange(0d, 86400d * 365)]
    public double? TimeoutSec { get; set; }

    protected override void ProcessRecord() => named.AddRange(Id ?? []);

    // One watch for all that came down the pipeline.
    protected override void EndProcessing()
    {
        Id = named.Count > 0 ? named.ToArray() : null;
        Prepare();
        Try(ContainerNamespace, () => Begin(async (pump, token) =>
        {
            using var ending = CancellationTokenSource.CreateLinkedTokenSource(token);
            if (TimeoutSec is { } seconds)
                ending.CancelAfter(TimeSpan.FromSeconds(seconds));
            try
            {
                await foreach (ContainerEvent one in Engine.Events.WatchAsync(ContainerNamespace, Since, () => pump.Post(() => WriteVerbose("watching")), ending.Token).ConfigureAwait(false))
                {
                    if (Wanted(one))
                        pump.Post(() => WriteObject(one));
                }
            }
            catch (OperationCanceledException) when (!token.IsCancellationRequested)
            {
                // The time is over.
            }
            return true;
        }).Finish());
    }
}
