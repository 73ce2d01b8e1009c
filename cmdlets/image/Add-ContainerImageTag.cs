using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Add, "ContainerImageTag", SupportsShouldProcess = true)]
[OutputType(typeof(ContainerImage))]
public sealed class AddContainerImageTagCommand : ImageCmdlet
{
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true)]
    [Alias("Image", "Name")]
    [ArgumentCompleter(typeof(ImageCompleter))]
    public string Reference { get; set; } = "";

    [Parameter(Mandatory = true, Position = 1)]
    [Alias("Tag")]
    public string[] NewReference { get; set; } = [];

    [Parameter]
    public SwitchParameter Force { get; set; }

    [Parameter]
    public SwitchParameter PassThru { get; set; }

    protected override void ProcessRecord()
    {
        foreach (string name in NewReference)
        {
            Try(name, () =>
            {
                if (!ShouldProcess($"{Reference} as {name}", "Add-ContainerImageTag"))
                    return;
                ContainerImage image = Engine.Images.Tag(Reference, name, Force, ContainerNamespace);
                if (PassThru)
                    WriteObject(image);
            });
        }
    }
}
