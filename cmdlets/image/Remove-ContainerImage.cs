using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Remove, "ContainerImage", DefaultParameterSetName = ByName, SupportsShouldProcess = true)]
public sealed class RemoveContainerImageCommand : ImageCmdlet
{
    const string ByName = "Name";
    const string AllUnused = "Unused";

    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ParameterSetName = ByName)]
    [Alias("Image", "Name")]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(ImageCompleter))]
    public string[] Reference { get; set; } = [];

    [Parameter(Mandatory = true, ParameterSetName = AllUnused)]
    public SwitchParameter Unused { get; set; }

    [Parameter(ParameterSetName = ByName)]
    public SwitchParameter Force { get; set; }

    protected override void ProcessRecord()
    {
        foreach (ContainerImage image in FindImages(Unused ? null : Reference).ToList())
        {
            if (Unused && Engine.Images.IsUsed(image))
                continue;
            if (ShouldProcess(ImageName.Of(image), "Remove-ContainerImage"))
                Try(ImageName.Of(image), () => Engine.Images.Remove(ImageName.Of(image), Force, image.ContainerNamespace));
        }
    }
}
