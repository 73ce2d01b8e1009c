using System.Collections;
using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Enter, "Container", SupportsShouldProcess = true)]
[OutputType(typeof(ContainerRunResult))]
public sealed class EnterContainerCommand : TargetCmdlet
{
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("ContainerId")]
    [ArgumentCompleter(typeof(ContainerIdCompleter))]
    public string Id { get; set; } = "";

    [Parameter(ValueFromRemainingArguments = true)]
    [AllowEmptyCollection]
    [AllowEmptyString]
    [AllowNull]
    public object[]? ArgumentList { get; set; }

    [Parameter]
    public string? ExecId { get; set; }

    [Parameter]
    [Alias("Env")]
    public IDictionary? Environment { get; set; }

    [Parameter]
    public string? WorkingDirectory { get; set; }

    [Parameter]
    public string? User { get; set; }

    [Parameter]
    public SwitchParameter Privileged { get; set; }

    [Parameter]
    public string? DetachKeys { get; set; }

    [Parameter]
    public SwitchParameter PassThru { get; set; }

    protected override IReadOnlyList<string>? Targets => [Id];

    protected override void ProcessRecord()
    {
        IReadOnlyList<string>? program = Arguments.Flat(Arguments.Rejoin(this, ArgumentList));
        var options = new ContainerExecOptions
        {
            ExecId = ExecId,
            ArgumentList = program is { Count: > 0 } ? program : ["/bin/sh"],
            Environment = Arguments.Table(Environment),
            WorkingDirectory = WorkingDirectory,
            User = User,
            Privileged = Privileged,
            Tty = true,
            Interactive = true,
        };
        foreach (ContainerTask task in FindTasks())
        {
            if (ShouldProcess(task.ContainerId, $"Enter-Container {string.Join(' ', options.ArgumentList)}"))
                ProgramRun.Finish(this, Begin((_, token) => Engine.Tasks.HandOverExecAsync(task.ContainerId, options, DetachKeys, task.ContainerNamespace, token)), PassThru, task);
        }
    }
}
