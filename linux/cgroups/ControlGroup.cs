using System.Globalization;
using Containers.Linux.Oci;

namespace Containers.Linux.Cgroups;

/// <summary>
/// The group of one path in all hierarchies of a host: made, limited, joined, read, emptied and removed as one thing. It holds nothing
/// open; whether the group exists is the kernel's to say.
/// </summary>
public sealed partial class ControlGroup
{
    // Another one's removal of a parent that was empty for a moment is met again at most this often.
    const int MostAttempts = 100;

    static readonly string[] V2Controllers = ["cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma", "misc"];

    readonly string[] folders;

    internal ControlGroup(CgroupHost host, string path)
    {
        Host = host;
        Path = path;
        folders = new string[host.All.Length];
        for (var i = 0; i < folders.Length; i++) { folders[i] = host.All[i].Folder(path); }
    }

    public CgroupHost Host { get; }

    /// <summary>From the root of the hierarchies, as in <c>/proc/PID/cgroup</c>.</summary>
    public string Path { get; }

    /// <summary>Whether it is there in any hierarchy.</summary>
    public bool Exists
    {
        get
        {
            foreach (var folder in folders)
            {
                if (CgroupFiles.Exists(folder)) { return true; }
            }
            return false;
        }
    }

    /// <summary>Its folder in one hierarchy.</summary>
    public string FolderIn(CgroupHierarchy hierarchy) => hierarchy.Folder(Path);

    /// <summary>
    /// Makes the group and its missing parents in every hierarchy. On v1 a new group gets its parent's CPUs and memory nodes,
    /// without which nothing can join it. On a v2 host the controllers are enabled down the path, where the kernel allows it.
    /// What was made is removed again when it fails.
    /// </summary>
    /// <param name="controllers">Only in the hierarchies of these, and in the v2 tree; null for all.</param>
    /// <returns>Whether it is new in every hierarchy.</returns>
    /// <exception cref="LinuxException">A folder cannot be made.</exception>
    public bool Create(IReadOnlyCollection<string>? controllers = null)
    {
        RefuseRoot("made");
        var made = 0UL;
        try
        {
            for (var i = 0; i < folders.Length; i++)
            {
                if (Wanted(Host.All[i], controllers) && MakeFolder(Host.All[i], folders[i])) { made |= 1UL << (i & 63); }
            }
            if (Host.Find("cpuset") is { Version: 1 } cpuset && Wanted(cpuset, controllers))
            {
                InheritCpuSet(cpuset.MountPoint, cpuset.Folder(Path), "cpuset.cpus");
                InheritCpuSet(cpuset.MountPoint, cpuset.Folder(Path), "cpuset.mems");
            }
            // Only now: the new folder keeps its parents from being removed as empty meanwhile.
            if (Host.Kind == CgroupKind.V2) { EnableControllers(Host.Unified!, Enabled(controllers)); }
        }
        catch
        {
            for (var i = 0; i < folders.Length; i++)
            {
                if ((made & (1UL << (i & 63))) != 0) { Libc.rmdir(folders[i]); }
            }
            throw;
        }
        return System.Numerics.BitOperations.PopCount(made) == folders.Length;
    }

    static string[] Enabled(IReadOnlyCollection<string>? controllers) => controllers is null ? V2Controllers : [.. controllers];

    static bool Wanted(CgroupHierarchy hierarchy, IReadOnlyCollection<string>? controllers)
    {
        if (controllers is null || hierarchy.Version == 2) { return true; }
        foreach (var controller in controllers)
        {
            if (hierarchy.Has(controller)) { return true; }
        }
        return false;
    }

    bool MakeFolder(CgroupHierarchy hierarchy, string folder)
    {
        for (var attempt = 0; ; attempt++)
        {
            if (Libc.mkdir(folder, 0x1ed) == 0) { return true; }
            var errno = Libc.errno;
            if (errno == Libc.EEXIST) { return false; }
            if (errno != Libc.ENOENT || attempt == MostAttempts) { throw new LinuxException("mkdir", folder, errno); }
            for (var slash = Path.IndexOf('/', 1); slash > 0; slash = Path.IndexOf('/', slash + 1))
            {
                var parent = hierarchy.MountPoint + Path[..slash];
                if (Libc.mkdir(parent, 0x1ed) == 0 || Libc.errno == Libc.EEXIST) { continue; }
                if (Libc.errno == Libc.ENOENT && slash != Path.IndexOf('/', 1)) { break; }
                throw new LinuxException("mkdir", parent, Libc.errno);
            }
        }
    }

