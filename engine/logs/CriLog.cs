using System.Globalization;
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

    /// <summary>What was printed, byte for byte, between two offsets of the log.</summary>
    internal static IEnumerable<(ContainerLogStream, byte[])> ReadOutput(string path, long from, long? to)
    {
        using var reader = CriLogReader.TryOpen(path, from);
        if (reader is null) { yield break; }
        while ((to is null || reader.Offset < to) && reader.TryRead(out var record))
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
readonly record struct CriRecord(DateTimeOffset Time, ContainerLogStream Stream, bool Partial, byte[] Text)
{
    internal ContainerLogEntry ToEntry() => new() { Time = Time, Stream = Stream, Partial = Partial, Line = Encoding.UTF8.GetString(Text) };
}

/// <summary>Reads a log forward, record by record; at the end it can be asked again when more was written.</summary>
sealed class CriLogReader : IDisposable
{
    readonly FileStream file;
    byte[] buffer = new byte[64 * 1024];
    int start, end;
    bool skipping;

    CriLogReader(FileStream file) => this.file = file;

    /// <summary>Where the next record begins.</summary>
    internal long Offset => file.Position - (end - start);

    /// <summary>Null when there is no log.</summary>
    internal static CriLogReader? TryOpen(string path, long from = 0)
    {
        try
        {
            var file = new FileStream(path, new FileStreamOptions { Mode = FileMode.Open, Access = FileAccess.Read, Share = FileShare.ReadWrite | FileShare.Delete, BufferSize = 0 });
            if (from > 0) { file.Position = from; }
            return new CriLogReader(file);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException) { return null; }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { throw Folders.Unavailable(path, e); }
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
        var read = file.Read(buffer, end, buffer.Length - end);
        end += read;
        return read > 0;
    }

    public void Dispose() => file.Dispose();
}
