using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsLifecycle.Invoke, "Container", DefaultParameterSetName = FromRootfs, SupportsShouldProcess = true)]
[OutputType(typeof(string), typeof(byte[]), typeof(ContainerRunResult), typeof(ContainerTask), typeof(Job))]
public sealed class InvokeContainerCommand : StoredCmdlet, IJobCmdlet
{
    PumpedWork<ContainerRunResult>? work;
    PumpedWork<ContainerHandOver>? handedOver;
    ProgramInput? input;
    bool begun;

    [Parameter(ValueFromPipeline = true)]
    [AllowEmptyString]
    public object? StandardInput { get; set; }

    [Parameter]
    public SwitchParameter Detach { get; set; }

    [Parameter]
    public SwitchParameter Remove { get; set; }

    [Parameter]
    public SwitchParameter AsByteStream { get; set; }

    [Parameter]
    public SwitchParameter PassThru { get; set; }

    [Parameter]
    public string? DetachKeys { get; set; }

    [Parameter]
    [ValidateRange(0d, 31536000d)]
    public double? TimeoutSec { get; set; }

    [Parameter]
    public SwitchParameter AsJob { get; set; }

    // Without input from the pipeline, our own streams are what there is to give.
    bool HandsOver => Interactive && !MyInvocation.ExpectingInput && !Detach;

    OutputForm Form => PassThru ? OutputForm.Kept : AsByteStream ? OutputForm.Bytes : OutputForm.Lines;

    protected override void BeginProcessing()
    {
        base.BeginProcessing();
        string? clash = Detach && Remove ? "-Detach and -Remove exclude each other: who removes the container when nobody waits for it?"
            : Detach && (AsByteStream || MyInvocation.ExpectingInput) ? "-Detach leaves the program alone: there is neither input nor output."
            : AsByteStream && PassThru ? "-AsByteStream and -PassThru exclude each other: the result has its output as text."
            : RestartPolicy is not (null or "no") && !Detach ? "-RestartPolicy needs -Detach: whoever waits for a program waits for one run of it."
            : HandsOver && AsByteStream ? "-Interactive hands the terminal itself to the program: there is no output to give as bytes."
            : HandsOver && (RedirectStandardInput ?? RedirectStandardOutput ?? RedirectStandardError) is not null ? "-Interactive hands the terminal itself to the program: without it, streams can be redirected."
            : Detach && TimeoutSec is not null ? "-Detach does not wait, and so there is no -TimeoutSec: Wait-ContainerTask has one."
            : HandsOver && AsJob ? "-Interactive hands the terminal itself to the program: a job has none."
            : DetachKeys is not null && !HandsOver ? "-DetachKeys are typed at a terminal: give -Interactive too."
            : null;
        if (clash is not null)
            ThrowTerminatingError(Errors.Record(Errors.Argument(clash, Id), Id));
    }

    protected override void ProcessRecord()
    {
        if (IsTaken)
            return;
        Start();
        if (work is null || input is null)
            return;
        if (ProgramInput.Bytes(StandardInput) is { } bytes)
            work.Until(input.WriteAsync(bytes, StopToken));
        else
            Try(StandardInput, () => throw Errors.Argument($"A {StandardInput?.GetType().Name ?? "null"} is no input for a program: give text or bytes.", StandardInput));
    }

    protected override void EndProcessing()
    {
        if (AsJob)
        {
            base.EndProcessing();
            return;
        }
        // With a pipeline that brought nothing there was no record.
        Start();
        input?.End();
        if (work is not null)
            ProgramRun.Finish(this, work, PassThru, Id);
        if (handedOver is not null)
            ProgramRun.Finish(this, handedOver, PassThru, Id);
    }

