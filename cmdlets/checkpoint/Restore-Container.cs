using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsData.Restore, "Container", SupportsShouldProcess = true)]
[OutputType(typeof(ContainerTask))]
public sealed class RestoreContainerCommand : CheckpointCmdlet
{
    // Also a container whose task was removed.
    protected override void ProcessRecord()
    {
        if (IsTaken)
            return;
        foreach (Container container in FindContainers())
            Act(container.Id, container.ContainerNamespace);
    }

    protected override Task ActAsync(string id, string ns, CancellationToken token) => Engine.Tasks.RestoreAsync(id, Options(), ns, token);
}
