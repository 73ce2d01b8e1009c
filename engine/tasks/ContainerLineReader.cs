using System.Text;

namespace Containers;

/// <summary>
/// Makes lines of chunks. A character that is cut between two chunks stays whole; bytes that are not UTF-8 are replaced. One for
/// each stream.
/// </summary>
public sealed class ContainerLineReader
{
    /// <summary>A line that never ends is handed out in parts of about this many bytes.</summary>
    public const int LongestLine = 1 << 20;

    byte[] pending = new byte[256];
    int length;

    /// <summary>The lines that end in this chunk, without their ends (line feed, or carriage return and line feed).</summary>
    public IReadOnlyList<string> Add(ReadOnlySpan<byte> chunk)
    {
        var lines = new List<string>();
        while (chunk.Length > 0)
        {
            var end = chunk.IndexOf((byte)'\n');
            if (end >= 0)
            {
                Append(chunk[..end]);
                lines.Add(Take(length, trim: true));
                chunk = chunk[(end + 1)..];
                continue;
            }
            Append(chunk);
            chunk = [];
            while (length > LongestLine) { lines.Add(Take(WholeCharacters(pending, LongestLine), trim: false)); }
        }
        return lines;
    }

    /// <summary>What came after the last end of line; null when nothing did.</summary>
    public string? Flush() => length == 0 ? null : Take(length, trim: false);

    void Append(ReadOnlySpan<byte> bytes)
    {
        if (length + bytes.Length > pending.Length) { Array.Resize(ref pending, Math.Max(pending.Length * 2, length + bytes.Length)); }
        bytes.CopyTo(pending.AsSpan(length));
        length += bytes.Length;
    }

    string Take(int count, bool trim)
    {
        var text = pending.AsSpan(0, count);
        if (trim && text.Length > 0 && text[^1] == '\r') { text = text[..^1]; }
        var line = Encoding.UTF8.GetString(text);
        pending.AsSpan(count, length - count).CopyTo(pending);
        length -= count;
        // A long line passed: its memory is not kept.
        if (length == 0 && pending.Length > 64 * 1024) { pending = new byte[256]; }
        return line;
    }

    /// <summary>Back from a limit inside the text to the first byte of the character that it would cut; a character has four bytes at most.</summary>
    internal static int WholeCharacters(ReadOnlySpan<byte> text, int limit)
    {
        for (var back = 0; back < 4 && back <= limit; back++)
        {
            if ((text[limit - back] & 0xc0) != 0x80) { return limit - back; }
        }
        return limit;
    }
}
