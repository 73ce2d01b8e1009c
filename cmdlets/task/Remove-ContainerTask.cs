using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Remove, "ContainerTask", SupportsShouldProcess = true)]
public sealed class RemoveContainerTaskCommand : ManyCmdlet
{
    [Parameter]
    public SwitchParameter Force { get; set; }

    protected override void ProcessRecord()
    {
        if (IsTaken)
            return;
        foreach (ContainerTask task in FindTasks())
        {
            if (ShouldProcess(task.ContainerId, "Remove-ContainerTask"))
                Each(task.ContainerId, token => Engine.Tasks.RemoveAsync(task.ContainerId, Force, task.ContainerNamespace, token));
        }
    }
}
