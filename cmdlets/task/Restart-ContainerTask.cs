using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsLifecycle.Restart, "ContainerTask", SupportsShouldProcess = true)]
[OutputType(typeof(ContainerTask))]
public sealed class RestartContainerTaskCommand : EndingCmdlet
{
    // A container without a task is started.
    protected override void ProcessRecord()
    {
        if (IsTaken)
            return;
        foreach (Container container in FindContainers())
            Act(container.Id, container.ContainerNamespace);
    }

    protected override Task ActAsync(string id, string ns, CancellationToken token) => Engine.Tasks.RestartAsync(id, SignalNumber, Patience, ns, token);
}
