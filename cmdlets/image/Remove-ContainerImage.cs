using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Remove, "ContainerImage", DefaultParameterSetName = ByName, SupportsShouldProcess = true)]
public sealed class RemoveContainerImageCommand : ImageCmdlet, IRegistryParameters
{
    const string ByName = "Name";
    const string AllUnused = "Unused";
    const string OfRegistry = "Remote";

    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ParameterSetName = ByName)]
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ParameterSetName = OfRegistry)]
    [Alias("Image", "Name")]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(ImageCompleter))]
    public string[] Reference { get; set; } = [];

    [Parameter(Mandatory = true, ParameterSetName = AllUnused)]
    public SwitchParameter Unused { get; set; }

    [Parameter(ParameterSetName = ByName)]
    public SwitchParameter Force { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = OfRegistry)]
    public SwitchParameter Remote { get; set; }

    [Parameter(ParameterSetName = OfRegistry)]
    [Credential]
    public PSCredential? Credential { get; set; }

    [Parameter(ParameterSetName = OfRegistry)]
    public SwitchParameter PlainHttp { get; set; }

    [Parameter(ParameterSetName = OfRegistry)]
    public SwitchParameter SkipCertificateCheck { get; set; }

    protected override void ProcessRecord()
    {
        if (Remote)
        {
            foreach (string name in Reference)
                Try(name, () => RemoveRemote(name));
            return;
        }
        foreach (ContainerImage image in FindImages(Unused ? null : Reference).ToList())
        {
            if (Unused && Engine.Images.IsUsed(image))
                continue;
            if (ShouldProcess(ImageName.Of(image), "Remove-ContainerImage"))
                Try(ImageName.Of(image), () => Engine.Images.Remove(ImageName.Of(image), Force, image.ContainerNamespace));
        }
    }

    void RemoveRemote(string name)
    {
        string full = ImageReference.Parse(name).ToString();
        if (!ShouldProcess($"{full} in its registry", "Remove-ContainerImage"))
            return;
        Begin(async (pump, token) =>
        {
            await Engine.Registries.RemoveAsync(full, RegistryWay.Of(this, pump), token).ConfigureAwait(false);
            return true;
        }).Finish();
    }
}
