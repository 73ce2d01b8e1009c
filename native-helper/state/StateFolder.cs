using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using Containers.Linux;

namespace Psrun.State;

/// <summary>
/// <c>&lt;root&gt;/&lt;id&gt;</c>: making it claims the id; it is locked by flock(2) on the folder itself while a verb changes the container, and removed last.
/// </summary>
sealed unsafe class StateFolder : IDisposable
{
    static byte[]? s_buffer;

    readonly int _fd;
    /// <summary>Empty, or the way from <see cref="_fd"/> to the folder; see <see cref="Peek"/>.</summary>
    readonly string _way = "";

    StateFolder(string root, string id, int fd)
    {
        Root = root;
        Id = id;
        _fd = fd;
    }

    StateFolder(string root, int rootFd, string id) : this(root, id, rootFd) => _way = id + "/";

    /// <summary>A folder that is only looked at, one of many: its state and <see cref="Status"/>. It is not opened itself, and there is nothing to dispose of.</summary>
    /// <param name="rootFd">An open descriptor of <paramref name="root"/>, which stays the caller's.</param>
    public static StateFolder Peek(string root, int rootFd, string id) => new(root, rootFd, id);

    public string Root { get; }
    public string Id { get; }
    public int Descriptor => _fd;
    public string Path => Root + "/" + Id;

    /// <summary>
    /// Claims the id: one of many at once has it. A folder without a state in it, and nobody who holds its lock, is what a creation left
    /// that was killed in its first moment; it is taken over.
    /// </summary>
    public static StateFolder Create(string root, string id)
    {
        MakeRoot(root);
        while (true)
        {
            bool made = Libc.mkdir(root + "/" + id, 0x1C0) == 0;
            if (!made && Libc.errno != Libc.EEXIST)
                throw new PsrunException($"mkdir {root}/{id}: {Errnos.Text(Libc.errno)}");
            if (Open(root, id) is not { } folder)
            {
                if (Libc.errno == Libc.ENOENT)
                    continue; // removed by another meanwhile
                throw new PsrunException($"open {root}/{id}: {Errnos.Text(Libc.errno)}");
            }
            bool locked = folder.TryLock();
            if (locked && !folder.IsInPlace())
            {
                folder.Dispose();
                continue;
            }
            // An init that lives although its state was taken away is a forced delete's to end.
            if (locked && folder.TryRead("state.json") == null && (folder.TryReadInitLink() is not { } left || !InitProcess.IsAlive(left.Pid, left.PidStartTime)))
            {
                if (!made)
                    folder.RemoveFiles();
                return folder;
            }
            folder.Dispose();
            throw new PsrunException($"container with id exists already: {id}");
        }
    }

    /// <summary>Whether the path still leads to this folder: it may have been removed, and made anew, between open and lock.</summary>
    bool IsInPlace() =>
        Libc.statx(_fd, Libc.STATX_INO, out var mine) == 0
        && Libc.statx(Libc.AT_FDCWD, Path, Libc.AT_SYMLINK_NOFOLLOW, Libc.STATX_INO, out var found) == 0
        && mine.stx_ino == found.stx_ino;

    public static StateFolder? Open(string root, string id)
    {
        int fd = Libc.open(root + "/" + id, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_NOFOLLOW | Libc.O_CLOEXEC);
        // Any other error does not say that the container is not there.
        if (fd < 0 && Libc.errno is not (Libc.ENOENT or Libc.ENOTDIR or Libc.ELOOP))
            throw new PsrunException($"open {root}/{id}: {Errnos.Text(Libc.errno)}");
        return fd < 0 ? null : new StateFolder(root, id, fd);
    }

    /// <summary>The folder, locked, and its state. A folder that was removed while the lock was awaited counts as absent.</summary>
    public static (StateFolder Folder, StateFile State) OpenLocked(string root, string id)
    {
        StateFolder folder = Open(root, ContainerId.Check(id)) ?? throw NotFound(id);
        folder.Lock();
        StateFile? state = folder.TryReadState();
        if (state == null)
        {
            folder.Dispose();
            throw NotFound(id);
        }
        return (folder, state);
    }

    public static PsrunException NotFound(string id) => new($"container does not exist: {id}");

    public void Lock()
    {
        while (Libc.flock(_fd, Libc.LOCK_EX) < 0)
            if (Libc.errno != Libc.EINTR)
                throw new PsrunException($"lock {Path}: {Errnos.Text(Libc.errno)}");
    }

    /// <summary>False, with the lock held in vain, when the folder was removed meanwhile.</summary>
    public bool LockInPlace()
    {
        Lock();
        return IsInPlace();
    }

