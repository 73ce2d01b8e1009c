namespace Containers.Linux.Cgroups;

public sealed partial class ControlGroup
{
    /// <summary>Plans a change of limits, and refuses before any write what can be known to fail.</summary>
    /// <exception cref="CgroupException"><c>InvalidLimit</c>: a value out of its range, or of what the parent has; <c>CgroupLimitRefused</c>: below what is in
    /// use; <c>CgroupNotFound</c>; <c>InvalidCgroupPath</c> for the root.</exception>
    /// <exception cref="CgroupNotSupportedException">This host has nothing that could hold the limit.</exception>
    public CgroupPlan PlanLimits(CgroupLimitChange change)
    {
        RefuseRoot("limited");
        RequireExists();
        return LimitPlan.Make(this, change);
    }

    /// <summary>The change that takes limits away, for <see cref="PlanLimits"/>.</summary>
    /// <param name="names">Null for all that are set.</param>
    /// <exception cref="CgroupException"><c>CgroupNotFound</c>.</exception>
    /// <exception cref="CgroupNotSupportedException">A named one is of a controller that this host does not have.</exception>
    public CgroupLimitChange Clearing(IReadOnlyCollection<CgroupLimitName>? names = null) => LimitPlan.Cleared(this, ReadLimits(), names);

    /// <summary>The folders that <see cref="Create"/> would make, in its order, parents first.</summary>
    public List<string> MissingFolders(IReadOnlyCollection<string>? controllers = null)
    {
        var missing = new List<string>();
        foreach (var hierarchy in Host.All)
        {
            if (!Wanted(hierarchy, controllers)) { continue; }
            for (var slash = Path.IndexOf('/', 1); ; slash = Path.IndexOf('/', slash + 1))
            {
                var folder = hierarchy.Folder(slash < 0 ? Path : Path[..slash]);
                if (!CgroupFiles.Exists(folder)) { missing.Add(folder); }
                if (slash < 0) { break; }
            }
        }
        return missing;
    }

    /// <summary>The folders in which it exists.</summary>
    public List<string> Folders()
    {
        var there = new List<string>(folders.Length);
        foreach (var folder in folders)
        {
            if (CgroupFiles.Exists(folder)) { there.Add(folder); }
        }
        return there;
    }

    /// <summary>Paths of the groups below it, in any hierarchy, each once and each before those below it; names that no path may hold are left out.</summary>
    /// <param name="levels">How far down; 1 for the children alone.</param>
    public List<string> Below(int levels = int.MaxValue)
    {
        var found = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var folder in folders) { CgroupTree.Names(folder, Path == "/" ? "" : Path, levels, found); }
        return [.. found];
    }

    /// <summary>The controllers that the v2 group has: those that are enabled above it.</summary>
    public string[] EnabledIn(CgroupHierarchy unified) =>
        CgroupFiles.ReadText(unified.Folder(Path), "cgroup.controllers")?.Split((char[])[' '], StringSplitOptions.RemoveEmptyEntries) ?? [];

    /// <summary>Type of the v2 tree's group: <c>domain</c>, <c>threaded</c>, <c>domain threaded</c>, <c>domain invalid</c>; null on v1 and for the root.</summary>
    public string? Type => Host.Unified is { } unified ? CgroupFiles.ReadText(unified.Folder(Path), "cgroup.type") : null;

    /// <summary>Makes the v2 tree's group threaded: it takes threads of processes whose domain is above it. There is no way back.</summary>
    /// <exception cref="CgroupException"><c>CgroupThreaded</c>: it has processes or controllers that cannot be threaded.</exception>
    /// <exception cref="CgroupNotSupportedException">There is no v2 tree; on v1 every group takes threads.</exception>
    public void MakeThreaded()
    {
        if (Host.Unified is not { } unified) { throw new CgroupNotSupportedException("Threaded", "this host has no v2 tree; v1 groups take threads as they are"); }
        var errno = CgroupFiles.TryWrite(unified.Folder(Path), "cgroup.type", "threaded");
        if (errno != 0) { throw CgroupRefusal.Of(unified.Folder(Path), "cgroup.type", "threaded", errno); }
    }
}
