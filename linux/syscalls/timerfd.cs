using System.Runtime.InteropServices;

namespace Containers.Linux;

/// <summary>&lt;sys/timerfd.h&gt;, &lt;time.h&gt;.</summary>
public static unsafe partial class Libc
{
    public const int CLOCK_REALTIME = 0;
    public const int CLOCK_MONOTONIC = 1;
    public const int CLOCK_BOOTTIME = 7;
    public const int TFD_CLOEXEC = 0x80000;
    public const int TFD_NONBLOCK = 0x800;
    public const int TFD_TIMER_ABSTIME = 0x1;
    public const int TFD_TIMER_CANCEL_ON_SET = 0x2;

    [LibraryImport(C, SetLastError = true)]
    public static partial int timerfd_create(int clockid, int flags);

    [LibraryImport(C, SetLastError = true)]
    public static partial int timerfd_settime(int fd, int flags, itimerspec* new_value, itimerspec* old_value);

    [LibraryImport(C, SetLastError = true)]
    public static partial int clock_gettime(int clockid, timespec* tp);
}

[StructLayout(LayoutKind.Sequential)]
public struct timespec
{
    public long tv_sec;
    public long tv_nsec;
}

/// <summary>timerfd_settime(2): an <c>it_value</c> of zero disarms.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct itimerspec
{
    public timespec it_interval;
    public timespec it_value;
}