    public bool TryLock() => Libc.flock(_fd, Libc.LOCK_EX | Libc.LOCK_NB) == 0;

    public void Unlock() => Libc.flock(_fd, Libc.LOCK_UN);

    /// <summary>Whether somebody holds the lock.</summary>
    public bool IsBeingMade
    {
        get
        {
            if (_way.Length > 0)
            {
                using StateFolder? opened = Open(Root, Id);
                return opened?.IsBeingMade == true;
            }
            if (!TryLock())
                return true;
            Unlock();
            return false;
        }
    }

    public StateFile? TryReadState()
    {
        // One for all that a list reads: sixteen kilobytes apiece would be most of what it allocates.
        if (TryRead("state.json", ref s_buffer) is not int length)
            return null;
        StateFile state = StateFile.Read(s_buffer.AsSpan(0, length));
        return state.Id == Id ? state : throw new PsrunException($"state.json is not readable: it is of container \"{state.Id}\"");
    }

    byte[]? TryRead(string name)
    {
        byte[]? buffer = null;
        return TryRead(name, ref buffer) is int length ? buffer![..length] : null;
    }

    /// <returns>The length of what is in <paramref name="buffer"/> then; null where the file is not there.</returns>
    int? TryRead(string name, ref byte[]? buffer)
    {
        int fd = _way.Length == 0
            ? Libc.openat(_fd, name, Libc.O_RDONLY | Libc.O_NOFOLLOW | Libc.O_CLOEXEC)
            : Libc.openat2(_fd, _way + name, new open_how { flags = Libc.O_RDONLY | Libc.O_CLOEXEC, resolve = Libc.RESOLVE_NO_SYMLINKS });
        if (fd < 0)
            return Libc.errno == Libc.ENOENT || _way.Length > 0 && Libc.errno is Libc.ENOTDIR or Libc.ELOOP ? null : throw new PsrunException($"open {Path}/{name}: {Errnos.Text(Libc.errno)}");
        try
        {
            return ReadAll(fd, 16 << 20, Path + "/" + name, ref buffer);
        }
        finally
        {
            Libc.close(fd);
        }
    }

    public static byte[] ReadAll(int fd, int limit, string name)
    {
        byte[]? buffer = null;
        int length = ReadAll(fd, limit, name, ref buffer);
        return buffer[..length];
    }

    static int ReadAll(int fd, int limit, string name, [NotNull] ref byte[]? buffer)
    {
        buffer ??= new byte[16 * 1024];
        int length = 0;
        while (true)
        {
            if (length == buffer.Length)
                Array.Resize(ref buffer, buffer.Length * 2);
            nint n;
            fixed (byte* p = buffer)
                n = Libc.read(fd, p + length, (nuint)(buffer.Length - length));
            if (n < 0)
                throw new PsrunException($"read {name}: {Errnos.Text(Libc.errno)}");
            if (n == 0)
                return length;
            length += (int)n;
            if (length > limit)
                throw new PsrunException($"{name}: larger than {limit} bytes");
        }
    }

    /// <summary>Written beside it, then renamed: a reader sees the old text or the new one. /run is memory, so there is nothing to sync.</summary>
    public void WriteState(StateFile state)
    {
        const string next = ".state.json";
        int fd = Libc.openat(_fd, next, Libc.O_WRONLY | Libc.O_CREAT | Libc.O_TRUNC | Libc.O_NOFOLLOW | Libc.O_CLOEXEC, 0x180);
        if (fd < 0)
            throw new PsrunException($"write {Path}/state.json: {Errnos.Text(Libc.errno)}");
        byte[] bytes = state.Write();
        int errno = 0;
        fixed (byte* p = bytes)
            for (nint done = 0; done < bytes.Length && errno == 0;)
            {
                nint n = Libc.write(fd, p + done, (nuint)(bytes.Length - done));
                if (n > 0)
                    done += n;
                else if (n == 0 || Libc.errno != Libc.EINTR)
                    errno = n == 0 ? Libc.ENOSPC : Libc.errno;
            }
        Libc.close(fd);
        if (errno == 0 && Libc.renameat2(_fd, next, _fd, "state.json", 0) < 0)
            errno = Libc.errno;
        if (errno != 0)
            throw new PsrunException($"write {Path}/state.json: {Errnos.Text(errno)}");
    }

    /// <summary>
    /// What delete needs to take a container away, a second time and as a link, which is there whole or not at all: for the day on which state.json cannot be read.
    /// </summary>
    public void WriteInitLink(StateFile state) => WriteLink("init", $"{state.Pid} {state.PidStartTime} {state.CgroupPath}");

