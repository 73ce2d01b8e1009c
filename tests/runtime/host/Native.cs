using System.Runtime.InteropServices;

namespace Containers.Tests.Runtime;

/// <summary>
/// The few system calls that the tests make themselves. They are declared apart from the product's own, so that a wrong
/// constant there cannot hide itself here.
/// </summary>
static partial class Native
{
    public const int O_RDONLY = 0, O_WRONLY = 1, O_RDWR = 2, O_CREAT = 0x40, O_NOCTTY = 0x100, O_APPEND = 0x400, O_CLOEXEC = 0x80000;
    public const int SIGKILL = 9, SIGTERM = 15, SIGSTOP = 19, SIGWINCH = 28;
    public const int EINTR = 4, ESRCH = 3;
    public const short POLLIN = 1;

    [StructLayout(LayoutKind.Sequential)]
    public struct PollFd
    {
        public int Fd;
        public short Events;
        public short Revents;
    }

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int open(string path, int flags, int mode);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int close(int fd);

    [LibraryImport("libc", SetLastError = true)]
    public static partial nint read(int fd, Span<byte> buffer, nint count);

    [LibraryImport("libc", SetLastError = true)]
    public static partial nint write(int fd, ReadOnlySpan<byte> buffer, nint count);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int pipe2(Span<int> ends, int flags);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int poll(Span<PollFd> fds, nuint count, int timeoutMs);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int ioctl(int fd, nuint request, Span<byte> argument);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int ioctl(int fd, nuint request, nint argument);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int waitpid(int pid, out int status, int options);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int kill(int pid, int signal);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int pidfd_open(int pid, uint flags);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int link(string from, string to);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int lchown(string path, uint uid, uint gid);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int mkfifo(string path, uint mode);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int mount(string source, string target, string? type, ulong flags, string? data);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int umount2(string target, int flags);

    [LibraryImport("libc")]
    public static partial uint geteuid();

    [LibraryImport("libc", SetLastError = true)]
    public static partial int flock(int fd, int operation);

    [LibraryImport("libc", SetLastError = true)]
    public static partial nint recvmsg(int socket, ref MsgHdr message, int flags);

    [StructLayout(LayoutKind.Sequential)]
    public struct IoVec
    {
        public nint Base;
        public nuint Length;
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct MsgHdr
    {
        public nint Name;
        public uint NameLength;
        public nint Iov;
        public nuint IovLength;
        public nint Control;
        public nuint ControlLength;
        public int Flags;
    }

    [LibraryImport("libc")]
    public static partial int posix_spawn_file_actions_init(nint actions);

    [LibraryImport("libc")]
    public static partial int posix_spawn_file_actions_destroy(nint actions);

    [LibraryImport("libc")]
    public static partial int posix_spawn_file_actions_adddup2(nint actions, int from, int to);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int posix_spawn_file_actions_addchdir_np(nint actions, string path);

    [LibraryImport("libc")]
    public static partial int posix_spawnattr_init(nint attributes);

    [LibraryImport("libc")]
    public static partial int posix_spawnattr_destroy(nint attributes);

    [LibraryImport("libc")]
    public static partial int posix_spawnattr_setflags(nint attributes, short flags);

    [LibraryImport("libc")]
    public static partial int posix_spawnattr_setsigmask(nint attributes, Span<byte> set);

    [LibraryImport("libc")]
    public static partial int posix_spawnattr_setsigdefault(nint attributes, Span<byte> set);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int posix_spawn(out int pid, string path, nint actions, nint attributes,
        string?[] arguments, string?[] environment);

    /// <summary>Waits until <paramref name="fd"/> can be read (a pidfd: until the process has ended).</summary>
    /// <returns>false when the time was over first.</returns>
    public static bool WaitReadable(int fd, TimeSpan timeout)
    {
        var until = Environment.TickCount64 + (long)timeout.TotalMilliseconds;
        while (true)
        {
            var left = Math.Max(0, until - Environment.TickCount64);
            Span<PollFd> fds = [new PollFd { Fd = fd, Events = POLLIN }];
            var ready = poll(fds, 1, (int)left);
            if (ready > 0)
                return true;
            if (ready == 0)
                return false;
            if (Marshal.GetLastPInvokeError() != EINTR)
                throw Failure("poll");
        }
    }

    /// <summary>Waits until a process that need not be our child has ended. A pid that is free already counts as ended.</summary>
    public static bool WaitForEnd(int pid, TimeSpan timeout)
    {
        var fd = pidfd_open(pid, 0);
        if (fd < 0)
            return Marshal.GetLastPInvokeError() == ESRCH ? true : throw Failure("pidfd_open");
        try
        {
            return WaitReadable(fd, timeout);
        }
        finally
        {
            close(fd);
        }
    }

    public static InvalidOperationException Failure(string call)
    {
        var errno = Marshal.GetLastPInvokeError();
        return new InvalidOperationException($"{call}: {Marshal.GetPInvokeErrorMessage(errno)} ({errno})");
    }
}
