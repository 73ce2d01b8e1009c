using System.Collections.Concurrent;
using System.Management.Automation;

namespace Containers.Cmdlets;

/// <summary>
/// What every cmdlet shares: cancellation, a pump that brings the output of asynchronous work to the pipeline's thread, and the
/// mapping of failures to error records.
/// </summary>
public abstract class ContainerCmdlet : PSCmdlet, IDisposable
{
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
    protected T Wait<T>(Func<CancellationToken, Task<T>> work) => Begin((_, token) => work(token)).Finish();

    /// <inheritdoc cref="Wait{T}(Func{CancellationToken, Task{T}})"/>
    protected void Wait(Func<CancellationToken, Task> work) => Wait(async token =>
    {
        await work(token).ConfigureAwait(false);
        return true;
    });

    /// <summary>
    /// Begins work that goes on beside the pipeline. What it hands to its <see cref="Pump"/> is run on the pipeline's thread, because
    /// only that thread may write to the pipeline.
    /// </summary>
    protected PumpedWork<T> Begin<T>(Func<Pump, CancellationToken, Task<T>> work) => new(work, StopToken);

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
