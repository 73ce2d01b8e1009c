using System.Buffers.Text;
using System.Text;
using Containers.Linux;

namespace Psrun.State;

/// <summary>A container's init by pid and start time (proc_pid_stat(5), field 22): a pid alone may have become somebody else's.</summary>
static unsafe class InitProcess
{
    /// <summary>What an init is called until its execve: the kernel then puts the program's own name in its place. At most 15 bytes.</summary>
    public static ReadOnlySpan<byte> WaitingName => "psrun:[init]"u8;

    public static ulong StartTime(int pid) => TryRead(pid, out Stat stat) ? stat.StartTime : 0;

    /// <summary>All processes in the init's own pid namespace: the container's, where it has no control group.</summary>
    public static List<int> InItsPidNamespace(int init)
    {
        List<int> found = [];
        byte* of = stackalloc byte[64], ours = stackalloc byte[64];
        nint length = Libc.readlinkat(Libc.AT_FDCWD, $"/proc/{init}/ns/pid", ours, 64);
        foreach (string folder in Directory.EnumerateDirectories("/proc"))
            if (int.TryParse(System.IO.Path.GetFileName(folder.AsSpan()), out int pid)
                && Libc.readlinkat(Libc.AT_FDCWD, $"/proc/{pid}/ns/pid", of, 64) == length && length > 0
                && new ReadOnlySpan<byte>(of, (int)length).SequenceEqual(new ReadOnlySpan<byte>(ours, (int)length)))
                found.Add(pid);
        return found;
    }

    /// <summary>Its pid in its own pid namespace (proc_pid_status(5), NSpid: the last number).</summary>
    public static int PidInside(int pid)
    {
        foreach (string line in (Shim.Files.ReadText($"/proc/{pid}/status") ?? "").Split('\n'))
            if (line.StartsWith("NSpid:", StringComparison.Ordinal) && int.TryParse(line.AsSpan(line.LastIndexOf('\t') + 1), out int inside))
                return inside;
        return pid;
    }

    public static bool IsAlive(int pid, ulong startTime) => IsAlive(pid, startTime, out _);

    /// <param name="waits">Whether it has the name of an init that waits for `start`.</param>
    public static bool IsAlive(int pid, ulong startTime, out bool waits)
    {
        waits = false;
        if (pid <= 0 || !TryRead(pid, out Stat stat) || stat.StartTime != startTime || stat.State is (byte)'Z' or (byte)'X')
            return false;
        waits = stat.Waits;
        return true;
    }

    /// <summary>Whether the process, ended or not, is one that was forked and has not executed a program (PF_FORKNOEXEC of linux/sched.h, in field 9).</summary>
    public static bool NeverExecuted(int pid, ulong? startTime = null) =>
        TryRead(pid, out Stat stat) && (startTime ?? stat.StartTime) == stat.StartTime && (stat.Flags & 0x40) != 0;

    struct Stat
    {
        public bool Waits;
        public byte State;
        public uint Flags;
        public ulong StartTime;
    }

    static bool TryRead(int pid, out Stat stat)
    {
        stat = default;
        int fd = Libc.open($"/proc/{pid}/stat", Libc.O_RDONLY | Libc.O_CLOEXEC);
        if (fd < 0)
            return IsGone(pid, Libc.errno);
        byte* buffer = stackalloc byte[1024];
        nint n = Libc.read(fd, buffer, 1024);
        int errno = Libc.errno;
        Libc.close(fd);
        if (n < 0)
            return IsGone(pid, errno);
        // The name stands in parentheses and may hold anything, parentheses and blanks too: fields are counted from the last one.
        var text = new ReadOnlySpan<byte>(buffer, (int)Math.Max(n, 0));
        int at = text.LastIndexOf((byte)')');
        if (at < 0 || at + 2 >= text.Length)
            return false;
        int name = text.IndexOf((byte)'(') + 1;
        stat.Waits = name > 0 && name <= at && text[name..at].SequenceEqual(WaitingName);
        text = text[(at + 2)..];
        stat.State = text[0];
        for (int field = 3; field < 22; field++)
        {
            int blank = text.IndexOf((byte)' ');
            if (blank < 0)
                return false;
            text = text[(blank + 1)..];
            if (field == 8 && !Utf8Parser.TryParse(text, out stat.Flags, out _))
                return false;
        }
        return Utf8Parser.TryParse(text, out stat.StartTime, out _);
    }

    /// <summary>Always false; throws when what was met does not prove that there is no such process.</summary>
    static bool IsGone(int pid, int errno)
    {
        if (errno == Libc.ESRCH || errno == Libc.ENOENT && Libc.faccessat(Libc.AT_FDCWD, "/proc/self/stat", 0, 0) == 0)
            return false;
        throw new PsrunException(errno == Libc.ENOENT ? "/proc is not mounted" : $"/proc/{pid}/stat: {Errnos.Text(errno)}");
    }

    /// <summary>A descriptor of the living init, or -1: opened first and checked then, so it cannot be another process's.</summary>
    public static int OpenPidFd(int pid, ulong startTime)
    {
        if (pid <= 0)
            return -1;
        int fd = Libc.pidfd_open(pid, 0);
        if (fd < 0 && Libc.errno is not (Libc.ESRCH or Libc.EINVAL))
            throw new PsrunException($"pidfd_open {pid}: {Errnos.Text(Libc.errno)}");
        if (fd >= 0 && !IsAlive(pid, startTime))
        {
            Libc.close(fd);
            return -1;
        }
        return fd;
    }
}
