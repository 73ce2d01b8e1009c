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
    /// <param name="isNew">It is known to be in no hierarchy, so that its parents alone are looked for.</param>
    public List<string> MissingFolders(IReadOnlyCollection<string>? controllers = null, bool isNew = false)
    {
        var missing = new List<string>();
        foreach (var hierarchy in Host.All)
        {
            if (!Wanted(hierarchy, controllers)) { continue; }
            // Upwards, as mostly the last one alone is missing.
            var from = missing.Count;
            for (var path = Path; path != "/" && ((isNew && path == Path) || !CgroupFiles.Exists(hierarchy.Folder(path))); path = CgroupPath.Parent(path)) { missing.Insert(from, hierarchy.Folder(path)); }
        }
        return missing;
    }

    /// <summary>What <see cref="Create"/> would do, in its order: <c>mkdir FOLDER</c>, then <c>FILE: -> VALUE</c>.</summary>
    /// <param name="missing">From <see cref="MissingFolders"/>.</param>
    public List<string> CreateSteps(List<string> missing, IReadOnlyCollection<string>? controllers = null)
    {
        var steps = missing.ConvertAll(folder => "mkdir " + folder);
        if (Host.Find("cpuset") is { Version: 1 } cpuset && Wanted(cpuset, controllers))
        {
            // Below a group with this flag the kernel copies by itself.
            var highest = Path;
            while (CgroupPath.Parent(highest) != "/" && missing.Contains(cpuset.Folder(CgroupPath.Parent(highest)))) { highest = CgroupPath.Parent(highest); }
            var clones = missing.Contains(cpuset.Folder(Path)) && CgroupFiles.ReadNumber(cpuset.Folder(CgroupPath.Parent(highest)), "cgroup.clone_children") == 1;
            foreach (var file in (ReadOnlySpan<string>)["cpuset.cpus", "cpuset.mems"]) { InheritSteps(cpuset, Path, file, missing, clones, steps); }
        }
        if (Host.Kind == CgroupKind.V2)
        {
            foreach (var (folder, lines) in ToEnable(Host.Unified!, Enabled(controllers))) { steps.Add($"{folder}/cgroup.subtree_control: -> {lines}"); }
        }
        return steps;
    }

    /// <returns>What the group will have then.</returns>
    static string InheritSteps(CgroupHierarchy cpuset, string path, string file, List<string> missing, bool clones, List<string> steps)
    {
        var folder = cpuset.Folder(path);
        var isNew = missing.Contains(folder);
        if (!isNew && CgroupFiles.ReadText(folder, file) is { Length: > 0 } now) { return now; }
        if (path == "/") { return ""; }
        var value = InheritSteps(cpuset, CgroupPath.Parent(path), file, missing, clones, steps);
        if (!isNew || !clones) { steps.Add($"{folder}/{file}: -> {value}"); }
        return value;
    }

    /// <summary>The files that <see cref="Kill"/> writes besides its signals, as <c>FILE: -> VALUE</c>.</summary>
    public List<string> KillSteps()
    {
        var steps = new List<string>();
        if (Host.Unified is { } unified && CgroupFiles.Exists(unified.Folder(Path), "cgroup.kill")) { steps.Add($"{unified.Folder(Path)}/cgroup.kill: -> 1"); }
        if (Host.Find("freezer") is not { Version: 1 } freezer) { return steps; }
        foreach (var path in (List<string>)[Path, .. Below()])
        {
            if (CgroupFiles.Exists(freezer.Folder(path), "freezer.state")) { steps.Add($"{freezer.Folder(path)}/freezer.state: -> THAWED"); }
        }
        return steps;
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
        var unified = RequireUnified();
        var errno = CgroupFiles.TryWrite(unified.Folder(Path), "cgroup.type", "threaded");
        if (errno != 0) { throw CgroupRefusal.Of(unified.Folder(Path), "cgroup.type", "threaded", errno); }
    }

    /// <summary>The write of <see cref="MakeThreaded"/>.</summary>
    /// <exception cref="CgroupNotSupportedException">There is no v2 tree.</exception>
    public string ThreadedStep => $"{RequireUnified().Folder(Path)}/cgroup.type: -> threaded";

    CgroupHierarchy RequireUnified() => Host.Unified ?? throw new CgroupNotSupportedException("Threaded", "this host has no v2 tree; v1 groups take threads as they are");
}
