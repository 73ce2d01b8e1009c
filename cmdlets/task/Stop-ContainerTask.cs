using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsLifecycle.Stop, "ContainerTask", SupportsShouldProcess = true)]
[OutputType(typeof(ContainerTask))]
public sealed class StopContainerTaskCommand : EndingCmdlet
{
    protected override Task ActAsync(string id, string ns, CancellationToken token) => Engine.Tasks.StopAsync(id, SignalNumber, Patience, ns, token);
}
