using Xunit;

namespace Containers.Tests.Units.Cgroups;

/// <summary>A test against the kernel's own control groups: skipped where they cannot be written.</summary>
[AttributeUsage(AttributeTargets.Method)]
sealed class CgroupFactAttribute : FactAttribute
{
    /// <param name="v1">Needs a controller in a v1 hierarchy.</param>
    /// <param name="v2">Needs the v2 tree.</param>
    public CgroupFactAttribute(string? v1 = null, bool v2 = false)
    {
        if (LiveGroup.Problem is { } problem) { Skip = problem; }
        else if (v1 is not null && Containers.Linux.Cgroups.CgroupHost.Detect().Find(v1) is not { Version: 1 }) { Skip = $"this host has no v1 hierarchy of {v1}"; }
        else if (v2 && Containers.Linux.Cgroups.CgroupHost.Detect().Unified is null) { Skip = "this host has no v2 tree"; }
    }
}

/// <summary>As <see cref="CgroupFactAttribute"/>, with data.</summary>
[AttributeUsage(AttributeTargets.Method)]
sealed class CgroupTheoryAttribute : TheoryAttribute
{
    public CgroupTheoryAttribute()
    {
        if (LiveGroup.Problem is { } problem) { Skip = problem; }
    }
}
