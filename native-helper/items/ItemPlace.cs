using System.Text;
using Containers.Linux;
using Psrun.Pack;

namespace Psrun.Items;

/// <summary>Where a thing is, or would be: an open folder and a name in it. What the path says with its end is kept, as cp(1) and docker do.</summary>
sealed unsafe class ItemPlace
{
    const int MostLinks = 40;

    /// <summary>An open folder.</summary>
    public required int Folder { get; init; }

    /// <summary>The last name, ended by a zero; <c>.</c> for the folder itself.</summary>
    public required byte[] Name { get; init; }

    /// <summary>What the path calls it, without a zero; nothing for <c>/</c>, <c>.</c> and what ends in <c>/.</c>.</summary>
    public required byte[] Called { get; init; }

    /// <summary>Null where there is nothing.</summary>
    public required statx? Found { get; init; }

    /// <summary>The path says that it is a folder.</summary>
    public required bool WantsFolder { get; init; }

    /// <summary>The path says: what is in the folder, and not the folder.</summary>
    public required bool Contents { get; init; }

    public bool IsFolder => Found is { } stat && (stat.stx_mode & Libc.S_IFMT) == Libc.S_IFDIR;

    /// <param name="root">Paths begin there, and lead nowhere else.</param>
    /// <param name="follow">A link at the end is followed; it is anyway where the path ends in a slash.</param>
    /// <exception cref="ItemException">A folder on the way is not there, or is none.</exception>
    public static ItemPlace Find(int root, string text, bool follow)
    {
        byte[] path = Encoding.UTF8.GetBytes(text);
        if (path.AsSpan().Contains((byte)0) || path.Length == 0)
            throw new ItemException(ItemException.NotFound, "a path is at least one character, and none of them is NUL");
        bool contents = text is "." || text.EndsWith("/.", StringComparison.Ordinal), slash = text.EndsWith('/');
        ReadOnlySpan<byte> bare = Trim(contents ? path.AsSpan(0, path.Length - 1) : path);
        byte[] called = Last(bare).ToArray();
        if (called.AsSpan().SequenceEqual(".."u8))
            called = [];
        byte[] way = bare.ToArray();
        for (int links = 0; links < MostLinks; links++)
        {
            ReadOnlySpan<byte> last = Last(way);
            if (last.IsEmpty || last.SequenceEqual("."u8) || last.SequenceEqual(".."u8))
                return Whole(root, way, called, slash, contents, text);
            int folder = ItemRoot.Open(root, way.AsSpan(0, way.Length - last.Length), Libc.O_PATH | Libc.O_DIRECTORY);
            if (folder < 0)
                throw Missing("open", text);
            byte[] name = [.. last, 0];
            statx stat;
            int found;
            fixed (byte* p = name)
                found = Libc.statx(folder, p, Libc.AT_SYMLINK_NOFOLLOW, Libc.STATX_BASIC_STATS, out stat);
            if (found < 0 && Libc.errno != Libc.ENOENT)
                throw Missing("statx", text);
            if (found < 0 || (stat.stx_mode & Libc.S_IFMT) != Libc.S_IFLNK || !(follow || slash || contents))
                return new ItemPlace { Folder = folder, Name = name, Called = contents ? [] : called, Found = found < 0 ? null : stat, WantsFolder = slash || contents, Contents = contents };
            // Relative to where it lies, and still inside the root: the kernel looks the whole up anew.
            byte[] target = PackWriter.Target(folder, name);
            Libc.close(folder);
            byte[] next = target is [(byte)'/', ..] ? target : [.. way.AsSpan(0, way.Length - last.Length), .. target];
            way = Trim(next).ToArray();
        }
        throw new ItemException(ItemException.NotFound, $"'{text}' lies behind more than {MostLinks} links");
    }

    static ItemPlace Whole(int root, byte[] way, byte[] called, bool slash, bool contents, string text)
    {
        int folder = ItemRoot.Open(root, way, Libc.O_PATH | Libc.O_DIRECTORY);
        if (folder < 0)
            throw Missing("open", text);
        LinuxException.Check(Libc.statx(folder, Libc.STATX_BASIC_STATS, out statx stat), "statx", text);
        return new ItemPlace { Folder = folder, Name = Names.Here, Called = contents ? [] : called, Found = stat, WantsFolder = slash || contents, Contents = contents };
    }

    static ItemException Missing(string call, string text) => Libc.errno switch
    {
        Libc.ENOENT => new ItemException(ItemException.NotFound, $"a folder on the way to '{text}' is not there"),
        Libc.ENOTDIR => new ItemException(ItemException.Conflict, $"something on the way to '{text}' is no folder"),
        Libc.ELOOP => new ItemException(ItemException.NotFound, $"'{text}' lies behind links that lead nowhere"),
        int errno => throw new LinuxException(call, text, errno),
    };

    static ReadOnlySpan<byte> Trim(ReadOnlySpan<byte> path) => path.TrimEnd((byte)'/') is { IsEmpty: false } bare ? bare : path.IsEmpty ? "."u8 : "/"u8;

    static ReadOnlySpan<byte> Last(ReadOnlySpan<byte> path) => path[(path.LastIndexOf((byte)'/') + 1)..];
}
