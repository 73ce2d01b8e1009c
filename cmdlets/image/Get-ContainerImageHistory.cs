using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Get, "ContainerImageHistory")]
[OutputType(typeof(ContainerImageHistory))]
public sealed class GetContainerImageHistoryCommand : ImageCmdlet
{
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true)]
    [Alias("Image", "Name")]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(ImageCompleter))]
    public string[] Reference { get; set; } = [];

    [Parameter]
    public string? Platform { get; set; }

    protected override void ProcessRecord()
    {
        foreach (ContainerImage image in FindImages(Reference, Platform))
            Try(ImageName.Of(image), () => WriteObject(Engine.Images.History(ImageName.Of(image), ContainerNamespace, Platform), enumerateCollection: true));
    }
}
