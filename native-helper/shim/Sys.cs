using System.Runtime.InteropServices;
using System.Text;
using Containers.Linux;

namespace Psrun.Shim;

/// <summary>
/// The calls that the shim makes, each answering a value ≥ 0 or the negative errno: in the loop an errno is a case to handle, not an exception.
/// Descriptors are close-on-exec and, where they last, above the numbers that a spawned program's own get.
/// </summary>
static unsafe partial class Sys
{
    public static string Words(int errno) => Marshal.GetPInvokeErrorMessage(errno);

    static long Result(long value) => value < 0 ? -Libc.errno : value;

    public static int Open(string path, int flags, uint mode = 0) => (int)Result(Libc.open(path, flags | Libc.O_CLOEXEC, mode));
    public static void Close(int fd) { if (fd >= 0) Libc.close(fd); }
    public static long Write(int fd, byte* buffer, long count) => Result(Libc.write(fd, buffer, (nuint)count));
    public static long Read(int fd, byte* buffer, long count) => Result(Libc.read(fd, buffer, (nuint)count));
    public static long Send(int fd, byte* buffer, long count) => Result(Libc.send(fd, buffer, (nuint)count, Libc.MSG_NOSIGNAL | Libc.MSG_DONTWAIT));
    public static int Truncate(int fd, long length) => (int)Result(Libc.ftruncate(fd, length));
    public static long SeekEnd(int fd) => Result(Libc.lseek(fd, 0, Libc.SEEK_END));
    public static long SeekStart(int fd) => Result(Libc.lseek(fd, 0, Libc.SEEK_SET));
    public static int MakeDirectory(string path, uint mode) => (int)Result(Libc.mkdir(path, mode));
    public static int RemoveDirectory(string path) => (int)Result(Libc.unlinkat(Libc.AT_FDCWD, path, Libc.AT_REMOVEDIR));
    public static int Unlink(string path) => (int)Result(Libc.unlink(path));
    public static int Rename(string from, string to) => (int)Result(Libc.rename(from, to));
    public static int ChangeDirectory(string path) => (int)Result(Libc.chdir(path));
    public static int Kill(int pid, int signal) => (int)Result(Libc.kill(pid, signal));
    public static int Memfd(string name) => (int)Result(Libc.memfd_create(name, Libc.MFD_CLOEXEC));
    public static int Duplicate(int fd, int from) => (int)Result(Libc.fcntl(fd, Libc.F_DUPFD_CLOEXEC, from));

    public static bool IsRegularFile(int fd) =>
        Libc.statx(fd, Libc.STATX_TYPE, out statx s) == 0 && (s.stx_mode & Libc.S_IFMT) == Libc.S_IFREG;

    public static void SetNonBlocking(int fd, bool on)
    {
        int flags = Libc.fcntl(fd, Libc.F_GETFL);
        Libc.fcntl(fd, Libc.F_SETFL, on ? flags | Libc.O_NONBLOCK : flags & ~Libc.O_NONBLOCK);
    }

    public static (int Read, int Write) Pipe()
    {
        int* ends = stackalloc int[2];
        long r = Result(Libc.pipe2(ends, Libc.O_CLOEXEC));
        if (r < 0) throw ShimException.Of("ShimFailed", "pipe2", r);
        return (Above(ends[0]), Above(ends[1]));
    }

    public static int EnlargePipe(int fd, int bytes) => (int)Result(Libc.fcntl(fd, Libc.F_SETPIPE_SZ, bytes));

    /// <summary>Whether nobody has the other end of a pipe open any more.</summary>
    public static bool HungUp(int fd)
    {
        pollfd other = new() { fd = fd };
        return Libc.poll(&other, 1, 0) > 0 && (other.revents & (Libc.POLLERR | Libc.POLLHUP)) != 0;
    }

    /// <summary>The same open file under a number that <see cref="Spawn"/> may be given. Passes an error on.</summary>
    public static int Above(int fd)
    {
        if (fd >= Spawn.FirstFreeDescriptor || fd < 0) return fd;
        int moved = Duplicate(fd, Spawn.FirstFreeDescriptor);
        Close(fd);
        return moved;
    }

    /// <summary>waitpid(2). Sets <paramref name="pid"/> to the child that ended, to 0 when none has, below 0 when there is none.</summary>
    /// <returns>The raw wait status.</returns>
    public static int Wait(ref int pid, int options)
    {
        int status = 0;
        long r;
        do r = Result(Libc.waitpid(pid, &status, options)); while (r == -Libc.EINTR);
        pid = (int)r;
        return status;
    }

    public static int Listen(string path, int backlog) => Socket(path, Libc.SOCK_NONBLOCK, (fd, address) =>
    {
        // The socket's mode is what the umask leaves of 0777.
        uint before = Libc.umask(0x7F);
        int r = Libc.bind(fd, &address, (uint)sizeof(sockaddr_un));
        int error = Libc.errno;
        Libc.umask(before);
        return r < 0 ? -error : Result(Libc.listen(fd, backlog));
    });

    public static int ConnectDatagram(string path) => Socket(path, Libc.SOCK_NONBLOCK, (fd, address) => Result(Libc.connect(fd, &address, (uint)sizeof(sockaddr_un))), Libc.SOCK_DGRAM);