    void WriteLink(string name, string text)
    {
        if (Libc.symlinkat(text, _fd, name) < 0)
            throw new PsrunException($"write {Path}/{name}: {Errnos.Text(Libc.errno)}");
    }

    string? TryReadLink(string name)
    {
        byte* buffer = stackalloc byte[4096];
        nint length = Libc.readlinkat(_fd, name, buffer, 4096);
        if (length < 0 && Libc.errno is not (Libc.ENOENT or Libc.EINVAL))
            throw new PsrunException($"read {Path}/{name}: {Errnos.Text(Libc.errno)}");
        return length <= 0 ? null : System.Text.Encoding.UTF8.GetString(buffer, (int)length);
    }

    /// <summary>What <see cref="WriteInitLink"/> kept, as a state in which all else is empty; null without it.</summary>
    public StateFile? TryReadInitLink()
    {
        string[] parts = TryReadLink("init")?.Split(' ', 3) ?? [];
        return parts.Length == 3 && int.TryParse(parts[0], out int pid) && ulong.TryParse(parts[1], out ulong start)
            ? new StateFile { Id = Id, Bundle = "", Rootfs = "", Pid = pid, PidStartTime = start, Complete = true, CgroupPath = parts[2].Length > 0 ? parts[2] : null }
            : null;
    }

    /// <summary>Where the container's tree is mounted in a namespace that is not its own: links too, each of which may be as long as a path can be. The one that counts comes last.</summary>
    public void WriteMounts(Psrun.Rootfs.SharedMounts mounts)
    {
        WriteLink("mounts-at", mounts.At);
        if (mounts.Namespace != null)
            WriteLink("mounts-in", mounts.Namespace);
        WriteLink("mounts", $"{mounts.Before} {mounts.NamespaceLink}");
    }

    public Psrun.Rootfs.SharedMounts? TryReadMounts() =>
        TryReadLink("mounts")?.Split(' ', 2) is [string before, string link] && int.TryParse(before, out int count) && TryReadLink("mounts-at") is ['/', ..] at
            ? new(at, count, TryReadLink("mounts-in"), link)
            : null;

    /// <summary>The group of resctrl that goes with the container, by its path below resctrl's root.</summary>
    public void WriteResctrlGroup(string group) => WriteLink("resctrl", group);

    public string? TryReadResctrlGroup() => TryReadLink("resctrl");

    public const string NotifyFolder = "notify", NotifyName = "notify.sock";

    /// <summary>Makes the folder in which the container finds the socket of <see cref="TryListenForNotify"/>; a detached tree of it, for a mount.</summary>
    /// <returns>-1 for a plain user, who can mount nothing yet, and whose container reaches this folder.</returns>
    public int OpenNotifyTree()
    {
        // Whatever the umask is: a container's user has to reach what is in it.
        if (Libc.mkdirat(_fd, NotifyFolder, 0x1ED) < 0 || Libc.fchmodat(_fd, NotifyFolder, 0x1ED, 0) < 0)
            throw new PsrunException($"mkdir {Path}/{NotifyFolder}: {Errnos.Text(Libc.errno)}");
        int tree = Libc.open_tree(_fd, NotifyFolder, Libc.OPEN_TREE_CLONE | Libc.OPEN_TREE_CLOEXEC);
        return tree >= 0 || Libc.errno == Libc.EPERM ? tree : throw new PsrunException($"bind {Path}/{NotifyFolder}: {Errnos.Text(Libc.errno)}");
    }

    /// <returns>-1 where no folder was made for it.</returns>
    public int TryListenForNotify()
    {
        const string name = NotifyFolder + "/" + NotifyName;
        if (Libc.faccessat(_fd, NotifyFolder, 0, Libc.AT_SYMLINK_NOFOLLOW) < 0)
            return -1;
        Libc.unlinkat(_fd, name, 0);
        int socket = Libc.socket(Libc.AF_UNIX, Libc.SOCK_DGRAM | Libc.SOCK_CLOEXEC, 0);
        sockaddr_un address = Address(name);
        if (socket < 0 || Libc.bind(socket, &address, (uint)sizeof(sockaddr_un)) < 0 || Libc.fchmodat(_fd, name, 0x1FF, 0) < 0)
            throw new PsrunException($"{Path}/{name}: {Errnos.Text(Libc.errno)}");
        return socket;
    }

    const string RestoredRootFolder = "criu-root";

    /// <summary>An empty folder, on which CRIU finds the container's root in a mount namespace of its own.</summary>
    public string MakeRestoredRoot() => Libc.mkdirat(_fd, RestoredRootFolder, 0x1C0) == 0 || Libc.errno == Libc.EEXIST
        ? Path + "/" + RestoredRootFolder
        : throw new PsrunException($"mkdir {Path}/{RestoredRootFolder}: {Errnos.Text(Libc.errno)}");

