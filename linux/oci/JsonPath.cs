using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Containers.Linux.Oci;

/// <summary>Finds the path of a place in a document by reading it a second time, so that only a refusal pays for paths.</summary>
static class JsonPath
{
    const int LongestKey = 64;

    /// <summary>The path of the token that begins at byte <paramref name="offset"/>.</summary>
    internal static string At(ReadOnlySpan<byte> document, long offset, string root)
    {
        // One entry for each open object (the key at hand) or array (the index at hand).
        var keys = new List<string?>();
        var indexes = new List<int>();
        var reader = new Utf8JsonReader(document, OciJson.ReaderOptions);
        while (reader.Read())
        {
            var type = reader.TokenType;
            var top = indexes.Count - 1;
            if (type == JsonTokenType.PropertyName) { keys[top] = Key(ref reader); }
            else if (type is JsonTokenType.EndObject or JsonTokenType.EndArray)
            {
                keys.RemoveAt(top);
                indexes.RemoveAt(top);
            }
            else if (top >= 0 && indexes[top] >= -1) { indexes[top]++; }

            if (reader.TokenStartIndex >= offset) { break; }
            if (type is JsonTokenType.StartObject or JsonTokenType.StartArray)
            {
                keys.Add(null);
                indexes.Add(type == JsonTokenType.StartArray ? -1 : int.MinValue);
            }
        }

        var path = new StringBuilder(root);
        for (var i = 0; i < keys.Count; i++)
        {
            if (indexes[i] >= 0) { path.Append('[').Append(indexes[i].ToString(CultureInfo.InvariantCulture)).Append(']'); }
            else if (keys[i] is { } key) { path.Append(path.Length > 0 && key[0] != '[' ? "." : "").Append(key); }
        }
        return path.ToString();
    }

    // Keys of maps are free text: all but plain words are quoted, and nothing in them may reach a terminal or break a line.
    static string Key(ref Utf8JsonReader reader)
    {
        string text;
        try { text = reader.GetString()!; }
        catch (InvalidOperationException) { return "[\"?\"]"; }
        var plain = text.Length is > 0 and <= LongestKey;
        foreach (var c in text) { plain &= char.IsAsciiLetterOrDigit(c) || c is '_' or '-'; }
        if (plain) { return text; }

        var quoted = new StringBuilder("[\"");
        foreach (var c in text.AsSpan(0, Math.Min(text.Length, LongestKey))) { quoted.Append(c is < ' ' or > '~' or '"' or '\\' ? '?' : c); }
        return quoted.Append(text.Length > LongestKey ? "…\"]" : "\"]").ToString();
    }
}
