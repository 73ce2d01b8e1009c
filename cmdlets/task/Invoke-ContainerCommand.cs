using System.Collections;
using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsLifecycle.Invoke, "ContainerCommand", SupportsShouldProcess = true)]
[OutputType(typeof(string), typeof(byte[]), typeof(ContainerRunResult), typeof(ContainerExec), typeof(Job))]
public sealed class InvokeContainerCommandCommand : TargetCmdlet, IJobCmdlet
{
    PumpedWork<ContainerRunResult>? work;
    ProgramInput? input;
    ContainerTask? target;
    bool targetsFromPipeline;

    // Not bound from the pipeline by the binder: an object there is the target only when it is no input.
    [Parameter(Position = 0)]
    [Alias("ContainerId")]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(ContainerIdCompleter))]
    public string[]? Id { get; set; }

    [Parameter(ValueFromRemainingArguments = true)]
    [AllowEmptyCollection]
    [AllowEmptyString]
    [AllowNull]
    public object[]? ArgumentList { get; set; }

    [Parameter(ValueFromPipeline = true)]
    [AllowEmptyString]
    public object? StandardInput { get; set; }

    [Parameter]
    public string? ExecId { get; set; }

    [Parameter]
    [Alias("Env")]
    public IDictionary? Environment { get; set; }

    [Parameter]
    public string[]? EnvironmentFile { get; set; }

    [Parameter]
    public string? WorkingDirectory { get; set; }

    [Parameter]
    public string? User { get; set; }

    [Parameter]
    public string[]? GroupAdd { get; set; }

    [Parameter]
    [ArgumentCompleter(typeof(CapabilityCompleter))]
    public string[]? AddCapability { get; set; }

    [Parameter]
    [ArgumentCompleter(typeof(CapabilityCompleter))]
    public string[]? DropCapability { get; set; }

    [Parameter]
    public SwitchParameter Privileged { get; set; }

    [Parameter]
    public SwitchParameter Tty { get; set; }

    [Parameter]
    public SwitchParameter Interactive { get; set; }

    [Parameter]
    public string? RedirectStandardInput { get; set; }

    [Parameter]
    public string? RedirectStandardOutput { get; set; }

    [Parameter]
    public string? RedirectStandardError { get; set; }

    [Parameter]
    public SwitchParameter Detach { get; set; }

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

    protected override IReadOnlyList<string>? Targets => Id;

    // Without input from the pipeline, our own streams are what there is to give; a container there is the target and no input.
    bool HandsOver => Interactive && !Detach && (targetsFromPipeline || !MyInvocation.ExpectingInput);

    OutputForm Form => PassThru ? OutputForm.Kept : AsByteStream ? OutputForm.Bytes : OutputForm.Lines;

    protected override void BeginProcessing()
    {
        base.BeginProcessing();
        if (Arguments.Mend(this, nameof(Id), Id is { Length: 1 } ? Id[0] : null, ArgumentList, out object[]? arguments))
            Id = null;
        ArgumentList = arguments;
        Amend(nameof(Id), Id);
        Amend(nameof(ArgumentList), ArgumentList);
        targetsFromPipeline = Id is null && MyInvocation.ExpectingInput;
        bool feeds = Id is not null && MyInvocation.ExpectingInput;
        string? clash = Id is null && !MyInvocation.ExpectingInput ? "No container is named: give its id before --, or a container or task on the pipeline."
            : Detach && (AsByteStream || PassThru || feeds) ? "-Detach leaves the program alone: there is neither input nor output."
            : AsByteStream && PassThru ? "-AsByteStream and -PassThru exclude each other: the result has its output as text."
            : HandsOver && AsByteStream ? "-Interactive hands the terminal itself to the program: there is no output to give as bytes."
            : HandsOver && (RedirectStandardInput ?? RedirectStandardOutput ?? RedirectStandardError) is not null ? "-Interactive hands the terminal itself to the program: without it, streams can be redirected."
            : Detach && TimeoutSec is not null ? "-Detach does not wait, and so there is no -TimeoutSec."
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
        if (targetsFromPipeline)
            RunIn(StandardInput);
        else if (!MyInvocation.ExpectingInput)
            RunInAll();
        else
            Feed(StandardInput);
    }

    protected override void EndProcessing()
    {
        if (AsJob)
        {
            base.EndProcessing();
            return;
        }
        // With a pipeline that brought nothing there was no record: the program gets an empty input.
        if (Id is not null && MyInvocation.ExpectingInput)
            StartFed();
        input?.End();
        if (work is not null)
            ProgramRun.Finish(this, work, PassThru, target);
    }

    // An object on the pipeline says where to run.
    void RunIn(object? value)
    {
        object? plain = value is PSObject wrapped ? wrapped.BaseObject : value;
        (string? id, string? ns) = plain switch
        {
            Container container => (container.Id, container.ContainerNamespace),
            ContainerTask task => (task.ContainerId, task.ContainerNamespace),
            string text => (text, ContainerNamespace),
            _ => (Property(value, "ContainerId") ?? Property(value, "Id"), Property(value, "ContainerNamespace") ?? ContainerNamespace),
        };
        if (id is null)
        {
            Try(value, () => throw Errors.Argument("There is neither a container's id before -- nor a container on the pipeline.", value));
            return;
        }
        string? before = ContainerNamespace;
        (Id, ContainerNamespace) = ([id], ns);
        RunInAll();
        (Id, ContainerNamespace) = (null, before);
    }

    static string? Property(object? value, string name) => value is null ? null : PSObject.AsPSObject(value).Properties[name]?.Value?.ToString();

    void RunInAll()
    {
        foreach (ContainerTask task in FindTasks())
        {
            if (!ShouldProcess(task.ContainerId, $"Invoke-ContainerCommand {string.Join(' ', Arguments.Flat(ArgumentList) ?? [])}"))
                continue;
            Try(task.ContainerId, () =>
            {
                ContainerExecOptions options = Options();
                if (Detach)
                    WriteObject(Wait(token => DetachedAsync(task, options, token)));
                else if (HandsOver)
                    ProgramRun.Finish(this, Begin((_, token) => ProgramRun.InTimeAsync(task.ContainerId, TimeoutSec, inTime => Engine.Tasks.HandOverExecAsync(task.ContainerId, options, DetachKeys, task.ContainerNamespace, inTime), token)), PassThru, task);
                else
                    ProgramRun.Finish(this, Begin((pump, token) => ProgramRun.InTimeAsync(task.ContainerId, TimeoutSec, inTime => RunAsync(task, options, pump, inTime), token)), PassThru, task);
            });
        }
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

    void StartFed()
    {
        if (input is not null)
            return;
        input = new ProgramInput();
        List<ContainerTask> tasks = FindTasks().ToList();
        if (tasks.Count > 1)
            Try(Id, () => throw Errors.Argument("Input from the pipeline goes to one container only; this id means several.", Id));
        if (tasks.Count != 1 || !ShouldProcess(tasks[0].ContainerId, $"Invoke-ContainerCommand {string.Join(' ', Arguments.Flat(ArgumentList) ?? [])}"))
            return;
        Try(tasks[0].ContainerId, () =>
        {
            ContainerExecOptions options = Options();
            target = tasks[0];
            work = Begin((pump, token) => ProgramRun.InTimeAsync(target.ContainerId, TimeoutSec, inTime => RunAsync(target, options, pump, inTime), token));
        });
    }

    async Task<ContainerRunResult> RunAsync(ContainerTask task, ContainerExecOptions options, Pump pump, CancellationToken token)
    {
        try
        {
            using ContainerAttachment program = await Engine.Tasks.ExecAsync(task.ContainerId, options, task.ContainerNamespace, token).ConfigureAwait(false);
            try
            {
                return await ProgramRun.StreamAsync(program, new ProgramOutput(this, pump, Form), input, token).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                // Nobody is left to see what it does.
                await program.SignalAsync(ContainerSignal.Parse("KILL"), CancellationToken.None).ConfigureAwait(false);
                throw;
            }
        }
        finally
        {
            input?.End();
        }
    }

    async Task<ContainerExec> DetachedAsync(ContainerTask task, ContainerExecOptions options, CancellationToken token)
    {
        string id = await Engine.Tasks.ExecDetachedAsync(task.ContainerId, options, task.ContainerNamespace, token).ConfigureAwait(false);
        ContainerTask now = Engine.Tasks.Get(task.ContainerId, task.ContainerNamespace);
        return now.Execs.First(exec => exec.Id == id);
    }

    ContainerExecOptions Options() => new()
    {
        ExecId = ExecId,
        ArgumentList = Arguments.Flat(ArgumentList) ?? [],
        Environment = Arguments.Table(Environment),
        EnvironmentFile = EnvironmentFile?.Select(HostPath).ToList(),
        WorkingDirectory = WorkingDirectory,
        User = User,
        GroupAdd = GroupAdd,
        AddCapability = AddCapability,
        DropCapability = DropCapability,
        Privileged = Privileged,
        Tty = Tty,
        Interactive = Interactive || input is not null,
        RedirectStandardInput = RedirectStandardInput is null ? null : HostPath(RedirectStandardInput),
        RedirectStandardOutput = RedirectStandardOutput is null ? null : HostPath(RedirectStandardOutput),
        RedirectStandardError = RedirectStandardError is null ? null : HostPath(RedirectStandardError),
    };
}
