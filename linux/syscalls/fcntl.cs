using System.Runtime.InteropServices;

namespace Containers.Linux;

/// <summary>&lt;fcntl.h&gt;, &lt;linux/openat2.h&gt;. Those that differ between machines are in syscall_numbers.cs.</summary>
public static unsafe partial class Libc
{
    public const int O_RDONLY = 0x0;
    public const int O_WRONLY = 0x1;
    public const int O_RDWR = 0x2;
    public const int O_ACCMODE = 0x3;
    public const int O_CREAT = 0x40;
    public const int O_EXCL = 0x80;
    public const int O_NOCTTY = 0x100;
    public const int O_TRUNC = 0x200;
    public const int O_APPEND = 0x400;
    public const int O_NONBLOCK = 0x800;
    public const int O_DSYNC = 0x1000;
    public const int O_SYNC = 0x101000;
    public const int O_ASYNC = 0x2000;
    public const int O_NOATIME = 0x40000;
    public const int O_CLOEXEC = 0x80000;
    public const int O_PATH = 0x200000;

    public const int AT_FDCWD = -100;
    public const int AT_SYMLINK_NOFOLLOW = 0x100;
    public const int AT_EACCESS = 0x200;
    public const int AT_REMOVEDIR = 0x200;
    public const int AT_SYMLINK_FOLLOW = 0x400;
    public const int AT_NO_AUTOMOUNT = 0x800;
    /// <summary>statx(2): what is known here, without asking a server.</summary>
    public const int AT_STATX_DONT_SYNC = 0x4000;
    public const int AT_EMPTY_PATH = 0x1000;
    public const int AT_RECURSIVE = 0x8000;

    public const int F_DUPFD = 0;
    public const int F_GETFD = 1;
    public const int F_SETFD = 2;
    public const int F_GETFL = 3;
    public const int F_SETFL = 4;
    public const int F_SETLK = 6;
    public const int F_SETLKW = 7;
    public const int F_OFD_GETLK = 36;
    public const int F_OFD_SETLK = 37;
    public const int F_OFD_SETLKW = 38;
    public const int F_DUPFD_CLOEXEC = 1030;
    public const int F_SETPIPE_SZ = 1031;
    public const int F_GETPIPE_SZ = 1032;
    public const int F_ADD_SEALS = 1033;
    public const int F_GET_SEALS = 1034;
    public const int F_SEAL_SEAL = 0x1;
    public const int F_SEAL_SHRINK = 0x2;
    public const int F_SEAL_GROW = 0x4;
    public const int F_SEAL_WRITE = 0x8;
    public const int F_SEAL_FUTURE_WRITE = 0x10;
    public const int FD_CLOEXEC = 1;
    public const int F_RDLCK = 0;
    public const int F_WRLCK = 1;
    public const int F_UNLCK = 2;

    public const int FALLOC_FL_KEEP_SIZE = 0x1;
    public const int FALLOC_FL_PUNCH_HOLE = 0x2;
    public const int FALLOC_FL_COLLAPSE_RANGE = 0x8;
    public const int FALLOC_FL_ZERO_RANGE = 0x10;

    public const int RESOLVE_NO_XDEV = 0x1;
    public const int RESOLVE_NO_MAGICLINKS = 0x2;
    public const int RESOLVE_NO_SYMLINKS = 0x4;
    public const int RESOLVE_BENEATH = 0x8;
    public const int RESOLVE_IN_ROOT = 0x10;
    public const int RESOLVE_CACHED = 0x20;

    [LibraryImport(C, SetLastError = true, StringMarshallingCustomType = typeof(CString))]
    public static partial int open(string pathname, int flags, uint mode = 0);

    [LibraryImport(C, SetLastError = true)]
    public static partial int open(byte* pathname, int flags, uint mode = 0);

    [LibraryImport(C, SetLastError = true, StringMarshallingCustomType = typeof(CString))]
    public static partial int openat(int dirfd, string pathname, int flags, uint mode = 0);

    [LibraryImport(C, SetLastError = true)]
    public static partial int openat(int dirfd, byte* pathname, int flags, uint mode = 0);

    /// <summary>openat2(2), Linux 5.6. EAGAIN when the tree is renamed or mounted upon meanwhile: ask again.</summary>
    public static int openat2(int dirfd, string pathname, in open_how how)
    {
        fixed (open_how* h = &how)
            return (int)syscall_openat2(SYS_openat2, dirfd, pathname, h, (nuint)sizeof(open_how));
    }

    [LibraryImport(C, EntryPoint = "syscall", SetLastError = true, StringMarshallingCustomType = typeof(CString))]
    private static partial nint syscall_openat2(nint number, nint dirfd, string pathname, open_how* how, nuint size);

    [LibraryImport(C, SetLastError = true)]
    public static partial int fcntl(int fd, int op, nint arg = 0);

    [LibraryImport(C, SetLastError = true)]
    public static partial int fallocate(int fd, int mode, long offset, long len);
}

/// <summary>openat2(2).</summary>
[StructLayout(LayoutKind.Sequential)]
public struct open_how
{
    public ulong flags;
    public ulong mode;
    public ulong resolve;
}

/// <summary>A record lock: F_OFD_SETLK of fcntl(2).</summary>
[StructLayout(LayoutKind.Sequential)]
public struct flock
{
    public short l_type;
    public short l_whence;
    public long l_start;
    public long l_len;
    public int l_pid;
}
