using Containers.Linux;
using Psrun.Dance;

namespace Psrun.Rootfs;

/// <summary>
/// The tree of a container without a mount namespace of its own. It is mounted over its own folder, in psrun's namespace or in the one that the bundle names, where it does
/// not go with its last process: delete takes it away. Put on record before anything is mounted, so that a killed creation leaves nothing that nobody finds.
/// </summary>
/// <param name="At">The root's folder, without links on its way.</param>
/// <param name="Before">How many mounts were there already: what lies above them is the container's.</param>
/// <param name="Namespace">The path of the joined namespace; null for psrun's own.</param>
/// <param name="NamespaceLink">What the kernel calls it (<c>mnt:[4026531841]</c>): the path may mean another one later.</param>
sealed unsafe record SharedMounts(string At, int Before, string? Namespace, string? NamespaceLink)
{
    public static SharedMounts Find(Namespaces namespaces, string rootfs)
    {
        string? path = namespaces.Joined.Find(j => j.Flag == Libc.CLONE_NEWNS).Path;
        int ns = -1;
        if (path != null && (ns = Libc.open(path, Libc.O_RDONLY | Libc.O_CLOEXEC)) < 0)
            throw new PsrunException($"linux.namespaces: mount: {path}: {Errnos.Text(Libc.errno)}");
        SharedMounts? found = null;
        try
        {
            string? link = path == null ? null : Link(Libc.AT_FDCWD, $"/proc/self/fd/{ns}");
            Visit(ns, self =>
            {
                string at = RealPath(self, rootfs);
                found = new SharedMounts(at, Count(self, at), path, link);
            });
        }
        finally
        {
            if (ns >= 0)
                Libc.close(ns);
        }
        return found!;
    }

    /// <summary>Takes the container's tree away, also from under whoever still looks at it. A namespace that is gone has taken it along. May be repeated.</summary>
    public void Detach()
    {
        int ns = -1;
        if (Namespace != null)
        {
            ns = Libc.open(Namespace, Libc.O_RDONLY | Libc.O_CLOEXEC);
            if (ns < 0)
                return;
        }
        try
        {
            if (ns >= 0 && Link(Libc.AT_FDCWD, $"/proc/self/fd/{ns}") != NamespaceLink)
                return;
            Visit(ns, self =>
            {
                // Counted anew each time: in a shared tree one unmount may take copies away as well.
                while (Count(self, At) > Before)
                    if (Libc.umount2(At, Libc.MNT_DETACH | Libc.UMOUNT_NOFOLLOW) < 0)
                        throw new PsrunException($"unmount {At}: {Errnos.Text(Libc.errno)}");
            });
        }
        finally
        {
            if (ns >= 0)
                Libc.close(ns);
        }
    }

    /// <summary>Works in a mount namespace. Only a thread that shares its folders with no other may enter one (setns(2)); this one ends there.</summary>
    /// <param name="ns">-1: psrun's own.</param>
    /// <param name="work">Gets a descriptor of the working thread's folder in /proc.</param>
    public static void Visit(int ns, Action<int> work)
    {
        if (ns < 0)
        {
            Work(() => 0, work);
            return;
        }
        PsrunException? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                Work(() => Libc.unshare(Libc.CLONE_FS) < 0 || Libc.setns(ns, Libc.CLONE_NEWNS) < 0 ? Libc.errno : 0, work);
            }
            catch (PsrunException e)
            {
                failure = e;
            }
        });
        thread.Start();
        thread.Join();
        if (failure != null)
            throw failure;
    }

    static void Work(Func<int> enter, Action<int> work)
    {
        // Opened before: the namespace need not have a /proc.
        int self = Libc.open("/proc/thread-self", Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_CLOEXEC);
        if (self < 0)
            throw new PsrunException($"/proc/thread-self: {Errnos.Text(Libc.errno)}");
        int errno = enter();
        try
        {
            if (errno != 0)
                throw new PsrunException($"linux.namespaces: mount: {Errnos.Text(errno)}");
            work(self);
        }
        finally
        {
            Libc.close(self);
        }
    }

    static int Count(int self, string at)
    {
        int fd = Libc.openat(self, "mountinfo", Libc.O_RDONLY | Libc.O_CLOEXEC, 0);
        if (fd < 0)
            throw new PsrunException($"/proc/self/mountinfo: {Errnos.Text(Libc.errno)}");
        byte[] text = State.StateFolder.ReadAll(fd, 64 << 20, "/proc/self/mountinfo");
        Libc.close(fd);
        var mounts = new List<MountInfo>();
        if (!MountInfo.TryParse(text, mounts))
            throw new PsrunException("/proc/self/mountinfo: not understood");
        return mounts.FindAll(m => m.MountPoint == at).Count;
    }

    static string RealPath(int self, string folder)
    {
        int fd = Libc.open(folder, Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_CLOEXEC);
        if (fd < 0)
            throw new PsrunException($"root.path: {folder}: {Errnos.Text(Libc.errno)} in the mount namespace of the container");
        try
        {
            return Link(self, $"fd/{fd}");
        }
        finally
        {
            Libc.close(fd);
        }
    }

    static string Link(int folder, string path)
    {
        byte* buffer = stackalloc byte[4096];
        nint length = Libc.readlinkat(folder, path, buffer, 4096);
        return length > 0 ? System.Text.Encoding.UTF8.GetString(buffer, (int)length) : throw new PsrunException($"readlink {path}: {Errnos.Text(Libc.errno)}");
    }
}
