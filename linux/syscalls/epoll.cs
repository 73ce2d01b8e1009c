using System.Runtime.InteropServices;

namespace Containers.Linux;

/// <summary>&lt;sys/epoll.h&gt;.</summary>
public static unsafe partial class Libc
{
    public const int EPOLL_CLOEXEC = 0x80000;
    public const int EPOLL_CTL_ADD = 1;
    public const int EPOLL_CTL_DEL = 2;
    public const int EPOLL_CTL_MOD = 3;
    public const int EPOLLIN = 0x1;
    public const int EPOLLPRI = 0x2;
    public const int EPOLLOUT = 0x4;
    public const int EPOLLERR = 0x8;
    public const int EPOLLHUP = 0x10;
    public const int EPOLLRDHUP = 0x2000;
    public const int EPOLLEXCLUSIVE = 0x10000000;
    public const int EPOLLONESHOT = 0x40000000;
    public const uint EPOLLET = 0x80000000;

    [LibraryImport(C, SetLastError = true)]
    public static partial int epoll_create1(int flags);

    public static int epoll_ctl(int epfd, int op, int fd, uint events, ulong data)
    {
        // struct epoll_event is packed on x86-64 alone.
        if (IsX64)
        {
            epoll_event e = new() { events = events, data = data };
            return epoll_ctl(epfd, op, fd, &e);
        }
        epoll_event_aligned a = new() { events = events, data = data };
        return epoll_ctl(epfd, op, fd, &a);
    }

    /// <param name="events">At least one; at most 256 are filled by one call.</param>
    /// <param name="timeout">Milliseconds; -1: for ever.</param>
    /// <returns>How many were filled, or -1.</returns>
    public static int epoll_wait(int epfd, Span<epoll_event> events, int timeout)
    {
        int count = Math.Min(events.Length, 256);
        if (IsX64)
            fixed (epoll_event* e = events)
                return epoll_wait(epfd, e, count, timeout);
        epoll_event_aligned* aligned = stackalloc epoll_event_aligned[count];
        int filled = epoll_wait(epfd, aligned, count, timeout);
        for (int i = 0; i < filled; i++)
            events[i] = new() { events = aligned[i].events, data = aligned[i].data };
        return filled;
    }

    [LibraryImport(C, SetLastError = true)]
    private static partial int epoll_ctl(int epfd, int op, int fd, void* e);

    [LibraryImport(C, SetLastError = true)]
    private static partial int epoll_wait(int epfd, void* events, int maxevents, int timeout);
}

/// <summary>One event. The layout is x86-64's; <see cref="Libc.epoll_wait(int, Span{epoll_event}, int)"/> turns the other machines' into it.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct epoll_event
{
    public uint events;
    public ulong data;
}

[StructLayout(LayoutKind.Sequential)]
struct epoll_event_aligned
{
    public uint events;
    public ulong data;
}
