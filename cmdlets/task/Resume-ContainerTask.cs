using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsLifecycle.Resume, "ContainerTask", SupportsShouldProcess = true)]
[OutputType(typeof(ContainerTask))]
public sealed class ResumeContainerTaskCommand : TasksCmdlet
{
    protected override Task ActAsync(string id, string ns, CancellationToken token) => Engine.Tasks.ResumeAsync(id, ns, token);
}
