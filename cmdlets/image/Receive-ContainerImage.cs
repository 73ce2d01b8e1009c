using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommunications.Receive, "ContainerImage", SupportsShouldProcess = true)]
[OutputType(typeof(ContainerImage))]
public sealed class ReceiveContainerImageCommand : RegistryCmdlet, IJobCmdlet
{
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true)]
    [Alias("Image", "Name")]
    [ArgumentCompleter(typeof(ImageCompleter))]
    public string[] Reference { get; set; } = [];

    [Parameter]
    public string? Platform { get; set; }

    [Parameter]
    public SwitchParameter AllPlatforms { get; set; }

    [Parameter]
    public SwitchParameter NoUnpack { get; set; }

    [Parameter]
    [ValidateRange(1, 64)]
    public int ThrottleLimit { get; set; } = 3;

    [Parameter]
    public SwitchParameter AsJob { get; set; }

    protected override void ProcessRecord()
    {
        if (IsTaken)
            return;
        foreach (string name in Reference)
        {
            Try(name, () =>
            {
                if (!ShouldProcess(name, "Receive-ContainerImage"))
                    return;
                var options = new ImagePullOptions { ContainerNamespace = ContainerNamespace, Platform = Platform, AllPlatforms = AllPlatforms, NoUnpack = NoUnpack, Parallel = ThrottleLimit };
                WriteObject(Transfer(options, $"Receiving {name}", token => Engine.Images.ReceiveAsync(name, options, token)));
            });
        }
    }
}
