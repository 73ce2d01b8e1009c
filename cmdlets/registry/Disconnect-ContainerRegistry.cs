using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommunications.Disconnect, "ContainerRegistry", SupportsShouldProcess = true)]
[OutputType(typeof(void))]
public sealed class DisconnectContainerRegistryCommand : ContainerRegistryCmdlet
{
    protected override void ProcessRecord()
    {
        foreach (string registry in Registry)
        {
            Try(registry, () =>
            {
                if (!ShouldProcess(registry, "Disconnect-ContainerRegistry"))
                    return;
                IReadOnlyList<string> places = Wait(token => Engine.Registries.DisconnectAsync(registry, token));
                WriteVerbose(places.Count == 0 ? $"There were no credentials for {registry}." : $"The credentials for {registry} are gone from {string.Join(", ", places)}.");
            });
        }
    }
}
