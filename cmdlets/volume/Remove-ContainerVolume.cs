using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Remove, "ContainerVolume", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
public sealed class RemoveContainerVolumeCommand : TenantCmdlet
{
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(VolumeCompleter))]
    public string[] Name { get; set; } = [];

    protected override void ProcessRecord()
    {
        foreach (string name in Name.SelectMany(Matching))
        {
            if (ShouldProcess(name, "Remove-ContainerVolume"))
                Try(name, () => Wait(token => Engine.Volumes.RemoveAsync(name, ContainerNamespace, token)));
        }
    }

    IEnumerable<string> Matching(string name)
    {
        if (!WildcardPattern.ContainsWildcardCharacters(name))
            return [name];
        var pattern = WildcardPattern.Get(name, WildcardOptions.IgnoreCase);
        return Engine.Volumes.ListNames(ContainerNamespace).Where(pattern.IsMatch);
    }
}
