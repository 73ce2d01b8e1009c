using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsData.Dismount, "ContainerImage", SupportsShouldProcess = true)]
[OutputType(typeof(void))]
public sealed class DismountContainerImageCommand : EngineCmdlet
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
                if (ShouldProcess(path, "Dismount-ContainerImage"))
                    Engine.Images.Dismount(path);
            });
        }
    }
}
