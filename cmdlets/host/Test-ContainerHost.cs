using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsDiagnostic.Test, "ContainerHost")]
[OutputType(typeof(ContainerHostCheck))]
public sealed class TestContainerHostCommand : EngineCmdlet
{
    [Parameter(Position = 0, ValueFromPipelineByPropertyName = true)]
    [SupportsWildcards]
    public string[] Name { get; set; } = ["*"];

    protected override void ProcessRecord() => Try(null, () =>
    {
        List<WildcardPattern> patterns = Name.Select(name => WildcardPattern.Get(name, WildcardOptions.IgnoreCase)).ToList();
        foreach (ContainerHostCheck check in Engine.Host.Check(StopToken))
        {
            if (patterns.Any(pattern => pattern.IsMatch(check.Name)))
                WriteObject(check);
        }
    });
}
