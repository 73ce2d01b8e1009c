using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Containers.Linux;

namespace Psrun.Dance;

/// <summary>
/// The code between clone and execve.
///
/// RULE: nothing here allocates, throws, takes a lock, or calls anything but the two raw entries of libc and methods of this type. The clone has
/// one thread of a process that had several; whatever would wait for another thread waits for ever. Everything the walk needs was laid out by
/// the parent in unmanaged memory (<see cref="Plan"/>). A unit test reads the IL of this type and holds the rule.
/// </summary>
static unsafe partial class Child
{
    const int PathMax = 4096;
    const int LookupTries = 128;
    const ulong PagePresent = 1UL << 63, PageSwapped = 1UL << 62, PageOfFile = 1UL << 61;

    /// <summary>For <see cref="StepKind.OpenTarget"/>: the target is a file; no symbolic link may be on the way; it may lie in a procfs; it is not made.</summary>
    public const int TargetFile = 1, TargetWithoutLinks = 2, TargetInProc = 4, TargetIsThere = 8;

    /// <summary>Walks the plan; comes back only if the plan ends without execve.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    [SuppressMessage("Design", "CA1031", Justification = "there is nothing to catch here")]
    public static void Walk(Step* plan, int count, int reportFd, int orderFd, byte* scratch)
    {
        int start = -1;
        for (int i = 0; i < count; i++)
        {
            Step* s = plan + i;
            nint a0 = (s->Indirect & 1) != 0 ? *(nint*)s->A0 : s->A0;
            nint a1 = (s->Indirect & 2) != 0 ? *(nint*)s->A1 : s->A1;
            nint a2 = (s->Indirect & 4) != 0 ? *(nint*)s->A2 : s->A2;
            nint a3 = (s->Indirect & 8) != 0 ? *(nint*)s->A3 : s->A3;
            nint a4 = (s->Indirect & 16) != 0 ? *(nint*)s->A4 : s->A4;
            nint a5 = (s->Indirect & 32) != 0 ? *(nint*)s->A5 : s->A5;
            nint r = 0;
            int errno = 0;
            int detail = 0;
            switch (s->Kind)
            {
                case StepKind.Call:
                    // EAGAIN of openat2(2): something was renamed or mounted anywhere on the host, and the kernel could not prove that the walk stayed inside.
                    for (int tries = 0; tries < LookupTries; tries++)
                    {
                        r = Libc.syscall(s->Number, a0, a1, a2, a3, a4, a5);
                        errno = r == -1 ? *Libc.__errno_location() : 0;
                        if (errno != Libc.EAGAIN || s->Number != Libc.SYS_openat2)
                            break;
                    }
                    break;

                case StepKind.CopyWritten:
                    for (nint page = 0; page < a2; page += a4)
                    {
                        ulong entry = *(ulong*)(a3 + page / a4 * sizeof(ulong));
                        if ((entry & (PagePresent | PageSwapped)) == 0 || (entry & PageOfFile) != 0)
                            continue;
                        for (nint k = page; k < page + a4; k += sizeof(long))
                            *(long*)(a0 + k) = *(long*)(a1 + k);
                    }
                    break;

                case StepKind.OpenTarget:
                    r = OpenTarget((int)a0, (byte*)a1, (int)a2, scratch, &errno);
                    if (errno == 0 && (a2 & TargetInProc) == 0 && FileSystemType(r, scratch) == Libc.PROC_SUPER_MAGIC)
                        errno = Libc.EOPNOTSUPP;
                    break;

                case StepKind.WriteProc:
                    errno = WriteProc(a0, a1, a2, scratch);
                    break;

                case StepKind.CloseOthers:
                    CloseOthers(a0, (int*)a1, a2, reportFd, orderFd);
                    break;

                case StepKind.Sync:
                    // A parent that does not hear this is dead, and whoever waits for its answer would wait for ever.
                    if (!Tell(reportFd, Report.Reached, (int)a0, 0, 0))
                        Exit(1);
                    if (a1 != 0)
                        AwaitByte(orderFd, scratch);
                    break;

                case StepKind.CloneSibling:
                    r = Libc.syscall(Libc.SYS_clone3, a0, a1, 0, 0, 0, 0);
                    if (r > 0)
                    {
                        Tell(reportFd, Report.ChildPid, (int)r, 0, 0);
                        Exit(0);
                    }
                    if (r == -1)
                        errno = *Libc.__errno_location();
                    break;

                case StepKind.SkipUnlessFolder:
                    errno = StatDescriptor(a0, (stat_scratch*)scratch);
                    if (errno == 0 && ((((stat_scratch*)scratch)->Stat.stx_mode & Libc.S_IFMT) == Libc.S_IFDIR) == (a2 != 0))
                        i += (int)a1;
                    break;

                case StepKind.RequireDevice:
                    errno = StatDescriptor(a0, (stat_scratch*)scratch);
                    if (errno == 0 && ((((stat_scratch*)scratch)->Stat.stx_mode & Libc.S_IFMT) != Libc.S_IFCHR
                        || ((stat_scratch*)scratch)->Stat.stx_rdev_major != (uint)a1 || ((stat_scratch*)scratch)->Stat.stx_rdev_minor != (uint)a2))
                        errno = Libc.ENODEV;
                    break;

                case StepKind.FindProgram:
                    r = FindProgram((byte**)a0, (int)a1, (stat_scratch*)scratch, &errno);
                    break;

                case StepKind.ResetSignals:
                    ResetSignals(scratch);
                    break;

                case StepKind.AwaitStart:
                    do
                    {
                        r = Libc.syscall(Libc.SYS_accept4, a0, 0, 0, Libc.SOCK_CLOEXEC, 0, 0);
                        errno = r == -1 ? *Libc.__errno_location() : 0;
                    }
                    while (errno == Libc.EINTR);
                    start = (int)r;
                    break;

                case StepKind.Execute:
                    Libc.syscall(Libc.SYS_execve, a0, a1, a2, 0, 0, 0);
                    errno = *Libc.__errno_location();
                    // `start` reads the connection to its end: nothing means that execve closed it.
                    if (start >= 0)
                    {
                        Tell(start, Report.Failure, (int)StepKind.Execute, errno, 0);
                        Exit(127);
                    }
                    break;

                case StepKind.CopyFolder:
                    errno = CopyFolder(a0, a1, a2 != 0, 0, scratch);
                    break;

                case StepKind.CopyMode:
                    errno = CopyMode(a0, a1, (stat_scratch*)scratch);
                    break;

                case StepKind.RunProgram:
                    errno = RunProgram((byte*)a0, (byte**)a1, (byte**)a2, (int)a3, (int)a4, scratch, &detail);
                    break;
            }
            if (errno != 0)
            {
                if (errno != s->Tolerated0 && errno != s->Tolerated1 && errno != s->Tolerated2)
                {
                    // After `start` nobody reads the reports any more.
                    if (start >= 0)
                        Tell(start, Report.Failure, (int)s->Kind, errno, detail);
                    else
                        Tell(reportFd, Report.Failure, i, errno, detail);
                    Exit(1);
                }
                i += s->SkipWhenTolerated;
            }
            if (s->Result != null)
                *s->Result = r;
        }
    }

