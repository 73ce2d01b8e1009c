using Containers.Linux;

namespace Containers;

/// <summary>
/// Where namespaces are kept: <c>/run/netns/NAME</c> for networks, as ip-netns(8) has them, and <c>ns/TYPE/NAME</c> in the run root for the others. Each of those
/// folders is a mount of itself, so that propagation in it is ours to choose: shared, or a mount namespace that was made since (a container's shim has
/// one) would go on holding what was removed here; private for mount namespaces, which the kernel lets be kept nowhere else.
/// </summary>
static class NamespaceStore
{
    internal const string Networks = "/run/netns";

    const string MarkPrefix = "folder-";

    /// <summary>The folder of a type: the kept namespaces in it are called as their files.</summary>
    internal static string Folder(HostPaths paths, LinuxNamespaceType type) =>
        type == LinuxNamespaceType.Net ? Networks : Path.Combine(paths.KeptNamespaces, LinuxNamespaces.File(type));

    /// <summary>The names of one type that something is kept by; whatever else lies there is not looked at.</summary>
    internal static IReadOnlyList<string> NamesOf(HostPaths paths, LinuxNamespaceType type)
    {
        try
        {
            var names = Directory.GetFiles(Folder(paths, type)).Select(file => Path.GetFileName(file)!).ToArray();
            Array.Sort(names, StringComparer.Ordinal);
            return names;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return []; }
    }

    internal static IReadOnlyList<string> Folders(HostPaths paths) => [.. Enum.GetValues<LinuxNamespaceType>().Select(type => Folder(paths, type))];

    /// <summary>Makes the folders of these types ready. The run lock is held.</summary>
    internal static void Prepare(HostPaths paths, IEnumerable<LinuxNamespaceType> types)
    {
        foreach (var type in types)
        {
            var folder = Folder(paths, type);
            if (type == LinuxNamespaceType.Net) { PrepareNetworks(); }
            else if (!IsMount(folder))
            {
                global::Containers.Folders.Make(folder);
                Mount(folder, folder, Libc.MS_BIND);
                // First out of the peer group of whatever it lies in: ours alone is to be shared.
                Mount("none", folder, Libc.MS_PRIVATE);
                if (type != LinuxNamespaceType.Mnt) { Mount("none", folder, Libc.MS_SHARED); }
            }
        }
    }

    // Exactly as ip-netns(8) does it, because ip will come after us.
    static void PrepareNetworks()
    {
        if (Libc.mkdir(Networks, 0x1ED) != 0 && !Directory.Exists(Networks)) { throw new LinuxException("mkdir", Networks, Libc.errno); }
        while (Libc.mount("", Networks, "none", Libc.MS_SHARED | Libc.MS_REC, null) != 0)
        {
            if (Libc.errno != Libc.EINVAL || IsMount(Networks)) { throw new LinuxException("mount --make-shared", Networks, Libc.errno); }
            Mount(Networks, Networks, Libc.MS_BIND | Libc.MS_REC);
        }
    }

    /// <summary>Removes the folders that nothing is kept in any more; <see cref="Networks"/> stays, as ip leaves it. The run lock is held.</summary>
    /// <param name="folders">Those of the user's choice that something has just gone from: removed where they were made by us.</param>
    internal static void RemoveEmpty(HostPaths paths, params IEnumerable<string> folders)
    {
        foreach (var folder in folders) { RemoveMade(paths, folder); }
        foreach (var folder in Folders(paths))
        {
            if (folder == Networks || !IsMount(folder) || Directory.EnumerateFileSystemEntries(folder).Any()) { continue; }
            Libc.umount2(folder, Libc.MNT_DETACH);
            Libc.rmdir(folder);
        }
        Libc.rmdir(Elsewhere(paths));
        Libc.rmdir(paths.KeptNamespaces);
    }

    static string Elsewhere(HostPaths paths) => Path.Combine(paths.KeptNamespaces, "elsewhere");

