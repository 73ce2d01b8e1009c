using System.Text;

namespace Containers;

/// <summary>
/// Reads an archive of images from a stream: names, links and data of files, which is all that such an archive has. Layers, which have
/// everything else, are psrun's. Long names by GNU's entries and by PAX; what is malformed is refused.
/// </summary>
sealed class ArchiveReader(Stream stream)
{
    const int BlockSize = 512;
    const int MostExtension = 64 << 10;
    const int MostEntries = 200_000;

    internal sealed record Entry(string Name, string? Link, Stream? Data, long Size);

    readonly byte[] block = new byte[BlockSize];
    EntryStream? current;
    int padding;
    int entries;

    /// <summary>The next file or link; null at the end. The data of the last one is skipped.</summary>
    /// <exception cref="InvalidDataException"></exception>
    internal async Task<Entry?> NextAsync(CancellationToken cancel)
    {
        if (current is not null)
        {
            await SkipAsync(current.Left + padding, cancel).ConfigureAwait(false);
            current = null;
        }
        string? name = null, link = null;
        long? size = null;
        while (await ReadHeaderAsync(cancel).ConfigureAwait(false))
        {
            if (++entries > MostEntries) { throw new InvalidDataException($"it has more than {MostEntries} entries"); }
            var length = Number(124, 12);
            if (length < 0) { throw new InvalidDataException("a size is negative"); }
            switch ((char)block[156])
            {
                case 'g':
                    await ExtensionAsync(length, cancel).ConfigureAwait(false);
                    continue;
                case 'L':
                    name = Text(await ExtensionAsync(length, cancel).ConfigureAwait(false));
                    continue;
                case 'K':
                    link = Text(await ExtensionAsync(length, cancel).ConfigureAwait(false));
                    continue;
                case 'x':
                    ReadPax(await ExtensionAsync(length, cancel).ConfigureAwait(false), ref name, ref link, ref size);
                    continue;
            }
            var type = (char)block[156];
            length = type is '0' or '\0' or '7' ? size ?? length : 0;
            padding = (int)((BlockSize - length % BlockSize) % BlockSize);
            current = new EntryStream(stream, length);
            var own = Clean(name ?? HeaderName());
            if (type is '0' or '\0' or '7' && own.Length > 0) { return new Entry(own, null, current, length); }
            if (type is '1' or '2') { return new Entry(own, link ?? Text(block.AsSpan(157, 100)), null, 0); }
            await SkipAsync(current.Left + padding, cancel).ConfigureAwait(false);
            current = null;
            (name, link, size) = (null, null, null);
        }
        return null;
    }

    async Task<bool> ReadHeaderAsync(CancellationToken cancel)
    {
        for (var zeros = 0; ; zeros++)
        {
            var read = await stream.ReadAtLeastAsync(block, BlockSize, throwOnEndOfStream: false, cancel).ConfigureAwait(false);
            if (read == 0 || (read == BlockSize && zeros == 1 && !block.AsSpan().ContainsAnyExcept((byte)0))) { return false; }
            if (read < BlockSize) { throw Short(); }
            if (block.AsSpan().ContainsAnyExcept((byte)0)) { break; }
        }
        var told = Number(148, 8);
        long sum = 0;
        for (var i = 0; i < BlockSize; i++) { sum += i is >= 148 and < 156 ? ' ' : block[i]; }
        return told == sum ? true : throw new InvalidDataException("a header's checksum is wrong: it is no tar archive, or a damaged one");
    }

    async Task<byte[]> ExtensionAsync(long length, CancellationToken cancel)
    {
        if (length > MostExtension) { throw new InvalidDataException($"an extended header has {length} bytes"); }
        var content = new byte[length + (BlockSize - length % BlockSize) % BlockSize];
        if (await stream.ReadAtLeastAsync(content, content.Length, throwOnEndOfStream: false, cancel).ConfigureAwait(false) < content.Length) { throw Short(); }
        return content[..(int)length];
    }

    async Task SkipAsync(long count, CancellationToken cancel)
    {
        var buffer = new byte[Math.Clamp(count, 1, 64 << 10)];
        while (count > 0)
        {
            var n = await stream.ReadAsync(buffer.AsMemory(0, (int)Math.Min(buffer.Length, count)), cancel).ConfigureAwait(false);
            if (n == 0) { throw Short(); }
            count -= n;
        }
    }

