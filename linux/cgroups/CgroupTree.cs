using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Containers.Linux.Cgroups;

/// <summary>Walks over groups below a group. Their names were chosen by whoever is inside, so that they stay bytes, are never put into a path, and
/// may be nested as deep as the kernel lets them.</summary>
static unsafe class CgroupTree
{
    const int MostLevels = 256;
    const int ListSize = 2048;

    // Its name and its dot; each folder in it adds the two dots of its own.
    const uint LinksOfLeaf = 2;

    /// <summary>Adds the pids of a group, and of those below it.</summary>
    internal static void Processes(string folder, bool recursive, List<int> pids)
    {
        var fd = OpenFolder(folder);
        if (fd < 0) { return; }
        try { Visit(fd, recursive, pids, 0); }
        finally { Libc.close(fd); }
    }

    static void Visit(int folder, bool recursive, List<int> pids, int level)
    {
        if (level == MostLevels) { throw new CgroupException("CgroupTooDeep", $"more than {MostLevels} groups inside each other"); }
        var file = Open(folder, "cgroup.procs\0"u8, Libc.O_RDONLY);
        if (file >= 0)
        {
            // A threaded group of v2 has none of its own and fails the read.
            if (CgroupFiles.ReadFrom(file) is { } text) { Parse(text, pids); }
            Libc.close(file);
        }
        if (!recursive) { return; }
        foreach (var name in Folders(folder))
        {
            var child = Open(folder, name, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_NOFOLLOW);
            if (child < 0) { continue; }
            try { Visit(child, true, pids, level + 1); }
            finally { Libc.close(child); }
        }
    }

    static void Parse(ReadOnlySpan<byte> text, List<int> pids)
    {
        while (!text.IsEmpty)
        {
            var end = text.IndexOf((byte)'\n');
            var line = end < 0 ? text : text[..end];
            text = end < 0 ? default : text[(end + 1)..];
            if (CgroupFiles.Number(line) is > 0 and <= int.MaxValue and var pid) { pids.Add((int)pid); }
        }
    }

    /// <summary>Removes a group and all below it, deepest first, with two descriptors however deep they are.</summary>
    /// <returns>0 when it is gone, or the errno: EBUSY for one with processes.</returns>
    internal static int Remove(string folder)
    {
        if (Libc.rmdir(folder) == 0 || Libc.errno == Libc.ENOENT) { return 0; }
        if (Libc.errno is not (Libc.EBUSY or Libc.ENOTEMPTY)) { return Libc.errno; }

        var fd = OpenFolder(folder);
        if (fd < 0) { return Libc.errno == Libc.ENOENT ? 0 : Libc.errno; }
        var names = new Stack<byte[]>();
        while (true)
        {
            var down = FirstBusy(fd);
            if (down is not null)
            {
                var child = Open(fd, down, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_NOFOLLOW);
                if (child < 0)
                {
                    if (Libc.errno == Libc.ENOENT) { continue; }
                    var denied = Libc.errno;
                    Libc.close(fd);
                    return denied;
                }
                Libc.close(fd);
                fd = child;
                names.Push(down);
                continue;
            }
            if (names.Count == 0) { break; }
            var parent = Open(fd, "..\0"u8, Libc.O_RDONLY | Libc.O_DIRECTORY);
            var lost = parent < 0 ? Libc.errno : 0;
            Libc.close(fd);
            if (parent < 0) { return lost; }
            fd = parent;
            if (RemoveAt(fd, names.Pop()) is var errno and not (0 or Libc.ENOENT))
            {
                // Nothing is below it any more, and still it stays: there are processes in it.
                Libc.close(fd);
                return errno == Libc.ENOTEMPTY ? Libc.EBUSY : errno;
            }
        }
        Libc.close(fd);
        if (Libc.rmdir(folder) == 0 || Libc.errno == Libc.ENOENT) { return 0; }
        return Libc.errno == Libc.ENOTEMPTY ? Libc.EBUSY : Libc.errno;
    }

    // Removes what can be removed at once, and names the first child that needs a visit.
    static byte[]? FirstBusy(int folder)
    {
        foreach (var name in Folders(folder))
        {
            if (RemoveAt(folder, name) is Libc.EBUSY or Libc.ENOTEMPTY) { return name; }
        }
        return null;
    }

    /// <summary>Lets every frozen group of a v1 freezer go on, from the top down.</summary>
    internal static void ThawAll(string folder)
    {
        var fd = OpenFolder(folder);
        if (fd < 0) { return; }
        try { ThawAll(fd, 0); }
        finally { Libc.close(fd); }
    }

