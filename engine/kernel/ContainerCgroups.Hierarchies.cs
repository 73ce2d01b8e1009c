using Containers.Linux;
using Containers.Linux.Cgroups;

namespace Containers;

public sealed partial class ContainerCgroups
{
    /// <summary>All controllers that are known, wherever this host has them.</summary>
    /// <exception cref="ContainerException"><c>CgroupUnavailable</c>: no hierarchy is mounted.</exception>
    public IReadOnlyList<CgroupControllerInfo> Controllers() => Guard("/", () =>
    {
        var kernel = Host.ReadControllers();
        var list = new List<CgroupControllerInfo>();
        foreach (var name in CgroupHost.KnownControllers)
        {
            // io is the name of v2 for what v1 calls blkio; /proc/cgroups has the old one alone.
            if (name == "io" && Host.Find("io") is null) { continue; }
            list.Add(Controller(name, kernel.Find(one => one.Name == name)));
        }
        return list;
    });

    CgroupControllerInfo Controller(string name, CgroupController? kernel)
    {
        var hierarchy = Host.Find(name);
        var state = hierarchy is not null ? hierarchy.Version == 1 ? CgroupControllerState.V1 : CgroupControllerState.V2
            : kernel is null ? CgroupControllerState.NotInKernel
            : !kernel.Enabled ? CgroupControllerState.Disabled : CgroupControllerState.NotMounted;
        var usable = state == CgroupControllerState.V1 || (state == CgroupControllerState.V2 && Host.Kind == CgroupKind.V2);
        var own = hierarchy is null ? null : OwnFolder(hierarchy);
        return new CgroupControllerInfo
        {
            Name = name,
            State = state,
            Version = hierarchy?.Version,
            HierarchyId = kernel?.HierarchyId ?? 0,
            Hierarchy = hierarchy?.Version == 1 ? hierarchy.Name : null,
            MountPoint = hierarchy?.MountPoint,
            GroupCount = kernel?.GroupCount ?? 0,
            Enabled = kernel?.Enabled ?? hierarchy is not null,
            Delegated = usable && own is not null && (hierarchy!.Version == 1
                ? Libc.faccessat(Libc.AT_FDCWD, own, Libc.W_OK, Libc.AT_EACCESS) == 0
                : File.ReadAllText(own + "/cgroup.controllers").Split(' ', '\n').Contains(name) && Libc.faccessat(Libc.AT_FDCWD, own + "/cgroup.subtree_control", Libc.W_OK, Libc.AT_EACCESS) == 0),
            Limits = usable ? CgroupHost.LimitsOf(name, hierarchy!.Version) : [],
            Explanation = Explain(name, state, hierarchy, kernel),
        };
    }

    string Explain(string name, CgroupControllerState state, CgroupHierarchy? hierarchy, CgroupController? kernel) => state switch
    {
        CgroupControllerState.V1 => $"in the v1 hierarchy at {hierarchy!.MountPoint}",
        CgroupControllerState.V2 when Host.Kind == CgroupKind.V2 => $"in the v2 tree at {hierarchy!.MountPoint}",
        CgroupControllerState.V2 => $"left to the v2 tree at {hierarchy!.MountPoint}, where this hybrid host does not use it; Mount-CgroupHierarchy -Controller {name} takes it to v1",
        CgroupControllerState.Disabled => "switched off on the kernel's command line (cgroup_disable=)",
        CgroupControllerState.NotInKernel => "this kernel was built without it, or has it on the other version of cgroups alone",
        _ when kernel!.HierarchyId > 0 => $"bound to v1 hierarchy {kernel.HierarchyId}, which is not mounted here",
        _ => $"in the kernel and mounted nowhere; Mount-CgroupHierarchy -Controller {name} mounts it",
    };

    string? OwnFolder(CgroupHierarchy hierarchy)
    {
        if (!ProcessCgroup.TryRead(Environment.ProcessId, out var lines)) { return null; }
        var line = lines.FindIndex(l => hierarchy.Version == 2 ? l.IsVersion2 : !l.IsVersion2 && l.Controllers == hierarchy.Name);
        var folder = line < 0 ? null : Host.Group(lines[line].Path.StartsWith("/..", StringComparison.Ordinal) ? "/" : lines[line].Path).FolderIn(hierarchy);
        return folder is not null && Directory.Exists(folder) ? folder : null;
    }

