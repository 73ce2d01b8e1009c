using System.Text;

namespace Containers.Linux.Cgroups;

/// <summary>How a host has its control groups.</summary>
public enum CgroupKind
{
    /// <summary>Controllers in v1 hierarchies, no v2 tree.</summary>
    V1,

    /// <summary>Controllers in v1 hierarchies, and a v2 tree beside them with what is left.</summary>
    Hybrid,

    /// <summary>The v2 tree alone.</summary>
    V2,
}

/// <summary>A line of <c>/proc/cgroups</c>.</summary>
/// <param name="HierarchyId">0 for the v2 tree, or for nowhere.</param>
public sealed record CgroupController(string Name, int HierarchyId, int GroupCount, bool Enabled);

/// <summary>One mounted hierarchy: of v1, a named one without controllers among them, or the v2 tree.</summary>
public sealed class CgroupHierarchy
{
    string[]? controllers;

    internal CgroupHierarchy(string mountPoint, int version, string name, string[]? controllers)
    {
        MountPoint = mountPoint;
        Version = version;
        Name = name;
        this.controllers = controllers;
    }

    /// <summary>Where it is mounted, without a slash at the end.</summary>
    public string MountPoint { get; }

    /// <summary>1 or 2.</summary>
    public int Version { get; }

    /// <summary>As <c>/proc/PID/cgroup</c> has it: <c>cpu,cpuacct</c>, <c>name=systemd</c>; empty for the v2 tree.</summary>
    public string Name { get; }

    /// <summary>Controllers that live here; in the v2 tree these are the ones that the root offers.</summary>
    public IReadOnlyList<string> Controllers => Offered;

    // On a hybrid host few ever ask what is left for the v2 tree, so that its file is read late.
    internal string[] Offered => controllers ??= CgroupFiles.ReadText(MountPoint, "cgroup.controllers")?
        .Split((char[])[' ', '\n'], StringSplitOptions.RemoveEmptyEntries) ?? [];

    internal bool Has(string controller) => Array.IndexOf(Offered, controller) >= 0;

    internal string Folder(string path) => path == "/" ? MountPoint : MountPoint + path;
}

/// <summary>The control groups of a host. Found once, then asked for groups by <see cref="Group"/>.</summary>
public sealed class CgroupHost
{
    const string UnifiedMount = "/sys/fs/cgroup";

    static readonly string[] Known =
    [
        "cpuset", "cpu", "cpuacct", "blkio", "memory", "devices", "freezer", "net_cls", "perf_event", "net_prio", "hugetlb", "pids", "rdma", "misc",
    ];

    /// <summary>All controllers that these tools know, by the kernel's names; <c>io</c> is v2's for <c>blkio</c>.</summary>
    public static IReadOnlyList<string> KnownControllers { get; } = [.. Known, "io"];

    readonly string procCgroups;
    readonly CgroupHierarchy[] hierarchies;
    readonly Action<string, bpf_insn[]>? attachDeviceProgram;

    /// <summary>Reads a recorded host: the files of its hierarchies lie below <paramref name="root"/>.</summary>
    /// <param name="root">A folder that is put before every mount point; empty for none.</param>
    /// <param name="mountInfo">What <c>/proc/self/mountinfo</c> says (proc_pid_mountinfo(5)).</param>
    /// <param name="procCgroups">What <c>/proc/cgroups</c> says (cgroups(7)).</param>
    /// <param name="attachDeviceProgram">Takes the device programs of the v2 tree in the kernel's place, each with its group's folder; a program is no
    /// file that could be recorded. Null for the kernel, which takes them for groups of its own alone.</param>
    /// <exception cref="CgroupException"><c>CgroupNotMounted</c>.</exception>
    public CgroupHost(string root, string mountInfo, string procCgroups = "", Action<string, bpf_insn[]>? attachDeviceProgram = null)
        : this(FromMountInfo(root.TrimEnd('/'), Encoding.UTF8.GetBytes(mountInfo)), procCgroups, attachDeviceProgram)
    {
    }

    CgroupHost(List<CgroupHierarchy> found, string procCgroups, Action<string, bpf_insn[]>? attachDeviceProgram = null)
    {
        this.procCgroups = procCgroups;
        this.attachDeviceProgram = attachDeviceProgram;
        if (found.Count == 0) { throw new CgroupException("CgroupNotMounted", "no cgroup hierarchy is mounted; mount cgroup2 at " + UnifiedMount); }
        hierarchies = [.. found];
        var v1 = false;
        foreach (var hierarchy in hierarchies)
        {
            if (hierarchy.Version == 2) { Unified = hierarchy; }
            else { v1 |= hierarchy.Offered.Length > 0; }
        }
        Kind = Unified is null ? CgroupKind.V1 : v1 ? CgroupKind.Hybrid : CgroupKind.V2;
    }

