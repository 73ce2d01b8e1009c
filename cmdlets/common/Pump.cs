using System.Collections.Concurrent;
using System.Management.Automation;

namespace Containers.Cmdlets;

/// <summary>Takes what has to happen on the pipeline's thread from any other thread.</summary>
public sealed class Pump
{
    // Bounded: a program that prints faster than the pipeline takes it waits, instead of filling the memory.
    readonly BlockingCollection<Action> queue = new(256);
    readonly CancellationTokenSource refused = new();

    /// <summary>Queues an action; waits while the pipeline is behind.</summary>
    /// <exception cref="OperationCanceledException">the pipeline has stopped reading</exception>
    public void Post(Action action) => queue.Add(action, refused.Token);

    /// <summary>Queues an action that nobody misses when the work has ended or the pipeline has stopped reading.</summary>
    public void TryPost(Action action)
    {
        try
        {
            Post(action);
        }
        catch (Exception e) when (e is InvalidOperationException or OperationCanceledException)
        {
            // Nobody looks any more; work that goes on hears of it by its token.
        }
    }

    internal bool Take(out Action? action, CancellationToken cancellation) => queue.TryTake(out action, Timeout.Infinite, cancellation);

    internal void Close() => queue.CompleteAdding();

    internal void Refuse() => refused.Cancel();
}

/// <summary>Work that runs beside the pipeline's thread, which waits for it and does what the work hands to its pump.</summary>
public sealed class PumpedWork<T>
{
    // How long cancelled work may take to clean up after itself before its cmdlet leaves without it: Ctrl+C answers within 100 ms.
    static readonly TimeSpan grace = TimeSpan.FromMilliseconds(80);

    readonly Pump pump = new();
    readonly CancellationTokenSource abandon;
    readonly CancellationToken stop;
    readonly Task<T> task;

    internal PumpedWork(Func<Pump, CancellationToken, Task<T>> work, CancellationToken stop)
    {
        this.stop = stop;
        abandon = CancellationTokenSource.CreateLinkedTokenSource(stop);
        task = Task.Run(() => work(pump, abandon.Token), CancellationToken.None);
        task.ContinueWith(static (_, pump) => ((Pump)pump!).Close(), pump, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
    }

    public bool IsCompleted => task.IsCompleted;

    /// <summary>Pumps until something else has happened, or the work has ended.</summary>
    public void Until(Task other)
    {
        if (other.IsCompleted)
            return;
        other.ContinueWith(_ => pump.TryPost(static () => { }), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        Guard(() =>
        {
            while (!other.IsCompleted && pump.Take(out Action? action, stop))
                action!();
        });
    }

    /// <summary>Pumps until the work has ended, and gives its result.</summary>
    /// <exception cref="PipelineStoppedException">the pipeline was stopped meanwhile</exception>
    public T Finish()
    {
        Guard(() =>
        {
            while (pump.Take(out Action? action, stop))
                action!();
        });
        try
        {
            return task.GetAwaiter().GetResult();
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            throw new PipelineStoppedException();
        }
    }

    void Guard(Action pumping)
    {
        try
        {
            pumping();
        }
        catch (Exception e)
        {
            // Either Ctrl+C, or the pipeline ended below us (Select-Object -First) while we wrote to it.
            abandon.Cancel();
            pump.Refuse();
            ((IAsyncResult)task).AsyncWaitHandle.WaitOne(grace);
            if (e is OperationCanceledException)
                throw new PipelineStoppedException();
            throw;
        }
    }
}