    static string InheritCpuSet(string mountPoint, string folder, string file)
    {
        var value = CgroupFiles.ReadText(folder, file) ?? throw new CgroupException("CgroupNotFound", $"{folder}: there is no {file}");
        // A parent may be as new as we are, made by someone who has not come to this step yet.
        if (value.Length > 0 || folder.Length <= mountPoint.Length) { return value; }
        value = InheritCpuSet(mountPoint, CgroupPath.Parent(folder), file);
        CgroupFiles.Set(folder, file, value);
        return value;
    }

    /// <summary>Enables controllers in every ancestor. One that cannot be (there are processes in an ancestor, or it is in use
    /// elsewhere) is left out: whoever then sets a limit of it is told by name.</summary>
    void EnableControllers(CgroupHierarchy tree, string[] controllers)
    {
        foreach (var (folder, lines) in ToEnable(tree, controllers))
        {
            if (CgroupFiles.TryWrite(folder, "cgroup.subtree_control", lines) == 0) { continue; }
            // All or nothing is the kernel's rule for one write.
            foreach (var one in lines.Split(' ')) { CgroupFiles.TryWrite(folder, "cgroup.subtree_control", one); }
        }
    }

    /// <summary>What each ancestor's <c>cgroup.subtree_control</c> is to be told, from the top down.</summary>
    List<(string Folder, string Lines)> ToEnable(CgroupHierarchy tree, string[] controllers)
    {
        var lines = "";
        foreach (var controller in controllers)
        {
            if (tree.Has(controller)) { lines += (lines.Length > 0 ? " +" : "+") + controller; }
        }
        var todo = new List<(string, string)>();
        // Mostly only the last ancestor is new: look upwards first, then enable on the way down.
        for (var path = Path; lines.Length > 0 && path != "/";)
        {
            path = CgroupPath.Parent(path);
            if (EnablesAll(tree.Folder(path), tree, controllers)) { break; }
            todo.Add((tree.Folder(path), lines));
        }
        todo.Reverse();
        return todo;
    }

    static bool EnablesAll(string folder, CgroupHierarchy tree, string[] controllers)
    {
        var enabled = (CgroupFiles.ReadText(folder, "cgroup.subtree_control") ?? "").Split(' ');
        foreach (var controller in controllers)
        {
            if (tree.Has(controller) && Array.IndexOf(enabled, controller) < 0) { return false; }
        }
        return true;
    }

