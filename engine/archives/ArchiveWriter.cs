using System.Text;

namespace Containers;

/// <summary>Writes an archive that is the same, byte for byte, whenever the same is written: root's, mode 0644, of the epoch.</summary>
sealed class ArchiveWriter(Stream stream)
{
    const int BlockSize = 512;

    internal async Task FileAsync(string name, Stream content, long size, CancellationToken cancel)
    {
        await stream.WriteAsync(Header(name, '0', 0x1a4, size), cancel).ConfigureAwait(false);
        var buffer = new byte[1 << 20];
        var left = size;
        while (left > 0)
        {
            var n = await content.ReadAsync(buffer.AsMemory(0, (int)Math.Min(buffer.Length, left)), cancel).ConfigureAwait(false);
            if (n == 0) { throw new EndOfStreamException($"{name} became shorter while it was read"); }
            await stream.WriteAsync(buffer.AsMemory(0, n), cancel).ConfigureAwait(false);
            left -= n;
        }
        await stream.WriteAsync(new byte[(BlockSize - size % BlockSize) % BlockSize], cancel).ConfigureAwait(false);
    }

    internal async Task FileAsync(string name, byte[] content, CancellationToken cancel)
    {
        using var memory = new MemoryStream(content);
        await FileAsync(name, memory, content.Length, cancel).ConfigureAwait(false);
    }

    internal async Task FolderAsync(string name, CancellationToken cancel) => await stream.WriteAsync(Header(name + "/", '5', 0x1ed, 0), cancel).ConfigureAwait(false);

    internal async Task EndAsync(CancellationToken cancel) => await stream.WriteAsync(new byte[2 * BlockSize], cancel).ConfigureAwait(false);

    // Names here are of blobs by sha512 at most, which is 141 characters: the prefix takes what is before the last slash.
    static byte[] Header(string name, char type, int mode, long size)
    {
        var header = new byte[BlockSize];
        var prefix = "";
        if (name.Length > 100)
        {
            var slash = name.LastIndexOf('/');
            (prefix, name) = (name[..slash], name[(slash + 1)..]);
        }
        if (name.Length > 100)
        {
            // Longer than ustar's field: the specification's own way for such names is a PAX header in front.
            throw new ContainerException(ErrorIds.NotSupported, $"Content by sha512 ({name}) cannot be written into an archive. Export into a folder.", name, ContainerErrorCategory.NotImplemented);
        }
        Encoding.ASCII.GetBytes(name, header);
        Octal(header, 100, 8, mode);
        Octal(header, 108, 8, 0);
        Octal(header, 116, 8, 0);
        if (size < 1L << 33) { Octal(header, 124, 12, size); }
        else
        {
            header[124] = 0x80;
            System.Buffers.Binary.BinaryPrimitives.WriteInt64BigEndian(header.AsSpan(128), size);
        }
        Octal(header, 136, 12, 0);
        header[156] = (byte)type;
        "ustar\0"u8.CopyTo(header.AsSpan(257));
        "00"u8.CopyTo(header.AsSpan(263));
        Encoding.ASCII.GetBytes(prefix, header.AsSpan(345));
        header.AsSpan(148, 8).Fill((byte)' ');
        var sum = 0;
        foreach (var b in header) { sum += b; }
        Octal(header, 148, 7, sum);
        return header;
    }

    static void Octal(byte[] header, int offset, int length, long value) =>
        Encoding.ASCII.GetBytes(Convert.ToString(value, 8).PadLeft(length - 1, '0') + "\0").CopyTo(header, offset);
}
