using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsLifecycle.Start, "ContainerTask", SupportsShouldProcess = true)]
[OutputType(typeof(ContainerTask), typeof(string))]
public sealed class StartContainerTaskCommand : ManyCmdlet
{
    [Parameter]
    public SwitchParameter Attach { get; set; }

    [Parameter]
    public SwitchParameter Interactive { get; set; }

    [Parameter]
    public string? DetachKeys { get; set; }

    [Parameter]
    public SwitchParameter PassThru { get; set; }

    protected override void BeginProcessing()
    {
        base.BeginProcessing();
        string? clash = Interactive && !Attach ? "-Interactive hands the terminal to a program that is attached to: give -Attach too."
            : DetachKeys is not null && !Interactive ? "-DetachKeys are typed at a terminal: give -Attach and -Interactive too."
            : null;
        if (clash is not null)
            ThrowTerminatingError(Errors.Record(Errors.Argument(clash, Id), Id));
    }

    protected override void ProcessRecord()
    {
        if (IsTaken)
            return;
        foreach (Container container in FindContainers())
        {
            if (!ShouldProcess(container.Id, "Start-ContainerTask"))
                continue;
            if (Attach)
                Try(container.Id, () => StartAttached(container.Id, container.ContainerNamespace));
            else
                Each(container.Id, token => StartAsync(container.Id, container.ContainerNamespace, token));
        }
    }

    async Task<object?> StartAsync(string id, string ns, CancellationToken token)
    {
        ContainerTask task = await Engine.Tasks.StartAsync(id, ns, token).ConfigureAwait(false);
        return PassThru ? task : null;
    }

    void StartAttached(string id, string ns)
    {
        if (Interactive)
        {
            ProgramRun.Finish(this, Begin((_, token) => TaskRun.StartHandedOverAsync(Engine, id, ns, DetachKeys, token)), passThru: false, id);
            if (PassThru)
                WriteObject(Engine.Tasks.Get(id, ns));
            return;
        }
        PumpedWork<ContainerRunResult> work = Begin(async (pump, token) =>
        {
            using ContainerAttachment program = await TaskRun.StartAttachedAsync(Engine, id, ns, input: false, removes: false, token).ConfigureAwait(false);
            return await ProgramRun.StreamAsync(program, new ProgramOutput(this, pump, OutputForm.Lines), null, token).ConfigureAwait(false);
        });
        ProgramRun.Finish(this, work, passThru: false, id);
        if (PassThru)
            WriteObject(Engine.Tasks.Get(id, ns));
    }
}