    /// <summary>Moves a process, with all its threads, into the group in every hierarchy; 0 means the caller.</summary>
    /// <exception cref="CgroupException"><c>CgroupNotFound</c>: the group is not there; <c>CgroupBusy</c>: the v2 group has children with
    /// controllers, and so takes no processes of its own.</exception>
    /// <exception cref="LinuxException">ESRCH: there is no such process.</exception>
    public void Attach(int pid)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(pid);
        var text = pid.ToString(CultureInfo.InvariantCulture);
        foreach (var folder in folders)
        {
            var errno = CgroupFiles.TryWrite(folder, "cgroup.procs", text);
            if (errno == 0) { continue; }
            throw errno switch
            {
                Libc.ENOENT or Libc.ENODEV => new CgroupException("CgroupNotFound", $"{folder}: there is no such group"),
                Libc.EBUSY => new CgroupException("CgroupBusy", $"{folder} has children with controllers and takes no processes of its own"),
                _ => new LinuxException("write", $"{folder}/cgroup.procs ({text})", errno),
            };
        }
    }

    /// <summary>
    /// Opens the group for a process that enters it by itself: the file <c>tasks</c> of each v1 hierarchy, to which a process of one thread writes "0", and
    /// the folder in the v2 tree for CLONE_INTO_CGROUP (clone(2)). A move by pid takes a lock that every fork and exit of the host takes as well, and
    /// waits for an RCU grace period; these two ways do not.
    /// </summary>
    /// <param name="unified">The folder's descriptor; -1 on a host without a v2 tree.</param>
    /// <param name="below">Paths from the group downwards, by controller: where the hierarchy has one, the group there is opened instead. "" stands for every
    /// hierarchy.</param>
    /// <param name="sinceMounted">Leaves out v1 hierarchies in which the group was never made, as those that were mounted after it was: its processes are in no group there.</param>
    /// <returns>Descriptors of the v1 files, the caller's to close.</returns>
    /// <exception cref="CgroupException"><c>CgroupNotFound</c>; <c>InvalidCgroupPath</c>.</exception>
    public List<int> OpenEntries(out int unified, IReadOnlyDictionary<string, string>? below = null, bool sinceMounted = false)
    {
        var folders = this.folders;
        if (below is { Count: > 0 })
        {
            folders = new string[folders.Length];
            for (var i = 0; i < folders.Length; i++) { folders[i] = Host.All[i].Folder(Below(Host.All[i], below)); }
        }
        var files = new List<int>(folders.Length);
        unified = -1;
        for (var i = 0; i < folders.Length; i++)
        {
            var v2 = Host.All[i].Version == 2;
            var fd = v2
                ? Libc.open(folders[i], Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_CLOEXEC)
                : Libc.open(folders[i] + "/tasks", Libc.O_WRONLY | Libc.O_CLOEXEC);
            if (fd < 0)
            {
                var errno = Libc.errno;
                if (errno == Libc.ENOENT && !v2 && sinceMounted && Exists && !Directory.Exists(this.folders[i])) { continue; }
                foreach (var file in files) { Libc.close(file); }
                if (unified >= 0) { Libc.close(unified); }
                throw errno == Libc.ENOENT
                    ? new CgroupException("CgroupNotFound", $"{folders[i]}: there is no such group")
                    : new LinuxException("open", folders[i], errno);
            }
            if (v2) { unified = fd; }
            else { files.Add(fd); }
        }
        return files;
    }

    string Below(CgroupHierarchy hierarchy, IReadOnlyDictionary<string, string> below)
    {
        if (below.TryGetValue("", out var everywhere)) { return CgroupPath.Normalize(Path + "/" + everywhere); }
        foreach (var (controller, path) in below)
        {
            if (hierarchy.Has(controller)) { return CgroupPath.Normalize(Path + "/" + path); }
        }
        return Path;
    }

    /// <summary>Whether the v2 group has handed controllers down, and so takes no processes of its own.</summary>
    public bool HasChildrenWithControllers =>
        Host.Unified is { } unified && CgroupFiles.ReadText(unified.Folder(Path), "cgroup.subtree_control") is { Length: > 0 };

    /// <summary>
    /// Sets the limits that are given and leaves all others as they are. As with runc, 0 counts as "not given" for sizes, shares, quota, periods and
    /// the number of tasks, and -1 is "no limit".
    /// </summary>
    /// <param name="create">For a new container: device rules are set even where the spec has none, everything being denied but the
    /// devices that every container has.</param>
    /// <exception cref="CgroupException"><c>CgroupLimitRefused</c>, naming the spec's member, file, value and cause; <c>CgroupNotFound</c>.</exception>
    /// <exception cref="CgroupNotSupportedException">A limit that this host cannot set, by the spec's member. On a hybrid host these are also the
    /// limits of controllers in the v2 tree: enabled there, they could no more be mounted by those who look for them on v1.</exception>
    public void Apply(LinuxResources? resources, bool create = false)
    {
        RefuseRoot("limited");
        var member = "linux.resources.devices";
        try { Apply(resources ?? new LinuxResources(), create, ref member); }
        // What a file or a controller says of itself does not tell which of the spec's members asked for it.
        catch (CgroupNotSupportedException e) when (!e.Feature.StartsWith(member, StringComparison.Ordinal)) { throw new CgroupNotSupportedException(member, e.Message); }
        catch (CgroupException e) when (e.Id == "CgroupLimitRefused" && !e.Message.StartsWith(member, StringComparison.Ordinal)) { throw new CgroupException(e.Id, $"{member}: {e.Message}"); }
    }

    /// <summary>Sets limits of a group in use, as <see cref="Apply(LinuxResources?, bool)"/> does. When one is refused, those that were set before it get
    /// their old values back, device rules excepted.</summary>
    /// <exception cref="CgroupException">As for <see cref="Apply(LinuxResources?, bool)"/>.</exception>
    public void Update(LinuxResources resources)
    {
        RequireExists();
        using var journal = new LimitJournal();
        try { Apply(resources); }
        catch (CgroupException)
        {
            journal.Restore();
            throw;
        }
    }

    void Apply(LinuxResources r, bool create, ref string member)
    {
        // First what may be refused without a write.
        if (r.Unified is { Count: > 0 } && Host.Kind != CgroupKind.V2)
        {
            throw new CgroupNotSupportedException(member = "linux.resources.unified", "this host has its controllers in v1 hierarchies");
        }
        if (create || r.Devices is not null) { ApplyDevices(r.Devices); }
        if (r.Memory is { } memory)
        {
            member = "linux.resources.memory";
            var hierarchy = For(member, "memory");
            if (hierarchy.Version == 1) { ResourcesV1.Memory(hierarchy.Folder(Path), memory); }
            else { ResourcesV2.Memory(hierarchy.Folder(Path), memory); }
        }
        if (r.Cpu is { } cpu)
        {
            member = "linux.resources.cpu";
            ApplyCpu(cpu);
        }
        if (ResourceValues.Given(r.Pids?.Limit) is { } pids)
        {
            member = "linux.resources.pids";
            ResourcesV1.Pids(For(member, "pids").Folder(Path), pids);
        }
        if (r.BlockIo is { } io)
        {
            member = "linux.resources.blockIO";
            var hierarchy = For(member, "io");
            if (hierarchy.Version == 1) { ResourcesV1.BlockIo(hierarchy.Folder(Path), io); }
            else { ResourcesV2.BlockIo(hierarchy.Folder(Path), io); }
        }
        if (r.HugepageLimits is { Count: > 0 } pages)
        {
            member = "linux.resources.hugepageLimits";
            var hierarchy = For(member, "hugetlb");
            ResourcesShared.HugePages(hierarchy, hierarchy.Folder(Path), pages);
        }
        if (r.Network is { } network)
        {
            member = "linux.resources.network";
            ResourcesV1.Network(Host, Path, network);
        }
        if (r.Rdma is { Count: > 0 } rdma)
        {
            member = "linux.resources.rdma";
            ResourcesShared.Rdma(For(member, "rdma").Folder(Path), rdma);
        }
        if (r.Unified is { Count: > 0 } unified)
        {
            member = "linux.resources.unified";
            ResourcesV2.Unified(Host.Unified!.Folder(Path), unified);
        }
    }

    void ApplyCpu(LinuxCpu cpu)
    {
        var time = cpu.Shares ?? cpu.Burst ?? cpu.Period ?? cpu.RealtimePeriod;
        if (time is not null || (cpu.Quota ?? cpu.RealtimeRuntime ?? cpu.Idle) is not null)
        {
            var hierarchy = For("linux.resources.cpu", "cpu");
            if (hierarchy.Version == 1) { ResourcesV1.Cpu(hierarchy.Folder(Path), cpu); }
            else { ResourcesV2.Cpu(hierarchy.Folder(Path), cpu); }
        }
        if (!string.IsNullOrEmpty(cpu.Cpus) || !string.IsNullOrEmpty(cpu.Mems)) { ResourcesShared.CpuSet(For("linux.resources.cpu", "cpuset").Folder(Path), cpu); }
    }

    void ApplyDevices(List<LinuxDeviceCgroup>? rules)
    {
        if (Host.Find("devices") is { Version: 1 } devices) { DeviceRules.Apply(devices.Folder(Path), rules); }
        else if (Host.Unified is { } unified) { Host.AttachDeviceProgram(unified.Folder(Path), DeviceProgram.Build(rules)); }
        else { throw new CgroupNotSupportedException("linux.resources.devices", "the devices controller is mounted nowhere, and there is no v2 tree to enforce them in its place"); }
    }

    /// <summary>What the group uses now.</summary>
    /// <exception cref="CgroupException"><c>CgroupNotFound</c>.</exception>
    public CgroupStats ReadStats()
    {
        RequireExists();
        return CgroupStats.Read(Host, Path);
    }

    /// <summary>Processor time alone, for rates: one file where <see cref="ReadStats"/> reads twenty. Null where this host does not tell it, or the group is gone.</summary>
    public TimeSpan? ReadCpuUsage() => CgroupStats.ReadCpuUsage(Host, Path);

    /// <summary>The limits that are set.</summary>
    /// <exception cref="CgroupException"><c>CgroupNotFound</c>.</exception>
    public CgroupLimits ReadLimits()
    {
        RequireExists();
        return CgroupLimits.Read(Host, Path);
    }

    void RequireExists()
    {
        if (!Exists) { throw new CgroupException("CgroupNotFound", $"{Path}: there is no such group"); }
    }

    // What a hybrid host left to its v2 tree would have to be enabled from the root on, and stay so for ever: nobody could mount it as a v1
    // hierarchy any more.
    CgroupHierarchy For(string member, string controller)
    {
        var hierarchy = Host.Require(controller);
        return hierarchy.Version == 1 || Host.Kind == CgroupKind.V2 ? hierarchy
            : throw new CgroupNotSupportedException(member, $"{controller} is mounted on no v1 hierarchy of this hybrid host");
    }

    void RefuseRoot(string what)
    {
        if (Path == "/") { throw new CgroupException("InvalidCgroupPath", $"the root of the hierarchies cannot be {what}"); }
    }
}
