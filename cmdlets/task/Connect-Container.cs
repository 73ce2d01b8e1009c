using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommunications.Connect, "Container", SupportsShouldProcess = true)]
[OutputType(typeof(string), typeof(byte[]), typeof(ContainerRunResult))]
public sealed class ConnectContainerCommand : TargetCmdlet
{
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("ContainerId")]
    [ArgumentCompleter(typeof(ContainerIdCompleter))]
    public string Id { get; set; } = "";

    [Parameter]
    public SwitchParameter Interactive { get; set; }

    [Parameter]
    public string? DetachKeys { get; set; }

    [Parameter]
    public SwitchParameter AsByteStream { get; set; }

    [Parameter]
    public SwitchParameter PassThru { get; set; }

    protected override IReadOnlyList<string>? Targets => [Id];

    protected override void BeginProcessing()
    {
        base.BeginProcessing();
        string? clash = Interactive && AsByteStream ? "-Interactive hands the terminal itself to the program: there is no output to give as bytes."
            : DetachKeys is not null && !Interactive ? "-DetachKeys are typed at a terminal: give -Interactive too."
            : AsByteStream && PassThru ? "-AsByteStream and -PassThru exclude each other: the result has its output as text."
            : null;
        if (clash is not null)
            ThrowTerminatingError(Errors.Record(Errors.Argument(clash, Id), Id));
    }

    // One at a time, each to its end. Whatever ends this pipeline leaves the containers alone.
    protected override void ProcessRecord()
    {
        foreach (Container container in FindContainers())
        {
            if (!ShouldProcess(container.Id, "Connect-Container"))
                continue;
            (string id, string ns) = (container.Id, container.ContainerNamespace);
            if (Interactive)
            {
                ProgramRun.Finish(this, Begin((_, token) => Engine.Tasks.HandOverAsync(id, DetachKeys, null, ns, token)), PassThru, id);
                continue;
            }
            PumpedWork<ContainerRunResult> work = Begin(async (pump, token) =>
            {
                using ContainerAttachment program = await Engine.Tasks.AttachAsync(id, stdin: false, containerNamespace: ns, cancel: token).ConfigureAwait(false);
                return await ProgramRun.StreamAsync(program, new ProgramOutput(this, pump, PassThru ? OutputForm.Kept : AsByteStream ? OutputForm.Bytes : OutputForm.Lines), null, token).ConfigureAwait(false);
            });
            ProgramRun.Finish(this, work, PassThru, id);
        }
    }
}
