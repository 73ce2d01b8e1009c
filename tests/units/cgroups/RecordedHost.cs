using Containers.Linux;
using Containers.Linux.Cgroups;

namespace Containers.Tests.Units.Cgroups;

/// <summary>The files of a host that is not this one, in a folder of its own.</summary>
sealed class RecordedHost : IDisposable
{
    readonly DirectoryInfo root = Directory.CreateTempSubdirectory("cgroups-");

    public CgroupHost Host { get; }

    /// <summary>What the kernel would have been given.</summary>
    public List<(string Folder, bpf_insn[] Program)> DevicePrograms { get; } = [];

    RecordedHost(string mountInfo, string procCgroups = "") =>
        Host = new(root.FullName, mountInfo, procCgroups, (folder, program) => DevicePrograms.Add((folder, program)));

    public static RecordedHost V1() => new("""
        25 30 0:23 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro,mode=755
        26 25 0:24 / /sys/fs/cgroup/systemd rw,nosuid - cgroup cgroup rw,xattr,release_agent=/lib/systemd/systemd-cgroups-agent,name=systemd
        27 25 0:25 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct
        28 25 0:26 / /sys/fs/cgroup/memory rw,nosuid - cgroup cgroup rw,memory
        29 25 0:27 / /sys/fs/cgroup/cpuset rw,nosuid - cgroup cgroup rw,cpuset
        31 25 0:28 / /sys/fs/cgroup/net_cls,net_prio rw,nosuid - cgroup cgroup rw,net_cls,net_prio
        32 25 0:29 / /sys/fs/cgroup/blkio rw shared:4 master:2 - cgroup cgroup rw,blkio
        33 25 0:30 / /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices
        34 25 0:31 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
        35 25 0:32 / /sys/fs/cgroup/hugetlb rw - cgroup cgroup rw,hugetlb
        36 25 0:33 / /sys/fs/cgroup/rdma\040set rw - cgroup cgroup rw,rdma
        37 25 0:27 /docker /elsewhere rw - cgroup cgroup rw,freezer
        38 25 0:26 / /second/memory rw - cgroup cgroup rw,memory
        """, "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t4\t7\t1\nmemory\t3\t9\t0\n");

    /// <summary>Memory and devices on v1, hugetlb left to the v2 tree.</summary>
    public static RecordedHost Hybrid(bool devices = true)
    {
        var recorded = new RecordedHost($"""
            26 25 0:24 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
            27 25 0:25 / /sys/fs/cgroup/{(devices ? "devices rw - cgroup cgroup rw,devices" : "systemd rw - cgroup cgroup rw,name=systemd")}
            28 25 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
            """);
        recorded.Write(2, "/", "cgroup.controllers", "hugetlb rdma\n");
        recorded.Write(2, "/", "cgroup.subtree_control", "");
        return recorded;
    }

    /// <summary>No devices controller and no v2 tree.</summary>
    public static RecordedHost V1WithoutDevices() => new("26 25 0:24 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory");

    public static RecordedHost V2()
    {
        var recorded = new RecordedHost("""
            25 30 0:23 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
            26 25 0:24 / /var/lib/cgroup2 - not a mount line
            """);
        recorded.Write(2, "/", "cgroup.controllers", "cpuset cpu io memory hugetlb pids rdma misc\n");
        return recorded;
    }

    CgroupHierarchy Hierarchy(object which) => which is int ? Host.Unified! : Host.Find((string)which)!;

    string File(object which, string path, string file) => Path.Combine(Hierarchy(which).MountPoint + (path == "/" ? "" : path), file);

    /// <param name="which">A controller's name, or 2 for the v2 tree.</param>
    public void Write(object which, string path, string file, string text = "")
    {
        var full = File(which, path, file);
        Directory.CreateDirectory(Path.GetDirectoryName(full)!);
        System.IO.File.WriteAllText(full, text);
    }

    public string Read(object which, string path, string file) => System.IO.File.ReadAllText(File(which, path, file));

    public bool Has(object which, string path) => Directory.Exists(File(which, path, "."));

    public void Dispose() => root.Delete(recursive: true);
}
