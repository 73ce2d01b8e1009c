using System.Runtime.InteropServices;

namespace Psrun.Shim;

/// <summary>The C library's calls that the shim makes. All answer a value ≥ 0, or the negative errno.</summary>
static unsafe partial class Sys
{
    public const int EPERM = 1, ENOENT = 2, ESRCH = 3, EINTR = 4, EIO = 5, ECHILD = 10, EAGAIN = 11, EBUSY = 16, EEXIST = 17,
        ENOTDIR = 20, EINVAL = 22, ENOSPC = 28, EPIPE = 32, ENOTEMPTY = 39, EADDRINUSE = 98, ECONNREFUSED = 111;

    public const int O_RDONLY = 0, O_WRONLY = 1, O_RDWR = 2, O_CREAT = 0x40, O_EXCL = 0x80, O_NOCTTY = 0x100, O_TRUNC = 0x200,
        O_APPEND = 0x400, O_NONBLOCK = 0x800, O_CLOEXEC = 0x80000;

    // These two differ between x86-64 and arm64 (asm/fcntl.h).
    public static int O_DIRECTORY => Arm ? 0x4000 : 0x10000;
    public static int O_NOFOLLOW => Arm ? 0x8000 : 0x20000;

    public static bool Arm => RuntimeInformation.ProcessArchitecture == Architecture.Arm64;

    public const int F_DUPFD_CLOEXEC = 1030, F_GETFL = 3, F_SETFL = 4;
    public const int EPOLL_CTL_ADD = 1, EPOLL_CTL_DEL = 2, EPOLL_CTL_MOD = 3;
    public const uint EPOLLIN = 1, EPOLLOUT = 4, EPOLLERR = 8, EPOLLHUP = 16;
    public const int SIGHUP = 1, SIGINT = 2, SIGQUIT = 3, SIGKILL = 9, SIGUSR1 = 10, SIGUSR2 = 12, SIGPIPE = 13, SIGALRM = 14, SIGTERM = 15,
        SIGCHLD = 17, SIGTSTP = 20, SIGTTIN = 21, SIGTTOU = 22;
    public const int WNOHANG = 1, WALL = 0x40000000;
    public const int SIG_BLOCK = 0, SIG_SETMASK = 2;
    public const int AF_UNIX = 1, SOCK_STREAM = 1, SOCK_NONBLOCK = 0x800, SOCK_CLOEXEC = 0x80000, SOL_SOCKET = 1, SO_PEERCRED = 17, SCM_RIGHTS = 1;
    public const int MSG_NOSIGNAL = 0x4000, MSG_DONTWAIT = 0x40, MSG_CMSG_CLOEXEC = 0x40000000;
    public const int PR_SET_CHILD_SUBREAPER = 36, PR_SET_DUMPABLE = 4;
    public const int TCGETS = 0x5401, TIOCSWINSZ = 0x5414;
    public const int PROT_READ = 1, PROT_WRITE = 2, MAP_PRIVATE = 2, MAP_ANONYMOUS = 0x20, MADV_DONTNEED = 4;
    public const uint MFD_CLOEXEC = 1;
    public const ulong MS_RDONLY = 1, MS_NOSUID = 2, MS_NODEV = 4, MS_NOEXEC = 8, MS_SYNCHRONOUS = 16, MS_REMOUNT = 32, MS_DIRSYNC = 128,
        MS_NOSYMFOLLOW = 256, MS_NOATIME = 1024, MS_NODIRATIME = 2048, MS_BIND = 4096, MS_REC = 16384, MS_PRIVATE = 1 << 18,
        MS_SLAVE = 1 << 19, MS_RELATIME = 1 << 21, MS_STRICTATIME = 1 << 24;
    public const int CLONE_NEWNS = 0x20000;
    public const int LOCK_EX = 2, LOCK_NB = 4;

    public static string Words(int errno) => Marshal.GetPInvokeErrorMessage(errno);

