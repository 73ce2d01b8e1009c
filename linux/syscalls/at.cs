using System.Runtime.InteropServices;

namespace Containers.Linux;

/// <summary>The calls that take a folder's descriptor and a name, with names as bytes: a name in an archive need not be UTF-8.</summary>
public static unsafe partial class Libc
{
    [LibraryImport(C, SetLastError = true)]
    public static partial int mkdirat(int dirfd, byte* pathname, uint mode);

    [LibraryImport(C, SetLastError = true)]
    public static partial int mknodat(int dirfd, byte* pathname, uint mode, ulong dev);

    [LibraryImport(C, SetLastError = true)]
    public static partial int linkat(int olddirfd, byte* oldpath, int newdirfd, byte* newpath, int flags);

    [LibraryImport(C, SetLastError = true)]
    public static partial int symlinkat(byte* target, int newdirfd, byte* linkpath);

    [LibraryImport(C, SetLastError = true)]
    public static partial int unlinkat(int dirfd, byte* pathname, int flags);

    [LibraryImport(C, SetLastError = true)]
    public static partial int fchownat(int dirfd, byte* pathname, uint owner, uint group, int flags);

    [LibraryImport(C, SetLastError = true)]
    public static partial int fchmodat(int dirfd, byte* pathname, uint mode, int flags);

    [LibraryImport(C, SetLastError = true)]
    public static partial int utimensat(int dirfd, byte* pathname, timespec* times, int flags);

    /// <param name="times">Access and modification time.</param>
    [LibraryImport(C, SetLastError = true)]
    public static partial int futimens(int fd, timespec* times);

    [LibraryImport(C, SetLastError = true)]
    public static partial int fsetxattr(int fd, byte* name, void* value, nuint size, int flags);

    [LibraryImport(C, SetLastError = true)]
    public static partial int lsetxattr(byte* path, byte* name, void* value, nuint size, int flags);

    [LibraryImport(C, SetLastError = true)]
    public static partial nint fgetxattr(int fd, byte* name, void* value, nuint size);

    [LibraryImport(C, SetLastError = true)]
    public static partial nint lgetxattr(byte* path, byte* name, void* value, nuint size);

    /// <returns>The length of the names, each ended by a zero; with <paramref name="size"/> 0 nothing is written.</returns>
    [LibraryImport(C, SetLastError = true)]
    public static partial nint flistxattr(int fd, byte* list, nuint size);

    [LibraryImport(C, SetLastError = true)]
    public static partial nint llistxattr(byte* path, byte* list, nuint size);

    /// <summary>Everything written to the file system that holds the descriptor.</summary>
    [LibraryImport(C, SetLastError = true)]
    public static partial int syncfs(int fd);

    public static int statx(int dirfd, byte* pathname, int flags, int mask, out statx buf)
    {
        fixed (statx* b = &buf)
            return (int)syscall_errno(SYS_statx, dirfd, (nint)pathname, flags, mask, (nint)b, 0);
    }

    /// <inheritdoc cref="openat2(int, string, in open_how)"/>
    public static int openat2(int dirfd, byte* pathname, in open_how how)
    {
        fixed (open_how* h = &how)
            return (int)syscall_errno(SYS_openat2, dirfd, (nint)pathname, (nint)h, sizeof(open_how), 0, 0);
    }
}
