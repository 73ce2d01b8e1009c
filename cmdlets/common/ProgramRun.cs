using System.Management.Automation;

namespace Containers.Cmdlets;

/// <summary>Runs the streams of one attached program to their end, and tells how it ended as a native command would.</summary>
static class ProgramRun
{
    // Shells' own numbers; docker and podman use them too.
    const int NotFound = 127;
    const int NotPermitted = 126;
    const int Unknown = 255;

    /// <param name="input">null: the program is given no input</param>
    public static async Task<ContainerRunResult> StreamAsync(IRunningProgram program, ProgramOutput output, ProgramInput? input, CancellationToken cancellation)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        Task feeding = input?.FeedAsync(program, over.Token) ?? Task.CompletedTask;
        try
        {
            while (await program.ReadAsync(cancellation).ConfigureAwait(false) is { } part)
                output.Take(part);
            output.End(program.Result!);
            return program.Result!;
        }
        finally
        {
            over.Cancel();
            await feeding.ConfigureAwait(false);
        }
    }

    /// <summary>
    /// Waits for a program on the pipeline's thread and sets <c>$LASTEXITCODE</c>. A program that could not be run is an error of the
    /// tool, and has the exit code that a shell gives it.
    /// </summary>
    public static void Finish(PSCmdlet cmdlet, PumpedWork<ContainerRunResult> work, bool passThru, object? target)
    {
        try
        {
            ContainerRunResult result = work.Finish();
            SetExitCode(cmdlet, result.ExitCode ?? Unknown);
            if (passThru)
                cmdlet.WriteObject(result);
        }
        catch (Exception e) when (Errors.IsFailure(e))
        {
            Failed(cmdlet, e, target);
        }
    }

    /// <summary>Waits for a program that has the terminal, or whatever stands in its place.</summary>
    public static void Finish(PSCmdlet cmdlet, PumpedWork<ContainerHandOver> work, bool passThru, object? target)
    {
        try
        {
            ContainerHandOver over = work.Finish();
            if (over.Result is not { } result)
                return;
            SetExitCode(cmdlet, result.ExitCode ?? Unknown);
            if (passThru)
                cmdlet.WriteObject(result);
        }
        catch (Exception e) when (Errors.IsFailure(e))
        {
            Failed(cmdlet, e, target);
        }
    }

    /// <summary>Runs a program within some time; when that is over it is cancelled, which kills it, and the error says so.</summary>
    /// <param name="seconds">null: without limit</param>
    public static async Task<T> InTimeAsync<T>(string what, double? seconds, Func<CancellationToken, Task<T>> run, CancellationToken cancellation)
    {
        using var inTime = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        if (seconds is { } time)
            inTime.CancelAfter(TimeSpan.FromSeconds(time));
        try
        {
            return await run(inTime.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException e) when (!cancellation.IsCancellationRequested)
        {
            throw new ContainerException(ErrorIds.WaitTimeout, $"The program of {what} had not ended after {seconds} seconds, and was killed. Give it more time, or -Detach.", what, ContainerErrorCategory.OperationTimeout, e);
        }
    }

    static void Failed(PSCmdlet cmdlet, Exception e, object? target)
    {
        if (e is ContainerException { Id: ErrorIds.ExecutableNotFound or ErrorIds.ExecutableNotPermitted } failure)
            SetExitCode(cmdlet, failure.Id == ErrorIds.ExecutableNotFound ? NotFound : NotPermitted);
        cmdlet.WriteError(Errors.Record(e, target));
    }

    public static void SetExitCode(PSCmdlet cmdlet, int code) => cmdlet.SessionState.PSVariable.Set("global:LASTEXITCODE", code);
}
