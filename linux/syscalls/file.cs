using System.Runtime.InteropServices;

namespace Containers.Linux;

/// <summary>&lt;sys/file.h&gt;, &lt;stdio.h&gt;, &lt;dirent.h&gt;: names, locks, folders.</summary>
public static unsafe partial class Libc
{
    public const int LOCK_SH = 1;
    public const int LOCK_EX = 2;
    public const int LOCK_NB = 4;
    public const int LOCK_UN = 8;
    public const int RENAME_NOREPLACE = 0x1;
    public const int RENAME_EXCHANGE = 0x2;
    public const int RENAME_WHITEOUT = 0x4;
    public const int DT_UNKNOWN = 0;
    public const int DT_FIFO = 1;
    public const int DT_CHR = 2;
    public const int DT_DIR = 4;
    public const int DT_BLK = 6;
    public const int DT_REG = 8;
    public const int DT_LNK = 10;
    public const int DT_SOCK = 12;

    [LibraryImport(C, SetLastError = true)]
    public static partial int flock(int fd, int operation);

    [LibraryImport(C, SetLastError = true, StringMarshallingCustomType = typeof(CString))]
    public static partial int rename(string oldpath, string newpath);

    public static int renameat2(int olddirfd, string oldpath, int newdirfd, string newpath, int flags) =>
        (int)syscall_move_mount(SYS_renameat2, olddirfd, oldpath, newdirfd, newpath, flags);

    [LibraryImport(C, SetLastError = true, StringMarshallingCustomType = typeof(CString))]
    public static partial int linkat(int olddirfd, string oldpath, int newdirfd, string newpath, int flags);

    [LibraryImport(C, SetLastError = true, StringMarshallingCustomType = typeof(CString))]
    public static partial int unlink(string pathname);

    [LibraryImport(C, SetLastError = true, StringMarshallingCustomType = typeof(CString))]
    public static partial int unlinkat(int dirfd, string pathname, int flags);

    [LibraryImport(C, SetLastError = true, StringMarshallingCustomType = typeof(CString))]
    public static partial int rmdir(string pathname);

    [LibraryImport(C, SetLastError = true, StringMarshallingCustomType = typeof(CString))]
    public static partial int symlinkat(string target, int newdirfd, string linkpath);

    /// <returns>Bytes written, without a zero at the end; <paramref name="bufsiz"/> means that it may have been cut.</returns>
    [LibraryImport(C, SetLastError = true, StringMarshallingCustomType = typeof(CString))]
    public static partial nint readlinkat(int dirfd, string pathname, byte* buf, nuint bufsiz);

    [LibraryImport(C, SetLastError = true)]
    public static partial nint readlinkat(int dirfd, byte* pathname, byte* buf, nuint bufsiz);

    [LibraryImport(C, SetLastError = true)]
    public static partial int fsync(int fd);

    [LibraryImport(C, SetLastError = true)]
    public static partial int ftruncate(int fd, long length);

    /// <returns>Bytes of linux_dirent64 records, 0 at the end, or -1.</returns>
    public static nint getdents64(int fd, void* dirp, nuint count) => syscall_errno(SYS_getdents64, fd, (nint)dirp, (nint)count, 0, 0, 0);
}

/// <summary>The head of a record of getdents64(2); the name follows at offset 19, ended by a zero.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct linux_dirent64
{
    public const int NameOffset = 19;

    public ulong d_ino;
    public long d_off;
    public ushort d_reclen;
    /// <summary>DT_*.</summary>
    public byte d_type;
}
