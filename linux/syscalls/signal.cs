using System.Runtime.InteropServices;

namespace Containers.Linux;

/// <summary>&lt;signal.h&gt;, &lt;asm/signal.h&gt;. Sets of signals are the kernel's: 64 bits, bit N-1 for signal N.</summary>
public static unsafe partial class Libc
{
    public const int SIGHUP = 1;
    public const int SIGINT = 2;
    public const int SIGQUIT = 3;
    public const int SIGILL = 4;
    public const int SIGTRAP = 5;
    public const int SIGABRT = 6;
    public const int SIGBUS = 7;
    public const int SIGFPE = 8;
    public const int SIGKILL = 9;
    public const int SIGUSR1 = 10;
    public const int SIGSEGV = 11;
    public const int SIGUSR2 = 12;
    public const int SIGPIPE = 13;
    public const int SIGALRM = 14;
    public const int SIGTERM = 15;
    public const int SIGSTKFLT = 16;
    public const int SIGCHLD = 17;
    public const int SIGCONT = 18;
    public const int SIGSTOP = 19;
    public const int SIGTSTP = 20;
    public const int SIGTTIN = 21;
    public const int SIGTTOU = 22;
    public const int SIGURG = 23;
    public const int SIGXCPU = 24;
    public const int SIGXFSZ = 25;
    public const int SIGVTALRM = 26;
    public const int SIGPROF = 27;
    public const int SIGWINCH = 28;
    public const int SIGIO = 29;
    public const int SIGPWR = 30;
    public const int SIGSYS = 31;
    /// <summary>libc's first real-time signal, and what "SIGRTMIN" means to a user; the kernel's own are from 32.</summary>
    public const int SIGRTMIN = 34;
    public const int SIGRTMAX = 64;

    public const int SIG_BLOCK = 0;
    public const int SIG_UNBLOCK = 1;
    public const int SIG_SETMASK = 2;
    /// <summary>A handler's place: the default action, or none.</summary>
    public const int SIG_DFL = 0;
    public const int SIG_IGN = 1;
    public const int SA_NOCLDSTOP = 0x1;
    public const int SA_NOCLDWAIT = 0x2;
    public const int SA_SIGINFO = 0x4;
    public const int SA_RESTART = 0x10000000;
    public const int SA_NODEFER = 0x40000000;
    public const uint SA_RESETHAND = 0x80000000;
    public const int SA_RESTORER = 0x4000000;

    [LibraryImport(C, SetLastError = true)]
    public static partial int kill(int pid, int sig);

    public static int tgkill(int tgid, int tid, int sig) => (int)syscall_errno(SYS_tgkill, tgid, tid, sig, 0, 0, 0);

    /// <summary>The mask of the calling thread.</summary>
    public static int rt_sigprocmask(int how, ulong* set, ulong* oldset) =>
        (int)syscall_errno(SYS_rt_sigprocmask, how, (nint)set, (nint)oldset, sizeof(ulong), 0, 0);

    /// <summary>The kernel's own: libc does not see the change. For dispositions without a handler (SIG_DFL, SIG_IGN) that is enough.</summary>
    public static int rt_sigaction(int signum, kernel_sigaction* act, kernel_sigaction* oldact) =>
        (int)syscall_errno(SYS_rt_sigaction, signum, (nint)act, (nint)oldact, sizeof(ulong), 0, 0);

    /// <summary>The bit of a signal in a set.</summary>
    public static ulong sigmask(int signal) => 1UL << (signal - 1);
}

/// <summary>struct sigaction of the kernel, for rt_sigaction(2); another order than libc's.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct kernel_sigaction
{
    public nint sa_handler;
    public ulong sa_flags;
    public nint sa_restorer;
    public ulong sa_mask;
}

/// <summary>Names and numbers of signals, signal(7).</summary>
public static class Signals
{
    /// <summary>Signals are 1 to 64.</summary>
    public const int Highest = 64;

