using System.Runtime.InteropServices;

namespace Containers.Linux;

/// <summary>&lt;sys/socket.h&gt;, &lt;sys/un.h&gt;.</summary>
public static unsafe partial class Libc
{
    public const int AF_UNIX = 1;
    public const int AF_INET = 2;
    public const int AF_INET6 = 10;
    public const int AF_NETLINK = 16;
    public const int SOCK_STREAM = 1;
    public const int SOCK_DGRAM = 2;
    public const int SOCK_RAW = 3;
    public const int SOCK_SEQPACKET = 5;
    public const int SOCK_CLOEXEC = 0x80000;
    public const int SOCK_NONBLOCK = 0x800;
    public const int SOL_SOCKET = 1;
    public const int SO_REUSEADDR = 2;
    public const int SO_TYPE = 3;
    public const int SO_ERROR = 4;
    public const int SO_SNDBUF = 7;
    public const int SO_RCVBUF = 8;
    /// <summary>struct linger: two ints, whether close(2) waits for what is unsent, and for how many seconds.</summary>
    public const int SO_LINGER = 13;
    public const int SO_PASSCRED = 16;
    public const int SO_PEERCRED = 17;
    public const int SO_ACCEPTCONN = 30;
    public const int SO_PEERSEC = 31;
    public const int SO_DOMAIN = 39;
    public const int SO_PEERGROUPS = 59;
    public const int SCM_RIGHTS = 0x1;
    public const int SCM_CREDENTIALS = 0x2;
    public const int MSG_PEEK = 0x2;
    public const int MSG_CTRUNC = 0x8;
    public const int MSG_TRUNC = 0x20;
    public const int MSG_DONTWAIT = 0x40;
    public const int MSG_WAITALL = 0x100;
    public const int MSG_NOSIGNAL = 0x4000;
    public const int MSG_CMSG_CLOEXEC = 0x40000000;
    public const int SHUT_RD = 0;
    public const int SHUT_WR = 1;
    public const int SHUT_RDWR = 2;
    public const int SOMAXCONN = 4096;

    [LibraryImport(C, SetLastError = true)]
    public static partial int socket(int domain, int type, int protocol);

    /// <param name="sv">Two descriptors.</param>
    [LibraryImport(C, SetLastError = true)]
    public static partial int socketpair(int domain, int type, int protocol, int* sv);

    [LibraryImport(C, SetLastError = true)]
    public static partial int bind(int sockfd, sockaddr_un* addr, uint addrlen);

    [LibraryImport(C, SetLastError = true)]
    public static partial int listen(int sockfd, int backlog);

    [LibraryImport(C, SetLastError = true)]
    public static partial int accept4(int sockfd, sockaddr_un* addr, uint* addrlen, int flags);

    [LibraryImport(C, SetLastError = true)]
    public static partial int connect(int sockfd, sockaddr_un* addr, uint addrlen);

    [LibraryImport(C, SetLastError = true)]
    public static partial int shutdown(int sockfd, int how);

    [LibraryImport(C, SetLastError = true)]
    public static partial nint send(int sockfd, void* buf, nuint len, int flags);

    [LibraryImport(C, SetLastError = true)]
    public static partial nint recv(int sockfd, void* buf, nuint len, int flags);

    [LibraryImport(C, SetLastError = true)]
    public static partial nint sendmsg(int sockfd, msghdr* msg, int flags);

    [LibraryImport(C, SetLastError = true)]
    public static partial nint recvmsg(int sockfd, msghdr* msg, int flags);

    [LibraryImport(C, SetLastError = true)]
    public static partial int getsockopt(int sockfd, int level, int optname, void* optval, uint* optlen);

    [LibraryImport(C, SetLastError = true)]
    public static partial int setsockopt(int sockfd, int level, int optname, void* optval, uint optlen);
}

/// <summary>Address of a Unix socket.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct sockaddr_un
{
    /// <summary>With the zero at its end.</summary>
    public const int PathSize = 108;

    public ushort sun_family;
    public fixed byte sun_path[PathSize];

    /// <summary>For a path in the file system.</summary>
    /// <returns>False when the path is empty, has a NUL inside, or is longer than 107 bytes: go through /proc/self/fd/N/name then.</returns>
    public static bool TryMake(ReadOnlySpan<byte> path, out sockaddr_un address)
    {
        address = default;
        address.sun_family = Libc.AF_UNIX;
        if (path.IsEmpty || path.Length >= PathSize || path.Contains((byte)0))
            return false;
        fixed (byte* to = address.sun_path)
            path.CopyTo(new Span<byte>(to, PathSize));
        return true;
    }
}

