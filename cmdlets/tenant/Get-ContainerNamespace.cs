using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Get, "ContainerNamespace")]
[OutputType(typeof(ContainerNamespaceInfo))]
public sealed class GetContainerNamespaceCommand : EngineCmdlet
{
    [Parameter(Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("ContainerNamespace")]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(ContainerNamespaceCompleter))]
    public string[] Name { get; set; } = ["*"];

    protected override void ProcessRecord()
    {
        foreach (string name in Name)
        {
            Try(name, () =>
            {
                if (!WildcardPattern.ContainsWildcardCharacters(name))
                {
                    WriteObject(Engine.ContainerNamespaces.Get(name));
                    return;
                }
                var pattern = WildcardPattern.Get(name, WildcardOptions.IgnoreCase);
                WriteObject(Engine.ContainerNamespaces.List().Where(one => pattern.IsMatch(one.Name)), enumerateCollection: true);
            });
        }
    }
}
