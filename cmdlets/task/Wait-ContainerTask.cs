using System.Diagnostics;
using System.Management.Automation;
using System.Text.RegularExpressions;

namespace Containers.Cmdlets;

/// <summary>What <c>Wait-ContainerTask</c> waits for.</summary>
public enum WaitFor
{
    Stopped,
    Running,

    /// <summary>Its health check succeeds.</summary>
    Healthy,

    /// <summary>A line of the log that matches.</summary>
    LogMatch,

    /// <summary>A TCP port takes connections.</summary>
    PortOpen,
}

[Cmdlet(VerbsLifecycle.Wait, "ContainerTask")]
[OutputType(typeof(ContainerRunResult), typeof(ContainerTask))]
public sealed class WaitContainerTaskCommand : ActingCmdlet, IJobCmdlet
{
    // A pattern of the user's on a line of a stranger's.
    static readonly TimeSpan longestMatch = TimeSpan.FromSeconds(1);

    readonly Stopwatch waited = new();
    readonly List<ContainerTask> either = [];
    Regex? pattern;

    [Parameter]
    public WaitFor For { get; set; }

    [Parameter]
    public string? Pattern { get; set; }

    [Parameter]
    [ValidateRange(1, 65535)]
    public int? Port { get; set; }

    [Parameter]
    public SwitchParameter Any { get; set; }

    [Parameter]
    public SwitchParameter AsJob { get; set; }

    [Parameter]
    [ValidateRange(0d, 31536000d)]
    public double? TimeoutSec { get; set; }

    protected override void BeginProcessing()
    {
        base.BeginProcessing();
        string? clash = For == WaitFor.LogMatch != Pattern is not null ? "-For LogMatch and -Pattern go together."
            : For == WaitFor.PortOpen != Port is not null ? "-For PortOpen and -Port go together." : null;
        if (clash is not null)
            ThrowTerminatingError(Errors.Record(Errors.Argument(clash, For), For));
        try
        {
            pattern = Pattern is null ? null : new Regex(Pattern, RegexOptions.CultureInvariant, longestMatch);
        }
        catch (ArgumentException e)
        {
            ThrowTerminatingError(Errors.Record(Errors.Argument($"-Pattern: {e.Message}", Pattern), Pattern));
        }
    }

    protected override void ProcessRecord()
    {
        if (IsTaken)
            return;
        waited.Start();
        foreach (ContainerTask task in FindTasks())
        {
            if (Any)
                either.Add(task);
            else
                Try(task.ContainerId, () => WriteObject(Wait(token => InTimeAsync(task.ContainerId, inTime => ForAsync(task, inTime), token))));
        }
    }

    protected override void EndProcessing()
    {
        base.EndProcessing();
        if (either.Count > 0)
            Try(either[0].ContainerId, () => WriteObject(Wait(token => InTimeAsync(string.Join(", ", either), FirstAsync, token))));
    }

    // The first one that succeeds; when none can any more, the error of the last.
    async Task<object> FirstAsync(CancellationToken token)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(token);
        List<Task<object>> waiting = either.ConvertAll(task => ForAsync(task, over.Token));
        try
        {
            while (true)
            {
                Task<object> first = await Task.WhenAny(waiting).ConfigureAwait(false);
                waiting.Remove(first);
                if (first.IsCompletedSuccessfully || waiting.Count == 0)
                    return await first.ConfigureAwait(false);
            }
        }
        finally
        {
            await over.CancelAsync().ConfigureAwait(false);
            await Task.WhenAll(waiting).ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default).ConfigureAwait(false);
        }
    }

    async Task<object> ForAsync(ContainerTask task, CancellationToken token)
    {
        (string id, string ns) = (task.ContainerId, task.ContainerNamespace);
        switch (For)
        {
            case WaitFor.Stopped:
                return await Engine.Tasks.WaitAsync(id, ns, token).ConfigureAwait(false);
            case WaitFor.Healthy:
                return await Engine.Tasks.WaitHealthyAsync(id, ns, token).ConfigureAwait(false);
            case WaitFor.LogMatch:
                await Engine.Tasks.WaitLogAsync(id, pattern!, ns, token).ConfigureAwait(false);
                break;
            case WaitFor.PortOpen:
                await Engine.Tasks.WaitPortAsync(id, Port!.Value, ns, token).ConfigureAwait(false);
                break;
            default:
                return await Engine.Tasks.WaitRunningAsync(id, ns, token).ConfigureAwait(false);
        }
        return Engine.Tasks.Get(id, ns);
    }

    // All targets share the time: what is left of it when their turn comes.
    async Task<object> InTimeAsync(string id, Func<CancellationToken, Task<object>> wait, CancellationToken token)
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
            string what = For switch { WaitFor.LogMatch => $"had printed nothing that matches '{Pattern}'", WaitFor.PortOpen => $"did not listen on port {Port}", _ => $"was not {For.ToString().ToLowerInvariant()}" };
            throw new ContainerException(ErrorIds.WaitTimeout, $"The task of container '{id}' {what} after {TimeoutSec} seconds. It goes on; wait longer, or stop it with Stop-ContainerTask.",
                id, ContainerErrorCategory.OperationTimeout, e);
        }
    }
}
