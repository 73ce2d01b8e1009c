using System.Management.Automation;

namespace Containers.Cmdlets;

/// <summary>Completes the names of settings.</summary>
public sealed class ConfigurationCompleter : Completer
{
    protected override IEnumerable<string> Words(System.Collections.IDictionary bound) => ContainerHostConfiguration.ListNames();
}

[Cmdlet(VerbsCommon.Get, "ContainerHostConfiguration")]
[OutputType(typeof(ContainerConfigurationItem))]
public sealed class GetContainerHostConfigurationCommand : ContainerCmdlet
{
    [Parameter(Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(ConfigurationCompleter))]
    public string[] Name { get; set; } = ["*"];

    protected override void ProcessRecord()
    {
        foreach (string name in Name)
        {
            Try(name, () =>
            {
                var pattern = WildcardPattern.Get(name, WildcardOptions.IgnoreCase);
                List<ContainerConfigurationItem> found = ContainerHostConfiguration.Get().Where(one => pattern.IsMatch(one.Name)).ToList();
                if (found.Count == 0 && !WildcardPattern.ContainsWildcardCharacters(name))
                    throw Errors.Argument($"'{name}' is no setting. Known are: {string.Join(", ", ContainerHostConfiguration.ListNames())}.", name);
                WriteObject(found, enumerateCollection: true);
            });
        }
    }
}