    /// <summary>Looks at the host that we run on.</summary>
    /// <exception cref="CgroupException"><c>CgroupNotMounted</c>.</exception>
    public static CgroupHost Detect()
    {
        // Where the v2 tree has the place of honour it is the only one: the mount table, long on a busy host, need not be read.
        if (CgroupFiles.FileSystemType(UnifiedMount) == Libc.CGROUP2_SUPER_MAGIC)
        {
            return new CgroupHost([new CgroupHierarchy(UnifiedMount, 2, "", null)], "");
        }
        var mounts = CgroupFiles.Read("/proc/self", "mountinfo") ?? throw new CgroupException("CgroupNotMounted", "/proc/self/mountinfo cannot be read");
        return new CgroupHost(FromMountInfo("", mounts), "");
    }

    public CgroupKind Kind { get; }

    /// <summary>In the order of the mount table.</summary>
    public IReadOnlyList<CgroupHierarchy> Hierarchies => hierarchies;

    /// <summary>The v2 tree; null on a v1 host.</summary>
    public CgroupHierarchy? Unified { get; }

    internal CgroupHierarchy[] All => hierarchies;

    List<ProcessCgroup>? groupsOfInit;
    List<ProcessCgroup>? ownGroups;

    internal List<ProcessCgroup> OwnGroups => ownGroups ??= ProcessCgroup.TryRead(Environment.ProcessId, out var lines) ? lines : [];

    internal List<ProcessCgroup> GroupsOfInit => groupsOfInit ??= ProcessCgroup.TryRead(1, out var lines) ? lines : [];

    /// <summary>The path of a group that was named by its path, or by its folder in one of the hierarchies, such as <c>/sys/fs/cgroup/memory/jobs</c>.</summary>
    /// <exception cref="CgroupException"><c>InvalidCgroupPath</c>.</exception>
    public string PathOf(string pathOrFolder)
    {
        var path = CgroupPath.Normalize(pathOrFolder);
        var longest = "";
        foreach (var hierarchy in hierarchies)
        {
            var mount = hierarchy.MountPoint;
            if (mount.Length > longest.Length && (path == mount || path.StartsWith(mount + "/", StringComparison.Ordinal))) { longest = mount; }
        }
        return longest.Length == 0 ? path : path.Length == longest.Length ? "/" : path[longest.Length..];
    }

    internal void AttachDeviceProgram(string folder, bpf_insn[] program)
    {
        if (attachDeviceProgram is { } attach) { attach(folder, program); }
        else { DeviceProgram.Attach(folder, program); }
    }

    /// <summary>Where a controller lives; null when it lives nowhere.</summary>
    public CgroupHierarchy? Find(string controller)
    {
        foreach (var hierarchy in hierarchies)
        {
            if (hierarchy.Version == 1 && hierarchy.Has(controller)) { return hierarchy; }
        }
        return Unified is { } unified && unified.Has(controller) ? unified : null;
    }

    /// <summary>Where a controller lives. On v1 <c>io</c> is found by its name there, <c>blkio</c>.</summary>
    /// <exception cref="CgroupNotSupportedException">It is not known, or mounted nowhere.</exception>
    public CgroupHierarchy Require(string controller) =>
        Find(controller) ?? (controller == "io" ? Find("blkio") : null)
        ?? throw new CgroupNotSupportedException(CgroupPath.Printable(controller), Array.IndexOf(Known, controller) >= 0 || controller == "io"
            ? "the controller is mounted nowhere on this host" : "there is no such controller");

    /// <summary>What the kernel was built with, by <c>/proc/cgroups</c>.</summary>
    public List<CgroupController> ReadControllers()
    {
        var text = procCgroups.Length > 0 ? procCgroups : CgroupFiles.ReadText("/proc", "cgroups") ?? "";
        var list = new List<CgroupController>();
        foreach (var line in text.Split('\n'))
        {
            var fields = line.Split((char[])['\t', ' '], StringSplitOptions.RemoveEmptyEntries);
            if (fields.Length < 4 || line[0] == '#') { continue; }
            if (int.TryParse(fields[1], out var id) && int.TryParse(fields[2], out var count)) { list.Add(new(fields[0], id, count, fields[3] == "1")); }
        }
        return list;
    }

