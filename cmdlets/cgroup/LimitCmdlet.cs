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

    string[]? Those(Func<string, bool> kind) => Id?.Where(kind).ToArray() is { Length: > 0 } some ? some : null;
}
