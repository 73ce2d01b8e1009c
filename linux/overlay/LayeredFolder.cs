using System.Text;

namespace Containers.Linux;

/// <summary>What <see cref="LayeredFolder"/> found: where it lies, and what it is.</summary>
public sealed class LayeredEntry
{
    /// <summary>An open descriptor (O_PATH) of the layer's folder; it belongs to the <see cref="LayeredFolder"/>.</summary>
    public required int LayerFd { get; init; }

    /// <summary>The path inside the layer, without links in it, ended by a zero; <c>.</c> for the root.</summary>
    public required byte[] Path { get; init; }

    public required statx Stat { get; init; }

    public bool IsFolder => (Stat.stx_mode & Libc.S_IFMT) == Libc.S_IFDIR;
    public bool IsLink => (Stat.stx_mode & Libc.S_IFMT) == Libc.S_IFLNK;

    /// <summary>Opens it, without following anything. -1 and errno as open(2).</summary>
    public unsafe int Open(int flags)
    {
        var how = new open_how { flags = (ulong)(flags | Libc.O_CLOEXEC | Libc.O_NOFOLLOW), resolve = Libc.RESOLVE_BENEATH | Libc.RESOLVE_NO_SYMLINKS | Libc.RESOLVE_NO_MAGICLINKS };
        fixed (byte* path = Path)
            return Libc.openat2(LayerFd, path, how);
    }
}

/// <summary>
/// Looks things up in overlayfs layers as the mounted overlay would show them (whiteouts, opaque folders, links inside the root),
/// without mounting anything. For a few look-ups; not for walking a tree.
/// </summary>
public sealed unsafe class LayeredFolder : IDisposable
{
    const int MostLinks = 40; // as the kernel

    readonly List<int> _layers = [];

