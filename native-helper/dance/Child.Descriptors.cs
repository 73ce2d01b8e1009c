using Containers.Linux;

namespace Psrun.Dance;

/// <summary>Which descriptors the child keeps, and what stands behind one. The rule of Child.cs holds here too.</summary>
static unsafe partial class Child
{
    const int ProcRootInode = 1;

    /// <summary>
    /// A descriptor of a folder of the host that is still open when the container's paths are walked leads out of it: by /proc/self/fd in the working directory, in the
    /// program's path, or in a link of the image (CVE-2024-21626). Marked to be closed on exec is too late.
    /// </summary>
    static void CloseOthers(nint first, int* keep, nint count, int reportFd, int orderFd)
    {
        // Among the numbers that the caller preserves, those it did not open may be psrun's own: all of these close on exec, and none that came through one does.
        for (nint fd = 3; fd < first; fd++)
            if (fd != reportFd && fd != orderFd && !Contains(keep, count, fd)
                && Libc.syscall(Libc.SYS_fcntl, fd, Libc.F_GETFD, 0, 0, 0, 0) == Libc.FD_CLOEXEC)
                Libc.syscall(Libc.SYS_close, fd, 0, 0, 0, 0, 0);
        while (true)
        {
            nint next = int.MaxValue;
            if (reportFd >= first)
                next = reportFd;
            if (orderFd >= first && orderFd < next)
                next = orderFd;
            for (nint k = 0; k < count; k++)
                if (keep[k] >= first && keep[k] < next)
                    next = keep[k];
            if (next > first)
                Libc.syscall(Libc.SYS_close_range, first, next == int.MaxValue ? unchecked((nint)uint.MaxValue) : next - 1, 0, 0, 0, 0);
            if (next == int.MaxValue)
                return;
            first = next + 1;
        }
    }

    static bool Contains(int* keep, nint count, nint fd)
    {
        for (nint k = 0; k < count; k++)
            if (keep[k] == fd)
                return true;
        return false;
    }

    /// <summary>
    /// Through the host's /proc, which is proved to be procfs' own root, and across no mount: what is written there would otherwise reach whatever somebody put in the
    /// file's place, or never reach the kernel (CVE-2019-16884, CVE-2025-52881).
    /// </summary>
    static int WriteProc(nint path, nint data, nint size, byte* scratch)
    {
        scratch[0] = (byte)'/';
        scratch[1] = (byte)'p';
        scratch[2] = (byte)'r';
        scratch[3] = (byte)'o';
        scratch[4] = (byte)'c';
        scratch[5] = 0;
        nint proc = Libc.syscall(Libc.SYS_openat, Libc.AT_FDCWD, (nint)scratch, Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_CLOEXEC, 0, 0, 0);
        if (proc == -1)
            return *Libc.__errno_location();
        int errno = 0;
        if (FileSystemType(proc, scratch) != Libc.PROC_SUPER_MAGIC || StatDescriptor(proc, (stat_scratch*)scratch) != 0 || ((stat_scratch*)scratch)->Stat.stx_ino != ProcRootInode)
            errno = Libc.EXDEV;
        if (errno == 0)
        {
            open_how* how = (open_how*)scratch;
            how->flags = (ulong)(Libc.O_WRONLY | Libc.O_CLOEXEC);
            how->mode = 0;
            how->resolve = (ulong)(Libc.RESOLVE_NO_XDEV | Libc.RESOLVE_NO_MAGICLINKS | Libc.RESOLVE_BENEATH);
            nint fd = OpenInRoot((int)proc, (byte*)path, how, &errno);
            if (errno == 0)
            {
                if (Libc.syscall(Libc.SYS_write, fd, data, size, 0, 0, 0) != size)
                    errno = *Libc.__errno_location();
                Libc.syscall(Libc.SYS_close, fd, 0, 0, 0, 0, 0);
            }
        }
        Libc.syscall(Libc.SYS_close, proc, 0, 0, 0, 0, 0);
        return errno;
    }

    static long FileSystemType(nint fd, byte* scratch)
    {
        statfs* found = (statfs*)scratch;
        return Libc.syscall(Libc.SYS_fstatfs, fd, (nint)found, 0, 0, 0, 0) == -1 ? -1 : found->f_type;
    }
}
