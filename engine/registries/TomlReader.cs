using System.Globalization;
using System.Text;

namespace Containers;

/// <summary>
/// Reads TOML 1.0 as far as configuration of registries has it: tables, arrays of tables, dotted keys, every string, numbers, booleans, arrays and
/// inline tables. Dates are refused. Tables are dictionaries, arrays lists, values <see cref="string"/>, <see cref="long"/>, <see cref="double"/>,
/// <see cref="bool"/>.
/// </summary>
sealed class TomlReader
{
    const int Deepest = 32;

    readonly string text;
    readonly HashSet<Dictionary<string, object>> closed = new(ReferenceEqualityComparer.Instance);
    readonly HashSet<Dictionary<string, object>> headed = new(ReferenceEqualityComparer.Instance);
    int at;

    TomlReader(string text) => this.text = text;

    /// <exception cref="InvalidDataException">With the line.</exception>
    internal static Dictionary<string, object> Read(ReadOnlySpan<byte> content)
    {
        string text;
        try { text = new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(content); }
        catch (DecoderFallbackException) { throw new InvalidDataException("is not UTF-8"); }
        return new TomlReader(text.TrimStart('\uFEFF').Replace("\r\n", "\n", StringComparison.Ordinal)).Document();
    }

    char Now => at < text.Length ? text[at] : '\0';

    Dictionary<string, object> Document()
    {
        var root = new Dictionary<string, object>(StringComparer.Ordinal);
        var table = root;
        while (true)
        {
            SkipBlank(lines: true);
            if (at >= text.Length) { return root; }
            if (Now == '[') { table = Header(root); }
            else { KeyValue(table, 0); }
            SkipBlank(lines: false);
            if (at < text.Length && Now != '\n') { throw Bad($"'{Now}' stands after the end of a value"); }
        }
    }

    Dictionary<string, object> Header(Dictionary<string, object> root)
    {
        at++;
        var many = Now == '[';
        if (many) { at++; }
        var keys = Keys();
        Expect(']');
        if (many) { Expect(']'); }
        var table = root;
        foreach (var key in keys.Take(keys.Count - 1)) { table = Child(table, key); }
        var last = keys[^1];
        if (many)
        {
            if (!table.TryGetValue(last, out var list)) { table[last] = list = new List<object>(); }
            if (list is not List<object> items || items.Exists(i => i is not Dictionary<string, object> t || closed.Contains(t))) { throw Bad($"'{last}' is no array of tables"); }
            var item = new Dictionary<string, object>(StringComparer.Ordinal);
            items.Add(item);
            return item;
        }
        var own = Child(table, last);
        return headed.Add(own) ? own : throw Bad($"the table '{string.Join('.', keys)}' is there twice");
    }

    Dictionary<string, object> Child(Dictionary<string, object> table, string key)
    {
        if (!table.TryGetValue(key, out var value)) { table[key] = value = new Dictionary<string, object>(StringComparer.Ordinal); }
        if (value is List<object> { Count: > 0 } list) { value = list[^1]; }
        return value is Dictionary<string, object> child && !closed.Contains(child) ? child : throw Bad($"'{key}' is no table that can be added to");
    }

    void KeyValue(Dictionary<string, object> table, int depth)
    {
        var keys = Keys();
        Expect('=');
        SkipBlank(lines: false);
        foreach (var key in keys.Take(keys.Count - 1)) { table = Child(table, key); }
        if (!table.TryAdd(keys[^1], Value(depth + 1))) { throw Bad($"'{keys[^1]}' is there twice"); }
    }

    List<string> Keys()
    {
        var keys = new List<string>();
        while (true)
        {
            SkipBlank(lines: false);
            if (Now is '"' or '\'') { keys.Add(Now == '"' ? Basic() : Literal()); }
            else
            {
                var start = at;
                while (char.IsAsciiLetterOrDigit(Now) || Now is '_' or '-') { at++; }
                keys.Add(at > start ? text[start..at] : throw Bad("a key is missing"));
            }
            SkipBlank(lines: false);
            if (keys.Count > Deepest) { throw Bad($"tables are more than {Deepest} deep"); }
            if (Now != '.') { return keys; }
            at++;
        }
    }

