using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsData.Checkpoint, "Container", SupportsShouldProcess = true)]
[OutputType(typeof(ContainerTask))]
public sealed class CheckpointContainerCommand : CheckpointCmdlet
{
    [Parameter]
    public SwitchParameter LeaveRunning { get; set; }

    protected override Task ActAsync(string id, string ns, CancellationToken token)
    {
        ContainerCheckpointOptions options = Options();
        options.LeaveRunning = LeaveRunning;
        return Engine.Tasks.CheckpointAsync(id, options, ns, token);
    }
}