    /// <param name="layers">Folders, the topmost first.</param>
    /// <exception cref="LinuxException">One is not there.</exception>
    public LayeredFolder(IEnumerable<string> layers)
    {
        try
        {
            foreach (string layer in layers)
                _layers.Add(LinuxException.Check(Libc.open(layer, Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_CLOEXEC), "open", layer));
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        foreach (int fd in _layers)
            Libc.close(fd);
        _layers.Clear();
    }

    public LayeredEntry? Find(string path, bool followLast) => Find(Encoding.UTF8.GetBytes(path), followLast);

    /// <summary>What the path names from the root; null when nothing does, or when links go round in circles.</summary>
    /// <param name="followLast">Whether a link at the end is followed.</param>
    public LayeredEntry? Find(ReadOnlySpan<byte> path, bool followLast)
    {
        var left = new Stack<byte[]>();
        Push(left, path);
        int links = 0;
        var at = new List<byte[]>();
        LayeredEntry? entry = Root(out List<int> merged);
        var mergedAbove = new Stack<List<int>>();
        while (left.TryPop(out byte[]? name))
        {
            if (name is [(byte)'.', (byte)'.'])
            {
                if (at.Count > 0)
                {
                    at.RemoveAt(at.Count - 1);
                    merged = mergedAbove.Pop();
                }
                entry = null;
                continue;
            }
            at.Add(name);
            entry = Look(at, merged, out List<int> below);
            if (entry is null)
                return null;
            if (entry.IsLink && (left.Count > 0 || followLast))
            {
                byte[]? target = Target(entry);
                if (target is null || ++links > MostLinks)
                    return null;
                at.RemoveAt(at.Count - 1);
                if (target.Length > 0 && target[0] == '/')
                {
                    at.Clear();
                    mergedAbove.Clear();
                    entry = Root(out merged);
                }
                Push(left, target);
                continue;
            }
            if (!entry.IsFolder)
                return left.Count == 0 ? entry : null;
            mergedAbove.Push(merged);
            merged = below;
        }
        if (entry is not null)
            return entry;
        if (at.Count == 0)
            return Root(out _);
        return Look(at, mergedAbove.Peek(), out _);
    }

    LayeredEntry? Root(out List<int> merged)
    {
        merged = [.. Enumerate(_layers.Count)];
        return _layers.Count > 0 && Stat(_layers[0], ".\0"u8.ToArray(), out statx stat)
            ? new LayeredEntry { LayerFd = _layers[0], Path = ".\0"u8.ToArray(), Stat = stat } : null;
    }

    static IEnumerable<int> Enumerate(int count)
    {
        for (int i = 0; i < count; i++)
            yield return i;
    }

    // merged: the layers whose folders are seen together at the parent. below: the same for the found folder.
    LayeredEntry? Look(List<byte[]> at, List<int> merged, out List<int> below)
    {
        below = [];
        byte[] path = Join(at);
        LayeredEntry? first = null;
        foreach (int layer in merged)
        {
            if (!Stat(_layers[layer], path, out statx stat))
                continue;
            if (OverlayNames.IsWhiteout(_layers[layer], path, stat))
                break;
            if ((stat.stx_mode & Libc.S_IFMT) != Libc.S_IFDIR)
            {
                first ??= new LayeredEntry { LayerFd = _layers[layer], Path = path, Stat = stat };
                break;
            }
            first ??= new LayeredEntry { LayerFd = _layers[layer], Path = path, Stat = stat };
            below.Add(layer);
            if (IsOpaque(_layers[layer], path))
                break;
        }
        return first;
    }

    static bool Stat(int layer, byte[] path, out statx stat)
    {
        // NO_SYMLINKS: a link in the middle was swapped in under us, and then nothing is found; a link at the end is itself.
        stat = default;
        int fd = OpenPath(layer, path);
        if (fd < 0)
            return false;
        bool known = Libc.statx(fd, Libc.STATX_BASIC_STATS, out stat) == 0;
        Libc.close(fd);
        return known;
    }

    static int OpenPath(int layer, byte[] path)
    {
        var how = new open_how { flags = (ulong)(Libc.O_PATH | Libc.O_CLOEXEC | Libc.O_NOFOLLOW), resolve = Libc.RESOLVE_BENEATH | Libc.RESOLVE_NO_SYMLINKS | Libc.RESOLVE_NO_MAGICLINKS };
        fixed (byte* p = path)
            return Libc.openat2(layer, p, how);
    }

    static bool IsOpaque(int layer, byte[] path)
    {
        var how = new open_how { flags = (ulong)(Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_CLOEXEC), resolve = Libc.RESOLVE_BENEATH | Libc.RESOLVE_NO_SYMLINKS | Libc.RESOLVE_NO_MAGICLINKS };
        int fd;
        fixed (byte* p = path)
            fd = Libc.openat2(layer, p, how);
        if (fd < 0)
            return false;
        byte value;
        nint length = Libc.fgetxattr(fd, OverlayNames.Opaque, &value, 1);
        Libc.close(fd);
        return length == 1 && value == (byte)'y';
    }

    static byte[]? Target(LayeredEntry link)
    {
        byte[] buffer = new byte[4096];
        nint length;
        fixed (byte* path = link.Path)
        fixed (byte* to = buffer)
            length = Libc.readlinkat(link.LayerFd, path, to, (nuint)buffer.Length);
        return length < 0 || length == buffer.Length ? null : buffer[..(int)length];
    }

    static void Push(Stack<byte[]> left, ReadOnlySpan<byte> path)
    {
        int end = path.Length;
        while (end > 0)
        {
            int start = path[..end].LastIndexOf((byte)'/') + 1;
            ReadOnlySpan<byte> name = path[start..end];
            if (name.Length > 0 && name is not [(byte)'.'])
                left.Push(name.ToArray());
            end = start - 1;
        }
    }

    static byte[] Join(List<byte[]> names)
    {
        int length = names.Count;
        foreach (byte[] name in names)
            length += name.Length;
        byte[] path = new byte[length];
        int position = 0;
        foreach (byte[] name in names)
        {
            name.CopyTo(path, position);
            position += name.Length;
            path[position++] = (byte)'/';
        }
        path[^1] = 0;
        return path;
    }
}

/// <summary>The names by which overlayfs marks things in its layers (Documentation/filesystems/overlayfs.rst of Linux).</summary>
public static unsafe class OverlayNames
{
    /// <summary>On a folder, with the value <c>y</c>: what lies under it in lower layers is not seen.</summary>
    public const string Opaque = "trusted.overlay.opaque";

    /// <summary>Attributes with this beginning are overlayfs's own; behind <c>trusted.overlay.overlay.</c> they are an image's (Linux 6.7).</summary>
    public const string Prefix = "trusted.overlay.";

    /// <summary>On an empty file: it hides what lower layers have there, as a device 0:0 does, in a folder whose <see cref="Opaque"/> is <c>x</c> (Linux 6.7).</summary>
    public const string Whiteout = "trusted.overlay.whiteout";

    /// <param name="path">Below the open folder, without links on the way, ended by a zero.</param>
    /// <param name="stat">Of what stands there.</param>
    public static bool IsWhiteout(int folder, ReadOnlySpan<byte> path, in statx stat)
    {
        int type = stat.stx_mode & Libc.S_IFMT;
        if (type != Libc.S_IFREG || stat.stx_size > 0)
            return type == Libc.S_IFCHR && stat.stx_rdev_major == 0 && stat.stx_rdev_minor == 0;
        byte[] named = [.. Encoding.ASCII.GetBytes($"/proc/self/fd/{folder}/"), .. path];
        fixed (byte* p = named)
        fixed (byte* name = "trusted.overlay.whiteout\0"u8)
            return Libc.lgetxattr(p, name, null, 0) >= 0;
    }
}
