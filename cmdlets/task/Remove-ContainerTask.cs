using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Remove, "ContainerTask", SupportsShouldProcess = true)]
public sealed class RemoveContainerTaskCommand : ActingCmdlet
{
    [Parameter]
    public SwitchParameter Force { get; set; }

    protected override void ProcessRecord()
    {
        foreach (ContainerTask task in FindTasks())
        {
            if (ShouldProcess(task.ContainerId, "Remove-ContainerTask"))
                Try(task.ContainerId, () => Wait(token => Engine.Tasks.RemoveAsync(task.ContainerId, Force, task.ContainerNamespace, token)));
        }
    }
}
