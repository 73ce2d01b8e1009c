using Containers.Linux;

namespace Psrun.Unpack;

/// <summary>What is known of the layers below the one that is unpacked.</summary>
enum Below
{
    /// <summary>There are none.</summary>
    Nothing,

    /// <summary>There are some, and they were not given: whoever needs them gives up with <c>NeedsLower</c>.</summary>
    Unknown,

    /// <summary>They were given.</summary>
    Known,
}

/// <summary>
/// The folder that a layer is unpacked into. Every path is resolved by the kernel inside that folder (openat2, RESOLVE_IN_ROOT) or walked by
/// descriptors without following links, and whatever is made is made by its last name in an open parent: no name in an archive can lead out.
/// </summary>
sealed unsafe class Tree
{
    const int MostLinks = 40;
    const int LongestPath = 4096;
    const uint ImplicitMode = 0x1ed; // 0755

    static readonly byte[] s_here = ".\0"u8.ToArray();

    readonly int _root;
    readonly Below _below;
    readonly LayeredFolder? _layers;
    readonly List<(byte[] Path, timespec Accessed, timespec Changed)> _folderTimes = [];
    byte[]? _parentPath;
    int _parent = -1;

    /// <param name="root">An open folder; stays the caller's.</param>
    /// <param name="layers">The folder itself and those below it, the topmost first; with <see cref="Below.Known"/> alone.</param>
    /// <param name="plain">No layer of overlayfs but a folder that somebody uses: links in it are followed nowhere, and a folder takes the place of nothing else.</param>
    public Tree(int root, Below below, LayeredFolder? layers, bool plain = false)
    {
        IsPlain = plain;
        _root = root;
        _below = below;
        _layers = layers;
        byte value;
        Inherits = Libc.statx(root, Libc.STATX_BASIC_STATS, out statx stat) != 0 || (stat.stx_mode & Libc.S_ISGID) != 0 || stat.stx_gid != 0
            || Libc.fgetxattr(root, DefaultAcl, &value, 1) >= 0 || Libc.errno == Libc.ERANGE || Libc.geteuid() != 0;
    }

    const string DefaultAcl = "system.posix_acl_default";

    /// <summary>
    /// What is made may get a group or a mode from its folder: set-group-id, a default access list, or a file system mounted with grpid. Until
    /// then a new file is root's and has the mode that it is made with.
    /// </summary>
    public bool Inherits { get; private set; }

    /// <summary>Told of each folder that is made.</summary>
    public void Made(uint mode, uint group, bool attributes) => Inherits |= (mode & Libc.S_ISGID) != 0 || group != 0 || attributes;

    public bool IsPlain { get; }
    public int Root => _root;
    public Below Below => _below;

    /// <summary>The parts of a name, without empty ones and dots.</summary>
    public static List<byte[]> Split(ReadOnlySpan<byte> name, Func<string> shown)
    {
        // Walking by descriptors gets further than any program could name.
        if (name.Length >= LongestPath)
            throw new UnpackException(UnpackException.LayerInvalid, $"'{shown()[..64]}…' has {name.Length} bytes; a path has less than {LongestPath}");
        var parts = new List<byte[]>();
        while (name.Length > 0)
        {
            int slash = name.IndexOf((byte)'/');
            ReadOnlySpan<byte> part = slash < 0 ? name : name[..slash];
            name = slash < 0 ? default : name[(slash + 1)..];
            if (part.IsEmpty || part is [(byte)'.'])
                continue;
            if (part is [(byte)'.', (byte)'.'])
                throw new UnpackException(UnpackException.LayerInvalid, $"'{shown()}' has '..' in its path");
            parts.Add([.. part, 0]);
        }
        return parts;
    }

    public static byte[] Join(List<byte[]> parts, int count)
    {
        if (count == 0)
            return s_here;
        int length = 0;
        for (int i = 0; i < count; i++)
            length += parts[i].Length;
        byte[] path = new byte[length];
        int position = 0;
        for (int i = 0; i < count; i++)
        {
            parts[i].CopyTo(path, position);
            position += parts[i].Length;
            path[position - 1] = (byte)'/';
        }
        path[^1] = 0;
        return path;
    }

