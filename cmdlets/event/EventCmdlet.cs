using System.Collections;
using System.Management.Automation;

namespace Containers.Cmdlets;

/// <summary>Which events are wanted.</summary>
public abstract class EventCmdlet : TenantCmdlet
{
    List<WildcardPattern>? ids;
    IReadOnlyDictionary<string, string>? labels;

    [Parameter(Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("ContainerId")]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(ContainerIdCompleter))]
    public string[]? Id { get; set; }

    [Parameter]
    public ContainerEventType[]? Type { get; set; }

    [Parameter]
    public IDictionary? Label { get; set; }

    [Parameter]
    public DateTimeOffset? Since { get; set; }

    private protected void Prepare()
    {
        ids = Id?.Select(id => WildcardPattern.Get(id, WildcardOptions.IgnoreCase)).ToList();
        labels = Arguments.Table(Label);
    }

    private protected bool Wanted(ContainerEvent one)
        => (ids is null || ids.Any(pattern => pattern.IsMatch(one.ContainerId) || one.NewId is not null && pattern.IsMatch(one.NewId)))
            && (Type is null || Type.Contains(one.Type)) && (Since is null || one.Time >= Since) && (labels is null || labels.All(label => GetContainerCommand.Has(one.Labels, label.Key, label.Value)));
}
