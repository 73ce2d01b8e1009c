using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Get, "ContainerLog")]
[OutputType(typeof(ContainerLogEntry), typeof(string))]
public sealed class GetContainerLogCommand : ActingCmdlet
{
    readonly List<Container> followed = [];

    [Parameter]
    public SwitchParameter Follow { get; set; }

    [Parameter]
    [ValidateRange(0, int.MaxValue)]
    public int? Tail { get; set; }

    [Parameter]
    public DateTimeOffset? Since { get; set; }

    [Parameter]
    public DateTimeOffset? Until { get; set; }

    [Parameter]
    public ContainerLogStream? Stream { get; set; }

    [Parameter]
    public SwitchParameter Raw { get; set; }

    [Parameter]
    public SwitchParameter Timestamps { get; set; }

    ContainerLogOptions Wanted => new() { Tail = Tail, Since = Since, Until = Until, Stream = Stream };

    protected override void ProcessRecord()
    {
        foreach (Container container in FindContainers())
        {
            if (Follow)
                followed.Add(container);
            else
                Try(container.Id, () =>
                {
                    foreach (ContainerLogEntry entry in Engine.Logs.Read(container.Id, Wanted, container.ContainerNamespace, StopToken))
                        Write(entry);
                });
        }
    }

    // All that were named are followed at once: what each of them prints comes when it is printed.
    protected override void EndProcessing()
    {
        if (followed.Count == 0)
            return;
        Begin(async (pump, token) =>
        {
            await Task.WhenAll(followed.Select(container => FollowAsync(container, pump, token))).ConfigureAwait(false);
            return true;
        }).Finish();
    }

    async Task FollowAsync(Container container, Pump pump, CancellationToken token)
    {
        try
        {
            await foreach (ContainerLogEntry entry in Engine.Logs.FollowAsync(container.Id, Wanted, container.ContainerNamespace, token).ConfigureAwait(false))
                pump.Post(() => Write(entry));
        }
        catch (Exception e) when (Errors.IsFailure(e))
        {
            pump.Post(() => WriteError(Errors.Record(e, container.Id)));
        }
    }

    void Write(ContainerLogEntry entry)
        => WriteObject(Timestamps ? $"{entry.Time.UtcDateTime:yyyy-MM-dd'T'HH:mm:ss.fffffff'Z'} {entry.Text}" : Raw ? entry.Text : entry);
}