    static long Result(long value) => value < 0 ? -Marshal.GetLastPInvokeError() : value;

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags, uint mode);
    [LibraryImport("libc", SetLastError = true)] private static partial int close(int fd);
    [LibraryImport("libc", SetLastError = true)] private static partial nint read(int fd, byte* buffer, nint count);
    [LibraryImport("libc", SetLastError = true)] private static partial nint write(int fd, byte* buffer, nint count);
    [LibraryImport("libc", SetLastError = true)] private static partial int pipe2(int* ends, int flags);
    [LibraryImport("libc", SetLastError = true)] private static partial int fcntl(int fd, int command, nint argument);
    [LibraryImport("libc", SetLastError = true)] private static partial int fsync(int fd);
    [LibraryImport("libc", SetLastError = true)] private static partial int ftruncate(int fd, long length);
    [LibraryImport("libc", SetLastError = true)] private static partial long lseek(int fd, long offset, int whence);
    [LibraryImport("libc", SetLastError = true)] private static partial int flock(int fd, int operation);
    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)] private static partial int mkdir(string path, uint mode);
    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)] private static partial int rmdir(string path);
    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)] private static partial int unlink(string path);
    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)] private static partial int rename(string from, string to);
    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)] private static partial int chdir(string path);
    [LibraryImport("libc")] private static partial uint umask(uint mask);
    [LibraryImport("libc")] private static partial uint geteuid();
    [LibraryImport("libc", SetLastError = true)] private static partial int epoll_create1(int flags);
    [LibraryImport("libc", SetLastError = true)] private static partial int epoll_ctl(int epoll, int operation, int fd, byte* entry);
    [LibraryImport("libc", SetLastError = true)] private static partial int epoll_wait(int epoll, byte* entries, int count, int milliseconds);
    [LibraryImport("libc", SetLastError = true)] private static partial int signalfd(int fd, ulong* mask, int flags);
    [LibraryImport("libc", SetLastError = true)] private static partial int waitpid(int pid, int* status, int options);
    [LibraryImport("libc", SetLastError = true)] private static partial int kill(int pid, int signal);
    [LibraryImport("libc", SetLastError = true)] private static partial int prctl(int option, nint a, nint b, nint c, nint d);
    [LibraryImport("libc", SetLastError = true)] private static partial int socket(int domain, int type, int protocol);
    [LibraryImport("libc", SetLastError = true)] private static partial int bind(int fd, byte* address, uint length);
    [LibraryImport("libc", SetLastError = true)] private static partial int connect(int fd, byte* address, uint length);
    [LibraryImport("libc", SetLastError = true)] private static partial int listen(int fd, int backlog);
    [LibraryImport("libc", SetLastError = true)] private static partial int accept4(int fd, byte* address, uint* length, int flags);
    [LibraryImport("libc", SetLastError = true)] private static partial nint send(int fd, byte* buffer, nint count, int flags);
    [LibraryImport("libc", SetLastError = true)] private static partial nint recvmsg(int fd, MsgHdr* message, int flags);
    [LibraryImport("libc", SetLastError = true)] private static partial int getsockopt(int fd, int level, int option, void* value, uint* length);
    [LibraryImport("libc", SetLastError = true)] private static partial int ioctl(int fd, nuint request, void* argument);
    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)] private static partial int memfd_create(string name, uint flags);
    [LibraryImport("libc", SetLastError = true)] private static partial byte* mmap(byte* address, nint length, int protection, int flags, int fd, long offset);
    [LibraryImport("libc", SetLastError = true)] private static partial int madvise(byte* address, nint length, int advice);
    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int mount(string? source, string target, string? type, ulong flags, byte* data);
    [LibraryImport("libc", SetLastError = true)] private static partial int ppoll(PollFd* entries, ulong count, TimeSpec* timeout, void* mask);
    [LibraryImport("libc")] private static partial int clock_gettime(int clock, TimeSpec* time);
    [LibraryImport("libc")] private static partial int malloc_trim(nuint pad);

    [StructLayout(LayoutKind.Sequential)] public struct TimeSpec { public long Seconds, Nanoseconds; }
    [StructLayout(LayoutKind.Sequential)] public struct PollFd { public int Fd; public short Events, Revents; }
    [StructLayout(LayoutKind.Sequential)] struct IoVec { public byte* Base; public nuint Length; }
    [StructLayout(LayoutKind.Sequential)] struct MsgHdr { public void* Name; public uint NameLength; public IoVec* Vector; public nuint VectorLength; public void* Control; public nuint ControlLength; public int Flags; }

    public static int Open(string path, int flags, uint mode = 0) => (int)Result(open(path, flags | O_CLOEXEC, mode));
    public static void Close(int fd) { if (fd >= 0) close(fd); }
    public static long Write(int fd, byte* buffer, long count) => Result(write(fd, buffer, (nint)count));
    public static long Read(int fd, byte* buffer, long count) => Result(read(fd, buffer, (nint)count));
    public static long Send(int fd, byte* buffer, long count) => Result(send(fd, buffer, (nint)count, MSG_NOSIGNAL | MSG_DONTWAIT));
    public static int Fsync(int fd) => (int)Result(fsync(fd));
    public static int Truncate(int fd, long length) => (int)Result(ftruncate(fd, length));
    public static long SeekEnd(int fd) => Result(lseek(fd, 0, 2));
    public static long SeekStart(int fd) => Result(lseek(fd, 0, 0));
    public static int Flock(int fd, int operation) => (int)Result(flock(fd, operation));
    public static int MakeDirectory(string path, uint mode) => (int)Result(mkdir(path, mode));
    public static int RemoveDirectory(string path) => (int)Result(rmdir(path));
    public static int Unlink(string path) => (int)Result(unlink(path));
    public static int Rename(string from, string to) => (int)Result(rename(from, to));
    public static int ChangeDirectory(string path) => (int)Result(chdir(path));
    public static uint Umask(uint mask) => umask(mask);
    public static uint EffectiveUser() => geteuid();
    public static int Kill(int pid, int signal) => (int)Result(kill(pid, signal));
    public static int Prctl(int option, nint value) => (int)Result(prctl(option, value, 0, 0, 0));
    public static int Memfd(string name) => (int)Result(memfd_create(name, MFD_CLOEXEC));
    public static int Duplicate(int fd, int from = 4) => (int)Result(fcntl(fd, F_DUPFD_CLOEXEC, from));
    public static int SetNonBlocking(int fd, bool on)
    {
        int flags = fcntl(fd, F_GETFL, 0);
        return (int)Result(fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK));
    }

    /// <summary>Both ends with close-on-exec and above the numbers that a spawned program's own descriptors get.</summary>
    public static (int Read, int Write) Pipe()
    {
        int* ends = stackalloc int[2];
        long r = Result(pipe2(ends, O_CLOEXEC));
        if (r < 0) throw ShimException.Of("ShimFailed", "pipe2", r);
        return (Above(ends[0]), Above(ends[1]));
    }

    public static int Above(int fd)
    {
        if (fd >= Spawn.FirstFreeDescriptor || fd < 0) return fd;
        int moved = Duplicate(fd, Spawn.FirstFreeDescriptor);
        Close(fd);
        return moved;
    }

    /// <summary>A raw wait status, or 0 with <paramref name="pid"/> 0 when no child has ended.</summary>
    public static int Wait(ref int pid, int options)
    {
        int status = 0;
        long r;
        do r = Result(waitpid(pid, &status, options)); while (r == -EINTR);
        pid = (int)r;
        return status;
    }

    public static int EpollCreate() => (int)Result(epoll_create1(O_CLOEXEC));
    // struct epoll_event is packed on x86-64 alone.
    static int EpollDataOffset => Arm ? 8 : 4;
    public static int EpollEntrySize => Arm ? 16 : 12;
    public static int EpollControl(int epoll, int operation, int fd, uint events, ulong data)
    {
        byte* entry = stackalloc byte[16];
        *(uint*)entry = events;
        *(ulong*)(entry + EpollDataOffset) = data;
        return (int)Result(epoll_ctl(epoll, operation, fd, entry));
    }
    public static int EpollWait(int epoll, byte* entries, int count, int milliseconds) => (int)Result(epoll_wait(epoll, entries, count, milliseconds));
    public static (uint Events, ulong Data) EpollEntry(byte* entries, int i)
    {
        byte* e = entries + i * EpollEntrySize;
        return (*(uint*)e, *(ulong*)(e + EpollDataOffset));
    }

    public static int SignalFd(ulong mask) { ulong* m = stackalloc ulong[16]; new Span<ulong>(m, 16).Clear(); *m = mask; return (int)Result(signalfd(-1, m, O_NONBLOCK | O_CLOEXEC)); }

    static uint Address(string path, byte* address)
    {
        var name = new Span<byte>(address + 2, 108);
        name.Clear();
        *(ushort*)address = AF_UNIX;
        if (System.Text.Encoding.UTF8.GetByteCount(path) > 107) throw new ShimException("ShimFailed", $"socket path too long: {path}");
        return (uint)(3 + System.Text.Encoding.UTF8.GetBytes(path, name));
    }

    public static int Listen(string path, int backlog)
    {
        int fd = (int)Result(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        if (fd < 0) return fd;
        byte* address = stackalloc byte[110];
        uint length = Address(path, address);
        long r = Result(bind(fd, address, length));
        if (r >= 0) r = Result(listen(fd, backlog));
        if (r < 0) { Close(fd); return (int)r; }
        return fd;
    }

    public static int Connect(string path)
    {
        int fd = (int)Result(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (fd < 0) return fd;
        byte* address = stackalloc byte[110];
        uint length = Address(path, address);
        long r = Result(connect(fd, address, length));
        if (r < 0) { Close(fd); return (int)r; }
        return fd;
    }

    public static int Accept(int fd) => (int)Result(accept4(fd, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC));

    public static uint PeerUser(int fd)
    {
        uint* credentials = stackalloc uint[3];
        uint length = 12;
        return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentials, &length) == 0 ? credentials[1] : uint.MaxValue;
    }

    /// <summary>Receives one message and the one descriptor in it. More than one are closed and refused with -EINVAL.</summary>
    public static int ReceiveDescriptor(int fd)
    {
        byte* data = stackalloc byte[256];
        byte* control = stackalloc byte[256];
        IoVec vector = new() { Base = data, Length = 256 };
        MsgHdr message = new() { Vector = &vector, VectorLength = 1, Control = control, ControlLength = 256 };
        long r = Result(recvmsg(fd, &message, MSG_CMSG_CLOEXEC));
        if (r < 0) return (int)r;
        if (message.ControlLength < 20 || *(int*)(control + 8) != SOL_SOCKET || *(int*)(control + 12) != SCM_RIGHTS) return -EINVAL;
        int count = (int)((*(nuint*)control - 16) / 4);
        int* received = (int*)(control + 16);
        if (count == 1) return received[0];
        for (int i = 0; i < count; i++) Close(received[i]);
        return -EINVAL;
    }

    public static int TerminalSize(int fd, ushort width, ushort height)
    {
        ushort* size = stackalloc ushort[] { height, width, 0, 0 };
        return (int)Result(ioctl(fd, TIOCSWINSZ, size));
    }

    /// <summary>The end-of-file character of a terminal in canonical mode, or -1. Struct termios: four flag words, c_line, c_cc with VEOF at 4.</summary>
    public static int EndOfFileCharacter(int fd)
    {
        uint* termios = stackalloc uint[16];
        if (ioctl(fd, TCGETS, termios) != 0 || (termios[3] & 2) == 0) return -1;
        return ((byte*)(termios + 4))[1 + 4];
    }

    public static byte* Map(int length)
    {
        byte* p = mmap(null, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == (byte*)-1) throw new ShimException("ShimFailed", "no memory");
        return p;
    }
    public static void GiveBack(byte* address, int length) => madvise(address, length, MADV_DONTNEED);
    public static void Trim() => malloc_trim(0);

    public static int Mount(string? source, string target, string? type, ulong flags, byte* data) => (int)Result(mount(source, target, type, flags, data));

    /// <summary>Wall-clock time with nanoseconds.</summary>
    public static TimeSpec Now()
    {
        TimeSpec t;
        clock_gettime(0, &t);
        return t;
    }
}
