using System.Text;

namespace Containers.Linux.Resctrl;

/// <summary>The mounted resctrl file system: its files by paths below its root, which lead through folders of its own alone.</summary>
/// <param name="root">Where it is mounted.</param>
public unsafe class ResctrlTree(string root)
{
    const int LargestFile = 1 << 20;

    /// <summary>The tree that is mounted in the calling process's mount namespace; null where there is none. The last mount counts: it covers those before it.</summary>
    public static ResctrlTree? Find(IReadOnlyList<MountInfo> mounts)
    {
        for (int i = mounts.Count - 1; i >= 0; i--)
            if (mounts[i].Type == "resctrl" && mounts[i].Root == "/")
                return new ResctrlTree(mounts[i].MountPoint);
        return null;
    }

    /// <summary>As <see cref="Find"/>, with the mounts as they are now.</summary>
    /// <exception cref="ResctrlException"><c>ResctrlNotMounted</c>.</exception>
    public static ResctrlTree Detect() =>
        Find(MountInfo.ReadSelf()) ?? throw new ResctrlException("ResctrlNotMounted", "linux.intelRdt: resctrl is not mounted on this host (or its processors have none)");

    public string Root { get; } = root;

    public string PathOf(string path) => path.Length == 0 ? Root : Root + "/" + path;

    public bool HasGroup(string group)
    {
        int fd = Open(Join(group, "tasks"), Libc.O_PATH);
        if (fd < 0)
            return false;
        Libc.close(fd);
        return true;
    }

    /// <summary>A file's text without blanks around it; null where there is none.</summary>
    public string? TryRead(string file)
    {
        int fd = Open(file, Libc.O_RDONLY);
        if (fd < 0)
            return null;
        try
        {
            byte[] buffer = new byte[4096];
            int length = 0;
            while (true)
            {
                if (length == buffer.Length)
                {
                    if (length >= LargestFile)
                        throw Refused($"{PathOf(file)}: is longer than {LargestFile} bytes");
                    Array.Resize(ref buffer, length * 2);
                }
                nint n;
                fixed (byte* free = &buffer[length])
                    n = Libc.read(fd, free, (nuint)(buffer.Length - length));
                if (n < 0 && Libc.errno == Libc.EINTR)
                    continue;
                if (n < 0)
                    throw Refused($"{PathOf(file)}: {Errnos.Text(Libc.errno)}");
                if (n == 0)
                    return Encoding.UTF8.GetString(buffer, 0, length).Trim();
                length += (int)n;
            }
        }
        finally
        {
            Libc.close(fd);
        }
    }

    /// <summary>In one write: the kernel takes all lines or none.</summary>
    public void Write(string file, string text, string member)
    {
        int fd = Open(file, Libc.O_WRONLY | Libc.O_TRUNC);
        if (fd < 0)
            throw Refused($"{member}: {PathOf(file)}: {Errnos.Text(-fd)}");
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        nint n;
        fixed (byte* p = bytes)
            n = Libc.write(fd, p, (nuint)bytes.Length);
        int errno = Libc.errno;
        Libc.close(fd);
        if (n != bytes.Length)
            throw Refused($"{member}: {PathOf(file)}: {(n < 0 ? Errnos.Text(errno) : "was not taken whole")}{LastStatus()}");
    }

    /// <summary>A descriptor of a group's <c>tasks</c>, for whoever is to enter it by writing "0".</summary>
    public int OpenTasks(string group)
    {
        int fd = Open(Join(group, "tasks"), Libc.O_WRONLY);
        return fd >= 0 ? fd : throw Refused($"linux.intelRdt: {PathOf(Join(group, "tasks"))}: {Errnos.Text(-fd)}");
    }

    /// <returns>False when it is there already.</returns>
    public virtual bool MakeGroup(string group)
    {
        int slash = group.LastIndexOf('/');
        int parent = Open(slash < 0 ? "." : group[..slash], Libc.O_PATH | Libc.O_DIRECTORY);
        if (parent < 0)
            throw Refused($"linux.intelRdt: {PathOf(group)}: {Errnos.Text(-parent)}");
        int made = Libc.mkdirat(parent, group[(slash + 1)..], 0x1ED);
        int errno = Libc.errno;
        Libc.close(parent);
        return made == 0 || (errno == Libc.EEXIST ? false : throw Refused($"linux.intelRdt: mkdir {PathOf(group)}: {Errnos.Text(errno)}{LastStatus()}"));
    }

    /// <summary>Whoever is still in it goes back to the group above. One that is gone already is no error.</summary>
    public virtual void RemoveGroup(string group)
    {
        if (Libc.unlinkat(Libc.AT_FDCWD, PathOf(group), Libc.AT_REMOVEDIR) < 0 && Libc.errno is not (Libc.ENOENT or Libc.ENOTDIR))
            throw Refused($"linux.intelRdt: remove {PathOf(group)}: {Errnos.Text(Libc.errno)}");
    }

    public static string Join(string group, string file) => group.Length == 0 ? file : group + "/" + file;

    /// <returns>A descriptor, or the negative errno.</returns>
    int Open(string path, int flags)
    {
        int folder = Libc.open(Root, Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_CLOEXEC);
        if (folder < 0)
            return -Libc.errno;
        int fd = Libc.openat2(folder, path, new open_how { flags = (ulong)(flags | Libc.O_CLOEXEC), resolve = (ulong)(Libc.RESOLVE_BENEATH | Libc.RESOLVE_NO_SYMLINKS | Libc.RESOLVE_NO_XDEV) });
        if (fd < 0)
            fd = -Libc.errno;
        Libc.close(folder);
        return fd;
    }

    /// <summary>The kernel's own words for what it refused last.</summary>
    string LastStatus() => TryRead("info/last_cmd_status") is { Length: > 0 } status && status != "ok" ? $" ({status})" : "";

    static ResctrlException Refused(string message) => new("ResctrlRefused", message);
}