    /// <summary>The group of this path in all hierarchies, whether or not it is there yet.</summary>
    /// <exception cref="CgroupException"><c>InvalidCgroupPath</c>.</exception>
    public ControlGroup Group(string path) => new(this, CgroupPath.Normalize(path));

    /// <summary>The limits that a controller offers, in that version of cgroups.</summary>
    public static List<CgroupLimitName> LimitsOf(string controller, int version)
    {
        var list = new List<CgroupLimitName>();
        foreach (var name in Enum.GetValues<CgroupLimitName>())
        {
            var of = LimitPlan.ControllerOf(name);
            if ((of == controller || (of == "io" && controller == "blkio")) && LimitPlan.IsIn(name, version)) { list.Add(name); }
        }
        return list;
    }

    static List<CgroupHierarchy> FromMountInfo(string root, ReadOnlySpan<byte> mountInfo)
    {
        var list = new List<CgroupHierarchy>();
        while (!mountInfo.IsEmpty)
        {
            var end = mountInfo.IndexOf((byte)'\n');
            var line = end < 0 ? mountInfo : mountInfo[..end];
            mountInfo = end < 0 ? default : mountInfo[(end + 1)..];

            // The separator cannot stand earlier: spaces inside fields are escaped.
            var separator = line.IndexOf(" - cgroup"u8);
            if (separator < 0) { continue; }
            var type = Field(line[(separator + 3)..], 0);
            var version = type.SequenceEqual("cgroup2"u8) ? 2 : type.SequenceEqual("cgroup"u8) ? 1 : 0;
            // A mount of a part of a hierarchy, or of what lies outside our cgroup namespace, has paths of its own.
            if (version == 0 || !Field(line, 3).SequenceEqual("/"u8)) { continue; }
            var mountPoint = root + Unescape(Field(line, 4));
            if (version == 2) { Add(list, new(mountPoint, 2, "", null)); }
            else { AddV1(list, mountPoint, Encoding.UTF8.GetString(Field(line[(separator + 3)..], 2))); }
        }
        return list;
    }

    static void AddV1(List<CgroupHierarchy> list, string mountPoint, string superOptions)
    {
        var controllers = new List<string>();
        var name = "";
        foreach (var option in superOptions.Split(','))
        {
            if (Array.IndexOf(Known, option) >= 0) { controllers.Add(option); }
            else if (option.StartsWith("name=", StringComparison.Ordinal)) { name = option; }
        }
        // A hierarchy of controllers that nobody here knows is left alone.
        if (controllers.Count == 0 && name.Length == 0) { return; }
        if (controllers.Count > 0) { name = string.Join(',', controllers) + (name.Length > 0 ? "," + name : ""); }
        Add(list, new(mountPoint, 1, name, [.. controllers]));
    }

    // The same hierarchy can be mounted at several places; later mounts show the same groups.
    static void Add(List<CgroupHierarchy> list, CgroupHierarchy hierarchy)
    {
        foreach (var other in list)
        {
            if (other.Version == hierarchy.Version && other.Name == hierarchy.Name) { return; }
        }
        list.Add(hierarchy);
    }

    static ReadOnlySpan<byte> Field(ReadOnlySpan<byte> line, int index)
    {
        for (; index > 0; index--)
        {
            var space = line.IndexOf((byte)' ');
            if (space < 0) { return default; }
            line = line[(space + 1)..];
        }
        var end = line.IndexOf((byte)' ');
        return end < 0 ? line : line[..end];
    }

    static string Unescape(ReadOnlySpan<byte> field)
    {
        if (!field.Contains((byte)'\\')) { return Encoding.UTF8.GetString(field); }
        var bytes = new List<byte>(field.Length);
        for (var i = 0; i < field.Length; i++)
        {
            if (field[i] == '\\' && i + 3 < field.Length && IsOctal(field[i + 1]) && IsOctal(field[i + 2]) && IsOctal(field[i + 3]))
            {
                bytes.Add((byte)(((field[i + 1] - '0') << 6) | ((field[i + 2] - '0') << 3) | (field[i + 3] - '0')));
                i += 3;
            }
            else { bytes.Add(field[i]); }
        }
        return Encoding.UTF8.GetString(bytes.ToArray());
    }

    static bool IsOctal(byte b) => b is >= (byte)'0' and <= (byte)'7';
}
