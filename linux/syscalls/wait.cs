using System.Runtime.InteropServices;

namespace Containers.Linux;

/// <summary>&lt;sys/wait.h&gt;.</summary>
public static unsafe partial class Libc
{
    public const int P_ALL = 0;
    public const int P_PID = 1;
    public const int P_PGID = 2;
    /// <summary>Linux 5.4.</summary>
    public const int P_PIDFD = 3;
    public const int WNOHANG = 0x1;
    public const int WUNTRACED = 0x2;
    public const int WSTOPPED = 0x2;
    public const int WEXITED = 0x4;
    public const int WCONTINUED = 0x8;
    public const int WNOWAIT = 0x1000000;
    public const int __WALL = 0x40000000;
    public const uint __WCLONE = 0x80000000;
    public const int CLD_EXITED = 1;
    public const int CLD_KILLED = 2;
    public const int CLD_DUMPED = 3;
    public const int CLD_TRAPPED = 4;
    public const int CLD_STOPPED = 5;
    public const int CLD_CONTINUED = 6;

    /// <summary>With WNOHANG and nothing to tell it returns 0 and leaves <c>si_pid</c> at 0: zero it before.</summary>
    [LibraryImport(C, SetLastError = true)]
    public static partial int waitid(int idtype, uint id, siginfo_t* infop, int options);

    [LibraryImport(C, SetLastError = true)]
    public static partial int waitpid(int pid, int* wstatus, int options);

    public static bool WIFEXITED(int status) => (status & 0x7f) == 0;

    public static int WEXITSTATUS(int status) => (status >> 8) & 0xff;

    public static bool WIFSIGNALED(int status) => (sbyte)((status & 0x7f) + 1) >> 1 > 0;

    public static int WTERMSIG(int status) => status & 0x7f;

    public static bool WIFSTOPPED(int status) => (status & 0xff) == 0x7f;

    public static int WSTOPSIG(int status) => (status >> 8) & 0xff;

    public static bool WIFCONTINUED(int status) => status == 0xffff;

    public static bool WCOREDUMP(int status) => (status & 0x80) != 0;
}

/// <summary>siginfo_t as waitid(2) fills it.</summary>
[StructLayout(LayoutKind.Explicit, Size = 128)]
public struct siginfo_t
{
    [FieldOffset(0)] public int si_signo;
    [FieldOffset(4)] public int si_errno;
    /// <summary>CLD_*.</summary>
    [FieldOffset(8)] public int si_code;
    [FieldOffset(16)] public int si_pid;
    [FieldOffset(20)] public uint si_uid;
    /// <summary>The exit code, or the signal, as <see cref="si_code"/> says.</summary>
    [FieldOffset(24)] public int si_status;
    [FieldOffset(32)] public long si_utime;
    [FieldOffset(40)] public long si_stime;
}
