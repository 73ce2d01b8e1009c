using System.Management.Automation;

namespace Containers.Cmdlets;

/// <summary>Takes containers first, or paths, which begin with a slash.</summary>
public abstract class LimitCmdlet : CgroupCmdlet
{
    protected const string ById = "Id";

    [Parameter(Mandatory = true, ParameterSetName = ById, Position = 0)]
    [Alias("ContainerId", "Container")]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(ContainerIdCompleter))]
    public string[]? Id { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = ByPath)]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(CgroupCompleter))]
    public string[]? Path { get; set; }

    protected override IReadOnlyList<string>? GroupPaths => Path ?? Those(id => id.StartsWith('/'));

    protected override IReadOnlyList<string>? Targets => Those(id => !id.StartsWith('/'));

    private protected void ApplyToUnit(CgroupUnitPlan plan, bool passThru)
    {
        if (!ShouldWrite(plan.Unit, plan.Properties))
            return;
        Engine.Cgroups.Apply(plan);
        if (passThru)
            WriteObject(Engine.Cgroups.GetLimit(plan.Path));
    }

    string[]? Those(Func<string, bool> kind) => Id?.Where(kind).ToArray() is { Length: > 0 } some ? some : null;
}