/// <summary>sendmsg(2), recvmsg(2).</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct msghdr
{
    public void* msg_name;
    public uint msg_namelen;
    public iovec* msg_iov;
    public nuint msg_iovlen;
    public void* msg_control;
    public nuint msg_controllen;
    public int msg_flags;
}

/// <summary>Head of a control message, cmsg(3): the payload follows, and the next head after padding to 8 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct cmsghdr
{
    public nuint cmsg_len;
    public int cmsg_level;
    public int cmsg_type;
}

/// <summary>SO_PEERCRED, SCM_CREDENTIALS: who is at the other end.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct ucred
{
    public int pid;
    public uint uid;
    public uint gid;
}

/// <summary>Descriptors sent over a Unix socket, unix(7).</summary>
public static unsafe class DescriptorMessage
{
    const int MostDescriptors = 16;

    /// <summary>Sends <paramref name="payload"/>, at least one byte, with up to 16 descriptors. SIGPIPE is not raised.</summary>
    /// <returns>Bytes sent, or -1 with errno.</returns>
    public static nint Send(int socket, ReadOnlySpan<byte> payload, ReadOnlySpan<int> descriptors, int flags = 0)
    {
        ArgumentOutOfRangeException.ThrowIfZero(payload.Length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(descriptors.Length, MostDescriptors);
        nint* control = stackalloc nint[(sizeof(cmsghdr) + MostDescriptors * sizeof(int)) / sizeof(nint)];
        int length = sizeof(cmsghdr) + descriptors.Length * sizeof(int);
        fixed (byte* data = payload)
        {
            iovec part = new() { iov_base = data, iov_len = (nuint)payload.Length };
            msghdr message = new() { msg_iov = &part, msg_iovlen = 1 };
            if (descriptors.Length > 0)
            {
                var head = (cmsghdr*)control;
                head->cmsg_len = (nuint)length;
                head->cmsg_level = Libc.SOL_SOCKET;
                head->cmsg_type = Libc.SCM_RIGHTS;
                descriptors.CopyTo(new Span<int>(head + 1, MostDescriptors));
                message.msg_control = control;
                message.msg_controllen = (nuint)((length + sizeof(nint) - 1) & ~(sizeof(nint) - 1));
            }
            return Libc.sendmsg(socket, &message, flags | Libc.MSG_NOSIGNAL);
        }
    }

    /// <summary>Receives bytes and the descriptors that came with them, close-on-exec. What does not fit into <paramref name="descriptors"/> is closed.</summary>
    /// <returns>Bytes received, 0 at the end, or -1 with errno.</returns>
    public static nint Receive(int socket, Span<byte> payload, Span<int> descriptors, out int received, int flags = 0)
    {
        received = 0;
        nint* control = stackalloc nint[(sizeof(cmsghdr) + MostDescriptors * sizeof(int)) / sizeof(nint)];
        fixed (byte* data = payload)
        {
            iovec part = new() { iov_base = data, iov_len = (nuint)payload.Length };
            msghdr message = new()
            {
                msg_iov = &part,
                msg_iovlen = 1,
                msg_control = control,
                msg_controllen = (nuint)(sizeof(cmsghdr) + MostDescriptors * sizeof(int)),
            };
            nint bytes = Libc.recvmsg(socket, &message, flags | Libc.MSG_CMSG_CLOEXEC);
            if (bytes < 0 || message.msg_controllen < (nuint)sizeof(cmsghdr))
                return bytes;
            // The kernel puts all descriptors of one message into one control message.
            var head = (cmsghdr*)control;
            if (head->cmsg_level != Libc.SOL_SOCKET || head->cmsg_type != Libc.SCM_RIGHTS)
                return bytes;
            int count = (int)((head->cmsg_len - (nuint)sizeof(cmsghdr)) / sizeof(int));
            int* sent = (int*)(head + 1);
            for (int i = 0; i < count; i++)
                if (received < descriptors.Length)
                    descriptors[received++] = sent[i];
                else
                    Libc.close(sent[i]);
            return bytes;
        }
    }
}