    static void ThawAll(int folder, int level)
    {
        if (level == MostLevels) { throw new CgroupException("CgroupTooDeep", $"more than {MostLevels} groups inside each other"); }
        var file = Open(folder, "freezer.state\0"u8, Libc.O_WRONLY);
        if (file >= 0)
        {
            _ = CgroupFiles.WriteTo(file, "THAWED");
            Libc.close(file);
        }
        foreach (var name in Folders(folder))
        {
            var child = Open(folder, name, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_NOFOLLOW);
            if (child < 0) { continue; }
            try { ThawAll(child, level + 1); }
            finally { Libc.close(child); }
        }
    }

    /// <summary>Waits until a key of cgroup.events has this value; the kernel tells by POLLPRI.</summary>
    internal static bool WaitEvent(string folder, ReadOnlySpan<byte> key, long value, int milliseconds)
    {
        var fd = Libc.open(folder + "/cgroup.events", Libc.O_RDONLY | Libc.O_CLOEXEC);
        if (fd < 0) { return false; }
        try
        {
            var start = Stopwatch.GetTimestamp();
            while (true)
            {
                if (Libc.lseek(fd, 0, Libc.SEEK_SET) < 0) { return false; }
                if (CgroupFiles.Keyed(CgroupFiles.ReadFrom(fd), key) == value) { return true; }
                var left = milliseconds - (int)Stopwatch.GetElapsedTime(start).TotalMilliseconds;
                if (left <= 0) { return false; }
                var wait = new pollfd { fd = fd, events = Libc.POLLPRI };
                Libc.poll(&wait, 1, left);
            }
        }
        finally { Libc.close(fd); }
    }

    /// <summary>Names of the groups right below, each ended by a zero.</summary>
    static List<byte[]> Folders(int fd)
    {
        var names = new List<byte[]>();
        // Most groups have none below them, and a folder's links tell.
        if (Libc.statx(fd, Libc.STATX_NLINK, out var status) == 0 && status.stx_nlink == LinksOfLeaf) { return names; }
        var buffer = stackalloc byte[ListSize];
        if (Libc.lseek(fd, 0, Libc.SEEK_SET) < 0) { return names; }
        nint got;
        while ((got = Libc.getdents64(fd, buffer, ListSize)) > 0)
        {
            for (nint at = 0; at < got;)
            {
                var entry = (linux_dirent64*)(buffer + at);
                at += entry->d_reclen;
                if (entry->d_type != Libc.DT_DIR) { continue; }
                var name = MemoryMarshal.CreateReadOnlySpanFromNullTerminated((byte*)entry + linux_dirent64.NameOffset);
                if (name.SequenceEqual("."u8) || name.SequenceEqual(".."u8)) { continue; }
                names.Add([.. name, 0]);
            }
        }
        return names;
    }

    /// <summary>Adds the paths of the groups below a folder.</summary>
    internal static void Names(string folder, string path, int levels, SortedSet<string> found)
    {
        if (Libc.statx(Libc.AT_FDCWD, folder, 0, Libc.STATX_NLINK, out var status) != 0 || status.stx_nlink == LinksOfLeaf) { return; }
        var fd = OpenFolder(folder);
        if (fd < 0) { return; }
        try { Names(fd, path, Math.Min(levels, MostLevels), found); }
        finally { Libc.close(fd); }
    }

    static void Names(int folder, string path, int levels, SortedSet<string> found)
    {
        if (levels == 0) { return; }
        foreach (var name in Folders(folder))
        {
            var text = System.Text.Encoding.UTF8.GetString(name.AsSpan(0, name.Length - 1));
            // A name that is no text, or steers a terminal, cannot be a path here.
            if (text.Contains('\uFFFD') || CgroupPath.Printable(text) != text || path.Length + text.Length > 3000) { continue; }
            var child = Open(folder, name, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_NOFOLLOW);
            if (child < 0) { continue; }
            found.Add(path + "/" + text);
            try { Names(child, path + "/" + text, levels - 1, found); }
            finally { Libc.close(child); }
        }
    }

    static int OpenFolder(string folder) => Libc.open(folder, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_CLOEXEC);

    static int Open(int folder, ReadOnlySpan<byte> name, int flags)
    {
        fixed (byte* p = name) { return Libc.openat(folder, p, flags | Libc.O_CLOEXEC); }
    }

    static int RemoveAt(int folder, ReadOnlySpan<byte> name)
    {
        fixed (byte* p = name)
        {
            return Libc.syscall_errno(Libc.SYS_unlinkat, folder, (nint)p, Libc.AT_REMOVEDIR, 0, 0, 0) == 0 ? 0 : Libc.errno;
        }
    }
}
