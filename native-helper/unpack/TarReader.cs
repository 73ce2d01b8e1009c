using Containers.Linux;

namespace Psrun.Unpack;

/// <summary>
/// Reads the headers of an archive: ustar, PAX with global records, GNU long names, base-256 numbers, sparse files (GNU's old form, PAX 0.0,
/// 0.1 and 1.0). The caller takes an entry's data before it asks for the next. Everything read is hostile.
/// </summary>
sealed class TarReader(LayerInput input, Limits limits)
{
    const int BlockSize = 512;
    const int MostExtension = 1 << 20;
    const int MostSparse = 1 << 20;

    readonly byte[] _block = new byte[BlockSize];
    readonly PaxRecords _global = new();
    long _entries;
    long _left;
    int _padding;

    public long Entries => _entries;

    /// <summary>The next entry, or null at the end of the archive.</summary>
    public TarEntry? Next()
    {
        SkipRest();
        var pax = new PaxRecords(_global);
        byte[]? longName = null, longLink = null;
        // Counts extensions too: an archive of nothing but them has to end as well.
        while (ReadHeader())
        {
            if (++_entries > limits.Entries)
                throw new UnpackException(UnpackException.LayerTooLarge, $"it has more than {limits.Entries} entries");
            long size = Size(_block.AsSpan(124, 12));
            switch ((char)_block[156])
            {
                case 'x':
                    pax.Read(ReadExtension(size));
                    break;
                case 'g':
                    _global.Read(ReadExtension(size));
                    pax = new PaxRecords(_global);
                    break;
                case 'L':
                    longName = Ended(ReadExtension(size));
                    break;
                case 'K':
                    longLink = Ended(ReadExtension(size));
                    break;
                default:
                    return Entry(pax, longName, longLink, size);
            }
        }
        return null;
    }

    /// <summary>Data of the current entry that is there without waiting; take it by <see cref="Took"/>.</summary>
    public ReadOnlySpan<byte> Peek()
    {
        if (_left == 0)
            return default;
        ReadOnlySpan<byte> part = input.Peek();
        if (part.IsEmpty)
            throw Short();
        return part.Length > _left ? part[..(int)_left] : part;
    }

    public void Took(int count)
    {
        input.Advance(count);
        _left -= count;
    }

    void SkipRest()
    {
        _left += _padding;
        _padding = 0;
        while (_left > 0)
            Took(Peek().Length);
    }

    // False at the end: two blocks of zeros, one where the archive ends there, or nothing more at all.
    bool ReadHeader()
    {
        int zeros = 0;
        while (true)
        {
            if (input.Peek().IsEmpty)
                return false;
            if (!input.TryRead(_block))
                throw Short();
            if (_block.AsSpan().ContainsAnyExcept((byte)0))
                break;
            if (++zeros == 2)
                return false;
        }
        long told = TarNumbers.Field(_block.AsSpan(148, 8), "a checksum"), unsigned = 0, signed = 0;
        for (int i = 0; i < BlockSize; i++)
        {
            byte b = i is >= 148 and < 156 ? (byte)' ' : _block[i];
            unsigned += b;
            signed += (sbyte)b;
        }
        if (told != unsigned && told != signed)
            throw new UnpackException(UnpackException.LayerInvalid, "a header's checksum is wrong: it is no tar archive, or a damaged one");
        return true;
    }

