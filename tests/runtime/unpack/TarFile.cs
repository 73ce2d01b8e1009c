using System.Text;

namespace Containers.Tests.Runtime;

/// <summary>Writes archives byte by byte, also such as no tar would write.</summary>
sealed class TarFile
{
    readonly MemoryStream content = new();

    public TarFile Folder(string name, int mode = 0x1ed, int owner = 0, long time = 1_700_000_000) => Entry('5', name, mode: mode, owner: owner, time: time);

    public TarFile File(string name, string text = "", int mode = 0x1a4, int owner = 0, long time = 1_700_000_000) => Entry('0', name, Encoding.UTF8.GetBytes(text), mode: mode, owner: owner, time: time);

    public TarFile Link(string name, string target) => Entry('2', name, link: target, mode: 0x1ff);

    public TarFile HardLink(string name, string target) => Entry('1', name, link: target);

    public TarFile Entry(char type, string name, byte[]? data = null, string link = "", int mode = 0x1a4, int owner = 0, long time = 1_700_000_000, int major = 0, int minor = 0, Action<byte[]>? change = null)
    {
        data ??= [];
        var header = new byte[512];
        Encoding.UTF8.GetBytes(name).AsSpan().CopyTo(header);
        Octal(header, 100, 8, mode);
        Octal(header, 108, 8, owner);
        Octal(header, 116, 8, owner);
        Octal(header, 124, 12, data.Length);
        Octal(header, 136, 12, time);
        header[156] = (byte)type;
        Encoding.UTF8.GetBytes(link).AsSpan().CopyTo(header.AsSpan(157));
        "ustar\0"u8.CopyTo(header.AsSpan(257));
        "00"u8.CopyTo(header.AsSpan(263));
        Octal(header, 329, 8, major);
        Octal(header, 337, 8, minor);
        change?.Invoke(header);
        header.AsSpan(148, 8).Fill((byte)' ');
        Octal(header, 148, 7, header.Sum(b => b));
        content.Write(header);
        content.Write(data);
        content.Write(new byte[(512 - data.Length % 512) % 512]);
        return this;
    }

    public TarFile Pax(params (string Key, string Value)[] records) => Extension('x', records);

    public TarFile GlobalPax(params (string Key, string Value)[] records) => Extension('g', records);

    TarFile Extension(char type, (string Key, string Value)[] records) =>
        Entry(type, "pax", Encoding.Latin1.GetBytes(string.Concat(records.Select(r => Record(r.Key, r.Value)))));

    static string Record(string key, string value)
    {
        var rest = $" {key}={value}\n";
        var length = rest.Length;
        while ($"{length}{rest}".Length != length)
            length = $"{length}{rest}".Length;
        return $"{length}{rest}";
    }

    public TarFile Raw(byte[] bytes)
    {
        content.Write(bytes);
        return this;
    }

    public byte[] ToArray() => [.. content.ToArray(), .. new byte[1024]];

    /// <summary>Without the blocks of zeros at the end.</summary>
    public byte[] Open() => content.ToArray();

    static void Octal(byte[] header, int offset, int length, long value) =>
        Encoding.ASCII.GetBytes(Convert.ToString(value, 8).PadLeft(length - 1, '0') + "\0").AsSpan(0, length).CopyTo(header.AsSpan(offset));
}
