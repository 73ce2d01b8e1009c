using System.Text;
using Containers.Linux;

namespace Psrun.Pack;

/// <summary>
/// Writes headers: ustar, and PAX records in front for what does not fit into one (IEEE 1003.1 pax, "pax Extended Header"). The same entry
/// gives the same bytes; names of users and groups, which are the host's, are left out.
/// </summary>
sealed class TarWriter(LayerOutput output)
{
    const int BlockSize = 512;
    const int NameField = 100;
    const long MostOctal = 0x1fffff; // 7 digits
    const long MostSize = 0x1ffffffff; // 11 digits

    readonly byte[] _block = new byte[BlockSize];
    readonly List<byte> _records = [];
    int _padding;

    /// <summary>An entry; a file's data follows through <see cref="LayerOutput"/>, and then <see cref="Pad"/>.</summary>
    /// <param name="type">ustar's typeflag.</param>
    /// <param name="name">Without a zero; a folder's ends with a slash.</param>
    /// <param name="link">What a link names; empty otherwise.</param>
    public void Header(char type, ReadOnlySpan<byte> name, ReadOnlySpan<byte> link, in statx stat, long size, IReadOnlyList<(byte[] Name, byte[] Value)> attributes)
    {
        var time = stat.stx_mtime;
        _records.Clear();
        if (name.Length > NameField)
            Record("path"u8, name);
        if (link.Length > NameField)
            Record("linkpath"u8, link);
        if (size > MostSize)
            Record("size"u8, size);
        if (stat.stx_uid > MostOctal)
            Record("uid"u8, stat.stx_uid);
        if (stat.stx_gid > MostOctal)
            Record("gid"u8, stat.stx_gid);
        if (time.tv_nsec != 0 || time.tv_sec is < 0 or > MostSize)
            Record("mtime"u8, Encoding.ASCII.GetBytes(Time(time.tv_sec, time.tv_nsec)));
        foreach ((byte[] attribute, byte[] value) in attributes)
            Record([.. "SCHILY.xattr."u8, .. attribute], value);
        if (_records.Count > 0)
        {
            Block('x', "PaxHeaders"u8, default, default, _records.Count);
            output.Write(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_records));
            Zeros((int)((BlockSize - _records.Count % BlockSize) % BlockSize));
        }
        Block(type, name.Length > NameField ? name[..NameField] : name, link.Length > NameField ? link[..NameField] : link, stat, size > MostSize ? 0 : size);
        _padding = (int)((BlockSize - size % BlockSize) % BlockSize);
    }

    /// <summary>Fills the last block of data.</summary>
    public void Pad() => Zeros(_padding);

    public void End() => Zeros(2 * BlockSize);

    /// <summary>Bytes that a file has lost since its header was written, too.</summary>
    public void Zeros(long count)
    {
        while (count > 0)
        {
            Span<byte> room = output.Room();
            int n = (int)Math.Min(room.Length, count);
            room[..n].Clear();
            output.Wrote(n);
            count -= n;
        }
    }

    void Block(char type, ReadOnlySpan<byte> name, ReadOnlySpan<byte> link, in statx stat, long size)
    {
        Array.Clear(_block);
        name.CopyTo(_block);
        Octal(100, 8, stat.stx_mode & 0xfffu);
        Octal(108, 8, stat.stx_uid > MostOctal ? 0 : stat.stx_uid);
        Octal(116, 8, stat.stx_gid > MostOctal ? 0 : stat.stx_gid);
        Octal(124, 12, size);
        Octal(136, 12, stat.stx_mtime.tv_sec is < 0 or > MostSize ? 0 : stat.stx_mtime.tv_sec);
        _block[156] = (byte)type;
        link.CopyTo(_block.AsSpan(157));
        "ustar\0"u8.CopyTo(_block.AsSpan(257));
        "00"u8.CopyTo(_block.AsSpan(263));
        if (type is '3' or '4')
        {
            Octal(329, 8, stat.stx_rdev_major);
            Octal(337, 8, stat.stx_rdev_minor);
        }
        _block.AsSpan(148, 8).Fill((byte)' ');
        long sum = 0;
        foreach (byte b in _block)
            sum += b;
        Octal(148, 7, sum);
        output.Write(_block);
    }

    void Octal(int offset, int length, long value)
    {
        for (int i = offset + length - 2; i >= offset; i--, value >>= 3)
            _block[i] = (byte)('0' + (value & 7));
        _block[offset + length - 1] = 0;
    }

    void Record(ReadOnlySpan<byte> key, long value) => Record(key, Encoding.ASCII.GetBytes(value.ToString()));

    // The length counts its own digits.
    void Record(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        int rest = key.Length + value.Length + 3, length = rest + 1;
        while (length != rest + length.ToString().Length)
            length = rest + length.ToString().Length;
        _records.AddRange(Encoding.ASCII.GetBytes(length.ToString()));
        _records.Add((byte)' ');
        _records.AddRange(key);
        _records.Add((byte)'=');
        _records.AddRange(value);
        _records.Add((byte)'\n');
    }

    static string Time(long seconds, uint nanoseconds)
    {
        if (nanoseconds == 0)
            return seconds.ToString();
        // Half a second before second -1 is -1.5, and in the kernel's way second -2 and a half.
        string sign = seconds < 0 ? "-" : "";
        long fraction = seconds < 0 ? 1_000_000_000 - nanoseconds : nanoseconds;
        long whole = seconds < 0 ? -(seconds + 1) : seconds;
        string digits = fraction.ToString();
        return sign + whole + "." + (new string('0', 9 - digits.Length) + digits).TrimEnd('0');
    }
}
