using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsDiagnostic.Test, "ContainerImage")]
[OutputType(typeof(ContainerImageCheck))]
public sealed class TestContainerImageCommand : ImageCmdlet
{
    [Parameter(Position = 0, ValueFromPipeline = true)]
    [Alias("Image", "Name")]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(ImageCompleter))]
    public string[]? Reference { get; set; }

    [Parameter]
    public SwitchParameter SkipRead { get; set; }

    protected override void ProcessRecord()
    {
        foreach (ContainerImage image in FindImages(Reference))
            Try(ImageName.Of(image), () => WriteObject(Wait(token => Engine.Images.TestAsync(ImageName.Of(image), !SkipRead, ContainerNamespace, token))));
    }
}