    public void RemoveRestoredRoot() => RemoveFolder(RestoredRootFolder);

    /// <summary>The program of the container's filter, for exec. Written before the state that speaks of it, and never again.</summary>
    public void WriteFilter(ReadOnlySpan<byte> program)
    {
        int fd = Libc.openat(_fd, "seccomp.bpf", Libc.O_WRONLY | Libc.O_CREAT | Libc.O_EXCL | Libc.O_NOFOLLOW | Libc.O_CLOEXEC, 0x180);
        nint written = -1;
        int errno = Libc.errno;
        if (fd >= 0)
        {
            fixed (byte* p = program)
                written = Libc.write(fd, p, (nuint)program.Length);
            errno = written < 0 ? Libc.errno : Libc.ENOSPC;
            Libc.close(fd);
        }
        if (written != program.Length)
            throw new PsrunException($"write {Path}/seccomp.bpf: {Errnos.Text(errno)}");
    }

    public byte[]? TryReadFilter() => TryRead("seccomp.bpf");

    public bool HasStartSocket => Libc.faccessat(_fd, _way + "start.sock", 0, Libc.AT_SYMLINK_NOFOLLOW) == 0;

    public void RemoveStartSocket() => Libc.unlinkat(_fd, "start.sock", 0);

    /// <summary>The socket on which a created init waits. Bound by a short relative path: sockaddr_un holds 108 bytes.</summary>
    public int ListenForStart()
    {
        int socket = Libc.socket(Libc.AF_UNIX, Libc.SOCK_STREAM | Libc.SOCK_CLOEXEC, 0);
        sockaddr_un address = Address("start.sock");
        if (socket < 0 || Libc.bind(socket, &address, (uint)sizeof(sockaddr_un)) < 0 || Libc.listen(socket, 1) < 0)
            throw new PsrunException($"{Path}/start.sock: {Errnos.Text(Libc.errno)}");
        return socket;
    }

    /// <summary>A connection to the waiting init, or -1 when nobody listens any more.</summary>
    public int ConnectToStart()
    {
        int socket = Libc.socket(Libc.AF_UNIX, Libc.SOCK_STREAM | Libc.SOCK_CLOEXEC, 0);
        sockaddr_un address = Address("start.sock");
        if (socket >= 0 && Libc.connect(socket, &address, (uint)sizeof(sockaddr_un)) == 0)
            return socket;
        Libc.close(socket);
        return -1;
    }

    sockaddr_un Address(string name) =>
        sockaddr_un.TryMake(System.Text.Encoding.UTF8.GetBytes($"/proc/self/fd/{_fd}/{name}"), out sockaddr_un address)
            ? address
            : throw new PsrunException($"{Path}/{name}: path too long");

    /// <summary>Idempotent. The state goes first: without it the folder is nobody's container any more.</summary>
    public void Remove()
    {
        RemoveFiles();
        if (Libc.rmdir(Path) < 0 && Libc.errno != Libc.ENOENT)
            throw new PsrunException($"remove {Path}: {Errnos.Text(Libc.errno)}");
    }

    void RemoveFiles()
    {
        foreach (string name in (ReadOnlySpan<string>)["state.json", ".state.json", "start.sock", "init", "mounts", "mounts-in", "mounts-at", "resctrl", "seccomp.bpf", NotifyFolder + "/" + NotifyName])
            if (Libc.unlinkat(_fd, name, 0) < 0 && Libc.errno != Libc.ENOENT)
                throw new PsrunException($"remove {Path}/{name}: {Errnos.Text(Libc.errno)}");
        RemoveFolder(NotifyFolder);
        RemoveRestoredRoot();
    }

    void RemoveFolder(string name)
    {
        if (Libc.unlinkat(_fd, name, Libc.AT_REMOVEDIR) < 0 && Libc.errno != Libc.ENOENT)
            throw new PsrunException($"remove {Path}/{name}: {Errnos.Text(Libc.errno)}");
    }

    static void MakeRoot(string root)
    {
        int at = 0;
        while (at >= 0)
        {
            at = root.IndexOf('/', at + 1);
            string part = at < 0 ? root : root[..at];
            if (Libc.mkdir(part, 0x1C0) < 0 && Libc.errno is not (Libc.EEXIST or Libc.EROFS))
                throw new PsrunException($"mkdir {part}: {Errnos.Text(Libc.errno)}");
        }
    }

    public void Dispose() => Libc.close(_fd);
}
