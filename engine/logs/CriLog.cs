using System.Globalization;
using System.IO.Compression;
using System.Text;

namespace Containers;

/// <summary>
/// The CRI log format, a record a line: <c>time stream P|F text</c>. <c>P</c> is a part of a line, <c>F</c> its end. The file may hold
/// anything that went wrong: what is no record is skipped.
/// </summary>
static class CriLog
{
    /// <summary>The writer cuts at 16 KiB; more than this is no record, and is passed over without being held.</summary>
    internal const int LongestRecord = 1 << 20;

    /// <summary>Reads one record, without its line feed.</summary>
    internal static bool TryParse(ReadOnlySpan<byte> line, out DateTimeOffset time, out ContainerLogStream stream, out bool partial, out ReadOnlySpan<byte> text)
    {
        time = default;
        stream = default;
        partial = false;
        text = default;
        var first = line.IndexOf((byte)' ');
        if (first is < 20 or > 40 || !TryTime(line[..first], out time)) { return false; }
        var rest = line[(first + 1)..];
        if (rest.StartsWith("stdout "u8)) { stream = ContainerLogStream.Stdout; }
        else if (rest.StartsWith("stderr "u8)) { stream = ContainerLogStream.Stderr; }
        else { return false; }
        rest = rest[7..];
        if (rest.Length < 2 || rest[1] != ' ') { return rest.Length == 1 && rest[0] is (byte)'F' or (byte)'P' && Set(rest[0], out partial); }
        if (rest[0] is not ((byte)'F' or (byte)'P')) { return false; }
        partial = rest[0] == 'P';
        text = rest[2..];
        return true;
    }

    /// <summary>What was printed, byte for byte, between two places of the log.</summary>
    internal static IEnumerable<(ContainerLogStream, byte[])> ReadOutput(string path, LogPlace from, LogPlace? to)
    {
        using var reader = new LogReader(path, from, to);
        while (reader.TryRead(out var record))
        {
            var data = record.Partial ? record.Text : [.. record.Text, (byte)'\n'];
            yield return (record.Stream, data);
        }
    }

    static bool Set(byte tag, out bool partial)
    {
        partial = tag == 'P';
        return true;
    }

    static bool TryTime(ReadOnlySpan<byte> text, out DateTimeOffset time)
    {
        Span<char> chars = stackalloc char[40];
        var length = Encoding.UTF8.GetChars(text, chars);
        // Nanoseconds are cut to the ticks that .NET has.
        var dot = chars[..length].IndexOf('.');
        if (dot > 0)
        {
            var end = dot + 1;
            while (end < length && char.IsAsciiDigit(chars[end])) { end++; }
            if (end - dot - 1 > 7)
            {
                chars[end..length].CopyTo(chars[(dot + 8)..]);
                length -= end - (dot + 8);
            }
        }
        return DateTimeOffset.TryParse(chars[..length], CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out time);
    }
}

/// <summary>One record, with its text as bytes.</summary>
readonly record struct CriRecord(DateTimeOffset Time, ContainerLogStream Stream, bool Partial, byte[] Text);

/// <summary>Reads one file of a log forward, record by record; at the end it can be asked again when more was written.</summary>
sealed class CriLogReader : IDisposable
{
    readonly string path;
    readonly FileStream file;
    readonly Stream text;
    byte[] buffer = new byte[64 * 1024];
    int start, end;
    long taken;
    bool skipping;

    CriLogReader(string path, FileStream file)
    {
        this.path = path;
        this.file = file;
        text = path.EndsWith(".gz", StringComparison.Ordinal) ? new GZipStream(file, CompressionMode.Decompress) : file;
    }

    /// <summary>Where the next record begins in the file's text.</summary>
    internal long Offset => taken - (end - start);

    /// <summary>Of the file, in bytes, as it is now.</summary>
    internal long Length => file.Length;

    /// <summary>Null when there is no such file. One that ends in <c>.gz</c> is read as gzip.</summary>
    internal static CriLogReader? TryOpen(string path, long from = 0)
    {
        try
        {
            var file = new FileStream(path, new FileStreamOptions { Mode = FileMode.Open, Access = FileAccess.Read, Share = FileShare.ReadWrite | FileShare.Delete, BufferSize = 0 });
            var reader = new CriLogReader(path, file);
            reader.Pass(from);
            return reader;
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException) { return null; }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { throw Folders.Unavailable(path, e); }
    }

    void Pass(long count)
    {
        if (text == file) { file.Position = count; }
        for (taken = text == file ? count : 0; taken < count;)
        {
            var n = Read(buffer.AsSpan(0, (int)Math.Min(buffer.Length, count - taken)));
            if (n == 0) { return; }
            taken += n;
        }
    }

    int Read(Span<byte> to)
    {
        try { return text.Read(to); }
        catch (Exception e) when (e is IOException or InvalidDataException)
        {
            throw new ContainerException(ErrorIds.StoreDamaged, $"The log '{path}' cannot be read: {e.Message} Remove that file to read the others.", path, ContainerErrorCategory.InvalidData, e);
        }
    }

    /// <summary>The next whole record; false at the end of what is written so far.</summary>
    internal bool TryRead(out CriRecord record)
    {
        while (true)
        {
            var line = buffer.AsSpan(start, end - start);
            var feed = line.IndexOf((byte)'\n');
            if (feed >= 0)
            {
                start += feed + 1;
                if (skipping)
                {
                    skipping = false;
                    continue;
                }
                if (!CriLog.TryParse(line[..feed], out var time, out var stream, out var partial, out var text)) { continue; }
                record = new CriRecord(time, stream, partial, text.ToArray());
                return true;
            }
            if (!Fill())
            {
                record = default;
                return false;
            }
        }
    }

    bool Fill()
    {
        if (start > 0)
        {
            buffer.AsSpan(start, end - start).CopyTo(buffer);
            end -= start;
            start = 0;
        }
        if (end == buffer.Length)
        {
            if (buffer.Length < CriLog.LongestRecord) { Array.Resize(ref buffer, buffer.Length * 2); }
            else
            {
                skipping = true;
                end = 0;
            }
        }
        var read = Read(buffer.AsSpan(end));
        end += read;
        taken += read;
        return read > 0;
    }

    public void Dispose()
    {
        text.Dispose();
        file.Dispose();
    }
}
