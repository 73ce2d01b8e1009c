using System.Runtime.InteropServices;

namespace Containers.Linux;

/// <summary>&lt;poll.h&gt;.</summary>
public static unsafe partial class Libc
{
    public const short POLLIN = 0x1;
    public const short POLLPRI = 0x2;
    public const short POLLOUT = 0x4;
    public const short POLLERR = 0x8;
    public const short POLLHUP = 0x10;
    public const short POLLNVAL = 0x20;
    public const short POLLRDHUP = 0x2000;

    /// <param name="timeout">Milliseconds; -1: for ever.</param>
    [LibraryImport(C, SetLastError = true)]
    public static partial int poll(pollfd* fds, nuint nfds, int timeout);
}

[StructLayout(LayoutKind.Sequential)]
public struct pollfd
{
    public int fd;
    public short events;
    public short revents;
}
