using System.Collections;
using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.New, "ContainerNamespace", SupportsShouldProcess = true)]
[OutputType(typeof(ContainerNamespaceInfo))]
public sealed class NewContainerNamespaceCommand : EngineCmdlet
{
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("ContainerNamespace")]
    public string[] Name { get; set; } = [];

    [Parameter]
    public IDictionary? Label { get; set; }

    protected override void ProcessRecord()
    {
        foreach (string name in Name)
        {
            if (ShouldProcess(name, "New-ContainerNamespace"))
                Try(name, () => WriteObject(Engine.ContainerNamespaces.Make(name, Arguments.Table(Label))));
        }
    }
}
