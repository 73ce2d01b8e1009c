namespace Containers.Linux;

/// <summary>A file of nsfs: what /proc/PID/ns/TYPE leads to, and what is mounted where a namespace is kept.</summary>
/// <param name="Flag">CLONE_NEW*.</param>
/// <param name="Id">The inode number.</param>
public readonly unsafe record struct NamespaceFile(int Flag, ulong Id)
{
    /// <summary>cgroup, ipc, mnt, net, pid, time, user, uts; null for one that this library does not know.</summary>
    public string? Type => Flag switch
    {
        Libc.CLONE_NEWCGROUP => "cgroup",
        Libc.CLONE_NEWIPC => "ipc",
        Libc.CLONE_NEWNS => "mnt",
        Libc.CLONE_NEWNET => "net",
        Libc.CLONE_NEWPID => "pid",
        Libc.CLONE_NEWTIME => "time",
        Libc.CLONE_NEWUSER => "user",
        Libc.CLONE_NEWUTS => "uts",
        _ => null,
    };

    /// <summary>CLONE_NEW* of a type; 0 for one that is not known.</summary>
    public static int FlagOf(string type) => type switch
    {
        "cgroup" => Libc.CLONE_NEWCGROUP,
        "ipc" => Libc.CLONE_NEWIPC,
        "mnt" => Libc.CLONE_NEWNS,
        "net" => Libc.CLONE_NEWNET,
        "pid" => Libc.CLONE_NEWPID,
        "time" => Libc.CLONE_NEWTIME,
        "user" => Libc.CLONE_NEWUSER,
        "uts" => Libc.CLONE_NEWUTS,
        _ => 0,
    };

    /// <summary>Opens a namespace for setns(2) and ioctl_nsfs(2). Nothing but a file of nsfs is ever opened: a device might do something then. A descriptor of a socket,
    /// <c>/proc/PID/fd/N</c>, leads to the network namespace that it was made in.</summary>
    /// <returns>The descriptor, close-on-exec; -1 with errno, EINVAL when the path leads to something else.</returns>
    public static int Open(string path, out NamespaceFile file)
    {
        if (NamespaceSocket.TryParse(path, out int pid, out int number))
        {
            int ofSocket = NamespaceSocket.Open(pid, number, out file);
            if (ofSocket >= 0)
                return ofSocket;
        }
        file = default;
        int found = Libc.open(path, Libc.O_PATH | Libc.O_CLOEXEC);
        if (found < 0)
            return -1;
        int fd = -1;
        int errno;
        statfs system;
        if (Libc.fstatfs(found, &system) < 0 || system.f_type != Libc.NSFS_MAGIC)
            errno = Libc.EINVAL;
        else
        {
            fd = Libc.open($"/proc/self/fd/{found}", Libc.O_RDONLY | Libc.O_CLOEXEC);
            errno = Libc.errno;
        }
        Libc.close(found);
        if (fd >= 0 && !TryIdentify(fd, out file))
        {
            errno = Libc.EINVAL;
            Libc.close(fd);
            fd = -1;
        }
        if (fd < 0)
            System.Runtime.InteropServices.Marshal.SetLastPInvokeError(errno);
        return fd;
    }

    /// <param name="fd">A descriptor of nsfs.</param>
    internal static bool TryIdentify(int fd, out NamespaceFile file)
    {
        file = default;
        int flag = Libc.ioctl(fd, Libc.NS_GET_NSTYPE, null);
        if (flag < 0 || Libc.statx(fd, Libc.STATX_INO, out statx stat) < 0)
            return false;
        file = new(flag, stat.stx_ino);
        return file.Type is not null;
    }
}