    TarEntry Entry(PaxRecords pax, byte[]? longName, byte[]? longLink, long size)
    {
        if (pax.Size is long paxSize)
            size = paxSize;
        byte type = _block[156];
        var entry = new TarEntry
        {
            Name = pax.Path ?? longName ?? Name(),
            LinkName = pax.LinkPath ?? longLink ?? Text(157, 100),
            Mode = (uint)TarNumbers.Field(_block.AsSpan(100, 8), "a mode") & 0xfff,
            Owner = pax.Owner ?? TarNumbers.Id(TarNumbers.Field(_block.AsSpan(108, 8), "an owner"), "an owner"),
            Group = pax.Group ?? TarNumbers.Id(TarNumbers.Field(_block.AsSpan(116, 8), "a group"), "a group"),
            Changed = pax.Changed ?? new timespec { tv_sec = TarNumbers.Field(_block.AsSpan(136, 12), "a time") },
            Attributes = pax.Attributes,
        };
        entry.Accessed = pax.Accessed is timespec accessed && Later(accessed, entry.Changed) ? accessed : entry.Changed;
        entry.Kind = (char)type switch
        {
            // Old archives have no type for a folder, only a name that ends in a slash.
            '0' or '\0' or '7' or 'S' => entry.Name.AsSpan().EndsWith("/"u8) ? EntryKind.Folder : EntryKind.File,
            '1' => EntryKind.HardLink,
            '2' => EntryKind.SymbolicLink,
            '3' => EntryKind.CharacterDevice,
            '4' => EntryKind.BlockDevice,
            '5' => EntryKind.Folder,
            '6' => EntryKind.Fifo,
            _ => throw new UnpackException(UnpackException.LayerInvalid, $"'{entry.Shown}' is of type '{(char)type}', which is not an entry of a layer"),
        };
        // Only files have data. A size on a link is of the file that is linked to (old archives), and nothing follows.
        _left = entry.Kind == EntryKind.File ? size : 0;
        if (entry.Kind == EntryKind.Folder && type != '5' && size > 0)
            _left = size;
        if (entry.Kind is EntryKind.CharacterDevice or EntryKind.BlockDevice)
        {
            entry.Major = (uint)TarNumbers.Field(_block.AsSpan(329, 8), "a device number");
            entry.Minor = (uint)TarNumbers.Field(_block.AsSpan(337, 8), "a device number");
        }
        _padding = (int)((BlockSize - _left % BlockSize) % BlockSize);
        entry.Size = entry.StoredSize = _left;
        if (type == 'S')
            ReadOldSparse(entry);
        else if (pax.IsSparse && entry.Kind == EntryKind.File)
            ReadPaxSparse(entry, pax);
        return entry;
    }

    // ustar keeps the front of a long name in a field of its own; in GNU's form the same bytes are times.
    byte[] Name()
    {
        byte[] name = Text(0, 100);
        bool ustar = _block.AsSpan(257, 6).SequenceEqual("ustar\0"u8);
        byte[] prefix = ustar ? Text(345, 155) : [];
        return prefix.Length == 0 ? name : [.. prefix, (byte)'/', .. name];
    }

    byte[] Text(int offset, int length) => Ended(_block.AsSpan(offset, length));

    static byte[] Ended(ReadOnlySpan<byte> text)
    {
        int end = text.IndexOf((byte)0);
        return (end < 0 ? text : text[..end]).ToArray();
    }

    byte[] ReadExtension(long size)
    {
        if (size > MostExtension)
            throw new UnpackException(UnpackException.LayerInvalid, $"an extended header has {size} bytes; at most {MostExtension} are taken");
        byte[] content = new byte[size];
        if (!input.TryRead(content))
            throw Short();
        Span<byte> padding = stackalloc byte[(int)((BlockSize - size % BlockSize) % BlockSize)];
        if (!input.TryRead(padding))
            throw Short();
        return content;
    }

    // GNU's old form: four pieces in the header, the rest in blocks of 21 behind it. https://www.gnu.org/software/tar/manual/html_section/Sparse-Formats.html
    void ReadOldSparse(TarEntry entry)
    {
        var map = new List<(long, long)>();
        long size = Size(_block.AsSpan(483, 12));
        AddPieces(map, _block.AsSpan(386, 96));
        bool more = _block[482] != 0;
        while (more)
        {
            if (!input.TryRead(_block))
                throw Short();
            AddPieces(map, _block.AsSpan(0, 504));
            more = _block[504] != 0;
        }
        SetSparse(entry, map, size);
    }

