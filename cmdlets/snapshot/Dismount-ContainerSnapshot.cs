using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsData.Dismount, "ContainerSnapshot", SupportsShouldProcess = true)]
[OutputType(typeof(void))]
public sealed class DismountContainerSnapshotCommand : DismountCmdlet
{
    private protected override void Dismount(string path) => Engine.Snapshots.Dismount(path);
}
