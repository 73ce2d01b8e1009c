using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommunications.Connect, "ContainerRegistry", SupportsShouldProcess = true)]
[OutputType(typeof(ContainerRegistry))]
public sealed class ConnectContainerRegistryCommand : ContainerRegistryCmdlet, IRegistryParameters
{
    [Parameter(Mandatory = true, Position = 1)]
    [Credential]
    public PSCredential Credential { get; set; } = PSCredential.Empty;

    [Parameter]
    public SwitchParameter PlainHttp { get; set; }

    [Parameter]
    public SwitchParameter SkipCertificateCheck { get; set; }

    [Parameter]
    public SwitchParameter PassThru { get; set; }

    protected override void ProcessRecord()
    {
        foreach (string registry in Registry)
        {
            Try(registry, () =>
            {
                if (!ShouldProcess($"{registry} as {Credential.UserName}", "Connect-ContainerRegistry"))
                    return;
                ContainerRegistry connected = Begin((pump, token) => Engine.Registries.ConnectAsync(registry, RegistryWay.Of(this, pump), token)).Finish();
                WriteVerbose($"The credentials for {connected.Registry} are in {connected.StoredIn}.");
                if (PassThru)
                    WriteObject(connected);
            });
        }
    }
}

/// <summary>A cmdlet whose targets are registries by their host.</summary>
public abstract class ContainerRegistryCmdlet : EngineCmdlet
{
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("Server", "Name")]
    [ArgumentCompleter(typeof(RegistryCompleter))]
    public string[] Registry { get; set; } = [];
}
