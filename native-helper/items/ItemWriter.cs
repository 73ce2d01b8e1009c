using Containers.Linux;
using Psrun.Unpack;

namespace Psrun.Items;

/// <summary>An archive from standard input, put where docker cp would put it: its first entry says what the source is, the place what is there already.</summary>
/// <param name="path">Where to; a link at its end is followed, inside the root.</param>
/// <param name="owner">Whom all of it belongs to; null keeps the archive's owners.</param>
/// <param name="extract">The archive is the user's own: all of it goes into an existing folder.</param>
sealed unsafe class ItemWriter(int root, string path, (uint User, uint Group)? owner, bool extract)
{
    static readonly Limits s_noLimits = new(long.MaxValue, long.MaxValue, 0);

    /// <summary>How many bytes of an entry's name go, and what comes in their place.</summary>
    int _cut;
    byte[] _front = [];
    bool _skipFirst;

    /// <returns>How many entries were written.</returns>
    public long Run()
    {
        Libc.umask(0);
        ItemPlace place = ItemPlace.Find(root, path, follow: true);
        using var input = new LayerInput(0, extract ? "auto" : "none", null, s_noLimits, null);
        var reader = new TarReader(input, s_noLimits);
        TarEntry? first = reader.Next();
        if (first is null && !extract)
            throw new UnpackException(UnpackException.LayerInvalid, "the archive is empty");
        int folder = extract ? Existing(place) : first!.Kind == EntryKind.Folder ? OfFolder(place, first) : OfFile(place, first);
        var tree = new Tree(folder, Below.Nothing, null, plain: true);
        var writer = new LayerWriter(tree, reader);
        long entries = 0;
        for (TarEntry? entry = first; entry is not null; entry = reader.Next())
        {
            if (_skipFirst && entry == first)
                continue;
            if (owner is { } own)
                (entry.Owner, entry.Group) = own;
            entry.Name = Renamed(entry.Name);
            if (entry.Kind == EntryKind.HardLink)
                entry.LinkName = Renamed(entry.LinkName);
            // The folder that was there already keeps what it is like.
            if (extract && Tree.Split(entry.Name, () => entry.Shown).Count == 0)
                continue;
            writer.Apply(entry);
            entries++;
        }
        input.Finish();
        tree.SetFolderTimes();
        return entries;
    }

    byte[] Renamed(byte[] name) => [.. _front, .. name.AsSpan(Math.Min(_cut, name.Length))];

    int Existing(ItemPlace place)
    {
        if (place.Found is null)
            throw new ItemException(ItemException.NotFound, $"there is no folder '{path}'");
        if (!place.IsFolder)
            throw new ItemException(ItemException.Conflict, $"'{path}' is no folder");
        return Reopened(place.Folder, place.Name);
    }

    // A folder without a name, "./", is what is in it: what it is like itself counts only where it is new.
    int OfFolder(ItemPlace place, TarEntry first)
    {
        byte[] name = first.Name.AsSpan().TrimEnd((byte)'/').ToArray();
        bool unnamed = name.AsSpan().SequenceEqual("."u8);
        if (place.Found is not null)
        {
            _skipFirst = unnamed;
            return Existing(place);
        }
        // A new folder takes the place of the source's name, and is like it.
        _cut = unnamed ? 0 : name.Length;
        _front = unnamed ? [.. place.Name.AsSpan(0, place.Name.Length - 1), (byte)'/'] : place.Name[..^1];
        return Reopened(place.Folder);
    }

    int OfFile(ItemPlace place, TarEntry first)
    {
        if (place.IsFolder)
            return Existing(place);
        if (place.WantsFolder)
            throw new ItemException(place.Found is null ? ItemException.NotFound : ItemException.Conflict, place.Found is null ? $"there is no folder '{path}'" : $"'{path}' is no folder");
        _cut = first.Name.Length;
        _front = place.Name[..^1];
        return Reopened(place.Folder);
    }

    // What is only a path so far cannot be asked for its attributes.
    static int Reopened(int folder, byte[]? name = null)
    {
        fixed (byte* p = name ?? Pack.Names.Here)
            return LinuxException.Check(Libc.openat(folder, p, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_NOFOLLOW | Libc.O_CLOEXEC), "open");
    }
}
