using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Containers.Linux;
using Psrun.Dance;

namespace Psrun.Processes;

/// <summary>
/// A program that psrun stays with: signals go on to it, its end is psrun's. The runtime's own way to catch signals starts a thread and a pool,
/// a third of the time that a short container takes; a plain handler does it without.
/// </summary>
static unsafe partial class Foreground
{
    static readonly int[] s_forwarded = [Libc.SIGHUP, Libc.SIGINT, Libc.SIGQUIT, Libc.SIGTERM, Libc.SIGUSR1, Libc.SIGUSR2, Libc.SIGWINCH, Libc.SIGCONT, Libc.SIGALRM];

    static int s_pid;
    /// <summary>Signals (bit N-1) that came before the program was there.</summary>
    static long s_early;
    /// <summary>Whose size the program's terminal follows, and its master; -1 without a relay.</summary>
    static int s_host = -1, s_master = -1;
    /// <summary>Gets the number of each signal as a byte; -1 without.</summary>
    static int s_pipe = -1;

    /// <summary>
    /// Before the program is there: it may speak, and its caller answer with a signal, before <see cref="Wait"/> is reached. The child resets all handlers.
    /// </summary>
    public static void CatchSignals()
    {
        // A handler that interrupts managed code would end the program: this thread holds signals back for good, and the finaliser's,
        // which waits in native code, takes them.
        ulong all = ulong.MaxValue;
        Libc.rt_sigprocmask(Libc.SIG_BLOCK, &all, null);
        LibcSigaction action = default;
        action.Handler = &Forward;
        action.Flags = SaRestart;
        foreach (int signal in s_forwarded)
            if (sigaction(signal, &action, null) < 0)
                throw new PsrunException($"sigaction: {Errnos.Text(Marshal.GetLastPInvokeError())}");
    }

    /// <summary>For who stays with no child of its own: signals do nothing but come as their numbers, a byte each.</summary>
    /// <returns>Where they are read, without waiting.</returns>
    public static int CatchInPipe()
    {
        int* ends = stackalloc int[2];
        if (Libc.pipe2(ends, Libc.O_CLOEXEC | Libc.O_NONBLOCK) < 0)
            throw new PsrunException($"pipe2: {Errnos.Text(Libc.errno)}");
        Volatile.Write(ref s_pipe, ends[1]);
        CatchSignals();
        return ends[0];
    }

    /// <summary>Runs on whichever thread the kernel picks: only raw calls and single words of memory.</summary>
    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static void Forward(int signal)
    {
        int saved = *Libc.__errno_location();
        int pipe = Volatile.Read(ref s_pipe);
        if (pipe >= 0)
        {
            byte number = (byte)signal;
            Libc.syscall(Libc.SYS_write, pipe, (nint)(&number), 1, 0, 0, 0);
            *Libc.__errno_location() = saved;
            return;
        }
        int master = Volatile.Read(ref s_master);
        if (signal == Libc.SIGWINCH && master >= 0)
        {
            CopySize(Volatile.Read(ref s_host), master);
            *Libc.__errno_location() = saved;
            return;
        }
        Interlocked.Or(ref s_early, 1L << (signal - 1));
        int pid = Volatile.Read(ref s_pid);
        if (pid > 0)
            Deliver(pid);
        *Libc.__errno_location() = saved;
    }

    /// <summary>The kernel tells the program itself when its terminal's size changes.</summary>
    static void CopySize(int host, int master)
    {
        winsize size;
        if (Libc.syscall(Libc.SYS_ioctl, host, Libc.TIOCGWINSZ, (nint)(&size), 0, 0, 0) == 0 && size.ws_row > 0 && size.ws_col > 0)
            Libc.syscall(Libc.SYS_ioctl, master, Libc.TIOCSWINSZ, (nint)(&size), 0, 0, 0);
    }

    /// <summary>From now on SIGWINCH changes the size of the terminal behind <paramref name="master"/>; -1 ends that.</summary>
    public static void FollowSize(int host, int master)
    {
        Volatile.Write(ref s_host, host);
        Volatile.Write(ref s_master, master);
        // It may have changed since the program's terminal was made.
        if (master >= 0)
            CopySize(host, master);
    }

    static void Deliver(int pid)
    {
        long pending = Interlocked.Exchange(ref s_early, 0);
        for (int signal = 1; pending != 0; signal++, pending >>>= 1)
            if ((pending & 1) != 0)
                Libc.syscall(Libc.SYS_kill, pid, signal, 0, 0, 0, 0);
    }

    /// <summary>The signal that ended the program, after <see cref="Wait"/>; 0 when it ended by itself.</summary>
    public static int EndSignal { get; private set; }

    /// <summary>Gives the exit code, or 128 and the signal. <see cref="CatchSignals"/> was called before the launch.</summary>
    /// <param name="relay">Passes the program's terminal on; null without one.</param>
    /// <param name="pid">A child of this process.</param>
    public static int Wait(int pid, TerminalRelay? relay)
    {
        Volatile.Write(ref s_pid, pid);
        Deliver(pid);
        relay?.Pump(pid);
        int status;
        while (Libc.waitpid(pid, &status, 0) < 0)
            if (Libc.errno != Libc.EINTR)
                throw new PsrunException($"wait for process {pid}: {Errnos.Text(Libc.errno)}");
        // From here on the number may be somebody else's.
        Volatile.Write(ref s_pid, 0);
        EndSignal = Libc.WIFSIGNALED(status) ? Libc.WTERMSIG(status) : 0;
        return Libc.WIFSIGNALED(status) ? 128 + Libc.WTERMSIG(status) : Libc.WEXITSTATUS(status);
    }

    const int SaRestart = 0x10000000;

    /// <summary>struct sigaction as libc has it, which adds the return trampoline that the kernel's own call would want from us.</summary>
    [StructLayout(LayoutKind.Sequential)]
    struct LibcSigaction
    {
        public delegate* unmanaged[Cdecl]<int, void> Handler;
        public fixed byte Mask[128];
        public int Flags;
        public nint Restorer;
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int sigaction(int signal, LibcSigaction* action, LibcSigaction* old);
}
