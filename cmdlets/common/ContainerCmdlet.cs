using System.Collections.Concurrent;
using System.Management.Automation;

namespace Containers.Cmdlets;

/// <summary>
/// What every cmdlet shares: cancellation, a pump that brings the output of asynchronous work to the pipeline's thread, and the
/// mapping of failures to error records.
/// </summary>
public abstract class ContainerCmdlet : PSCmdlet, IDisposable
{
    // How long a cancelled work may take to clean up after itself before its cmdlet leaves without it: Ctrl+C answers within 100 ms.
    static readonly TimeSpan grace = TimeSpan.FromMilliseconds(60);

    readonly CancellationTokenSource stopping = new();

    /// <summary>Cancelled by Ctrl+C and by whatever else stops the pipeline.</summary>
    protected CancellationToken StopToken => stopping.Token;

    protected override void StopProcessing() => stopping.Cancel();

    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    protected virtual void Dispose(bool disposing)
    {
        // The source is not disposed of: work that was left behind may still look at its token.
        if (disposing)
            stopping.Cancel();
    }

    /// <summary>Waits for work on the pipeline's thread.</summary>
    /// <exception cref="PipelineStoppedException">the pipeline was stopped meanwhile</exception>
    protected T Wait<T>(Func<CancellationToken, Task<T>> work) => Wait<T>((_, token) => work(token));

    /// <inheritdoc cref="Wait{T}(Func{CancellationToken, Task{T}})"/>
    protected void Wait(Func<CancellationToken, Task> work) => Wait(async (_, token) =>
    {
        await work(token).ConfigureAwait(false);
        return true;
    });

    /// <summary>
    /// Waits for work, and runs on the pipeline's thread what the work hands to its <see cref="Pump"/>, in that order:
    /// only that thread may write to the pipeline.
    /// </summary>
    protected T Wait<T>(Func<Pump, CancellationToken, Task<T>> work)
    {
        using var abandon = CancellationTokenSource.CreateLinkedTokenSource(StopToken);
        var pump = new Pump();
        Task<T> task = Task.Run(() => work(pump, abandon.Token), CancellationToken.None);
        task.ContinueWith(static (_, state) => ((Pump)state!).Close(), pump, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        try
        {
            foreach (Action action in pump.Read(StopToken))
                action();
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
        try
        {
            return task.GetAwaiter().GetResult();
        }
        catch (OperationCanceledException) when (StopToken.IsCancellationRequested)
        {
            throw new PipelineStoppedException();
        }
    }

    /// <summary>Does something for one item: a failure becomes one error that does not end the pipeline.</summary>
    /// <returns>whether it was done</returns>
    protected bool Try(object? target, Action action)
    {
        try
        {
            action();
            return true;
        }
        catch (Exception e) when (Errors.IsFailure(e))
        {
            WriteError(Errors.Record(e, target));
            return false;
        }
    }

    /// <summary>A host path as PowerShell means it: relative to its location, with its drives, without wildcards.</summary>
    protected string HostPath(string path)
    {
        string full = SessionState.Path.GetUnresolvedProviderPathFromPSPath(path, out ProviderInfo provider, out _);
        return provider.Name == "FileSystem" ? full : throw Errors.Argument($"'{path}' is not in the file system but in the provider {provider.Name}: name a file or folder.", path);
    }
}

/// <summary>Takes what has to happen on the pipeline's thread from any other thread.</summary>
public sealed class Pump
{
    // Bounded: a program that prints faster than the pipeline takes it waits, instead of filling the memory.
    readonly BlockingCollection<Action> queue = new(256);
    readonly CancellationTokenSource refused = new();

    /// <summary>Queues an action; waits while the pipeline is behind.</summary>
    /// <exception cref="OperationCanceledException">the pipeline has stopped reading</exception>
    public void Post(Action action) => queue.Add(action, refused.Token);

    internal IEnumerable<Action> Read(CancellationToken cancellation) => queue.GetConsumingEnumerable(cancellation);

    internal void Close() => queue.CompleteAdding();

    internal void Refuse() => refused.Cancel();
}
