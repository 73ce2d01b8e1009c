using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsLifecycle.Stop, "ContainerTask", SupportsShouldProcess = true)]
[OutputType(typeof(ContainerTask))]
public sealed class StopContainerTaskCommand : ActingCmdlet
{
    [Parameter]
    [ValidateRange(0d, 86400d)]
    public double? TimeoutSec { get; set; }

    [Parameter]
    [ArgumentCompleter(typeof(SignalCompleter))]
    public string? Signal { get; set; }

    [Parameter]
    public SwitchParameter PassThru { get; set; }

    protected override void ProcessRecord()
    {
        foreach (ContainerTask task in FindTasks())
        {
            if (!ShouldProcess(task.ContainerId, "Stop-ContainerTask"))
                continue;
            Try(task.ContainerId, () =>
            {
                TimeSpan? timeout = TimeoutSec is { } seconds ? TimeSpan.FromSeconds(seconds) : null;
                int? signal = Signal is null ? null : ContainerSignal.Parse(Signal);
                Wait(token => Engine.Tasks.StopAsync(task.ContainerId, signal, timeout, task.ContainerNamespace, token));
                if (PassThru)
                    WriteObject(Engine.Tasks.Get(task.ContainerId, task.ContainerNamespace));
            });
        }
    }
}