    /// <summary>The folder that holds the last part, made where it is missing. The descriptor stays ours and is good until the next call.</summary>
    public int Parent(List<byte[]> parts, Func<string> shown)
    {
        byte[] path = Join(parts, parts.Count - 1);
        if (_parentPath is not null && path.AsSpan().SequenceEqual(_parentPath))
            return _parent;
        int fd = OpenFolder(path);
        if (fd < 0)
            fd = Walk(parts, shown);
        Keep(path, fd);
        return fd;
    }

    /// <summary>The same without making anything: -1 when a part of the way is missing. The caller closes it.</summary>
    public int ExistingParent(List<byte[]> parts) => OpenFolder(Join(parts, parts.Count - 1));

    /// <summary>What the layers together show under this name, links on the way followed.</summary>
    public LayeredEntry? FindLower(List<byte[]> parts)
    {
        byte[] path = Join(parts, parts.Count);
        return _layers!.Find(path.AsSpan(0, path.Length - 1), followLast: false);
    }

    /// <summary>A folder that the next entries probably lie in.</summary>
    public void Keep(byte[] path, int fd)
    {
        if (_parent >= 0 && _parent != fd)
            Libc.close(_parent);
        _parentPath = path;
        _parent = fd;
    }

    /// <summary>A folder's times change with what is made in it: they are set at the end.</summary>
    public void AtEnd(byte[] path, timespec accessed, timespec changed) => _folderTimes.Add((path, accessed, changed));

    public void SetFolderTimes()
    {
        timespec* times = stackalloc timespec[2];
        foreach ((byte[] path, timespec accessed, timespec changed) in _folderTimes)
        {
            int fd = Open(path, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_NOFOLLOW);
            // Replaced by something else, further down in the archive.
            if (fd < 0)
                continue;
            times[0] = accessed;
            times[1] = changed;
            Libc.futimens(fd, times);
            Libc.close(fd);
        }
    }

    int OpenFolder(byte[] path) => Open(path, Libc.O_PATH | Libc.O_DIRECTORY);

    int Open(byte[] path, int flags)
    {
        var how = new open_how { flags = (ulong)(flags | Libc.O_CLOEXEC), resolve = (ulong)((IsPlain ? Libc.RESOLVE_BENEATH | Libc.RESOLVE_NO_SYMLINKS : Libc.RESOLVE_IN_ROOT) | Libc.RESOLVE_NO_MAGICLINKS) };
        int fd;
        fixed (byte* p = path)
            do fd = Libc.openat2(_root, p, how); while (fd < 0 && Libc.errno == Libc.EAGAIN);
        return fd;
    }

    // Part by part, with what is missing made on the way as the layers below have it.
    int Walk(List<byte[]> parts, Func<string> shown)
    {
        var left = new Stack<byte[]>();
        for (int i = parts.Count - 2; i >= 0; i--)
            left.Push(parts[i]);
        var at = new List<byte[]>();
        int links = 0;
        int fd = LinuxException.Check(Libc.fcntl(_root, Libc.F_DUPFD_CLOEXEC), "dup");
        try
        {
            while (left.TryPop(out byte[]? part))
            {
                if (part.AsSpan().SequenceEqual("..\0"u8))
                {
                    if (at.Count > 0)
                        at.RemoveAt(at.Count - 1);
                    Replace(ref fd, Beneath(at));
                    continue;
                }
                byte[]? target = Step(ref fd, part, at, shown);
                if (target is null)
                    continue;
                if (++links > MostLinks)
                    throw new UnpackException(UnpackException.LayerInvalid, $"'{shown()}' lies behind too many links");
                if (target.Length > 0 && target[0] == '/')
                {
                    at.Clear();
                    Replace(ref fd, Beneath(at));
                }
                List<byte[]> more = LinkParts(target);
                for (int i = more.Count - 1; i >= 0; i--)
                    left.Push(more[i]);
            }
            return fd;
        }
        catch
        {
            Libc.close(fd);
            throw;
        }
    }

