using System.Collections;
using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsData.Import, "ContainerVolume", SupportsShouldProcess = true)]
[OutputType(typeof(ContainerVolume))]
public sealed class ImportContainerVolumeCommand : TenantCmdlet
{
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("LiteralPath", "PSPath")]
    public string Path { get; set; } = "";

    [Parameter(Mandatory = true, Position = 1)]
    public string Name { get; set; } = "";

    [Parameter]
    public IDictionary? Label { get; set; }

    protected override void ProcessRecord() => Try(Name, () =>
    {
        string path = HostPath(Path);
        if (ShouldProcess($"{path} to {Name}", "Import-ContainerVolume"))
            WriteObject(Wait(token => Engine.Volumes.ImportAsync(path, new ContainerVolumeOptions { Name = Name, ContainerNamespace = ContainerNamespace, Labels = Arguments.Table(Label) }, token)));
    });
}
