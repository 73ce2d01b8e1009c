using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommunications.Send, "ContainerSignal", SupportsShouldProcess = true)]
public sealed class SendContainerSignalCommand : ActingCmdlet
{
    [Parameter(Mandatory = true, Position = 1)]
    [ArgumentCompleter(typeof(SignalCompleter))]
    public string Signal { get; set; } = "";

    [Parameter]
    public SwitchParameter All { get; set; }

    [Parameter]
    public string? ExecId { get; set; }

    protected override void ProcessRecord()
    {
        foreach (ContainerTask task in FindTasks())
        {
            if (!ShouldProcess(ExecId is null ? task.ContainerId : $"{task.ContainerId}, process {ExecId}", $"Send-ContainerSignal {Signal}"))
                continue;
            Try(task.ContainerId, () =>
            {
                int signal = ContainerSignal.Parse(Signal);
                Wait(token => ExecId is null
                    ? Engine.Tasks.SignalAsync(task.ContainerId, signal, All, task.ContainerNamespace, token)
                    : Engine.Tasks.SignalExecAsync(task.ContainerId, ExecId, signal, task.ContainerNamespace, token));
            });
        }
    }
}
