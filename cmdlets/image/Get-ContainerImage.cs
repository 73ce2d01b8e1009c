using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Get, "ContainerImage")]
[OutputType(typeof(ContainerImage))]
public sealed class GetContainerImageCommand : ImageCmdlet
{
    [Parameter(Position = 0, ValueFromPipeline = true)]
    [Alias("Image", "Name")]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(ImageCompleter))]
    public string[]? Reference { get; set; }

    [Parameter]
    public string? Platform { get; set; }

    protected override void ProcessRecord()
    {
        foreach (ContainerImage image in FindImages(Reference, Platform))
            WriteObject(image);
    }
}
