using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Get, "ContainerProcess")]
[OutputType(typeof(ContainerProcess))]
public sealed class GetContainerProcessCommand : LookingCmdlet
{
    protected override void ProcessRecord()
    {
        foreach (ContainerTask task in FindTasks())
        {
            // Whoever was named runs or is an error; of all there are only those count that run.
            bool named = Id?.Contains(task.ContainerId, StringComparer.Ordinal) == true;
            if (named || task.State is not (ContainerTaskState.Stopped or ContainerTaskState.Creating))
                Try(task.ContainerId, () => WriteObject(Engine.Tasks.Processes(task.ContainerId, task.ContainerNamespace), enumerateCollection: true));
        }
    }
}
