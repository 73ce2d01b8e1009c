using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsData.Publish, "ContainerImage", SupportsShouldProcess = true)]
[OutputType(typeof(ContainerImagePush))]
public sealed class PublishContainerImageCommand : RegistryCmdlet, IJobCmdlet
{
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true)]
    [Alias("Image", "Name")]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(ImageCompleter))]
    public string[] Reference { get; set; } = [];

    [Parameter(Position = 1)]
    [Alias("Destination")]
    public string? Target { get; set; }

    [Parameter]
    public string? Platform { get; set; }

    [Parameter]
    [ValidateRange(1, 64)]
    public int ThrottleLimit { get; set; } = 5;

    [Parameter]
    public SwitchParameter AsJob { get; set; }

    protected override void ProcessRecord()
    {
        if (IsTaken)
            return;
        foreach (ContainerImage image in FindImages(Reference))
        {
            string name = ImageName.Of(image);
            Try(name, () =>
            {
                if (!ShouldProcess(Target is null ? name : $"{name} as {Target}", "Publish-ContainerImage"))
                    return;
                var options = new ImagePushOptions { ContainerNamespace = ContainerNamespace, Target = Target, Platform = Platform, Parallel = ThrottleLimit };
                WriteObject(Transfer(options, $"Publishing {Target ?? name}", token => Engine.Images.PublishAsync(name, options, token)));
            });
        }
    }
}
