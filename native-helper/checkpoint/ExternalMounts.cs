using System.Text;
using Containers.Linux;
using Containers.Linux.Oci;
using Psrun.Processes;
using Psrun.Rootfs;

namespace Psrun.Checkpoint;

/// <summary>
/// Mounts whose content is the host's. A dump gives each a name in place of its content, a restore gives each name a path of the host again. The names are the
/// places that the bundle names, as runc's are: its images can be restored.
/// </summary>
static unsafe class ExternalMounts
{
    static readonly string[] s_defaultDevices = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"];

    /// <summary>By the place where each is mounted, as the container has it.</summary>
    public static List<(string Key, string Value)> ForDump(Spec spec, int pid, CgroupMountSource groups)
    {
        var found = new List<(string, string)>();
        int root = Libc.open($"/proc/{pid}/root", Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_CLOEXEC);
        if (root < 0 || !MountInfo.TryRead(pid, out List<MountInfo> table))
            throw new PsrunException("the container has stopped");
        try
        {
            foreach (Mount mount in spec.Mounts ?? [])
            {
                string name = "/" + Mounts.Destination(mount.Destination!);
                string at = Resolve(root, name, out _) ?? name;
                foreach (string part in GroupFolders(mount, groups).Keys)
                    found.Add((at + part, name + part));
                if (!IsBind(mount, out bool recursive))
                    continue;
                found.Add((at, name));
                foreach (MountInfo below in table)
                    if (recursive && below.MountPoint.StartsWith(at + "/", StringComparison.Ordinal) && !IsNamed(spec, below.MountPoint))
                        found.Add((below.MountPoint, name + below.MountPoint[at.Length..]));
            }
            foreach (string path in spec.Linux?.MaskedPaths ?? [])
                if (Resolve(root, path, out bool isFolder) is string at && !isFolder)
                    found.Add((at, "/dev/null"));
        }
        finally
        {
            Libc.close(root);
        }
        if (table.Exists(m => m.MountPoint == NotifySocket.Folder) && !IsNamed(spec, NotifySocket.Folder))
            found.Add((NotifySocket.Folder, NotifySocket.Folder));
        AddDevices(spec, found);
        return found;
    }

    /// <summary>By the names that a dump gave them.</summary>
    public static List<(string Key, string Value)> ForRestore(Spec spec, string bundle, CgroupMountSource groups)
    {
        var found = new List<(string, string)>();
        List<MountInfo>? table = null;
        foreach (Mount mount in spec.Mounts ?? [])
        {
            string name = "/" + Mounts.Destination(mount.Destination!);
            foreach ((string part, string folder) in GroupFolders(mount, groups))
                found.Add((name + part, folder));
            if (!IsBind(mount, out bool recursive))
                continue;
            string source = Path.GetFullPath(mount.Source!, bundle);
            found.Add((name, source));
            if (!recursive)
                continue;
            string real = Resolve(Libc.AT_FDCWD, source, out _) ?? source;
            foreach (MountInfo below in table ??= MountInfo.ReadSelf())
                if (below.MountPoint.StartsWith(real.TrimEnd('/') + "/", StringComparison.Ordinal))
                    found.Add((name + below.MountPoint[real.TrimEnd('/').Length..], below.MountPoint));
        }
        if (spec.Linux?.MaskedPaths is { Count: > 0 })
            found.Add(("/dev/null", "/dev/null"));
        AddDevices(spec, found);
        return found;
    }

    /// <summary>What CRIU would restore as something else, without a word.</summary>
    public static void Refuse(Spec spec)
    {
        foreach (Mount mount in spec.Mounts ?? [])
            if (mount.UidMappings is { Count: > 0 } || mount.GidMappings is { Count: > 0 } || mount.Options?.Exists(o => o is "idmap" or "ridmap") == true)
                throw new PsrunException($"mounts: {mount.Destination}: CRIU cannot restore a mount with id maps of its own");
    }

    public static bool IsBind(Mount mount, out bool recursive)
    {
        recursive = mount.Options?.Contains("rbind") == true;
        return recursive || mount.Type == "bind" || mount.Options?.Contains("bind") == true;
    }

    /// <summary>Nodes are bound where they cannot be made, as in a user namespace.</summary>
    static void AddDevices(Spec spec, List<(string, string)> found)
    {
        foreach (string path in s_defaultDevices)
            found.Add((path, path));
        foreach (LinuxDevice device in spec.Linux?.Devices ?? [])
            if (device.Path != null && !s_defaultDevices.Contains(device.Path))
                found.Add((device.Path, device.Path));
    }

    /// <summary>
    /// The container's own folders of the host's hierarchies, by their places below the mount. In a cgroup namespace of its own the mounts are real ones,
    /// which CRIU makes anew.
    /// </summary>
    static Dictionary<string, string> GroupFolders(Mount mount, CgroupMountSource groups)
    {
        var folders = new Dictionary<string, string>();
        if (mount.Type is not ("cgroup" or "cgroup2") || groups.OwnNamespace || IsBind(mount, out _))
            return folders;
        if (mount.Type == "cgroup2" || groups.UnifiedOnly)
            folders[""] = groups.UnifiedFolder ?? throw new PsrunException($"mounts: {mount.Destination}: this host has no cgroup2 tree");
        else
            foreach (CgroupMount hierarchy in groups.V1)
                folders["/" + hierarchy.Name] = hierarchy.HostFolder;
        return folders;
    }

    static bool IsNamed(Spec spec, string mountPoint) => spec.Mounts?.Exists(m => "/" + Mounts.Destination(m.Destination!) == mountPoint) == true;

    /// <summary>The path without links, inside the root; null where nothing is there.</summary>
    static string? Resolve(int root, string path, out bool isFolder)
    {
        isFolder = false;
        open_how how = default;
        how.flags = (ulong)(Libc.O_PATH | Libc.O_CLOEXEC);
        how.resolve = root == Libc.AT_FDCWD ? 0 : (ulong)Libc.RESOLVE_IN_ROOT;
        int fd = Libc.openat2(root, path, how);
        if (fd < 0)
            return null;
        byte* buffer = stackalloc byte[4096];
        nint length = Libc.readlinkat(Libc.AT_FDCWD, $"/proc/self/fd/{fd}", buffer, 4096);
        isFolder = Libc.statx(fd, Libc.STATX_TYPE, out statx stat) == 0 && (stat.stx_mode & Libc.S_IFMT) == Libc.S_IFDIR;
        Libc.close(fd);
        return length > 0 ? Encoding.UTF8.GetString(buffer, (int)length) : null;
    }
}
