namespace Containers.Linux;

/// <summary>
/// A look at the mounts of a mount namespace that no process is in, and that therefore has no folder in /proc. A thread of its own joins it (setns(2) asks for a
/// thread that shares neither root nor working folder with others), opens its own mountinfo, goes back and ends: mountinfo stays that of the moment in which it was opened.
/// </summary>
static unsafe class MountNamespaceVisit
{
    /// <param name="space">A descriptor of the mount namespace.</param>
    /// <returns>A descriptor to read, close-on-exec; -1 when the caller may not go there (CAP_SYS_ADMIN and CAP_SYS_CHROOT are needed).</returns>
    public static int OpenMountInfo(int space)
    {
        int opened = -1;
        var visitor = new Thread(() => opened = Visit(space)) { IsBackground = true };
        visitor.Start();
        visitor.Join();
        return opened;
    }

    static int Visit(int space)
    {
        int proc = Libc.open("/proc", Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_CLOEXEC);
        int own = Libc.open("/proc/thread-self/ns/mnt", Libc.O_RDONLY | Libc.O_CLOEXEC);
        int opened = -1;
        fixed (byte* name = "thread-self/mountinfo\0"u8)
        {
            // Inside, paths lead to files of others: nothing may have to be loaded there. So each call is made once before, to no effect.
            if (Libc.setns(-1, Libc.CLONE_NEWNS) < 0 && Libc.openat(-1, name, Libc.O_RDONLY) < 0 && proc >= 0 && own >= 0
                && Libc.unshare(Libc.CLONE_FS) == 0 && Libc.setns(space, Libc.CLONE_NEWNS) == 0)
            {
                opened = Libc.openat(proc, name, Libc.O_RDONLY | Libc.O_CLOEXEC);
                Libc.setns(own, Libc.CLONE_NEWNS);
            }
        }
        Libc.close(own);
        Libc.close(proc);
        return opened;
    }
}