    void Start()
    {
        if (begun)
            return;
        begun = true;
        if (!ShouldProcess(Planned, "Invoke-Container"))
            return;
        Try(Id, () =>
        {
            ContainerCreateOptions options = StoredOptions();
            options.Interactive |= MyInvocation.ExpectingInput;
            options.Transient = Remove;
            if (Detach)
            {
                WriteObject(Begin((pump, token) => DetachedAsync(options, pump, token)).Finish());
                return;
            }
            if (HandsOver)
            {
                handedOver = Begin((pump, token) => InTimeAsync(inTime => HandOverAsync(options, pump, inTime), token));
                return;
            }
            input = MyInvocation.ExpectingInput ? new ProgramInput() : null;
            work = Begin((pump, token) => InTimeAsync(inTime => RunAsync(options, pump, inTime), token));
        });
    }

    // When the time is over everything is as after Ctrl+C.
    Task<T> InTimeAsync<T>(Func<CancellationToken, Task<T>> run, CancellationToken token) => ProgramRun.InTimeAsync(Planned, TimeoutSec, run, token);

    async Task<ContainerTask> DetachedAsync(ContainerCreateOptions options, Pump pump, CancellationToken token)
    {
        Container made = await CreateAsync(options, pump, token).ConfigureAwait(false);
        try
        {
            return await Engine.Tasks.StartAsync(made.Id, made.ContainerNamespace, token).ConfigureAwait(false);
        }
        catch
        {
            await Engine.Containers.RemoveAsync(made.Id, force: true, made.ContainerNamespace, CancellationToken.None).ConfigureAwait(false);
            throw;
        }
    }

    async Task<ContainerHandOver> HandOverAsync(ContainerCreateOptions options, Pump pump, CancellationToken token)
    {
        ContainerHandOver? over = null;
        Container container = await CreateAsync(options, pump, token).ConfigureAwait(false);
        try
        {
            over = await TaskRun.StartHandedOverAsync(Engine, container.Id, container.ContainerNamespace, DetachKeys, token).ConfigureAwait(false);
            if (over.Detached && Remove)
                pump.TryPost(() => WriteWarning($"The container '{container.Id}' goes on, and nobody removes it when it ends: Remove-Container does."));
            return over;
        }
        catch when (Engine.Containers.Get(container.Id, container.ContainerNamespace).State is ContainerTaskState.Running or ContainerTaskState.Paused)
        {
            await Engine.Tasks.StopAsync(container.Id, null, TimeSpan.Zero, container.ContainerNamespace, CancellationToken.None).ConfigureAwait(false);
            throw;
        }
        finally
        {
            // As with one whose output comes by the pipeline: one that never ran goes, and one that was detached from stays.
            bool ran = Engine.Containers.Get(container.Id, container.ContainerNamespace).State != ContainerTaskState.None;
            if (over is null ? Remove || !ran : Remove && !over.Detached)
                await Engine.Containers.RemoveAsync(container.Id, force: true, container.ContainerNamespace, CancellationToken.None).ConfigureAwait(false);
        }
    }

    async Task<ContainerRunResult> RunAsync(ContainerCreateOptions options, Pump pump, CancellationToken token)
    {
        bool ran = false;
        Container? container = null;
        try
        {
            container = await CreateAsync(options, pump, token).ConfigureAwait(false);
            using ContainerAttachment program = await TaskRun.StartAttachedAsync(Engine, container.Id, container.ContainerNamespace, input is not null, Remove, token).ConfigureAwait(false);
            ran = true;
            return await ProgramRun.StreamAsync(program, new ProgramOutput(this, pump, Form), input, token).ConfigureAwait(false);
        }
        catch when (ran)
        {
            await Engine.Tasks.StopAsync(container!.Id, null, TimeSpan.Zero, container.ContainerNamespace, CancellationToken.None).ConfigureAwait(false);
            throw;
        }
        finally
        {
            input?.End();
            // One that never ran is of no use to anybody.
            if (container is not null && (Remove || !ran))
                await Engine.Containers.RemoveAsync(container.Id, force: true, container.ContainerNamespace, CancellationToken.None).ConfigureAwait(false);
        }
    }
}
