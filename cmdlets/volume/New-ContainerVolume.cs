using System.Collections;
using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.New, "ContainerVolume", SupportsShouldProcess = true)]
[OutputType(typeof(ContainerVolume))]
public sealed class NewContainerVolumeCommand : TenantCmdlet
{
    [Parameter(Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    public string? Name { get; set; }

    [Parameter(ValueFromPipelineByPropertyName = true)]
    public string Driver { get; set; } = "local";

    [Parameter]
    public IDictionary? Option { get; set; }

    [Parameter]
    public IDictionary? Label { get; set; }

    protected override void ProcessRecord()
    {
        if (!ShouldProcess(Name ?? "a name that is made up", "New-ContainerVolume"))
            return;
        Try(Name, () => WriteObject(Engine.Volumes.Create(new ContainerVolumeOptions
        {
            Name = Name,
            ContainerNamespace = ContainerNamespace,
            Driver = Driver,
            Options = Arguments.Table(Option),
            Labels = Arguments.Table(Label),
        })));
    }
}
