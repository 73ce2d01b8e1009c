using System.Management.Automation;

namespace Containers.Cmdlets;

/// <summary>Does something to each of many targets: one after another, or several at once where that is asked for.</summary>
public abstract class ManyCmdlet : ActingCmdlet, IJobCmdlet
{
    readonly Queue<(string Target, PumpedWork<object?> Work)> begun = new();
    SemaphoreSlim? places;

    [Parameter]
    [ValidateRange(1, 1024)]
    public int ThrottleLimit { get; set; } = 1;

    [Parameter]
    public SwitchParameter AsJob { get; set; }

    /// <summary>Does it for one target, now or when its turn comes. Results and errors come in the order of the targets.</summary>
    /// <param name="work">Gives what is to be written; null for nothing.</param>
    protected void Each(string target, Func<CancellationToken, Task<object?>> work)
    {
        if (ThrottleLimit == 1)
        {
            Finish(target, Begin((_, token) => work(token)));
            return;
        }
        places ??= new SemaphoreSlim(ThrottleLimit);
        begun.Enqueue((target, Begin((_, token) => InTurnAsync(work, token))));
        while (begun.TryPeek(out var first) && first.Work.IsCompleted)
            Finish(begun.Dequeue());
    }

    /// <inheritdoc cref="Each(string, Func{CancellationToken, Task{object}})"/>
    protected void Each(string target, Func<CancellationToken, Task> work) => Each(target, async token =>
    {
        await work(token).ConfigureAwait(false);
        return (object?)null;
    });

    protected override void EndProcessing()
    {
        while (begun.TryDequeue(out var next))
            Finish(next);
        base.EndProcessing();
    }

    async Task<object?> InTurnAsync(Func<CancellationToken, Task<object?>> work, CancellationToken token)
    {
        await places!.WaitAsync(token).ConfigureAwait(false);
        try
        {
            return await work(token).ConfigureAwait(false);
        }
        finally
        {
            places.Release();
        }
    }

    void Finish((string Target, PumpedWork<object?> Work) one) => Finish(one.Target, one.Work);

    void Finish(string target, PumpedWork<object?> work) => Try(target, () =>
    {
        if (work.Finish() is { } result)
            WriteObject(result);
    });
}

/// <summary>Does something to tasks, and gives them back where asked.</summary>
public abstract class TasksCmdlet : ManyCmdlet
{
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    /// <summary>Does it to the task of one container.</summary>
    protected abstract Task ActAsync(string id, string ns, CancellationToken token);

    protected override void ProcessRecord()
    {
        if (IsTaken)
            return;
        foreach (ContainerTask task in FindTasks())
            Act(task.ContainerId, task.ContainerNamespace);
    }

    private protected void Act(string id, string ns)
    {
        if (ShouldProcess(id, MyInvocation.MyCommand.Name))
            Each(id, token => OneAsync(id, ns, token));
    }

    async Task<object?> OneAsync(string id, string ns, CancellationToken token)
    {
        await ActAsync(id, ns, token).ConfigureAwait(false);
        return PassThru ? Engine.Tasks.Get(id, ns) : null;
    }
}

/// <summary>Asks tasks to end.</summary>
public abstract class EndingCmdlet : TasksCmdlet
{
    int? signal;

    [Parameter]
    [ValidateRange(0d, 86400d)]
    public double? TimeoutSec { get; set; }

    [Parameter]
    [ArgumentCompleter(typeof(SignalCompleter))]
    public string? Signal { get; set; }

    private protected TimeSpan? Patience => TimeoutSec is { } seconds ? TimeSpan.FromSeconds(seconds) : null;

    private protected int? SignalNumber => signal ??= Signal is null ? null : ContainerSignal.Parse(Signal);
}