    /// <summary>SIGTERM and so on; SIGRTMIN+N for the real-time ones; the number itself for 32, 33 and what is no signal.</summary>
    public static string Name(int signal) => signal switch
    {
        Libc.SIGHUP => "SIGHUP",
        Libc.SIGINT => "SIGINT",
        Libc.SIGQUIT => "SIGQUIT",
        Libc.SIGILL => "SIGILL",
        Libc.SIGTRAP => "SIGTRAP",
        Libc.SIGABRT => "SIGABRT",
        Libc.SIGBUS => "SIGBUS",
        Libc.SIGFPE => "SIGFPE",
        Libc.SIGKILL => "SIGKILL",
        Libc.SIGUSR1 => "SIGUSR1",
        Libc.SIGSEGV => "SIGSEGV",
        Libc.SIGUSR2 => "SIGUSR2",
        Libc.SIGPIPE => "SIGPIPE",
        Libc.SIGALRM => "SIGALRM",
        Libc.SIGTERM => "SIGTERM",
        Libc.SIGSTKFLT => "SIGSTKFLT",
        Libc.SIGCHLD => "SIGCHLD",
        Libc.SIGCONT => "SIGCONT",
        Libc.SIGSTOP => "SIGSTOP",
        Libc.SIGTSTP => "SIGTSTP",
        Libc.SIGTTIN => "SIGTTIN",
        Libc.SIGTTOU => "SIGTTOU",
        Libc.SIGURG => "SIGURG",
        Libc.SIGXCPU => "SIGXCPU",
        Libc.SIGXFSZ => "SIGXFSZ",
        Libc.SIGVTALRM => "SIGVTALRM",
        Libc.SIGPROF => "SIGPROF",
        Libc.SIGWINCH => "SIGWINCH",
        Libc.SIGIO => "SIGIO",
        Libc.SIGPWR => "SIGPWR",
        Libc.SIGSYS => "SIGSYS",
        Libc.SIGRTMIN => "SIGRTMIN",
        > Libc.SIGRTMIN and <= Libc.SIGRTMAX => $"SIGRTMIN+{signal - Libc.SIGRTMIN}",
        _ => signal.ToString(),
    };

    /// <summary>Takes "SIGTERM", "term", "15", "SIGRTMIN", "RTMIN+3", "SIGRTMAX-2", and the other names SIGCLD, SIGPOLL, SIGIOT, SIGUNUSED.</summary>
    /// <returns>False for anything else, and for numbers outside 1 to 64.</returns>
    public static bool TryParse(ReadOnlySpan<char> text, out int signal)
    {
        if (text.Length is > 0 and <= 2 && char.IsAsciiDigit(text[0]) && char.IsAsciiDigit(text[^1]))
        {
            signal = int.Parse(text);
            return signal is >= 1 and <= Highest;
        }
        if (text.StartsWith("SIG", StringComparison.OrdinalIgnoreCase))
            text = text[3..];
        if (TryRealTime(text, "RTMIN", '+', Libc.SIGRTMIN, 1, out signal) || TryRealTime(text, "RTMAX", '-', Libc.SIGRTMAX, -1, out signal))
            return true;
        for (signal = 1; signal < 32; signal++)
            if (text.Equals(Name(signal).AsSpan(3), StringComparison.OrdinalIgnoreCase))
                return true;
        signal = text switch
        {
            _ when text.Equals("CLD", StringComparison.OrdinalIgnoreCase) => Libc.SIGCHLD,
            _ when text.Equals("POLL", StringComparison.OrdinalIgnoreCase) => Libc.SIGIO,
            _ when text.Equals("IOT", StringComparison.OrdinalIgnoreCase) => Libc.SIGABRT,
            _ when text.Equals("UNUSED", StringComparison.OrdinalIgnoreCase) => Libc.SIGSYS,
            _ => 0,
        };
        return signal != 0;
    }

    static bool TryRealTime(ReadOnlySpan<char> text, string name, char sign, int from, int step, out int signal)
    {
        signal = from;
        if (!text.StartsWith(name, StringComparison.OrdinalIgnoreCase))
            return false;
        text = text[name.Length..];
        if (text.IsEmpty)
            return true;
        if (text.Length > 3 || text[0] != sign || !char.IsAsciiDigit(text[^1]) || (text.Length == 3 && !char.IsAsciiDigit(text[1])) || text.Length == 1)
            return false;
        signal = from + step * int.Parse(text[1..]);
        return signal is >= Libc.SIGRTMIN and <= Libc.SIGRTMAX;
    }
}