    /// <summary>Makes a folder of the user's choice, with its missing parents, and writes down that these are ours. The run lock is held.</summary>
    internal static void MakeFolder(HostPaths paths, string folder)
    {
        var missing = new List<string>();
        for (var one = folder; one is not null && !Directory.Exists(one); one = Path.GetDirectoryName(one)) { missing.Add(one); }
        if (missing.Count == 0) { return; }
        global::Containers.Folders.Make(folder);
        global::Containers.Folders.Make(Elsewhere(paths));
        foreach (var one in missing)
        {
            if (MarkOf(paths, one) is not { } mark) { continue; }
            Libc.unlink(mark);
            LinuxException.Check(Libc.symlinkat(one, Libc.AT_FDCWD, mark), "symlink", mark);
        }
    }

    // From the innermost up, as far as they are ours and empty.
    static void RemoveMade(HostPaths paths, string folder)
    {
        for (var one = folder; one is not null && MarkOf(paths, one) is { } mark && new FileInfo(mark).LinkTarget == one; one = Path.GetDirectoryName(one))
        {
            if (Libc.rmdir(one) != 0) { break; }
            Libc.unlink(mark);
        }
        // Whoever put something beside the last namespace has the folder now, and one that is gone is nobody's.
        var links = global::Containers.Folders.Entries(Elsewhere(paths)).ToLookup(name => name.StartsWith(MarkPrefix, StringComparison.Ordinal), name => Path.Combine(Elsewhere(paths), name));
        var kept = links[false].Select(link => new FileInfo(link).LinkTarget).ToList();
        foreach (var mark in links[true])
        {
            if (new FileInfo(mark).LinkTarget is not { } target || MarkOf(paths, target) != mark || !kept.Exists(place => place?.StartsWith(target + "/", StringComparison.Ordinal) == true)) { Libc.unlink(mark); }
        }
    }

    /// <summary>Where it is written down that a folder is ours: by its number and its birth, so that another one of the same name is not. Null when it is not there.</summary>
    static string? MarkOf(HostPaths paths, string folder)
    {
        if (Libc.statx(Libc.AT_FDCWD, folder, Libc.AT_SYMLINK_NOFOLLOW, Libc.STATX_INO | Libc.STATX_BTIME, out var stat) != 0) { return null; }
        return Path.Combine(Elsewhere(paths), string.Create(System.Globalization.CultureInfo.InvariantCulture,
            $"{MarkPrefix}{stat.stx_dev_major}-{stat.stx_dev_minor}-{stat.stx_ino}-{stat.stx_btime.tv_sec}-{stat.stx_btime.tv_nsec}"));
    }

    static string Link(HostPaths paths, ulong id) => Path.Combine(Elsewhere(paths), id.ToString(System.Globalization.CultureInfo.InvariantCulture));

    /// <summary>Writes down that a bind mount outside of our folders is ours.</summary>
    internal static void Remember(HostPaths paths, ulong id, string path)
    {
        global::Containers.Folders.Make(Elsewhere(paths));
        var link = Link(paths, id);
        Libc.unlink(link);
        LinuxException.Check(Libc.symlinkat(path, Libc.AT_FDCWD, link), "symlink", link);
    }

    internal static void Forget(HostPaths paths, ulong id) => Libc.unlink(Link(paths, id));

    /// <summary>Whether a bind mount was made by <c>ip netns</c> or by us.</summary>
    internal static bool IsOurs(HostPaths paths, ulong id, string path) =>
        Folders(paths).Contains(Path.GetDirectoryName(path)) || new FileInfo(Link(paths, id)).LinkTarget == path;

    static bool IsMount(string folder) => Libc.statx(Libc.AT_FDCWD, folder, Libc.AT_SYMLINK_NOFOLLOW, Libc.STATX_TYPE, out var stat) == 0 && (stat.stx_attributes & Libc.STATX_ATTR_MOUNT_ROOT) != 0;

    static void Mount(string source, string target, int flags)
    {
        if (Libc.mount(source, target, null, (ulong)flags, null) != 0) { throw new LinuxException("mount", target, Libc.errno); }
    }
}
