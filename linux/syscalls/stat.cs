using System.Runtime.InteropServices;

namespace Containers.Linux;

/// <summary>&lt;sys/stat.h&gt;, &lt;linux/stat.h&gt;, &lt;sys/sysmacros.h&gt;, &lt;sys/statfs.h&gt;. Only statx(2): struct stat differs between machines.</summary>
public static unsafe partial class Libc
{
    public const int S_IFMT = 0xf000;
    public const int S_IFSOCK = 0xc000;
    public const int S_IFLNK = 0xa000;
    public const int S_IFREG = 0x8000;
    public const int S_IFBLK = 0x6000;
    public const int S_IFDIR = 0x4000;
    public const int S_IFCHR = 0x2000;
    public const int S_IFIFO = 0x1000;
    public const int S_ISUID = 0x800;
    public const int S_ISGID = 0x400;
    public const int S_ISVTX = 0x200;
    public const int S_IRWXU = 0x1c0;
    public const int S_IRWXG = 0x38;
    public const int S_IRWXO = 0x7;

    public const int STATX_TYPE = 0x1;
    public const int STATX_MODE = 0x2;
    public const int STATX_NLINK = 0x4;
    public const int STATX_UID = 0x8;
    public const int STATX_GID = 0x10;
    public const int STATX_ATIME = 0x20;
    public const int STATX_MTIME = 0x40;
    public const int STATX_CTIME = 0x80;
    public const int STATX_INO = 0x100;
    public const int STATX_SIZE = 0x200;
    public const int STATX_BLOCKS = 0x400;
    public const int STATX_BASIC_STATS = 0x7ff;
    public const int STATX_BTIME = 0x800;
    /// <summary>Linux 5.8.</summary>
    public const int STATX_MNT_ID = 0x1000;
    public const int STATX_ATTR_IMMUTABLE = 0x10;
    public const int STATX_ATTR_MOUNT_ROOT = 0x2000;

    public const int OVERLAYFS_SUPER_MAGIC = 0x794c7630;
    public const int TMPFS_MAGIC = 0x1021994;
    public const int PROC_SUPER_MAGIC = 0x9fa0;
    public const int SYSFS_MAGIC = 0x62656572;
    public const int CGROUP_SUPER_MAGIC = 0x27e0eb;
    public const int CGROUP2_SUPER_MAGIC = 0x63677270;
    public const int NSFS_MAGIC = 0x6e736673;
    public const uint BTRFS_SUPER_MAGIC = 0x9123683e;
    public const int XFS_SUPER_MAGIC = 0x58465342;
    public const int EXT4_SUPER_MAGIC = 0xef53;
    public const int FUSE_SUPER_MAGIC = 0x65735546;
    public const int NFS_SUPER_MAGIC = 0x6969;
    public const uint PID_FS_MAGIC = 0x50494446;

    public static int statx(int dirfd, string pathname, int flags, int mask, out statx buf)
    {
        fixed (statx* b = &buf)
            return (int)syscall_statx(SYS_statx, dirfd, pathname, flags, mask, b);
    }

    /// <summary>Of an open descriptor.</summary>
    public static int statx(int fd, int mask, out statx buf) => statx(fd, "", AT_EMPTY_PATH, mask, out buf);

    [LibraryImport(C, EntryPoint = "syscall", SetLastError = true, StringMarshallingCustomType = typeof(CString))]
    private static partial nint syscall_statx(nint number, nint dirfd, string pathname, nint flags, nint mask, statx* buf);

    [LibraryImport(C, SetLastError = true, StringMarshallingCustomType = typeof(CString))]
    public static partial int mknodat(int dirfd, string pathname, uint mode, ulong dev);

    [LibraryImport(C, SetLastError = true, StringMarshallingCustomType = typeof(CString))]
    public static partial int mkdir(string pathname, uint mode);

    [LibraryImport(C, SetLastError = true, StringMarshallingCustomType = typeof(CString))]
    public static partial int mkdirat(int dirfd, string pathname, uint mode);

    /// <summary>Follows symbolic links.</summary>
    [LibraryImport(C, SetLastError = true, StringMarshallingCustomType = typeof(CString))]
    public static partial int chmod(string pathname, uint mode);

    [LibraryImport(C, SetLastError = true)]
    public static partial int fchmod(int fd, uint mode);

    [LibraryImport(C, SetLastError = true, StringMarshallingCustomType = typeof(CString))]
    public static partial int fchmodat(int dirfd, string pathname, uint mode, int flags);

    [LibraryImport(C, SetLastError = true)]
    public static partial int fchown(int fd, uint owner, uint group);

    [LibraryImport(C, SetLastError = true, StringMarshallingCustomType = typeof(CString))]
    public static partial int fchownat(int dirfd, string pathname, uint owner, uint group, int flags);

    [LibraryImport(C)]
    public static partial uint umask(uint mask);

    /// <param name="times">Access and modification time.</param>
    [LibraryImport(C, SetLastError = true, StringMarshallingCustomType = typeof(CString))]
    public static partial int utimensat(int dirfd, string pathname, timespec* times, int flags);

    [LibraryImport(C, SetLastError = true, StringMarshallingCustomType = typeof(CString))]
    public static partial int statfs(string path, statfs* buf);

    [LibraryImport(C, SetLastError = true)]
    public static partial int fstatfs(int fd, statfs* buf);

    /// <summary>dev_t as libc and stat(2) pack it.</summary>
    public static ulong makedev(uint major, uint minor) =>
        ((major & 0xfff) << 8) | ((ulong)(major & 0xfffff000) << 32) | (minor & 0xff) | ((ulong)(minor & 0xffffff00) << 12);

    public static uint major(ulong dev) => (uint)((dev >> 8) & 0xfff) | (uint)((dev >> 32) & 0xfffff000);

    public static uint minor(ulong dev) => (uint)(dev & 0xff) | (uint)((dev >> 12) & 0xffffff00);
}

[StructLayout(LayoutKind.Sequential)]
public struct statx_timestamp
{
    public long tv_sec;
    public uint tv_nsec;
    private readonly int __reserved;
}

/// <summary>statx(2).</summary>
[StructLayout(LayoutKind.Sequential, Size = 256)]
public struct statx
{
    public uint stx_mask;
    public uint stx_blksize;
    public ulong stx_attributes;
    public uint stx_nlink;
    public uint stx_uid;
    public uint stx_gid;
    public ushort stx_mode;
    public ulong stx_ino;
    public ulong stx_size;
    public ulong stx_blocks;
    public ulong stx_attributes_mask;
    public statx_timestamp stx_atime;
    public statx_timestamp stx_btime;
    public statx_timestamp stx_ctime;
    public statx_timestamp stx_mtime;
    public uint stx_rdev_major;
    public uint stx_rdev_minor;
    public uint stx_dev_major;
    public uint stx_dev_minor;
    public ulong stx_mnt_id;
}

/// <summary>statfs(2).</summary>
[StructLayout(LayoutKind.Sequential, Size = 120)]
public struct statfs
{
    /// <summary>*_MAGIC.</summary>
    public long f_type;
    public long f_bsize;
    public ulong f_blocks;
    public ulong f_bfree;
    public ulong f_bavail;
    public ulong f_files;
    public ulong f_ffree;
    public ulong f_fsid;
    public long f_namelen;
    public long f_frsize;
    public long f_flags;
}
