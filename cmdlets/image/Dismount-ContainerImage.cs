using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsData.Dismount, "ContainerImage", SupportsShouldProcess = true)]
[OutputType(typeof(void))]
public sealed class DismountContainerImageCommand : DismountCmdlet
{
    private protected override void Dismount(string path) => Engine.Images.Dismount(path);
}
