using System.Runtime.InteropServices;

namespace Containers.Bench;

/// <summary>
/// crun refuses a hybrid host on which a v1 controller that the kernel has is mounted nowhere. A v1 hierarchy is kernel-wide, so
/// whoever mounts one does it under one lock, and takes it away again: groups first, then the mount.
/// </summary>
sealed partial class HugetlbHierarchy : IDisposable
{
    const string Lock = "/run/lock/containers-hugetlb";
    const string Folder = "/sys/fs/cgroup/hugetlb";

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
            throw new IOException($"{Lock}: {Marshal.GetLastPInvokeErrorMessage()}");
        if (Directory.Exists(Folder))
            return new HugetlbHierarchy(held, mounted: false);
        Directory.CreateDirectory(Folder);
        if (mount("hugetlb", Folder, "cgroup", 0, "hugetlb") != 0)
        {
            string why = Marshal.GetLastPInvokeErrorMessage();
            Directory.Delete(Folder);
            held.Dispose();
            Console.Error.WriteLine($"hugetlb cannot be mounted as a v1 hierarchy ({why}), so crun may refuse this host");
            return null;
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
        if (umount2(Folder, 0) == 0)
            rmdir(Folder);
    }

    const int LOCK_EX = 2;

    [LibraryImport("libc", SetLastError = true)]
    private static partial int flock(int descriptor, int operation);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int mount(string source, string target, string type, ulong flags, string data);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int umount2(string target, int flags);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int rmdir(string path);
}
