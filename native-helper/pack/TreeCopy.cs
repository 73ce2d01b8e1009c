using System.Text;
using Containers.Linux;
using Psrun.Unpack;

namespace Psrun.Pack;

/// <summary>
/// Copies layers of overlayfs, seen as the one tree that they are together, into a plain folder: owners, modes, times, attributes, hard links,
/// holes. Nothing is mounted for it, so that it can be done where overlayfs cannot. Files share their blocks with the layer where the file system can.
/// </summary>
sealed unsafe class TreeCopy
{
    const int Chunk = 1 << 20;

    readonly byte[] _buffer = new byte[Chunk];
    readonly Dictionary<(uint, uint, ulong), byte[]> _links = [];
    readonly int _target;
    bool _clones = true;
    bool _ranges = true;

    TreeCopy(int target) => _target = target;

    /// <summary>Things that were made, the folder itself not counted.</summary>
    public long Entries { get; private set; }

    /// <summary>Bytes of data, holes not counted; what shares its blocks is counted too.</summary>
    public long Bytes { get; private set; }

    /// <summary>All files share their blocks with those that they are copies of.</summary>
    public bool Cloned => _clones;

    /// <param name="layers">Open folders, the topmost first; a plain tree is one layer.</param>
    /// <param name="path">The folder in them that is copied: its names, without links on the way.</param>
    /// <param name="target">An open, empty folder: it becomes like the folder that is copied.</param>
    /// <exception cref="LinuxException"></exception>
    /// <exception cref="PackException">There is no such folder, or it has what a copy cannot have.</exception>
    public static TreeCopy Run(List<int> layers, IReadOnlyList<byte[]> path, int target)
    {
        var copy = new TreeCopy(target);
        List<int> merged = layers;
        foreach (byte[] name in path)
        {
            (List<int> below, _) = Look(merged, name);
            if (merged != layers)
                Close(merged);
            merged = below;
        }
        if (merged.Count == 0)
            throw new PackException("there is no such folder in the layers");
        copy.Folder(merged, target, []);
        copy.Like(merged[0], target, []);
        if (merged != layers)
            Close(merged);
        return copy;
    }

    void Folder(List<int> merged, int target, byte[] path)
    {
        var seen = new HashSet<byte[]>(SameBytes.Instance);
        foreach (int layer in merged)
            foreach (byte[] name in FolderTree.Names(layer))
                if (seen.Add(name))
                    Entry(merged, name, target, path);
    }

    void Entry(List<int> merged, byte[] name, int target, byte[] parent)
    {
        (List<int> below, int first) = Look(merged, name);
        byte[] path = Names.Join(parent, Names.Text(name));
        if (below.Count == 0)
        {
            if (first >= 0)
                Thing(first, name, target, path);
            return;
        }
        try
        {
            int made;
            fixed (byte* p = name)
            {
                LinuxException.Check(Libc.mkdirat(target, p, 0x1c0), "mkdir", Names.Shown(path));
                made = Check(Libc.openat(target, p, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_NOFOLLOW | Libc.O_CLOEXEC), "open", path);
            }
            Entries++;
            try
            {
                Folder(below, made, path);
                Like(below[0], made, path);
            }
            finally
            {
                Libc.close(made);
            }
        }
        finally
        {
            Close(below);
        }
    }

    // What a name means: the folders that are seen together, or else the layer that has it. Whiteouts and opaque folders end the search.
    static (List<int> Folders, int First) Look(List<int> merged, byte[] name)
    {
        var folders = new List<int>();
        fixed (byte* p = name)
        {
            foreach (int layer in merged)
            {
                if (Libc.statx(layer, p, Libc.AT_SYMLINK_NOFOLLOW, Libc.STATX_BASIC_STATS, out statx stat) != 0)
                {
                    if (Libc.errno is Libc.ENOENT)
                        continue;
                    throw new LinuxException("statx", Names.Shown(Names.Text(name)), Libc.errno);
                }
                if ((stat.stx_mode & Libc.S_IFMT) != Libc.S_IFDIR)
                    return (folders, folders.Count == 0 && !OverlayNames.IsWhiteout(layer, name, stat) ? layer : -1);
                int fd = Check(Libc.openat(layer, p, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_NOFOLLOW | Libc.O_CLOEXEC), "open", Names.Text(name).ToArray());
                folders.Add(fd);
                if (ChangeScan.IsOpaque(fd))
                    break;
            }
        }
        return (folders, -1);
    }

