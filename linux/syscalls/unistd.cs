using System.Runtime.InteropServices;

namespace Containers.Linux;

/// <summary>&lt;unistd.h&gt;, &lt;linux/close_range.h&gt;, &lt;sys/uio.h&gt;, &lt;grp.h&gt;.</summary>
public static unsafe partial class Libc
{
    public const int STDIN_FILENO = 0;
    public const int STDOUT_FILENO = 1;
    public const int STDERR_FILENO = 2;
    public const int SEEK_SET = 0;
    public const int SEEK_CUR = 1;
    public const int SEEK_END = 2;
    public const int SEEK_DATA = 3;
    public const int SEEK_HOLE = 4;
    public const int F_OK = 0;
    public const int X_OK = 1;
    public const int W_OK = 2;
    public const int R_OK = 4;
    public const int CLOSE_RANGE_UNSHARE = 0x2;
    public const int CLOSE_RANGE_CLOEXEC = 0x4;
    public const int _SC_CLK_TCK = 2;
    public const int _SC_PAGESIZE = 30;
    public const int _SC_NPROCESSORS_ONLN = 84;

    [LibraryImport(C, SetLastError = true)]
    public static partial nint read(int fd, void* buf, nuint count);

    [LibraryImport(C, SetLastError = true)]
    public static partial nint write(int fd, void* buf, nuint count);

    [LibraryImport(C, SetLastError = true)]
    public static partial nint pread(int fd, void* buf, nuint count, long offset);

    [LibraryImport(C, SetLastError = true)]
    public static partial nint pwrite(int fd, void* buf, nuint count, long offset);

    [LibraryImport(C, SetLastError = true)]
    public static partial nint writev(int fd, iovec* iov, int iovcnt);

    [LibraryImport(C, SetLastError = true)]
    public static partial long lseek(int fd, long offset, int whence);

    /// <summary>copy_file_range(2), between two descriptors at the same offset. Shares the blocks where the file system can.</summary>
    public static nint copy_file_range(int from, int to, long offset, nuint count) =>
        syscall_errno(SYS_copy_file_range, from, (nint)(&offset), to, (nint)(&offset), (nint)count, 0);

    /// <summary>EINTR means closed on Linux: never ask again.</summary>
    [LibraryImport(C, SetLastError = true)]
    public static partial int close(int fd);

    [LibraryImport(C, SetLastError = true)]
    public static partial int dup(int oldfd);

    [LibraryImport(C, SetLastError = true)]
    public static partial int dup2(int oldfd, int newfd);

    [LibraryImport(C, SetLastError = true)]
    public static partial int dup3(int oldfd, int newfd, int flags);

    /// <param name="pipefd">Two descriptors: the reading end, the writing end.</param>
    [LibraryImport(C, SetLastError = true)]
    public static partial int pipe2(int* pipefd, int flags);

    /// <summary>close_range(2), Linux 5.9; ENOSYS before.</summary>
    public static int close_range(uint first, uint last, int flags) =>
        (int)syscall_errno(SYS_close_range, (nint)first, (nint)last, flags, 0, 0, 0);

    public static int pivot_root(string new_root, string put_old) => (int)syscall_two_paths(SYS_pivot_root, new_root, put_old);

    [LibraryImport(C, EntryPoint = "syscall", SetLastError = true, StringMarshallingCustomType = typeof(CString))]
    private static partial nint syscall_two_paths(nint number, string first, string second);

    [LibraryImport(C, SetLastError = true, StringMarshallingCustomType = typeof(CString))]
    public static partial int chroot(string path);

    [LibraryImport(C, SetLastError = true, StringMarshallingCustomType = typeof(CString))]
    public static partial int chdir(string path);

    [LibraryImport(C, SetLastError = true)]
    public static partial int fchdir(int fd);

    [LibraryImport(C, SetLastError = true, StringMarshallingCustomType = typeof(CString))]
    public static partial int faccessat(int dirfd, string pathname, int mode, int flags);

    [LibraryImport(C, SetLastError = true)]
    public static partial int sethostname(byte* name, nuint len);

    [LibraryImport(C, SetLastError = true)]
    public static partial int setdomainname(byte* name, nuint len);

    /// <summary>Returns in the child only when it failed, with -1. The arrays end with a null pointer.</summary>
    [LibraryImport(C, SetLastError = true)]
    public static partial int execve(byte* pathname, byte** argv, byte** envp);

    [LibraryImport(C)]
    public static partial void _exit(int status);

    [LibraryImport(C)]
    public static partial int getpid();

    [LibraryImport(C)]
    public static partial int getppid();

    public static int gettid() => (int)syscall_errno(SYS_gettid, 0, 0, 0, 0, 0, 0);

    [LibraryImport(C)]
    public static partial uint getuid();

    [LibraryImport(C)]
    public static partial uint geteuid();

    [LibraryImport(C)]
    public static partial uint getgid();

    [LibraryImport(C)]
    public static partial uint getegid();

    /// <summary>Changes every thread of the process: libc tells the others by signal.</summary>
    [LibraryImport(C, SetLastError = true)]
    public static partial int setresuid(uint ruid, uint euid, uint suid);

    /// <inheritdoc cref="setresuid"/>
    [LibraryImport(C, SetLastError = true)]
    public static partial int setresgid(uint rgid, uint egid, uint sgid);

    /// <inheritdoc cref="setresuid"/>
    [LibraryImport(C, SetLastError = true)]
    public static partial int setgroups(nuint size, uint* list);

    [LibraryImport(C, SetLastError = true)]
    public static partial int getgroups(int size, uint* list);

    [LibraryImport(C, SetLastError = true)]
    public static partial int setsid();

    [LibraryImport(C, SetLastError = true)]
    public static partial int setpgid(int pid, int pgid);

    [LibraryImport(C, SetLastError = true)]
    public static partial int getpgid(int pid);

    [LibraryImport(C, SetLastError = true)]
    public static partial int getsid(int pid);

    [LibraryImport(C, SetLastError = true)]
    public static partial long sysconf(int name);

    [LibraryImport(C)]
    public static partial int isatty(int fd);
}

/// <summary>One piece of a scattered buffer: writev(2), sendmsg(2).</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct iovec
{
    public void* iov_base;
    public nuint iov_len;
}