    static void AddPieces(List<(long, long)> map, ReadOnlySpan<byte> pieces)
    {
        for (int i = 0; i + 24 <= pieces.Length; i += 24)
        {
            if (pieces[i] == 0)
                break;
            if (map.Count == MostSparse)
                throw new UnpackException(UnpackException.LayerInvalid, $"a sparse file has more than {MostSparse} pieces");
            map.Add((Size(pieces.Slice(i, 12)), Size(pieces.Slice(i + 12, 12))));
        }
    }

    void ReadPaxSparse(TarEntry entry, PaxRecords pax)
    {
        if (pax.SparseName is not null)
            entry.Name = pax.SparseName;
        long size = pax.SparseSize ?? throw new UnpackException(UnpackException.LayerInvalid, $"'{entry.Shown}': the sparse file has no size");
        List<(long, long)> map = pax.SparseMap;
        if (pax.SparseMajor == 1)
            map = ReadMap(entry);
        else if (pax.SparseMajor != 0)
            throw new UnpackException(UnpackException.LayerInvalid, $"'{entry.Shown}': sparse form {pax.SparseMajor} is not known");
        SetSparse(entry, map, size);
    }

    // Form 1.0: decimal lines in front of the data, padded to a block.
    List<(long, long)> ReadMap(TarEntry entry)
    {
        int column = 0;
        long Line()
        {
            long value = 0;
            for (int digits = 0; ; digits++)
            {
                ReadOnlySpan<byte> part = Peek();
                if (part.IsEmpty || digits > 18)
                    throw new UnpackException(UnpackException.LayerInvalid, $"'{entry.Shown}': the map of the sparse file is damaged");
                byte c = part[0];
                Took(1);
                column = (column + 1) % BlockSize;
                if (c == '\n' && digits > 0)
                    return value;
                if (c is < (byte)'0' or > (byte)'9')
                    throw new UnpackException(UnpackException.LayerInvalid, $"'{entry.Shown}': the map of the sparse file is damaged");
                value = value * 10 + (c - '0');
            }
        }

        long count = Line();
        if (count > MostSparse)
            throw new UnpackException(UnpackException.LayerInvalid, $"a sparse file has more than {MostSparse} pieces");
        var map = new List<(long, long)>();
        for (long i = 0; i < count; i++)
            map.Add((Line(), Line()));
        for (int padding = (BlockSize - column) % BlockSize; padding > 0;)
        {
            ReadOnlySpan<byte> part = Peek();
            if (part.IsEmpty)
                throw Short();
            int n = Math.Min(padding, part.Length);
            Took(n);
            padding -= n;
        }
        entry.StoredSize = _left;
        return map;
    }

    static void SetSparse(TarEntry entry, List<(long Offset, long Length)> map, long size)
    {
        long end = 0, stored = 0;
        foreach ((long offset, long length) in map)
        {
            if (offset < end || length < 0 || offset > size || length > size - offset)
                throw new UnpackException(UnpackException.LayerInvalid, $"'{entry.Shown}': the map of the sparse file makes no sense");
            end = offset + length;
            stored += length;
        }
        if (stored != entry.StoredSize)
            throw new UnpackException(UnpackException.LayerInvalid, $"'{entry.Shown}': the sparse file stores {entry.StoredSize} bytes and its map names {stored}");
        entry.Size = size;
        entry.Sparse = map;
    }

    static long Size(ReadOnlySpan<byte> field)
    {
        long size = TarNumbers.Field(field, "a size");
        return size >= 0 ? size : throw new UnpackException(UnpackException.LayerInvalid, "a size is negative");
    }

    static bool Later(timespec one, timespec other) => one.tv_sec > other.tv_sec || one.tv_sec == other.tv_sec && one.tv_nsec > other.tv_nsec;

    static UnpackException Short() => new(UnpackException.LayerInvalid, "the archive ends in the middle of an entry");
}