    /// <summary>An empty message that carries one descriptor.</summary>
    public static int SendDescriptor(int fd, int descriptor)
    {
        nint* control = stackalloc nint[(sizeof(cmsghdr) + sizeof(nint)) / sizeof(nint)];
        var head = (cmsghdr*)control;
        head->cmsg_len = (nuint)(sizeof(cmsghdr) + sizeof(int));
        head->cmsg_level = Libc.SOL_SOCKET;
        head->cmsg_type = Libc.SCM_RIGHTS;
        *(int*)(head + 1) = descriptor;
        msghdr message = new() { msg_control = control, msg_controllen = (nuint)(sizeof(cmsghdr) + sizeof(nint)) };
        return (int)Result(Libc.sendmsg(fd, &message, Libc.MSG_NOSIGNAL | Libc.MSG_DONTWAIT));
    }

    /// <summary>A memory file that nobody can change any more.</summary>
    public static int SealedFile(string name, byte[] content)
    {
        int fd = Above((int)Result(Libc.memfd_create(name, Libc.MFD_CLOEXEC | Libc.MFD_ALLOW_SEALING)));
        if (fd < 0) return fd;
        Files.WriteAll(fd, content);
        if (Libc.fcntl(fd, Libc.F_ADD_SEALS, Libc.F_SEAL_SEAL | Libc.F_SEAL_SHRINK | Libc.F_SEAL_GROW | Libc.F_SEAL_WRITE) == 0 && SeekEnd(fd) == content.Length) return fd;
        Close(fd);
        return -Libc.ENOSPC;
    }

    public static int Connect(string path) => Socket(path, 0, (fd, address) => Result(Libc.connect(fd, &address, (uint)sizeof(sockaddr_un))));

    static int Socket(string path, int flags, Func<int, sockaddr_un, long> use, int type = Libc.SOCK_STREAM)
    {
        if (!sockaddr_un.TryMake(Encoding.UTF8.GetBytes(path), out sockaddr_un address)) return -Libc.ENAMETOOLONG;
        int fd = (int)Result(Libc.socket(Libc.AF_UNIX, type | Libc.SOCK_CLOEXEC | flags, 0));
        if (fd < 0) return fd;
        long r = use(fd, address);
        if (r >= 0) return fd;
        Close(fd);
        return (int)r;
    }

    public static int Accept(int fd) => (int)Result(Libc.accept4(fd, null, null, Libc.SOCK_NONBLOCK | Libc.SOCK_CLOEXEC));

    public static uint PeerUser(int fd)
    {
        ucred peer;
        uint length = (uint)sizeof(ucred);
        return Libc.getsockopt(fd, Libc.SOL_SOCKET, Libc.SO_PEERCRED, &peer, &length) == 0 ? peer.uid : uint.MaxValue;
    }

    /// <summary>Receives one message and the one descriptor in it; -EINVAL when there is none or more than one.</summary>
    public static int ReceiveDescriptor(int fd)
    {
        Span<byte> data = stackalloc byte[256];
        Span<int> descriptors = stackalloc int[2];
        long r = Result(DescriptorMessage.Receive(fd, data, descriptors, out int received));
        if (r < 0) return (int)r;
        if (received == 1) return descriptors[0];
        for (int i = 0; i < received; i++) Close(descriptors[i]);
        return -Libc.EINVAL;
    }

    public static int TerminalSize(int fd, ushort width, ushort height)
    {
        winsize size = new() { ws_row = height, ws_col = width };
        return (int)Result(Libc.ioctl(fd, Libc.TIOCSWINSZ, &size));
    }

    /// <summary>The end-of-file character of a terminal in canonical mode, or -1.</summary>
    public static int EndOfFileCharacter(int fd)
    {
        termios t;
        return Libc.tcgetattr(fd, &t) == 0 && (t.c_lflag & Libc.ICANON) != 0 ? t.c_cc[Libc.VEOF] : -1;
    }

    public static int Mount(string? source, string target, string? type, ulong flags, string? data) => (int)Result(Libc.mount(source, target, type, flags, data));

    /// <summary>Zeroed memory of its own, given back page by page with <see cref="GiveBack"/>.</summary>
    public static byte* Map(int length)
    {
        const int ProtReadWrite = 3, MapPrivateAnonymous = 0x22;
        byte* p = mmap(null, (nuint)length, ProtReadWrite, MapPrivateAnonymous, -1, 0);
        return p != (byte*)-1 ? p : throw ShimException.Of("ShimFailed", "mmap", -Marshal.GetLastPInvokeError());
    }

    public static void GiveBack(byte* address, int length) => Libc.madvise(address, (nuint)length, Libc.MADV_DONTNEED);

    /// <summary>Gives what the C heap has free back to the kernel.</summary>
    public static void Trim() => malloc_trim(0);

    [LibraryImport("libc", SetLastError = true)]
    private static partial byte* mmap(byte* addr, nuint length, int prot, int flags, int fd, long offset);
    [LibraryImport("libc")]
    private static partial int malloc_trim(nuint pad);
}
