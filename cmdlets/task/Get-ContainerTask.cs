using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Get, "ContainerTask")]
[OutputType(typeof(ContainerTask))]
public sealed class GetContainerTaskCommand : LookingCmdlet
{
    [Parameter]
    public ContainerTaskState[]? State { get; set; }

    protected override void ProcessRecord()
    {
        foreach (ContainerTask task in FindTasks())
        {
            if (State is null || State.Contains(task.State))
                WriteObject(task);
        }
    }
}