    // One part: into a folder (then null), or what a link names.
    byte[]? Step(ref int fd, byte[] part, List<byte[]> at, Func<string> shown)
    {
        for (int attempt = 0; attempt < 2; attempt++)
        {
            int next;
            statx stat;
            int found;
            fixed (byte* p = part)
                found = Libc.statx(fd, p, Libc.AT_SYMLINK_NOFOLLOW, Libc.STATX_BASIC_STATS, out stat);
            if (found < 0)
            {
                if (Libc.errno != Libc.ENOENT)
                    throw Failure("statx", shown);
                at.Add(part);
                MakeImplicit(fd, part, at);
                at.RemoveAt(at.Count - 1);
                continue;
            }
            int type = stat.stx_mode & Libc.S_IFMT;
            if (type == Libc.S_IFLNK)
                return !IsPlain ? ReadLink(fd, part) : throw new UnpackException(UnpackException.LayerInvalid, $"'{shown()}' lies behind a link");
            if (!IsPlain && OverlayNames.IsWhiteout(fd, part, stat))
            {
                // Removed above, and in use again: a new folder that shows nothing of the old one.
                fixed (byte* p = part)
                    Libc.unlinkat(fd, p, 0);
                at.Add(part);
                MakeFolder(fd, part, at);
                at.RemoveAt(at.Count - 1);
                SetOpaque(fd, part, shown);
                continue;
            }
            if (type != Libc.S_IFDIR)
                throw new UnpackException(UnpackException.LayerInvalid, $"'{shown()}' lies under a file");
            fixed (byte* p = part)
                next = Libc.openat(fd, p, Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_NOFOLLOW | Libc.O_CLOEXEC);
            if (next < 0)
                throw Failure("open", shown);
            Replace(ref fd, next);
            at.Add(part);
            return null;
        }
        throw Failure("mkdir", shown);
    }

    void MakeImplicit(int parent, byte[] part, List<byte[]> at)
    {
        if (_below == Below.Unknown)
            throw new UnpackException(UnpackException.NeedsLower, "a folder on the way is not in the layer");
        byte[] path = Join(at, at.Count);
        LayeredEntry? lower = _layers?.Find(path.AsSpan(0, path.Length - 1), followLast: false);
        if (lower is { IsFolder: true } or { IsLink: true })
            CopyUp.To(lower, parent, part, this, path);
        else
            MakeFolder(parent, part, at);
    }

    // Nobody says what it is like: root's, open to all, as mkdir -p makes it. The epoch, so that two runs are alike.
    void MakeFolder(int parent, byte[] part, List<byte[]> at)
    {
        fixed (byte* p = part)
            LinuxException.Check(Libc.mkdirat(parent, p, ImplicitMode), "mkdir");
        AtEnd(Join(at, at.Count), default, default);
    }

    int Beneath(List<byte[]> at)
    {
        byte[] path = Join(at, at.Count);
        var how = new open_how { flags = (ulong)(Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_CLOEXEC), resolve = Libc.RESOLVE_BENEATH | Libc.RESOLVE_NO_SYMLINKS | Libc.RESOLVE_NO_MAGICLINKS };
        fixed (byte* p = path)
            return LinuxException.Check(Libc.openat2(_root, p, how), "openat2");
    }

    static void Replace(ref int fd, int next)
    {
        Libc.close(fd);
        fd = next;
    }

    static byte[] ReadLink(int parent, byte[] name)
    {
        byte[] buffer = new byte[4097];
        nint length;
        fixed (byte* p = name)
        fixed (byte* to = buffer)
            length = LinuxException.Check(Libc.readlinkat(parent, p, to, (nuint)buffer.Length), "readlink");
        return buffer[..(int)length];
    }

    static List<byte[]> LinkParts(ReadOnlySpan<byte> target)
    {
        var parts = new List<byte[]>();
        while (target.Length > 0)
        {
            int slash = target.IndexOf((byte)'/');
            ReadOnlySpan<byte> part = slash < 0 ? target : target[..slash];
            target = slash < 0 ? default : target[(slash + 1)..];
            if (!part.IsEmpty && part is not [(byte)'.'])
                parts.Add([.. part, 0]);
        }
        return parts;
    }

