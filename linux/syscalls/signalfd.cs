using System.Runtime.InteropServices;

namespace Containers.Linux;

/// <summary>&lt;sys/signalfd.h&gt;.</summary>
public static unsafe partial class Libc
{
    public const int SFD_CLOEXEC = 0x80000;
    public const int SFD_NONBLOCK = 0x800;

    /// <summary>Only signals that are blocked in every thread arrive. Bit N-1 of <paramref name="mask"/> is signal N.</summary>
    public static int signalfd(int fd, ulong mask, int flags) =>
        (int)syscall_errno(SYS_signalfd4, fd, (nint)(&mask), sizeof(ulong), flags, 0, 0);
}

/// <summary>What read(2) gives from a signalfd.</summary>
[StructLayout(LayoutKind.Sequential, Size = 128)]
public struct signalfd_siginfo
{
    public uint ssi_signo;
    public int ssi_errno;
    public int ssi_code;
    public uint ssi_pid;
    public uint ssi_uid;
    public int ssi_fd;
    public uint ssi_tid;
    public uint ssi_band;
    public uint ssi_overrun;
    public uint ssi_trapno;
    public int ssi_status;
}