    void Thing(int layer, byte[] name, int target, byte[] path)
    {
        fixed (byte* p = name)
        {
            LinuxException.Check(Libc.statx(layer, p, Libc.AT_SYMLINK_NOFOLLOW, Libc.STATX_BASIC_STATS, out statx stat), "statx", Names.Shown(path));
            int type = stat.stx_mode & Libc.S_IFMT;
            // A socket is of the process that made it.
            if (type == Libc.S_IFSOCK)
                return;
            Entries++;
            if (stat.stx_nlink > 1)
            {
                var inode = (stat.stx_dev_major, stat.stx_dev_minor, stat.stx_ino);
                if (_links.TryGetValue(inode, out byte[]? first))
                {
                    fixed (byte* f = first)
                        Check(Libc.linkat(_target, f, target, p, 0), "link", path);
                    return;
                }
                _links.Add(inode, [.. path, 0]);
            }
            if (type == Libc.S_IFREG)
            {
                File(layer, name, target, stat, path);
                return;
            }
            if (type == Libc.S_IFLNK)
            {
                byte[] to = [.. PackWriter.Target(layer, name), 0];
                fixed (byte* t = to)
                    Check(Libc.symlinkat(t, target, p), "symlink", path);
            }
            else
                Check(Libc.mknodat(target, p, (uint)type | 0x180, Libc.makedev(stat.stx_rdev_major, stat.stx_rdev_minor)), "mknod", path);
            Check(Libc.fchownat(target, p, stat.stx_uid, stat.stx_gid, Libc.AT_SYMLINK_NOFOLLOW), "chown", path);
            foreach ((byte[] text, byte[] value) in AttributesOf(layer, name, path))
            {
                byte[] own = [.. Encoding.ASCII.GetBytes($"/proc/self/fd/{target}/"), .. name];
                fixed (byte* o = own)
                fixed (byte* n = text)
                fixed (byte* v = value)
                    Check(Libc.lsetxattr(o, n, v, (nuint)value.Length, 0), "setxattr", path);
            }
            if (type != Libc.S_IFLNK)
                Check(Libc.fchmodat(target, p, stat.stx_mode & 0xfffu, 0), "chmod", path);
            timespec* times = stackalloc timespec[2];
            Times(stat, times);
            Check(Libc.utimensat(target, p, times, Libc.AT_SYMLINK_NOFOLLOW), "utimensat", path);
        }
    }

    void File(int layer, byte[] name, int target, in statx stat, byte[] path)
    {
        int from = Check(PackWriter.OpenFile(layer, name), "open", path), to = -1;
        try
        {
            fixed (byte* p = name)
                to = Check(Libc.openat(target, p, Libc.O_WRONLY | Libc.O_CREAT | Libc.O_EXCL | Libc.O_NOFOLLOW | Libc.O_CLOEXEC, 0x180), "open", path);
            if (stat.stx_size > 0)
                Data(from, to, (long)stat.stx_size, path);
            Finish(layer, name, to, stat, path);
        }
        finally
        {
            Libc.close(from);
            if (to >= 0)
                Libc.close(to);
        }
    }

    void Data(int from, int to, long size, byte[] path)
    {
        if (_clones)
        {
            if (Libc.ioctl(to, Libc.FICLONE, (void*)from) == 0)
            {
                Bytes += size;
                return;
            }
            if (Libc.errno is not (Libc.EOPNOTSUPP or Libc.EXDEV or Libc.EINVAL or Libc.ENOTTY or Libc.ENOSYS))
                throw new LinuxException("clone", Names.Shown(path), Libc.errno);
            _clones = false;
        }
        Check(Libc.ftruncate(to, size), "ftruncate", path);
        for (long at = 0; at < size;)
        {
            long start = Libc.lseek(from, at, Libc.SEEK_DATA);
            if (start < 0)
            {
                // Nothing but a hole is left (lseek(2)).
                if (Libc.errno == Libc.ENXIO)
                    return;
                throw new LinuxException("lseek", Names.Shown(path), Libc.errno);
            }
            long end = Libc.lseek(from, start, Libc.SEEK_HOLE);
            if (end < 0)
                throw new LinuxException("lseek", Names.Shown(path), Libc.errno);
            Piece(from, to, start, Math.Min(end, size), path);
            at = end;
        }
    }

