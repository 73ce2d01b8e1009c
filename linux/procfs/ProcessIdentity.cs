using Microsoft.Win32.SafeHandles;

namespace Containers.Linux;

/// <summary>
/// A process for good: pids come round again, a pid together with its start time does not. Compare only within one time namespace,
/// which shifts start times, and one boot.
/// </summary>
/// <param name="StartTime">Clock ticks after boot, proc_pid_stat(5) field 22.</param>
public readonly record struct ProcessIdentity(int Pid, ulong StartTime)
{
    /// <returns>False when there is no such process, or it is a zombie.</returns>
    public static bool TryOf(int pid, out ProcessIdentity identity)
    {
        identity = default;
        if (!ProcessStat.TryReadStart(pid, out char state, out ulong start) || state is 'Z' or 'X' or 'x')
            return false;
        identity = new(pid, start);
        return true;
    }

    /// <summary>Whether this very process runs still. A zombie does not.</summary>
    public bool IsAlive => Pid > 0 && TryOf(Pid, out ProcessIdentity now) && now.StartTime == StartTime;

    /// <summary>A descriptor that means this process and no later one: for poll(2), waitid(2), <see cref="PidFd.Send"/>.</summary>
    /// <returns>False when the process has ended.</returns>
    /// <exception cref="LinuxException">EMFILE and the like.</exception>
    public bool TryOpen(out SafeFileHandle pidfd)
    {
        pidfd = null!;
        if (Pid <= 0)
            return false;
        int fd = Libc.pidfd_open(Pid, 0);
        if (fd < 0)
            return Libc.errno is Libc.ESRCH or Libc.EINVAL ? false : throw new LinuxException("pidfd_open", Pid.ToString(), Libc.errno);
        SafeFileHandle opened = new(fd, ownsHandle: true);
        // First the descriptor, then the look: what is alive under this pid now is what the descriptor holds.
        if (!IsAlive)
        {
            opened.Dispose();
            return false;
        }
        pidfd = opened;
        return true;
    }
}