    struct stat_scratch
    {
        public nint Nothing;
        public statx Stat;
    }

    static int StatDescriptor(nint fd, stat_scratch* scratch)
    {
        scratch->Nothing = 0;
        return Libc.syscall(Libc.SYS_statx, fd, (nint)(&scratch->Nothing), Libc.AT_EMPTY_PATH, (nint)Libc.STATX_TYPE, (nint)(&scratch->Stat), 0) == -1
            ? *Libc.__errno_location()
            : 0;
    }

    /// <summary>A descriptor (O_PATH) for a mount's target, made where it is missing; never outside <paramref name="root"/>.</summary>
    static nint OpenTarget(int root, byte* path, int how_made, byte* scratch, int* errno)
    {
        open_how* how = (open_how*)scratch;
        byte* prefix = scratch + sizeof(open_how);
        how->flags = (ulong)(Libc.O_PATH | Libc.O_CLOEXEC);
        how->mode = 0;
        how->resolve = (ulong)Libc.RESOLVE_IN_ROOT | ((how_made & TargetWithoutLinks) != 0 ? (ulong)Libc.RESOLVE_NO_SYMLINKS : 0);
        nint fd = OpenInRoot(root, path, how, errno);
        if (*errno != Libc.ENOENT || (how_made & TargetIsThere) != 0)
            return fd;
        // Component by component: each one is opened from the root again, so that a link that is swapped meanwhile still ends inside.
        *errno = 0;
        prefix[0] = (byte)'.';
        prefix[1] = 0;
        nint parent = OpenInRoot(root, prefix, how, errno);
        int at = 0;
        while (*errno == 0)
        {
            int start = at;
            while (path[at] != 0 && path[at] != (byte)'/')
                at++;
            bool last = path[at] == 0;
            if (at >= PathMax - 1)
            {
                *errno = Libc.ENAMETOOLONG;
                break;
            }
            for (int k = 0; k < at; k++)
                prefix[k] = path[k];
            prefix[at] = 0;
            fd = OpenInRoot(root, prefix, how, errno);
            if (*errno == Libc.ENOENT)
            {
                *errno = 0;
                nint made = last && (how_made & TargetFile) != 0
                    ? Libc.syscall(Libc.SYS_mknodat, parent, (nint)(prefix + start), Libc.S_IFREG | 0x1ED, 0, 0, 0)
                    : Libc.syscall(Libc.SYS_mkdirat, parent, (nint)(prefix + start), 0x1ED, 0, 0, 0);
                if (made == -1 && *Libc.__errno_location() != Libc.EEXIST)
                {
                    *errno = *Libc.__errno_location();
                    break;
                }
                fd = OpenInRoot(root, prefix, how, errno);
            }
            if (*errno != 0)
                break;
            Libc.syscall(Libc.SYS_close, parent, 0, 0, 0, 0, 0);
            parent = fd;
            if (last)
                return fd;
            at++;
        }
        if (parent >= 0)
            Libc.syscall(Libc.SYS_close, parent, 0, 0, 0, 0, 0);
        return -1;
    }