    void Piece(int from, int to, long at, long end, byte[] path)
    {
        while (at < end)
        {
            nint n = -1;
            if (_ranges)
            {
                n = Libc.copy_file_range(from, to, at, (nuint)(end - at));
                if (n < 0 && Libc.errno is (Libc.EXDEV or Libc.ENOSYS or Libc.EINVAL or Libc.EOPNOTSUPP))
                    _ranges = false;
                else
                    Check(n, "copy_file_range", path);
            }
            if (!_ranges)
            {
                fixed (byte* b = _buffer)
                {
                    n = Check(Libc.pread(from, b, (nuint)Math.Min(Chunk, end - at), at), "read", path);
                    for (nint done = 0; done < n;)
                        done += Check(Libc.pwrite(to, b + done, (nuint)(n - done), at + done), "write", path);
                }
            }
            if (n == 0)
                return;
            at += n;
            Bytes += n;
        }
    }

    // The owner first: a change of it takes set-id bits and capabilities away. Times last: what is made in a folder changes them.
    void Like(int from, int to, byte[] path)
    {
        LinuxException.Check(Libc.statx(from, Libc.STATX_BASIC_STATS, out statx stat), "statx", Names.Shown(path));
        Finish(from, Names.Here, to, stat, path);
    }

    static void Finish(int parent, byte[] name, int to, in statx stat, byte[] path)
    {
        Check(Libc.fchown(to, stat.stx_uid, stat.stx_gid), "chown", path);
        foreach ((byte[] text, byte[] value) in AttributesOf(parent, name, path))
        {
            fixed (byte* n = text)
            fixed (byte* v = value)
                Check(Libc.fsetxattr(to, n, v, (nuint)value.Length, 0), "setxattr", path);
        }
        Check(Libc.fchmod(to, stat.stx_mode & 0xfffu), "chmod", path);
        timespec* times = stackalloc timespec[2];
        Times(stat, times);
        Check(Libc.futimens(to, times), "futimens", path);
    }

    // Overlayfs's own stay behind: the copy is a layer without marks, and what an image calls by such names is escaped in it as in any other.
    static IEnumerable<(byte[] Text, byte[] Value)> AttributesOf(int parent, byte[] name, byte[] path)
    {
        foreach ((byte[] attribute, byte[] value) in Attributes.Of(parent, name, raw: true, () => Names.Shown(path)))
            if (LayerWriter.Attribute(attribute) is { } text)
                yield return (text, value);
    }

    static void Times(in statx stat, timespec* times)
    {
        times[0] = new timespec { tv_sec = stat.stx_atime.tv_sec, tv_nsec = stat.stx_atime.tv_nsec };
        times[1] = new timespec { tv_sec = stat.stx_mtime.tv_sec, tv_nsec = stat.stx_mtime.tv_nsec };
    }

    static void Close(List<int> folders)
    {
        foreach (int fd in folders)
            Libc.close(fd);
    }

    static int Check(int result, string call, byte[] path) => result >= 0 ? result : throw new LinuxException(call, Names.Shown(path), Libc.errno);

    static nint Check(nint result, string call, byte[] path) => result >= 0 ? result : throw new LinuxException(call, Names.Shown(path), Libc.errno);

    sealed class SameBytes : IEqualityComparer<byte[]>
    {
        public static readonly SameBytes Instance = new();

        public bool Equals(byte[]? one, byte[]? other) => one.AsSpan().SequenceEqual(other);

        public int GetHashCode(byte[] bytes)
        {
            var hash = new HashCode();
            hash.AddBytes(bytes);
            return hash.ToHashCode();
        }
    }
}
