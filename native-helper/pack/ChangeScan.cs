using Containers.Linux;
using Psrun.Unpack;

namespace Psrun.Pack;

enum ChangeKind
{
    Same,
    Added,
    Changed,
    Deleted,
}

/// <summary>One thing of a writable layer, and what it is to the layers below.</summary>
sealed class Change
{
    /// <summary>From the root, without a zero; empty for the root itself.</summary>
    public required byte[] Path;

    public required ChangeKind Kind;

    /// <summary>The folder that it lies in, by its place in the list; -1 in the root.</summary>
    public required int Folder;

    /// <summary>S_IFMT of what it is, or was.</summary>
    public required int Type;

    /// <summary>Bytes of a file.</summary>
    public required ulong Size;

    /// <summary>For what has several names.</summary>
    public (uint, uint, ulong)? Inode;

    /// <summary>Belongs into the layer: changed itself, on the way to what is, or another name of it.</summary>
    public bool Stored;
}

/// <summary>
/// Compares overlayfs's writable layer with what lies below. Walks the writable layer alone, so that the time is that of what was written and
/// not that of the image. What overlayfs has brought up and nobody changed is the same as below, down to its bytes.
/// </summary>
sealed unsafe class ChangeScan
{
    const int Chunk = 256 << 10;

    readonly List<Change> _changes = [];
    readonly byte[] _one = new byte[Chunk];
    readonly byte[] _other = new byte[Chunk];
    readonly bool _lowerRaw;

    ChangeScan(bool lowerRaw) => _lowerRaw = lowerRaw;

    /// <param name="upper">The writable layer, an open folder.</param>
    /// <param name="lower">What lies below, as one tree; -1 for nothing.</param>
    /// <param name="lowerRaw">It is one layer itself, not mounted.</param>
    /// <param name="tree"><paramref name="upper"/> is no layer but a whole tree, a copy of what lies below that was changed.</param>
    /// <returns>Everything in the writable layer and what it hides, folders before what they hold, what is deleted before what is there.</returns>
    public static List<Change> Run(int upper, int lower, bool lowerRaw, bool tree)
    {
        var scan = new ChangeScan(lowerRaw);
        scan.Root(upper, lower);
        scan.Folder(upper, lower, hides: tree, [], 0);
        scan.Mark();
        return scan._changes;
    }

    // Its times change with whatever is made in it, and a fresh one never has those of the image.
    void Root(int upper, int lower)
    {
        statx stat = Stat(upper, Names.Here), below = default;
        ChangeKind kind = lower < 0 ? ChangeKind.Added : ChangeKind.Same;
        if (lower >= 0)
        {
            below = Stat(lower, Names.Here);
            below.stx_mtime = stat.stx_mtime;
            kind = Same(upper, stat, lower, below, Names.Here, []) ? ChangeKind.Same : ChangeKind.Changed;
        }
        Add([], kind, -1, stat);
    }

    void Folder(int upper, int lower, bool hides, byte[] path, int index)
    {
        List<byte[]> names = FolderTree.Names(upper);
        Names.Sort(names);
        var there = new List<(byte[] Name, statx Stat)>();
        var gone = new List<byte[]>();
        foreach (byte[] name in names)
        {
            // Gone since the folder was read: a container that runs may do that.
            if (!Exists(upper, name, out statx stat))
                continue;
            if (!OverlayNames.IsWhiteout(upper, name, stat))
                there.Add((name, stat));
            else
                gone.Add(name);
        }
        if (hides && lower >= 0)
            foreach (byte[] name in FolderTree.Names(lower))
                if (names.BinarySearch(name, Order.Bytes) < 0)
                    gone.Add(name);
        Names.Sort(gone);
        foreach (byte[] name in gone)
            if (lower >= 0 && Exists(lower, name, out statx stat) && !OverlayNames.IsWhiteout(lower, name, stat))
                Add(Names.Join(path, Names.Text(name)), ChangeKind.Deleted, index, stat);
        foreach ((byte[] name, statx stat) in there)
            Entry(upper, lower, hides, Names.Join(path, Names.Text(name)), name, stat, index);
    }

    void Entry(int upper, int lower, bool hides, byte[] path, byte[] name, in statx stat, int folder)
    {
        bool known = Exists(lower, name, out statx below) && !OverlayNames.IsWhiteout(lower, name, below);
        int index = Add(path, !known ? ChangeKind.Added : Same(upper, stat, lower, below, name, path) ? ChangeKind.Same : ChangeKind.Changed, folder, stat);
        if ((stat.stx_mode & Libc.S_IFMT) != Libc.S_IFDIR)
            return;
        int into = Open(upper, name);
        int below2 = known && (below.stx_mode & Libc.S_IFMT) == Libc.S_IFDIR ? Open(lower, name) : -1;
        try
        {
            Folder(into, below2, hides || IsOpaque(into), path, index);
        }
        finally
        {
            Libc.close(into);
            if (below2 >= 0)
                Libc.close(below2);
        }
    }

