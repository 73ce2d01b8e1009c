using System.Collections;
using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Get, "Container")]
[OutputType(typeof(Container))]
public sealed class GetContainerCommand : LookingCmdlet
{
    [Parameter]
    public IDictionary? Label { get; set; }

    protected override void ProcessRecord()
    {
        IReadOnlyDictionary<string, string>? wanted = Arguments.Table(Label);
        foreach (Container container in FindContainers())
        {
            if (wanted is null || wanted.All(label => Has(container.Labels, label.Key, label.Value)))
                WriteObject(container);
        }
    }

    internal static bool Has(IReadOnlyDictionary<string, string> labels, string name, string pattern)
        => labels.TryGetValue(name, out string? value) && (pattern.Length == 0 || WildcardPattern.Get(pattern, WildcardOptions.None).IsMatch(value));
}