    /// <summary>What <see cref="Mount"/> would ask mount(2) for: <c>cpu,cpuacct</c>, <c>none,name=systemd</c>.</summary>
    /// <exception cref="ContainerException"><c>InvalidArgument</c>, <c>CgroupNotSupported</c>.</exception>
    public string PlanMount(IReadOnlyList<string> controllers, string? name) => Guard(string.Join(',', controllers), () => CgroupHierarchyMount.Options(controllers, name, Host.ReadControllers()));

    /// <summary>Mounts a hierarchy on an existing folder.</summary>
    /// <param name="options">From <see cref="PlanMount"/>; null for the v2 tree.</param>
    /// <exception cref="ContainerException"><c>CgroupBusy</c>: which controller is mounted otherwise, and where; <c>CgroupNotPermitted</c>; <c>CgroupUnavailable</c>.</exception>
    public CgroupHierarchyInfo Mount(string folder, string? options) => Guard(folder, () =>
    {
        CgroupHierarchyMount.Mount(folder, options);
        Refresh();
        return Mounted(folder) ?? throw new CgroupException("CgroupUnavailable", "it was mounted and is not in the mount table");
    });

    static CgroupHierarchyInfo? Mounted(string folder)
    {
        MountInfo? last = null;
        // The last one is on top.
        foreach (var mount in MountInfo.ReadSelf())
        {
            if (mount.MountPoint == folder) { last = mount; }
        }
        return last is null ? null : Hierarchy(last);
    }

    static CgroupHierarchyInfo? Hierarchy(MountInfo mount)
    {
        if (mount.Type is not ("cgroup" or "cgroup2")) { return null; }
        var words = mount.Type == "cgroup" ? mount.SuperOptions.Split(',') : [];
        var name = words.FirstOrDefault(word => word.StartsWith("name=", StringComparison.Ordinal));
        string[] controllers = [.. words.Where(word => CgroupHost.KnownControllers.Contains(word))];
        return new CgroupHierarchyInfo { Path = mount.MountPoint, Version = mount.Type == "cgroup" ? 1 : 2, Hierarchy = string.Join(',', name is null ? controllers : [.. controllers, name]), Controllers = controllers };
    }

    /// <summary>Looks whether a hierarchy may be unmounted.</summary>
    /// <exception cref="ContainerException">As <see cref="Dismount"/>.</exception>
    public CgroupHierarchyInfo PlanDismount(string folder, bool force = false) => Guard(folder, () =>
    {
        var mounted = Mounted(folder) ?? throw new CgroupException("CgroupUnavailable", "no hierarchy of control groups is mounted there");
        if (!force && !CgroupHierarchyMount.IsOurs(folder))
        {
            throw new ContainerException(ErrorIds.CgroupNotOurs, $"The hierarchy at '{folder}' was not mounted by Mount-CgroupHierarchy. -Force unmounts it all the same, from under whoever uses it.", folder, ContainerErrorCategory.InvalidOperation);
        }
        // What is mounted elsewhere too stays in sight.
        var elsewhere = MountInfo.ReadSelf().Any(mount => mount.MountPoint != folder && Hierarchy(mount) is { Version: 1 } other && other.Hierarchy == mounted.Hierarchy);
        if (mounted.Version == 1 && !force && !elsewhere && Directory.EnumerateDirectories(folder).Take(6).Select(Path.GetFileName).ToList() is { Count: > 0 } groups)
        {
            throw new ContainerException(ErrorIds.CgroupBusy, $"The hierarchy at '{folder}' has groups in it, {string.Join(", ", groups)}: the kernel would keep it bound, and out of sight. Remove them first, with Remove-Cgroup; -Force unmounts all the same.",
                folder, ContainerErrorCategory.ResourceBusy);
        }
        return mounted;
    });

    /// <summary>Unmounts a hierarchy.</summary>
    /// <param name="force">Also one that was mounted by others, or has groups in it.</param>
    /// <exception cref="ContainerException"><c>CgroupUnavailable</c>: none is mounted there; <c>CgroupNotOurs</c>; <c>CgroupBusy</c>; <c>CgroupNotPermitted</c>.</exception>
    public void Dismount(string folder, bool force = false)
    {
        PlanDismount(folder, force);
        Guard(folder, () =>
        {
            CgroupHierarchyMount.Dismount(folder);
            Refresh();
            return true;
        });
    }
}
