using System.Runtime.InteropServices;

namespace Containers.Bench;

/// <summary>
/// crun refuses a hybrid host on which a v1 controller that the kernel has is mounted nowhere. A v1 hierarchy is kernel-wide, so
/// whoever mounts one does it under one lock, and takes it away again: groups first, then the mount. It is mounted in a mount
/// namespace of this thread and of what it starts, in a <c>/sys/fs/cgroup</c> of its own: other containers of the host would make groups in
/// it, and then it stays bound, or take a mere folder of that name for a hierarchy.
/// </summary>
sealed partial class HugetlbHierarchy : IDisposable
{
    const string Lock = "/run/lock/containers-hugetlb";
    const string Root = "/sys/fs/cgroup";
    const string Folder = Root + "/hugetlb";

    readonly FileStream held;
    readonly bool mounted;

    HugetlbHierarchy(FileStream held, bool mounted)
    {
        this.held = held;
        this.mounted = mounted;
    }

    /// <summary>Waits for the lock, and mounts the hierarchy unless the host has it; null on a host that needs none.</summary>
    public static HugetlbHierarchy? MountIfMissing()
    {
        if (File.Exists("/sys/fs/cgroup/cgroup.controllers") || !File.ReadLines("/proc/cgroups").Any(line => line.StartsWith("hugetlb\t", StringComparison.Ordinal)))
            return null;
        Directory.CreateDirectory("/run/lock");
        var held = new FileStream(Lock, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite);
        if (flock(held.SafeFileHandle.DangerousGetHandle().ToInt32(), LOCK_EX) != 0)
            throw Failure(Lock);
        if (File.ReadLines("/proc/self/mountinfo").Any(line => line.Contains($" {Folder} ", StringComparison.Ordinal)))
            return new HugetlbHierarchy(held, mounted: false);
        if (unshare(CLONE_NEWNS) != 0 || mount("", "/", "", MS_REC | MS_PRIVATE, "") != 0)
            throw Failure("a mount namespace");
        string view = Directory.CreateTempSubdirectory("containers-bench-").FullName;
        try
        {
            if (mount("cgroup", view, "tmpfs", 0, "mode=755") != 0)
                throw Failure(view);
            foreach (string hierarchy in Directory.EnumerateDirectories(Root))
            {
                string there = Directory.CreateDirectory(Path.Combine(view, Path.GetFileName(hierarchy))).FullName;
                if (hierarchy != Folder && mount(hierarchy, there, "", MS_BIND, "") != 0)
                    throw Failure(there);
            }
            string hugetlb = Directory.CreateDirectory(Path.Combine(view, "hugetlb")).FullName;
            if (mount("hugetlb", hugetlb, "cgroup", 0, "hugetlb") != 0)
            {
                string why = Marshal.GetLastPInvokeErrorMessage();
                umount2(view, MNT_DETACH);
                held.Dispose();
                Console.Error.WriteLine($"hugetlb cannot be mounted as a v1 hierarchy ({why}), so crun may refuse this host");
                return null;
            }
            if (mount(view, Root, "", MS_MOVE, "") != 0)
                throw Failure(Root);
        }
        finally
        {
            Directory.Delete(view);
        }
        return new HugetlbHierarchy(held, mounted: true);
    }

    public void Dispose()
    {
        if (mounted)
            Unmount();
        held.Dispose();
    }

    static void Unmount()
    {
        foreach (string group in Directory.EnumerateDirectories(Folder, "*", SearchOption.AllDirectories).OrderByDescending(path => path.Length).ToList())
            rmdir(group);
        // Groups die a moment after their folder; a hierarchy that has some when it is unmounted stays bound.
        for (int tries = 0; tries < 100 && Groups() > 1; tries++)
            Task.Delay(20).Wait();
        umount2(Folder, 0);
    }

    static IOException Failure(string what) => new($"{what}: {Marshal.GetLastPInvokeErrorMessage()}");

    static int Groups()
        => File.ReadLines("/proc/cgroups").Where(line => line.StartsWith("hugetlb\t", StringComparison.Ordinal)).Select(line => int.Parse(line.Split('\t')[2], System.Globalization.CultureInfo.InvariantCulture)).FirstOrDefault();

    const int LOCK_EX = 2;
    const int CLONE_NEWNS = 0x20000;
    const int MNT_DETACH = 2;
    const ulong MS_BIND = 0x1000;
    const ulong MS_MOVE = 0x2000;
    const ulong MS_REC = 0x4000;
    const ulong MS_PRIVATE = 0x40000;

    [LibraryImport("libc", SetLastError = true)]
    private static partial int unshare(int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int flock(int descriptor, int operation);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int mount(string source, string target, string type, ulong flags, string data);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int umount2(string target, int flags);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int rmdir(string path);
}