    static nint OpenInRoot(int root, byte* path, open_how* how, int* errno)
    {
        nint fd;
        // EAGAIN: something was renamed on the way; the kernel could not prove that the walk stayed inside.
        int tries = 0;
        do
        {
            fd = Libc.syscall(Libc.SYS_openat2, root, (nint)path, (nint)how, sizeof(open_how), 0, 0);
            *errno = fd == -1 ? *Libc.__errno_location() : 0;
        }
        while (*errno == Libc.EAGAIN && ++tries < LookupTries);
        return fd;
    }

    /// <summary>The address of the first candidate that is a file and may be executed by who we are now, else the most telling error.</summary>
    static nint FindProgram(byte** candidates, int count, stat_scratch* scratch, int* errno)
    {
        int worst = Libc.ENOENT;
        for (int i = 0; i < count; i++)
        {
            byte* path = candidates[i];
            if (Libc.syscall(Libc.SYS_statx, Libc.AT_FDCWD, (nint)path, 0, (nint)Libc.STATX_TYPE, (nint)(&scratch->Stat), 0) == -1)
            {
                int e = *Libc.__errno_location();
                if (e != Libc.ENOENT && e != Libc.ENOTDIR)
                    worst = e;
                continue;
            }
            if ((scratch->Stat.stx_mode & Libc.S_IFMT) != Libc.S_IFREG)
            {
                worst = Libc.EACCES;
                continue;
            }
            if (Libc.syscall(Libc.SYS_faccessat2, Libc.AT_FDCWD, (nint)path, 1, Libc.AT_EACCESS, 0, 0) == 0)
                return (nint)path;
            worst = *Libc.__errno_location();
        }
        *errno = worst;
        return -1;
    }

