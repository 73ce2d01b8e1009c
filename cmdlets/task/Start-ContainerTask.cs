using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsLifecycle.Start, "ContainerTask", SupportsShouldProcess = true)]
[OutputType(typeof(ContainerTask), typeof(string))]
public sealed class StartContainerTaskCommand : ActingCmdlet
{
    [Parameter]
    public SwitchParameter Attach { get; set; }

    [Parameter]
    public SwitchParameter PassThru { get; set; }

    protected override void ProcessRecord()
    {
        foreach (Container container in FindContainers())
        {
            if (ShouldProcess(container.Id, "Start-ContainerTask"))
                Try(container.Id, () => StartOne(container.Id, container.ContainerNamespace));
        }
    }

    void StartOne(string id, string ns)
    {
        if (!Attach)
        {
            ContainerTask task = Wait(token => Engine.Tasks.StartAsync(id, ns, token));
            if (PassThru)
                WriteObject(task);
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
