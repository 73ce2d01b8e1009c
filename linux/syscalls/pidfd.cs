using Microsoft.Win32.SafeHandles;

namespace Containers.Linux;

/// <summary>&lt;sys/pidfd.h&gt;, &lt;linux/pidfd.h&gt;: pidfd_open(2), pidfd_send_signal(2), pidfd_getfd(2).</summary>
public static unsafe partial class Libc
{
    public const int PIDFD_NONBLOCK = 0x800;

    /// <summary>Linux 5.3. ESRCH when there is no such process, EINVAL when <paramref name="pid"/> is no thread group's leader.</summary>
    public static int pidfd_open(int pid, uint flags) => (int)syscall_errno(SYS_pidfd_open, pid, (nint)flags, 0, 0, 0, 0);

    /// <summary>Linux 5.1. ESRCH once the process was reaped or is a zombie's remainder.</summary>
    public static int pidfd_send_signal(int pidfd, int sig, siginfo_t* info, uint flags) =>
        (int)syscall_errno(SYS_pidfd_send_signal, pidfd, sig, (nint)info, (nint)flags, 0, 0);

    /// <summary>Linux 5.6. The new descriptor is close-on-exec.</summary>
    public static int pidfd_getfd(int pidfd, int targetfd, uint flags) =>
        (int)syscall_errno(SYS_pidfd_getfd, pidfd, targetfd, (nint)flags, 0, 0, 0);
}

/// <summary>A process held by a descriptor: it cannot be taken for another one that got its pid.</summary>
public static unsafe class PidFd
{
    /// <exception cref="LinuxException">ESRCH: no such process.</exception>
    public static SafeFileHandle Open(int pid) =>
        new(LinuxException.Check(Libc.pidfd_open(pid, 0), "pidfd_open", pid), ownsHandle: true);

    /// <returns>False when the process has ended.</returns>
    /// <exception cref="LinuxException">EPERM, or EINVAL for a signal that does not exist.</exception>
    public static bool Send(SafeFileHandle pidfd, int signal)
    {
        if (Libc.pidfd_send_signal((int)pidfd.DangerousGetHandle(), signal, null, 0) == 0)
            return true;
        int errno = Libc.errno;
        GC.KeepAlive(pidfd);
        return errno == Libc.ESRCH ? false : throw new LinuxException("pidfd_send_signal", Signals.Name(signal), errno);
    }
}
