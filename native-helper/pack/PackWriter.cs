using Containers.Linux;
using Psrun.Unpack;

namespace Psrun.Pack;

/// <summary>Writes things of a tree as entries of an archive.</summary>
/// <param name="raw">The tree is a layer of overlayfs itself, not mounted.</param>
/// <param name="layer">What is written becomes a layer, where names that begin with .wh. have a meaning of their own.</param>
sealed unsafe class PackWriter(LayerOutput output, bool raw, bool layer)
{
    readonly TarWriter _tar = new(output);
    readonly Dictionary<(uint, uint, ulong), byte[]> _links = [];

    /// <summary>Entries that were written.</summary>
    public long Entries { get; private set; }

    /// <summary>The changes that belong into a layer (image-spec, layer.md).</summary>
    public void Layer(int root, List<Change> changes)
    {
        foreach (Change change in changes)
        {
            if (!change.Stored)
                continue;
            int slash = change.Path.AsSpan().LastIndexOf((byte)'/');
            ReadOnlySpan<byte> name = change.Path.AsSpan(slash + 1);
            CheckName(name, change.Path);
            if (change.Kind == ChangeKind.Deleted)
            {
                _tar.Header('0', [.. change.Path.AsSpan(0, slash + 1), .. ".wh."u8, .. name], default, default, 0, []);
                Entries++;
                continue;
            }
            int folder = Beneath(root, slash < 0 ? [] : change.Path[..slash]);
            if (folder < 0)
                continue;
            try
            {
                Entry(folder, change.Path.Length == 0 ? Names.Here : [.. name, 0], change.Path);
            }
            finally
            {
                Libc.close(folder);
            }
        }
        _tar.End();
    }

    /// <summary>All of a tree. Folders that something is mounted on are empty, unless <see cref="Mounted"/>.</summary>
    /// <param name="name">What the folder itself is called in the archive; nothing for <c>./</c>.</param>
    public void Whole(int root, byte[]? name = null)
    {
        Entry(root, Names.Here, name ?? []);
        Below(root, name ?? []);
        _tar.End();
    }

    /// <summary>One thing that is no folder.</summary>
    /// <param name="path">What it is called in the archive.</param>
    public void Single(int folder, byte[] name, byte[] path)
    {
        Entry(folder, name, path);
        _tar.End();
    }

    /// <summary>Goes into what is mounted in the tree, but for what the kernel makes up while it is read: procfs, sysfs, control groups.</summary>
    public bool Mounted { get; init; }

    void Below(int folder, byte[] path)
    {
        List<byte[]> names = FolderTree.Names(folder);
        Names.Sort(names);
        foreach (byte[] name in names)
        {
            byte[] own = Names.Join(path, Names.Text(name));
            CheckName(name, own);
            if (!Entry(folder, name, own))
                continue;
            int into;
            fixed (byte* p = name)
                into = Libc.openat(folder, p, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_NOFOLLOW | Libc.O_CLOEXEC);
            if (into < 0)
                continue;
            try
            {
                if (Mounted && IsMadeUp(into))
                    continue;
                Below(into, own);
            }
            finally
            {
                Libc.close(into);
            }
        }
    }

    static bool IsMadeUp(int folder)
    {
        statfs system;
        return Libc.fstatfs(folder, &system) == 0 && (long)system.f_type is Libc.PROC_SUPER_MAGIC or Libc.SYSFS_MAGIC or Libc.CGROUP_SUPER_MAGIC or Libc.CGROUP2_SUPER_MAGIC;
    }

    void CheckName(ReadOnlySpan<byte> name, byte[] path)
    {
        if (layer && name.StartsWith(".wh."u8))
            throw new PackException($"'{Names.Shown(path)}' cannot be in a layer: there a name that begins with .wh. says that something is gone");
    }

