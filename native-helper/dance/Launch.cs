using System.Runtime.CompilerServices;
using Containers.Linux;

namespace Psrun.Dance;

/// <summary>The parent's side: clones the child that walks the plan, and talks with it over two pipes.</summary>
sealed unsafe class Launch : IDisposable
{
    readonly Plan _plan;
    readonly int _reports;
    readonly int _orders;
    ulong _oldMask;
    Report _early;

    public int Pid { get; private set; }

    /// <summary>The short-lived first child, when a second clone makes the real one; 0 otherwise.</summary>
    public int HelperPid { get; private set; }

    /// <param name="cloneFlags">CLONE_NEW* for the first clone.</param>
    /// <param name="cgroup">The v2 group into which the child is born; -1 for this process's own.</param>
    /// <param name="clonesAgain">The plan has a <see cref="StepKind.CloneSibling"/> step.</param>
    public Launch(Plan plan, nint cloneFlags, int cgroup, bool clonesAgain)
    {
        _plan = plan;
        int* pipes = stackalloc int[4];
        if (Libc.pipe2(pipes, Libc.O_CLOEXEC) < 0 || Libc.pipe2(pipes + 2, Libc.O_CLOEXEC) < 0)
            throw new PsrunException($"pipe: {Errnos.Text(Libc.errno)}", Libc.errno);
        _reports = pipes[0];
        _orders = pipes[3];

        // No handler of this program may run in the clone; the child resets them all before it unblocks the signals.
        ulong all = ulong.MaxValue;
        ulong old;
        Libc.rt_sigprocmask(Libc.SIG_SETMASK, &all, &old);
        _oldMask = old;
        int pid = Clone(plan.Steps, plan.Count, pipes, plan.Scratch, (ulong)cloneFlags, cgroup);
        Libc.close(pipes[1]);
        Libc.close(pipes[2]);
        if (pid < 0)
        {
            RestoreSignals();
            throw new PsrunException($"clone: {Errnos.Text(-pid)}", -pid);
        }
        Pid = pid;
        if (clonesAgain)
        {
            HelperPid = pid;
            Report report = Next();
            // The clone may be faster than its cloner, also in failing.
            Report early = default;
            if (report.Kind is Report.Reached or Report.Failure)
            {
                early = report;
                report = Next();
            }
            _early = early;
            if (report.Kind != Report.ChildPid)
            {
                PsrunException failure = Failure(early.Kind == Report.Failure ? early : report);
                Abort();
                throw failure;
            }
            Pid = report.Value;
            Reap(HelperPid);
            HelperPid = 0;
        }
    }

    /// <summary>In the clone this never returns. Nothing here may allocate: the child comes by.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    static int Clone(Step* steps, int count, int* pipes, byte* scratch, ulong flags, int cgroup)
    {
        clone_args args = default;
        args.flags = flags | (cgroup >= 0 ? Libc.CLONE_INTO_CGROUP : 0);
        args.cgroup = (ulong)(cgroup >= 0 ? cgroup : 0);
        args.exit_signal = Libc.SIGCHLD;
        nint pid = Libc.syscall(Libc.SYS_clone3, (nint)(&args), sizeof(clone_args), 0, 0, 0, 0);
        if (pid == 0)
        {
            // Its own copies of the parent's ends would keep it waiting for ever when the parent dies.
            Libc.syscall(Libc.SYS_close, pipes[0], 0, 0, 0, 0, 0);
            Libc.syscall(Libc.SYS_close, pipes[3], 0, 0, 0, 0, 0);
            Child.Walk(steps, count, pipes[1], pipes[2], scratch);
            while (true)
                Libc.syscall(Libc.SYS_exit_group, 1, 0, 0, 0, 0, 0);
        }
        return pid < 0 ? -*Libc.__errno_location() : (int)pid;
    }

    public void RestoreSignals()
    {
        ulong old = _oldMask;
        Libc.rt_sigprocmask(Libc.SIG_SETMASK, &old, null);
    }

    /// <summary>Waits until the child has reached <paramref name="point"/>.</summary>
    public void Await(int point)
    {
        Report report = Next();
        if (report.Kind != Report.Reached || report.Value != point)
            throw Failure(report);
    }

    /// <summary>Waits until execve has closed the pipe. The point before it tells a closed pipe from a child that died on the way.</summary>
    /// <param name="filtered">The child's last step but execve is a filter, which may let it neither execute nor tell.</param>
    public void AwaitExecute(bool filtered)
    {
        Await(InitPlan.PointExecute);
        Report report = Next();
        if (report.Kind != 0)
            throw Failure(report);
        if (filtered && State.InitProcess.NeverExecuted(Pid))
            throw new PsrunException(_plan.Words(_plan.Count - 1) + ": linux.seccomp lets it neither be started nor tell why" + Cause());
    }

    public void Continue()
    {
        byte go = 1;
        nint n;
        do
            n = Libc.write(_orders, &go, 1);
        while (n < 0 && Libc.errno == Libc.EINTR);
        if (n != 1)
            throw new PsrunException($"the container's first process does not listen: {Errnos.Text(Libc.errno)}{Cause()}");
    }

    Report Next()
    {
        Report report = _early;
        _early = default;
        if (report.Kind != 0)
            return report;
        nint n;
        do
            n = Libc.read(_reports, &report, (nuint)sizeof(Report));
        while (n < 0 && Libc.errno == Libc.EINTR);
        return n == sizeof(Report) ? report : default;
    }

    PsrunException Failure(Report report) => report.Kind == Report.Failure
        ? new PsrunException(Explain(_plan, report), report.Errno)
        : new PsrunException("the container's first process was ended before its program was started" + Cause());

    /// <summary>A child that told nothing was killed from outside: by the kernel for want of memory, most often.</summary>
    string Cause()
    {
        int status;
        return Libc.waitpid(Pid, &status, Libc.WNOHANG) == Pid && Libc.WIFSIGNALED(status)
            ? $", by signal {Libc.WTERMSIG(status)}" + (Libc.WTERMSIG(status) == Libc.SIGKILL ? " (linux.resources.memory.limit may be too low)" : "")
            : "";
    }

    public static string Explain(Plan plan, Report report)
    {
        string words = plan.Words(report.Value);
        return (plan.Steps + report.Value)->Kind switch
        {
            StepKind.FindProgram or StepKind.Execute => Processes.ProgramSteps.Explain(words, report.Errno),
            StepKind.RunProgram => Processes.HookRunner.Explain(words, report.Errno, report.Detail),
            StepKind.OpenTarget when report.Errno == Libc.EOPNOTSUPP => $"{words}: it lies in /proc, where nothing else can be mounted",
            StepKind.WriteProc when report.Errno == Libc.EXDEV => $"{words}: /proc is not the kernel's own there: something is mounted over it",
            StepKind.RequireDevice when report.Errno == Libc.ENODEV => words,
            _ => $"{words}: {Errnos.Text(report.Errno)}",
        };
    }

    /// <summary>Ends what was started, whatever state it is in.</summary>
    public void Abort()
    {
        if (Pid > 0)
        {
            Libc.kill(Pid, Libc.SIGKILL);
            Reap(Pid);
        }
        if (HelperPid > 0 && HelperPid != Pid)
            Reap(HelperPid);
        Pid = HelperPid = 0;
        RestoreSignals();
    }

    static void Reap(int pid)
    {
        int status;
        while (Libc.waitpid(pid, &status, 0) < 0 && Libc.errno == Libc.EINTR)
        {
        }
    }

    public void Dispose()
    {
        Libc.close(_reports);
        Libc.close(_orders);
        _plan.Dispose();
    }
}
