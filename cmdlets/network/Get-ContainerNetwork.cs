using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Get, "ContainerNetwork")]
[OutputType(typeof(ContainerNetwork))]
public sealed class GetContainerNetworkCommand : EngineCmdlet
{
    [Parameter(Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("Network")]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(NetworkNameCompleter))]
    public string[] Name { get; set; } = ["*"];

    protected override void ProcessRecord()
    {
        foreach (string name in Name)
        {
            Try(name, () =>
            {
                if (!WildcardPattern.ContainsWildcardCharacters(name))
                {
                    WriteObject(Engine.Networks.Get(name));
                    return;
                }
                var pattern = WildcardPattern.Get(name, WildcardOptions.IgnoreCase);
                WriteObject(Engine.Networks.List(refused => WriteError(Errors.Record(refused, refused.Target))).Where(one => pattern.IsMatch(one.Name)), enumerateCollection: true);
            });
        }
    }
}
