using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsLifecycle.Invoke, "NamespaceCommand", SupportsShouldProcess = true)]
[OutputType(typeof(string), typeof(byte[]), typeof(ContainerRunResult))]
public sealed class InvokeNamespaceCommandCommand : NamespaceCommandCmdlet
{
    PumpedWork<ContainerRunResult>? work;
    ProgramInput? input;

    // Not bound from the pipeline by the binder: an object there is the target only when it is no input.
    [Parameter(Position = 0)]
    [ArgumentCompleter(typeof(NamespaceTargetCompleter))]
    public object[]? Namespace { get; set; }

    [Parameter(ValueFromPipeline = true)]
    [AllowEmptyString]
    public object? StandardInput { get; set; }

    [Parameter]
    public SwitchParameter AsByteStream { get; set; }

    OutputForm Form => PassThru ? OutputForm.Kept : AsByteStream ? OutputForm.Bytes : OutputForm.Lines;

    bool Feeds => Namespace is not null && MyInvocation.ExpectingInput;

    protected override void BeginProcessing()
    {
        base.BeginProcessing();
        if (Arguments.Mend(this, nameof(Namespace), Namespace is { Length: 1 } ? Namespace[0] : null, ArgumentList, out object[]? arguments))
            Namespace = null;
        ArgumentList = arguments;
        string? clash = Namespace is null && !MyInvocation.ExpectingInput ? "No namespace is named: give it before --, or on the pipeline."
            : AsByteStream && PassThru ? "-AsByteStream and -PassThru exclude each other: the result has its output as text."
            : null;
        if (clash is not null)
            ThrowTerminatingError(Errors.Record(Errors.Argument(clash, null), null));
    }

    protected override void ProcessRecord()
    {
        if (Feeds)
            Feed(StandardInput);
        else
            Run(Namespace ?? [StandardInput!]);
    }

    protected override void EndProcessing()
    {
        if (!Feeds)
            return;
        // With a pipeline that brought nothing there was no record: the program gets an empty input.
        StartFed();
        input?.End();
        if (work is not null)
            ProgramRun.Finish(this, work, PassThru, Namespace);
    }

    // All that one item, or the parameter, names is joined together.
    void Run(object[] named)
    {
        Try(named[0], () =>
        {
            if (Begin(named, false) is { } running)
                ProgramRun.Finish(this, running, PassThru, named[0]);
        });
    }

    void StartFed()
    {
        if (input is not null)
            return;
        input = new ProgramInput();
        Try(Namespace![0], () => work = Begin(Namespace, true));
    }

    PumpedWork<ContainerRunResult>? Begin(object[] named, bool interactive)
    {
        List<NamespaceTarget> targets = named.Select(Target).ToList();
        NamespaceCommandOptions options = Options(targets);
        options.Interactive = interactive;
        return ShouldProcess(string.Join(", ", targets), $"Invoke-NamespaceCommand {string.Join(' ', options.ArgumentList)}") ? Begin((pump, token) => RunAsync(options, pump, token)) : null;
    }

    void Feed(object? value)
    {
        StartFed();
        if (work is null)
            return;
        if (ProgramInput.Bytes(value) is { } bytes)
            work.Until(input!.WriteAsync(bytes, StopToken));
        else
            Try(value, () => throw Errors.Argument($"A {value?.GetType().Name ?? "null"} is no input for a program: give text or bytes.", value));
    }

    async Task<ContainerRunResult> RunAsync(NamespaceCommandOptions options, Pump pump, CancellationToken token)
    {
        try
        {
            using NamespaceProgram program = Engine.Namespaces.Start(options);
            return await ProgramRun.StreamAsync(program, new ProgramOutput(this, pump, Form), input, token).ConfigureAwait(false);
        }
        finally
        {
            input?.End();
        }
    }
}