    /// <summary>Hides what lies under this folder in lower layers.</summary>
    public void SetOpaque(int parent, byte[] name, Func<string> shown)
    {
        if (_below == Below.Nothing)
            return;
        int fd;
        fixed (byte* p = name)
            fd = Libc.openat(parent, p, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_NOFOLLOW | Libc.O_CLOEXEC);
        if (fd < 0)
            throw Failure("open", shown);
        Mark(fd, (byte)'y', shown);
    }

    /// <summary>Hides what lower layers have under this name, which nothing has in this one.</summary>
    public void MakeWhiteout(int parent, byte[] name, Func<string> shown)
    {
        fixed (byte* p = name)
        {
            if (Libc.mknodat(parent, p, Libc.S_IFCHR, 0) == 0)
                return;
            // A layer that lies on an overlay itself, as in a container: the device would be that one's whiteout, and is refused.
            statfs system;
            if (Libc.errno != Libc.EPERM || Libc.fstatfs(parent, &system) < 0 || system.f_type != Libc.OVERLAYFS_SUPER_MAGIC)
                throw Failure("mknod", shown);
            int fd = Libc.openat(parent, p, Libc.O_WRONLY | Libc.O_CREAT | Libc.O_EXCL | Libc.O_NOFOLLOW | Libc.O_CLOEXEC, 0);
            if (fd < 0)
                throw Failure("open", shown);
            byte mark = (byte)'y';
            int set = Libc.fsetxattr(fd, OverlayNames.Whiteout, &mark, 1, 0);
            int errno = Libc.errno;
            Libc.close(fd);
            if (set < 0)
                throw MarkFailed(shown, OverlayNames.Whiteout, errno);
        }
        // Overlayfs looks for such files in folders that say so. One that is opaque hides all lower ones anyway.
        byte value = 0;
        int folder = OpenHere(parent, shown);
        if (Libc.fgetxattr(folder, OverlayNames.Opaque, &value, 1) != 1 || value != (byte)'y')
            Mark(folder, (byte)'x', shown);
        else
            Libc.close(folder);
    }

    static int OpenHere(int parent, Func<string> shown)
    {
        fixed (byte* p = s_here)
        {
            int fd = Libc.openat(parent, p, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_CLOEXEC);
            return fd >= 0 ? fd : throw Failure("open", shown);
        }
    }

    // Closes it.
    static void Mark(int folder, byte value, Func<string> shown)
    {
        int set = Libc.fsetxattr(folder, OverlayNames.Opaque, &value, 1, 0);
        int errno = Libc.errno;
        Libc.close(folder);
        if (set < 0)
            throw MarkFailed(shown, OverlayNames.Opaque, errno);
    }

    static UnpackException MarkFailed(Func<string> shown, string name, int errno) =>
        new(UnpackException.UnpackFailed, $"'{shown()}': {new LinuxException("setxattr", name, errno).Message}{(errno == Libc.EOPNOTSUPP ? " (layers lie on an overlay since Linux 6.7 alone)" : "")}");

    /// <summary>Removes what stands there, a folder with everything in it; in a plain tree no folder.</summary>
    public void Remove(int parent, byte[] name, Func<string> shown)
    {
        if (IsPlain)
        {
            fixed (byte* p = name)
                if (Libc.unlinkat(parent, p, 0) < 0 && Libc.errno != Libc.ENOENT)
                    throw Libc.errno == Libc.EISDIR ? new UnpackException(UnpackException.LayerInvalid, $"'{shown()}' is a folder there, and takes the place of nothing else") : Failure("unlink", shown);
            return;
        }
        if (FolderTree.Remove(parent, name) < 0)
            throw Failure("unlink", shown);
    }

    /// <summary>What the last call says, put on the archive's account or on the host's.</summary>
    public static UnpackException Failure(string call, Func<string> shown)
    {
        int errno = Libc.errno;
        bool archive = errno is Libc.ENAMETOOLONG or Libc.ENOTDIR or Libc.ELOOP or Libc.EISDIR or Libc.EINVAL or Libc.EXDEV or Libc.ENOENT or Libc.EMLINK;
        return new UnpackException(archive ? UnpackException.LayerInvalid : UnpackException.UnpackFailed, $"'{shown()}': {new LinuxException(call, null, errno).Message}");
    }
}
