using Containers.Linux;

namespace Psrun.Unpack;

/// <summary>The records of PAX headers: those of the archive, then those of one entry over them. Records that say nothing about a file are skipped.</summary>
sealed class PaxRecords
{
    public byte[]? Path;
    public byte[]? LinkPath;
    public long? Size;
    public uint? Owner;
    public uint? Group;
    public timespec? Changed;
    public timespec? Accessed;
    public List<(byte[] Name, byte[] Value)> Attributes = [];
    public long SparseMajor;
    public long? SparseSize;
    public byte[]? SparseName;
    public List<(long Offset, long Length)> SparseMap = [];
    long _pieceOffset;

    public PaxRecords()
    {
    }

    public PaxRecords(PaxRecords global)
    {
        Path = global.Path;
        LinkPath = global.LinkPath;
        Size = global.Size;
        Owner = global.Owner;
        Group = global.Group;
        Changed = global.Changed;
        Accessed = global.Accessed;
        Attributes = [.. global.Attributes];
    }

    public bool IsSparse { get; private set; }

    /// <summary>Reads <c>"length key=value\n"</c> one after another.</summary>
    public void Read(ReadOnlySpan<byte> content)
    {
        while (content.Length > 0)
        {
            // Writers pad a header that they made shorter afterwards.
            if (content[0] == 0)
                return;
            int blank = content.IndexOf((byte)' ');
            if (blank <= 0)
                throw Bad();
            long length = TarNumbers.Decimal(content[..blank], "the length of a PAX record");
            if (length <= blank + 1 || length > content.Length || content[(int)length - 1] != '\n')
                throw Bad();
            ReadOnlySpan<byte> record = content[(blank + 1)..((int)length - 1)];
            int equals = record.IndexOf((byte)'=');
            if (equals <= 0)
                throw Bad();
            Set(record[..equals], record[(equals + 1)..]);
            content = content[(int)length..];
        }
    }

    void Set(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        if (key.StartsWith("SCHILY.xattr."u8))
            SetAttribute(key["SCHILY.xattr.".Length..], value);
        else if (key.SequenceEqual("path"u8))
            Path = value.IsEmpty ? null : Name(value);
        else if (key.SequenceEqual("linkpath"u8))
            LinkPath = value.IsEmpty ? null : Name(value);
        else if (key.SequenceEqual("size"u8))
            Size = value.IsEmpty ? null : TarNumbers.Decimal(value, "a size");
        else if (key.SequenceEqual("uid"u8))
            Owner = value.IsEmpty ? null : TarNumbers.Id(TarNumbers.Decimal(value, "an owner"), "an owner");
        else if (key.SequenceEqual("gid"u8))
            Group = value.IsEmpty ? null : TarNumbers.Id(TarNumbers.Decimal(value, "a group"), "a group");
        else if (key.SequenceEqual("mtime"u8))
            Changed = value.IsEmpty ? null : TarNumbers.Time(value, "a time");
        else if (key.SequenceEqual("atime"u8))
            Accessed = value.IsEmpty ? null : TarNumbers.Time(value, "a time");
        else if (key.StartsWith("GNU.sparse."u8))
            SetSparse(key["GNU.sparse.".Length..], value);
    }

    void SetAttribute(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        byte[] own = Name(name);
        Attributes.RemoveAll(attribute => attribute.Name.AsSpan().SequenceEqual(own));
        Attributes.Add((own, value.ToArray()));
    }

    void SetSparse(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        IsSparse = true;
        if (key.SequenceEqual("major"u8))
            SparseMajor = TarNumbers.Decimal(value, "a sparse form");
        else if (key.SequenceEqual("name"u8))
            SparseName = Name(value);
        else if (key.SequenceEqual("realsize"u8) || key.SequenceEqual("size"u8))
            SparseSize = TarNumbers.Decimal(value, "a size");
        else if (key.SequenceEqual("offset"u8))
            _pieceOffset = TarNumbers.Decimal(value, "an offset");
        else if (key.SequenceEqual("numbytes"u8))
            SparseMap.Add((_pieceOffset, TarNumbers.Decimal(value, "a size")));
        else if (key.SequenceEqual("map"u8))
            ReadMap(value);
    }

    // Form 0.1: offset,length,offset,length…
    void ReadMap(ReadOnlySpan<byte> text)
    {
        SparseMap = [];
        long offset = -1;
        while (text.Length > 0)
        {
            int comma = text.IndexOf((byte)',');
            long number = TarNumbers.Decimal(comma < 0 ? text : text[..comma], "the map of a sparse file");
            text = comma < 0 ? default : text[(comma + 1)..];
            if (offset < 0)
                offset = number;
            else
            {
                SparseMap.Add((offset, number));
                offset = -1;
            }
        }
    }

    // The kernel would see a shorter name than the one that was looked at.
    static byte[] Name(ReadOnlySpan<byte> value) =>
        value.Contains((byte)0) ? throw new UnpackException(UnpackException.LayerInvalid, "a name has a NUL inside") : value.ToArray();

    static UnpackException Bad() => new(UnpackException.LayerInvalid, "a PAX header is malformed");
}
