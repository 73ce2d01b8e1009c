using System.Text;

namespace Containers.Linux;

/// <summary>Subvolumes of btrfs: trees that are copied by one call and removed by another, however much is in them.</summary>
public static unsafe class Subvolume
{
    /// <summary>Whether an open folder is the root of one.</summary>
    public static bool Is(int folder)
    {
        statfs system;
        return Libc.statx(folder, Libc.STATX_INO, out statx stat) == 0 && stat.stx_ino == Libc.BTRFS_FIRST_FREE_OBJECTID
            && Libc.fstatfs(folder, &system) == 0 && system.f_type == Libc.BTRFS_SUPER_MAGIC;
    }

    /// <summary>Whether a path leads to one.</summary>
    public static bool Is(string path)
    {
        int fd = Libc.open(path, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_CLOEXEC);
        if (fd < 0)
            return false;
        bool found = Is(fd);
        Libc.close(fd);
        return found;
    }

    /// <summary>Makes an empty one. Its mode is what the umask leaves of 0777.</summary>
    /// <exception cref="LinuxException">ENOTTY: not on btrfs.</exception>
    public static void Create(string path) => Make(path, Libc.BTRFS_IOC_SUBVOL_CREATE_V2, "BTRFS_IOC_SUBVOL_CREATE_V2", -1, 0);

    /// <summary>Makes one that has what another one has. What is a subvolume in that one is an empty folder in it.</summary>
    /// <exception cref="LinuxException"></exception>
    public static void Snapshot(string source, string path, bool readOnly)
    {
        int from = Open(source);
        try { Make(path, Libc.BTRFS_IOC_SNAP_CREATE_V2, "BTRFS_IOC_SNAP_CREATE_V2", from, readOnly ? (ulong)Libc.BTRFS_SUBVOL_RDONLY : 0); }
        finally { Libc.close(from); }
    }

    /// <summary>Nothing in one that is read-only can be changed, whoever asks; it can be removed.</summary>
    /// <exception cref="LinuxException"></exception>
    public static void SetReadOnly(string path, bool readOnly)
    {
        int fd = Open(path);
        try { LinuxException.Check(SetReadOnly(fd, readOnly), "BTRFS_IOC_SUBVOL_SETFLAGS", path); }
        finally { Libc.close(fd); }
    }

    /// <returns>0, or -1 and errno.</returns>
    public static int SetReadOnly(int folder, bool readOnly)
    {
        ulong flags = 0;
        if (Libc.ioctl(folder, Libc.BTRFS_IOC_SUBVOL_GETFLAGS, &flags) < 0)
            return -1;
        flags = readOnly ? flags | Libc.BTRFS_SUBVOL_RDONLY : flags & ~(ulong)Libc.BTRFS_SUBVOL_RDONLY;
        return Libc.ioctl(folder, Libc.BTRFS_IOC_SUBVOL_SETFLAGS, &flags);
    }

    /// <summary>Removes one, read-only or not. ENOTEMPTY: there are others in it. EPERM: not by this user.</summary>
    /// <param name="name">One name, ended by a zero.</param>
    /// <returns>0, or -1 and errno.</returns>
    public static int Destroy(int parent, ReadOnlySpan<byte> name)
    {
        btrfs_ioctl_vol_args arguments = default;
        name.CopyTo(new Span<byte>(arguments.name, 4087));
        return Libc.ioctl(parent, Libc.BTRFS_IOC_SNAP_DESTROY, &arguments);
    }

    static void Make(string path, nuint call, string callName, int source, ulong flags)
    {
        int parent = Open(Path.GetDirectoryName(path)!);
        try
        {
            btrfs_ioctl_vol_args_v2 arguments = default;
            arguments.fd = source;
            arguments.flags = flags;
            Encoding.UTF8.GetBytes(Path.GetFileName(path), new Span<byte>(arguments.name, 4039));
            LinuxException.Check(Libc.ioctl(parent, call, &arguments), callName, path);
        }
        finally { Libc.close(parent); }
    }

    static int Open(string path) => LinuxException.Check(Libc.open(path, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_CLOEXEC), "open", path);
}