    /// <summary>Every disposition to SIG_DFL: ignored signals would otherwise live on in the program (signal(7)).</summary>
    static void ResetSignals(byte* scratch)
    {
        for (int k = 0; k < 64; k++)
            scratch[k] = 0;
        for (nint signal = 1; signal <= 64; signal++)
            Libc.syscall(Libc.SYS_rt_sigaction, signal, (nint)scratch, 0, 8, 0, 0);
        Libc.syscall(Libc.SYS_rt_sigprocmask, Libc.SIG_SETMASK, (nint)scratch, 0, 8, 0, 0);
    }

    /// <summary>Runs a hook in the container's own namespaces and waits for it; a pidfd bounds the wait.</summary>
    public static int RunProgram(byte* path, byte** argv, byte** envp, int stdin, int milliseconds, byte* scratch, int* detail)
    {
        // SIGCHLD as the exit signal, nothing shared: fork(2).
        nint pid = Libc.syscall(Libc.SYS_clone, Libc.SIGCHLD, 0, 0, 0, 0, 0);
        if (pid == -1)
            return *Libc.__errno_location();
        if (pid == 0)
        {
            ResetSignals(scratch);
            Libc.syscall(Libc.SYS_dup3, stdin, 0, 0, 0, 0, 0);
            Libc.syscall(Libc.SYS_lseek, 0, 0, 0, 0, 0, 0);
            Libc.syscall(Libc.SYS_close_range, 3, unchecked((nint)uint.MaxValue), 0, 0, 0, 0);
            Libc.syscall(Libc.SYS_execve, (nint)path, (nint)argv, (nint)envp, 0, 0, 0);
            Exit(*Libc.__errno_location() == Libc.ENOENT ? 127 : 126);
        }
        int late = 0;
        if (milliseconds > 0)
        {
            nint pidfd = Libc.syscall(Libc.SYS_pidfd_open, pid, 0, 0, 0, 0, 0);
            pollfd* poll = (pollfd*)scratch;
            poll->fd = (int)pidfd;
            poll->events = (short)Libc.POLLIN;
            timespec* limit = (timespec*)(scratch + 64);
            limit->tv_sec = milliseconds / 1000;
            limit->tv_nsec = milliseconds % 1000 * 1000000;
            if (Libc.syscall(Libc.SYS_ppoll, (nint)poll, 1, (nint)limit, 0, 0, 0) == 0)
            {
                late = 1;
                Libc.syscall(Libc.SYS_kill, pid, Libc.SIGKILL, 0, 0, 0, 0);
            }
            Libc.syscall(Libc.SYS_close, pidfd, 0, 0, 0, 0, 0);
        }
        int* status = (int*)scratch;
        while (Libc.syscall(Libc.SYS_wait4, pid, (nint)status, 0, 0, 0, 0) == -1 && *Libc.__errno_location() == Libc.EINTR)
        {
        }
        *detail = *status;
        return late != 0 ? Libc.ETIMEDOUT : *status == 0 ? 0 : Libc.ECHILD;
    }

    static void AwaitByte(int fd, byte* scratch)
    {
        while (true)
        {
            nint n = Libc.syscall(Libc.SYS_read, fd, (nint)scratch, 1, 0, 0, 0);
            if (n == 1)
                return;
            if (n == 0 || *Libc.__errno_location() != Libc.EINTR)
                Exit(1);
        }
    }

    static bool Tell(int fd, int kind, int value, int errno, int detail)
    {
        Report report;
        report.Kind = kind;
        report.Value = value;
        report.Errno = errno;
        report.Detail = detail;
        return Libc.syscall(Libc.SYS_write, fd, (nint)(&report), sizeof(Report), 0, 0, 0) == sizeof(Report);
    }

    static void Exit(int status)
    {
        while (true)
        {
            Libc.syscall(Libc.SYS_exit_group, status, 0, 0, 0, 0, 0);
            // A filter may forbid even that. By then signals have their default actions, and this is a SIGSEGV.
            *(int*)0 = 0;
        }
    }
}
