using System.Buffers;
using System.Buffers.Text;
using System.Text;

namespace Containers.Linux;

/// <summary>Pieces of procfs text.</summary>
static class ProcText
{
    /// <summary>Cuts the piece up to the separator off the front; the last piece is what remains.</summary>
    public static ReadOnlySpan<byte> Next(ref ReadOnlySpan<byte> rest, byte separator)
    {
        int at = rest.IndexOf(separator);
        ReadOnlySpan<byte> piece = at < 0 ? rest : rest[..at];
        rest = at < 0 ? default : rest[(at + 1)..];
        return piece;
    }

    /// <summary>Cuts a word off the front that blanks and tabs may surround.</summary>
    public static ReadOnlySpan<byte> NextWord(ref ReadOnlySpan<byte> rest)
    {
        rest = rest.TrimStart(" \t"u8);
        int at = rest.IndexOfAny((byte)' ', (byte)'\t');
        ReadOnlySpan<byte> word = at < 0 ? rest : rest[..at];
        rest = at < 0 ? default : rest[at..];
        return word;
    }

    public static bool TryNumber(ReadOnlySpan<byte> text, out int value) => Utf8Parser.TryParse(text, out value, out int used) && used == text.Length;

    public static bool TryNumber(ReadOnlySpan<byte> text, out uint value) => Utf8Parser.TryParse(text, out value, out int used) && used == text.Length;

    public static bool TryNumber(ReadOnlySpan<byte> text, out long value) => Utf8Parser.TryParse(text, out value, out int used) && used == text.Length;

    public static bool TryNumber(ReadOnlySpan<byte> text, out ulong value) => Utf8Parser.TryParse(text, out value, out int used) && used == text.Length;

    public static bool TryHex(ReadOnlySpan<byte> text, out ulong value) => Utf8Parser.TryParse(text, out value, out int used, 'x') && used == text.Length;

    public static string String(ReadOnlySpan<byte> text) => Encoding.UTF8.GetString(text);

    /// <summary>Undoes the kernel's mangling of paths: a backslash and three octal digits for a blank, tab, newline, backslash or #.</summary>
    public static string Unescape(ReadOnlySpan<byte> text)
    {
        if (text.IndexOf((byte)'\\') < 0)
            return String(text);
        byte[] pooled = ArrayPool<byte>.Shared.Rent(text.Length);
        int length = 0;
        for (int i = 0; i < text.Length; i++)
            if (text[i] == '\\' && i + 3 < text.Length && IsOctal(text[i + 1], '3') && IsOctal(text[i + 2], '7') && IsOctal(text[i + 3], '7'))
            {
                pooled[length++] = (byte)((text[i + 1] - '0') << 6 | (text[i + 2] - '0') << 3 | (text[i + 3] - '0'));
                i += 3;
            }
            else
                pooled[length++] = text[i];
        string result = String(pooled.AsSpan(0, length));
        ArrayPool<byte>.Shared.Return(pooled);
        return result;
    }

    static bool IsOctal(byte digit, char most) => digit >= '0' && digit <= most;

    /// <summary>Strings that each end with a zero; the last zero may be missing, as programs may write over their own arguments.</summary>
    public static string[] Strings(ReadOnlySpan<byte> text)
    {
        if (text.IsEmpty)
            return [];
        if (text[^1] == 0)
            text = text[..^1];
        var strings = new string[text.Count((byte)0) + 1];
        for (int i = 0; i < strings.Length; i++)
            strings[i] = String(Next(ref text, 0));
        return strings;
    }
}