    int Add(byte[] path, ChangeKind kind, int folder, in statx stat)
    {
        int type = stat.stx_mode & Libc.S_IFMT;
        _changes.Add(new Change
        {
            Path = path, Kind = kind, Folder = folder, Type = type, Size = type == Libc.S_IFREG ? stat.stx_size : 0,
            Inode = kind != ChangeKind.Deleted && type != Libc.S_IFDIR && stat.stx_nlink > 1 ? (stat.stx_dev_major, stat.stx_dev_minor, stat.stx_ino) : null,
        });
        return _changes.Count - 1;
    }

    // A name that was given to what is otherwise the same is a link, and so the first name has to be in the layer too.
    void Mark()
    {
        var linked = new HashSet<(uint, uint, ulong)>();
        foreach (Change change in _changes)
            if (change is { Kind: not ChangeKind.Same, Inode: { } inode })
                linked.Add(inode);
        foreach (Change change in _changes)
        {
            if (change.Kind == ChangeKind.Same && (change.Inode is not { } inode || !linked.Contains(inode)))
                continue;
            // A socket is of the process that made it, and archives have none.
            if (change.Type == Libc.S_IFSOCK && change.Kind != ChangeKind.Deleted)
                continue;
            change.Stored = true;
            for (int folder = change.Folder; folder > 0 && !_changes[folder].Stored; folder = _changes[folder].Folder)
                _changes[folder].Stored = true;
        }
    }

    bool Same(int upper, in statx one, int lower, in statx other, byte[] name, byte[] path)
    {
        if (one.stx_mode != other.stx_mode || one.stx_uid != other.stx_uid || one.stx_gid != other.stx_gid
            || one.stx_mtime.tv_sec != other.stx_mtime.tv_sec || one.stx_mtime.tv_nsec != other.stx_mtime.tv_nsec)
            return false;
        int type = one.stx_mode & Libc.S_IFMT;
        if (type is Libc.S_IFREG or Libc.S_IFLNK && one.stx_size != other.stx_size)
            return false;
        if (type is Libc.S_IFCHR or Libc.S_IFBLK && (one.stx_rdev_major != other.stx_rdev_major || one.stx_rdev_minor != other.stx_rdev_minor))
            return false;
        string Shown() => Names.Shown(path);
        if (!Attributes.Same(Attributes.Of(upper, name, raw: true, Shown), Attributes.Of(lower, name, _lowerRaw, Shown)))
            return false;
        return type switch
        {
            Libc.S_IFREG => SameContent(upper, lower, name),
            Libc.S_IFLNK => PackWriter.Target(upper, name).AsSpan().SequenceEqual(PackWriter.Target(lower, name)),
            _ => true,
        };
    }

    bool SameContent(int upper, int lower, byte[] name)
    {
        int one = PackWriter.OpenFile(upper, name), other = PackWriter.OpenFile(lower, name);
        try
        {
            if (one < 0 || other < 0)
                return false;
            while (true)
            {
                int n = Fill(one, _one), m = Fill(other, _other);
                if (n != m || !_one.AsSpan(0, n).SequenceEqual(_other.AsSpan(0, n)))
                    return false;
                if (n < Chunk)
                    return true;
            }
        }
        finally
        {
            if (one >= 0)
                Libc.close(one);
            if (other >= 0)
                Libc.close(other);
        }
    }

    static int Fill(int fd, byte[] buffer)
    {
        int length = 0;
        fixed (byte* p = buffer)
        {
            nint n;
            while (length < buffer.Length && (n = LinuxException.Check(Libc.read(fd, p + length, (nuint)(buffer.Length - length)), "read")) > 0)
                length += (int)n;
        }
        return length;
    }

    static bool Exists(int folder, byte[] name, out statx stat)
    {
        stat = default;
        if (folder < 0)
            return false;
        fixed (byte* p = name)
            if (Libc.statx(folder, p, Libc.AT_SYMLINK_NOFOLLOW, Libc.STATX_BASIC_STATS, out stat) == 0)
                return true;
        return Libc.errno == Libc.ENOENT ? false : throw new LinuxException("statx", Names.Shown(Names.Text(name)), Libc.errno);
    }

    static statx Stat(int folder, byte[] name) => Exists(folder, name, out statx stat) ? stat : throw new LinuxException("statx", Names.Shown(Names.Text(name)), Libc.ENOENT);

    static int Open(int folder, byte[] name)
    {
        fixed (byte* p = name)
            return LinuxException.Check(Libc.openat(folder, p, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_NOFOLLOW | Libc.O_CLOEXEC), "open", Names.Shown(Names.Text(name)));
    }

    public static bool IsOpaque(int folder)
    {
        byte value;
        return Libc.fgetxattr(folder, OverlayNames.Opaque, &value, 1) == 1 && value == (byte)'y';
    }

    sealed class Order : IComparer<byte[]>
    {
        public static readonly Order Bytes = new();

        public int Compare(byte[]? one, byte[]? other) => one.AsSpan().SequenceCompareTo(other);
    }
}
