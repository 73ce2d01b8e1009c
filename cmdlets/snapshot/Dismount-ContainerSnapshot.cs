using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsData.Dismount, "ContainerSnapshot", SupportsShouldProcess = true)]
[OutputType(typeof(void))]
public sealed class DismountContainerSnapshotCommand : EngineCmdlet
{
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("LiteralPath")]
    public string[] Path { get; set; } = [];

    protected override void ProcessRecord()
    {
        foreach (string one in Path)
        {
            Try(one, () =>
            {
                string path = HostPath(one);
                if (ShouldProcess(path, "Dismount-ContainerSnapshot"))
                    Engine.Snapshots.Dismount(path);
            });
        }
    }
}
