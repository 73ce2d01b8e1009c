using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsLifecycle.Suspend, "ContainerTask", SupportsShouldProcess = true)]
[OutputType(typeof(ContainerTask))]
public sealed class SuspendContainerTaskCommand : TasksCmdlet
{
    protected override Task ActAsync(string id, string ns, CancellationToken token) => Engine.Tasks.PauseAsync(id, ns, token);
}