    // Whether it is a folder to go into. What is gone meanwhile is left out: a container that runs may do that.
    bool Entry(int folder, byte[] name, byte[] path)
    {
        string Shown() => Names.Shown(path);
        statx stat;
        fixed (byte* p = name)
            if (Libc.statx(folder, p, Libc.AT_SYMLINK_NOFOLLOW, Libc.STATX_BASIC_STATS, out stat) < 0)
                return Libc.errno == Libc.ENOENT ? false : throw new LinuxException("statx", Shown(), Libc.errno);
        int type = stat.stx_mode & Libc.S_IFMT;
        if (type == Libc.S_IFSOCK || raw && OverlayNames.IsWhiteout(folder, name, stat))
            return false;
        if (type != Libc.S_IFDIR && stat.stx_nlink > 1)
        {
            var inode = (stat.stx_dev_major, stat.stx_dev_minor, stat.stx_ino);
            if (_links.TryGetValue(inode, out byte[]? first))
            {
                _tar.Header('1', path, first, stat, 0, []);
                Entries++;
                return false;
            }
            _links.Add(inode, path);
        }
        if (type == Libc.S_IFREG)
        {
            File(folder, name, path);
            return false;
        }
        char flag = type switch
        {
            Libc.S_IFDIR => '5',
            Libc.S_IFLNK => '2',
            Libc.S_IFCHR => '3',
            Libc.S_IFBLK => '4',
            _ => '6',
        };
        byte[] target = type == Libc.S_IFLNK ? Target(folder, name) : [];
        byte[] shown = type != Libc.S_IFDIR ? path : path.Length == 0 ? "./"u8.ToArray() : [.. path, (byte)'/'];
        _tar.Header(flag, shown, target, stat, 0, Attributes.Of(folder, name, raw, Shown));
        Entries++;
        return type == Libc.S_IFDIR && (Mounted || ((int)stat.stx_attributes & Libc.STATX_ATTR_MOUNT_ROOT) == 0);
    }

    void File(int folder, byte[] name, byte[] path)
    {
        int fd = OpenFile(folder, name);
        if (fd < 0)
        {
            if (Libc.errno is Libc.ENOENT or Libc.ELOOP)
                return;
            throw new LinuxException("open", Names.Shown(path), Libc.errno);
        }
        try
        {
            // Once more: what was opened is what is described.
            LinuxException.Check(Libc.statx(fd, Libc.STATX_BASIC_STATS, out statx stat), "statx", Names.Shown(path));
            if ((stat.stx_mode & Libc.S_IFMT) != Libc.S_IFREG)
                return;
            _tar.Header('0', path, default, stat, (long)stat.stx_size, Attributes.Of(folder, name, raw, () => Names.Shown(path)));
            Entries++;
            Data(fd, (long)stat.stx_size, path);
            _tar.Pad();
        }
        finally
        {
            Libc.close(fd);
        }
    }

    // As many bytes as the header says: what is written to the file meanwhile does not shift what follows in the archive.
    void Data(int fd, long left, byte[] path)
    {
        while (left > 0)
        {
            Span<byte> room = output.Room();
            nint n;
            fixed (byte* p = room)
                n = Libc.read(fd, p, (nuint)Math.Min(room.Length, left));
            if (n < 0)
                throw new LinuxException("read", Names.Shown(path), Libc.errno);
            if (n == 0)
                break;
            output.Wrote((int)n);
            left -= n;
        }
        _tar.Zeros(left);
    }

    static int Beneath(int root, byte[] path)
    {
        byte[] name = path.Length == 0 ? Names.Here : [.. path, 0];
        var how = new open_how { flags = (ulong)(Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_CLOEXEC), resolve = Libc.RESOLVE_BENEATH | Libc.RESOLVE_NO_SYMLINKS | Libc.RESOLVE_NO_MAGICLINKS };
        fixed (byte* p = name)
        {
            int fd;
            do fd = Libc.openat2(root, p, how); while (fd < 0 && Libc.errno == Libc.EAGAIN);
            return fd >= 0 || Libc.errno is Libc.ENOENT or Libc.ENOTDIR or Libc.ELOOP ? fd : throw new LinuxException("openat2", Names.Shown(path), Libc.errno);
        }
    }

    /// <summary>Opens what was a regular file a moment ago, and waits for nothing if it is a fifo by now; -1 and errno.</summary>
    public static int OpenFile(int folder, byte[] name)
    {
        fixed (byte* p = name)
            return Libc.openat(folder, p, Libc.O_RDONLY | Libc.O_NOFOLLOW | Libc.O_NONBLOCK | Libc.O_NOCTTY | Libc.O_CLOEXEC);
    }

    /// <summary>What a symbolic link names.</summary>
    public static byte[] Target(int folder, byte[] name)
    {
        byte[] buffer = new byte[4097];
        fixed (byte* p = name)
        fixed (byte* to = buffer)
        {
            nint length = LinuxException.Check(Libc.readlinkat(folder, p, to, (nuint)buffer.Length), "readlink", Names.Shown(Names.Text(name)));
            return buffer[..(int)length];
        }
    }
}
