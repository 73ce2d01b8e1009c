using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Remove, "ContainerNetwork", SupportsShouldProcess = true)]
[OutputType(typeof(void))]
public sealed class RemoveContainerNetworkCommand : EngineCmdlet
{
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("Network")]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(NetworkNameCompleter))]
    public string[] Name { get; set; } = [];

    [Parameter]
    public SwitchParameter Force { get; set; }

    protected override void ProcessRecord()
    {
        foreach (string name in Name)
        {
            var pattern = WildcardPattern.Get(name, WildcardOptions.IgnoreCase);
            foreach (string one in WildcardPattern.ContainsWildcardCharacters(name) ? Engine.Networks.List().Select(network => network.Name).Where(pattern.IsMatch).ToList() : [name])
            {
                if (ShouldProcess(one, "Remove-ContainerNetwork"))
                    Try(one, () => Engine.Networks.Remove(one, Force));
            }
        }
    }
}