    object Value(int depth)
    {
        if (depth > Deepest) { throw Bad($"values are more than {Deepest} deep"); }
        switch (Now)
        {
            case '"': return text.AsSpan(at).StartsWith("\"\"\"") ? Multi("\"\"\"", escapes: true) : Basic();
            case '\'': return text.AsSpan(at).StartsWith("'''") ? Multi("'''", escapes: false) : Literal();
            case '[': return Array(depth);
            case '{': return Inline(depth);
        }
        var start = at;
        while (char.IsAsciiLetterOrDigit(Now) || Now is '_' or '-' or '+' or '.' or ':') { at++; }
        var word = text[start..at];
        if (word is "true" or "false") { return word == "true"; }
        var digits = word.Replace("_", "", StringComparison.Ordinal);
        if (digits.StartsWith("0x", StringComparison.Ordinal) && long.TryParse(digits.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var hex)) { return hex; }
        if (long.TryParse(digits, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var whole)) { return whole; }
        if (digits.Length > 0 && !digits.Contains(':') && double.TryParse(digits, NumberStyles.Float, CultureInfo.InvariantCulture, out var real)) { return real; }
        throw Bad(word.Length == 0 ? "a value is missing" : $"'{word}' is no value that is read here: strings, numbers, true, false, arrays and tables are");
    }

    List<object> Array(int depth)
    {
        var list = new List<object>();
        at++;
        while (true)
        {
            SkipBlank(lines: true);
            if (Now == ']') { break; }
            list.Add(Value(depth + 1));
            SkipBlank(lines: true);
            if (Now == ',') { at++; }
            else if (Now != ']') { throw Bad("an array is not closed"); }
        }
        at++;
        return list;
    }

    Dictionary<string, object> Inline(int depth)
    {
        var table = new Dictionary<string, object>(StringComparer.Ordinal);
        at++;
        SkipBlank(lines: false);
        while (Now != '}')
        {
            KeyValue(table, depth);
            SkipBlank(lines: false);
            if (Now == '}') { break; }
            Expect(',');
        }
        at++;
        closed.Add(table);
        return table;
    }

    string Literal()
    {
        var end = text.IndexOfAny(['\'', '\n'], at + 1);
        if (end < 0 || text[end] == '\n') { throw Bad("a string is not closed"); }
        var value = text[(at + 1)..end];
        at = end + 1;
        return value;
    }

    string Basic()
    {
        var value = new StringBuilder();
        for (at++; ; at++)
        {
            if (at >= text.Length || Now == '\n') { throw Bad("a string is not closed"); }
            if (Now == '"') { break; }
            if (Now == '\\') { Escape(value); }
            else { value.Append(Now); }
        }
        at++;
        return value.ToString();
    }

    string Multi(string quote, bool escapes)
    {
        at += 3;
        if (Now == '\n') { at++; }
        var value = new StringBuilder();
        while (!text.AsSpan(at).StartsWith(quote, StringComparison.Ordinal))
        {
            if (at >= text.Length) { throw Bad("a string is not closed"); }
            if (escapes && Now == '\\')
            {
                if (text.AsSpan(at + 1).TrimStart(" \t") is ['\n', ..])
                {
                    at++;
                    while (at < text.Length && char.IsWhiteSpace(Now)) { at++; }
                    continue;
                }
                Escape(value);
            }
            else { value.Append(Now); }
            at++;
        }
        // Up to two quotes may stand before the closing three.
        at += 3;
        for (var i = 0; i < 2 && Now == quote[0]; i++, at++) { value.Append(quote[0]); }
        return value.ToString();
    }

    void Escape(StringBuilder value)
    {
        at++;
        switch (Now)
        {
            case 'b': value.Append('\b'); return;
            case 't': value.Append('\t'); return;
            case 'n': value.Append('\n'); return;
            case 'f': value.Append('\f'); return;
            case 'r': value.Append('\r'); return;
            case '"' or '\\': value.Append(Now); return;
            case 'u' or 'U':
                var length = Now == 'u' ? 4 : 8;
                if (at + length >= text.Length || !uint.TryParse(text.AsSpan(at + 1, length), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var code) || !Rune.IsValid(code)) { throw Bad("a \\u is malformed"); }
                value.Append(new Rune(code).ToString());
                at += length;
                return;
            default: throw Bad($"'\\{Now}' is no escape");
        }
    }

    void SkipBlank(bool lines)
    {
        while (at < text.Length)
        {
            if (Now is ' ' or '\t' || (lines && Now == '\n')) { at++; }
            else if (Now == '#')
            {
                while (at < text.Length && Now != '\n') { at++; }
            }
            else { return; }
        }
    }

    void Expect(char c)
    {
        SkipBlank(lines: false);
        if (Now != c || at >= text.Length) { throw Bad($"'{c}' is missing"); }
        at++;
    }

    InvalidDataException Bad(string why) => new($"line {text.AsSpan(0, Math.Min(at, text.Length)).Count('\n') + 1}: {why}");
}
