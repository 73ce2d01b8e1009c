using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsDiagnostic.Debug, "ContainerShim")]
[OutputType(typeof(ContainerShimDump))]
public sealed class DebugContainerShimCommand : ActingCmdlet
{
    protected override void ProcessRecord()
    {
        foreach (ContainerTask task in FindTasks())
            Try(task.ContainerId, () => WriteObject(Wait(token => Engine.Tasks.DebugAsync(task.ContainerId, task.ContainerNamespace, token))));
    }
}
