using System.Globalization;

namespace Containers.Linux.Cgroups;

/// <summary>
/// Makes a plan of the writes that a change of limits needs. What can be known to fail is refused here, before anything is written: a range, a
/// missing controller, what is in use, what the parent has.
/// </summary>
sealed partial class LimitPlan
{
    readonly ControlGroup group;
    readonly CgroupLimitChange change;
    readonly List<CgroupWrite> writes = [];
    // Files of a controller that the plan itself enables are there only once it is carried out.
    readonly HashSet<string> enabledByPlan = new(StringComparer.Ordinal);

    LimitPlan(ControlGroup group, CgroupLimitChange change)
    {
        this.group = group;
        this.change = change;
    }

    CgroupHost Host => group.Host;

    /// <exception cref="CgroupException"><c>InvalidLimit</c>, <c>CgroupLimitRefused</c>.</exception>
    /// <exception cref="CgroupNotSupportedException">This host has nothing that could hold the limit.</exception>
    internal static CgroupPlan Make(ControlGroup group, CgroupLimitChange change)
    {
        var plan = new LimitPlan(group, change);
        plan.Memory();
        plan.Cpu();
        plan.CpuSets();
        plan.Processes();
        plan.Io();
        plan.HugePages();
        plan.Rdma();
        plan.Network();
        plan.Values();
        // Last: what the v2 tree's program replaces cannot be read, and so not be put back.
        plan.Devices();
        return new CgroupPlan(group.Host, group.Path, plan.writes);
    }

    /// <summary>Where a controller has this group. On v2 the plan enables it down the tree first.</summary>
    string Folder(string limit, string controller, out int version)
    {
        var hierarchy = Require(limit, controller);
        version = hierarchy.Version;
        if (version == 2) { Enable(limit, hierarchy, controller); }
        return hierarchy.Folder(group.Path);
    }

    CgroupHierarchy Require(string limit, string controller)
    {
        CgroupHierarchy hierarchy;
        try { hierarchy = Host.Require(controller); }
        catch (CgroupNotSupportedException e) { throw new CgroupNotSupportedException(limit, e.Message); }
        // Enabled from the root of a hybrid host's v2 tree, a controller could no more be mounted by those who look for it on v1.
        if (hierarchy.Version == 2 && Host.Kind != CgroupKind.V2)
        {
            throw new CgroupNotSupportedException(limit, $"{controller} is mounted on no v1 hierarchy of this hybrid host; Mount-CgroupHierarchy -Controller {controller} does it");
        }
        return hierarchy;
    }

    void Enable(string limit, CgroupHierarchy tree, string controller)
    {
        if (enabledByPlan.Contains(controller) || Has(tree.Folder(group.Path), "cgroup.controllers", controller)) { return; }
        var line = "+" + controller;
        for (var slash = 0; slash >= 0; slash = group.Path.IndexOf('/', slash + 1))
        {
            var folder = tree.Folder(slash == 0 ? "/" : group.Path[..slash]);
            if (Has(folder, "cgroup.subtree_control", controller)) { continue; }
            writes.Add(new(folder, "cgroup.subtree_control", line, limit, CgroupFiles.ReadText(folder, "cgroup.subtree_control")) { Undo = [("cgroup.subtree_control", "-" + controller)] });
        }
        enabledByPlan.Add(controller);
    }

    static bool Has(string folder, string file, string word) => Array.IndexOf((CgroupFiles.ReadText(folder, file) ?? "").Split(' '), word) >= 0;

    /// <summary>Whether the file is there, or comes with a controller that the plan enables.</summary>
    bool Offers(string folder, string file) => CgroupFiles.Exists(folder, file) || enabledByPlan.Contains(file[..Math.Max(file.IndexOf('.'), 0)]);

    void Need(string limit, string folder, string file)
    {
        if (!Offers(folder, file)) { throw new CgroupNotSupportedException(limit, $"{folder} has no file {file}; this kernel lacks it, or has it on another version of cgroups alone"); }
    }

    /// <summary>Plans one value for one file, and what puts the old one back.</summary>
    /// <param name="undo">What to write for that; what the file says when not given.</param>
    void Add(string limit, string folder, string file, string value, string? undo = null)
    {
        Need(limit, folder, file);
        var now = CgroupFiles.ReadText(folder, file);
        if (now == value) { return; }
        writes.Add(new(folder, file, value, limit, now) { Undo = (undo ?? now) is { } old ? [(file, Written(old))] : [] });
    }

    // A write of nothing never reaches the kernel's handler.
    internal static string Written(string value) => value.Length == 0 ? "\n" : value;

    static string Text(long value) => value.ToString(CultureInfo.InvariantCulture);

    static string Max(long value) => value < 0 ? "max" : Text(value);

    static CgroupException Invalid(string limit, object? value, string why) =>
        new("InvalidLimit", string.Create(CultureInfo.InvariantCulture, $"{limit} is {CgroupPath.Printable(value?.ToString() ?? "nothing")}: {why}"));

    /// <summary>Bytes, or another amount: above 0, or -1.</summary>
    static long Amount(string limit, long value) => value is > 0 or -1 ? value : throw Invalid(limit, value, "it is above 0, or -1 for no limit");

    static void Refuse(bool asked, CgroupLimitName limit, string why)
    {
        if (asked) { throw new CgroupNotSupportedException(limit.ToString(), why); }
    }
}