    static void ReadPax(byte[] content, ref string? name, ref string? link, ref long? size)
    {
        var rest = content.AsSpan();
        while (rest.Length > 0 && rest[0] != 0)
        {
            var blank = rest.IndexOf((byte)' ');
            if (blank <= 0 || !int.TryParse(rest[..blank], System.Globalization.NumberStyles.None, null, out var length) || length <= blank + 1 || length > rest.Length) { throw new InvalidDataException("a PAX header is malformed"); }
            var record = Encoding.UTF8.GetString(rest[(blank + 1)..(length - 1)]);
            rest = rest[length..];
            var equals = record.IndexOf('=');
            if (equals <= 0) { throw new InvalidDataException("a PAX header is malformed"); }
            switch (record[..equals])
            {
                case "path": name = record[(equals + 1)..]; break;
                case "linkpath": link = record[(equals + 1)..]; break;
                case "size" when long.TryParse(record.AsSpan(equals + 1), System.Globalization.NumberStyles.None, null, out var value): size = value; break;
                case "size": throw new InvalidDataException("a size is no number");
            }
        }
    }

    string HeaderName()
    {
        var name = Text(block.AsSpan(0, 100));
        var prefix = block.AsSpan(257, 6).SequenceEqual("ustar\0"u8) ? Text(block.AsSpan(345, 155)) : "";
        return prefix.Length > 0 ? $"{prefix}/{name}" : name;
    }

    long Number(int offset, int length)
    {
        var field = block.AsSpan(offset, length);
        long value = 0;
        if ((field[0] & 0x80) != 0)
        {
            for (var i = 0; i < length; i++)
            {
                if (value > long.MaxValue >> 8) { throw new InvalidDataException("a number is too large"); }
                value = value << 8 | (i == 0 ? (byte)(field[0] & 0x7f) : field[i]);
            }
            return value;
        }
        foreach (var c in field)
        {
            if (c is (byte)' ' or 0) { continue; }
            if (c is < (byte)'0' or > (byte)'7' || value > long.MaxValue >> 3) { throw new InvalidDataException("a number is malformed"); }
            value = value << 3 | (long)(c - '0');
        }
        return value;
    }

    static string Text(ReadOnlySpan<byte> text) => Encoding.UTF8.GetString(text.IndexOf((byte)0) is var end and >= 0 ? text[..end] : text);

    /// <summary>The name without empty parts and dots. Names are only looked up here and never become paths.</summary>
    internal static string Clean(string name)
    {
        var parts = new List<string>();
        foreach (var part in name.Split('/'))
        {
            if (part is "" or ".") { continue; }
            if (part != "..") { parts.Add(part); }
            else if (parts.Count > 0) { parts.RemoveAt(parts.Count - 1); }
        }
        return string.Join('/', parts);
    }

    static InvalidDataException Short() => new("it ends in the middle of an entry");

    sealed class EntryStream(Stream source, long length) : ReadOnlyStream
    {
        internal long Left { get; private set; } = length;

        public override int Read(Span<byte> buffer)
        {
            var n = Left == 0 ? 0 : source.Read(buffer[..(int)Math.Min(buffer.Length, Left)]);
            return Count(n, buffer.Length);
        }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancel = default)
        {
            var n = Left == 0 ? 0 : await source.ReadAsync(buffer[..(int)Math.Min(buffer.Length, Left)], cancel).ConfigureAwait(false);
            return Count(n, buffer.Length);
        }

        int Count(int n, int asked)
        {
            if (n == 0 && Left > 0 && asked > 0) { throw Short(); }
            Left -= n;
            return n;
        }
    }
}

/// <summary>What a stream that is only read in order has to say about everything else.</summary>
abstract class ReadOnlyStream : Stream
{
    public override bool CanRead => true;
    public override bool CanSeek => false;
    public override bool CanWrite => false;
    public override long Length => throw new NotSupportedException();
    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }
    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));
    public abstract override int Read(Span<byte> buffer);
    public override void Flush() { }
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
    public override void SetLength(long value) => throw new NotSupportedException();
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}
