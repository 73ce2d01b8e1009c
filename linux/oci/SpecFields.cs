using System.Text;
using System.Text.Json;

namespace Containers.Linux.Oci;

/// <summary>
/// One pass over an object's members. <see cref="SpecObject.Fields"/> calls <c>X = f.Field("x"u8, X)</c> for every member. When writing, each
/// call writes its value and hands it back. When reading, it is called once per member of the document, and the call whose name
/// matches reads the value while all others hand back what they were given: names stand once, in plain code, and a
/// program compiled ahead of time pays for no metadata at start-up.
/// </summary>
internal ref struct SpecFields
{
    readonly ReadOnlySpan<byte> document;
    readonly string root;
    readonly Utf8JsonWriter? writer;
    Utf8JsonReader reader;
    ReadOnlySpan<byte> name;
    bool taken;

    internal SpecFields(Utf8JsonWriter writer)
    {
        this.writer = writer;
        root = "";
    }

    internal SpecFields(ReadOnlySpan<byte> document, string root)
    {
        this.document = document;
        this.root = root;
        reader = new Utf8JsonReader(document, OciJson.ReaderOptions);
    }

    internal T ReadDocument<T>() where T : SpecObject, new()
    {
        try
        {
            reader.Read();
            var value = ReadObject<T>();
            // Only white space may follow; the reader throws on anything else.
            reader.Read();
            return value;
        }
        catch (JsonException e)
        {
            throw new SpecException(root, $"not valid JSON at line {e.LineNumber + 1}, byte {e.BytePositionInLine + 1}");
        }
    }

    internal void WriteObject(SpecObject value)
    {
        var output = writer!;
        output.WriteStartObject();
        value.Fields(ref this);
        if (value.Unknown is { } unknown)
        {
            foreach (var (key, element) in unknown)
            {
                output.WritePropertyName(key);
                element.WriteTo(output);
            }
        }
        output.WriteEndObject();
    }

    T ReadObject<T>() where T : SpecObject, new()
    {
        Expect(JsonTokenType.StartObject, "an object");
        var value = new T();
        while (NextMember())
        {
            value.Fields(ref this);
            if (taken) { continue; }
            var key = Text();
            if (!(value.Unknown ??= []).TryAdd(key, ReadRaw())) { throw Twice(); }
        }
        return value;
    }

    bool NextMember()
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.PropertyName) { return false; }
        taken = false;
        name = reader.ValueIsEscaped ? Encoding.UTF8.GetBytes(Text()) : reader.ValueSpan;
        return true;
    }

    /// <summary>Whether the member at hand is this one and has a value; moves the reader onto that value.</summary>
    bool Take(ReadOnlySpan<byte> member, bool has)
    {
        if (taken || !name.SequenceEqual(member)) { return false; }
        // Two readers that disagree on which of two members counts are a way around any check.
        if (has) { throw Twice(); }
        taken = true;
        reader.Read();
        return reader.TokenType != JsonTokenType.Null;
    }

    // Nested objects reuse "taken"; it is set again once they are read.
    TValue Done<TValue>(TValue value)
    {
        taken = true;
        return value;
    }

    public string? Field(ReadOnlySpan<byte> member, string? value)
    {
        if (writer is null) { return Take(member, value is not null) ? ReadText() : value; }
        if (value is not null) { writer.WriteString(member, value); }
        return value;
    }

    public bool? Field(ReadOnlySpan<byte> member, bool? value)
    {
        if (writer is null)
        {
            if (!Take(member, value is not null)) { return value; }
            return reader.TokenType switch
            {
                JsonTokenType.True => true,
                JsonTokenType.False => false,
                _ => throw Wrong("true or false"),
            };
        }
        if (value is not null) { writer.WriteBoolean(member, value.Value); }
        return value;
    }

    public long? Field(ReadOnlySpan<byte> member, long? value)
    {
        if (writer is null) { return Take(member, value is not null) ? ReadSigned(long.MinValue, long.MaxValue) : value; }
        if (value is not null) { writer.WriteNumber(member, value.Value); }
        return value;
    }

    public int? Field(ReadOnlySpan<byte> member, int? value)
    {
        if (writer is null) { return Take(member, value is not null) ? (int)ReadSigned(int.MinValue, int.MaxValue) : value; }
        if (value is not null) { writer.WriteNumber(member, value.Value); }
        return value;
    }

    public ulong? Field(ReadOnlySpan<byte> member, ulong? value)
    {
        if (writer is null) { return Take(member, value is not null) ? ReadUnsigned(ulong.MaxValue) : value; }
        if (value is not null) { writer.WriteNumber(member, value.Value); }
        return value;
    }

    public uint? Field(ReadOnlySpan<byte> member, uint? value)
    {
        if (writer is null) { return Take(member, value is not null) ? (uint)ReadUnsigned(uint.MaxValue) : value; }
        if (value is not null) { writer.WriteNumber(member, value.Value); }
        return value;
    }

    public ushort? Field(ReadOnlySpan<byte> member, ushort? value)
    {
        if (writer is null) { return Take(member, value is not null) ? (ushort)ReadUnsigned(ushort.MaxValue) : value; }
        if (value is not null) { writer.WriteNumber(member, value.Value); }
        return value;
    }

    public JsonElement? Field(ReadOnlySpan<byte> member, JsonElement? value)
    {
        if (writer is null)
        {
            if (!Take(member, value is not null)) { return value; }
            Expect(JsonTokenType.StartObject, "an object");
            return ReadElement();
        }
        if (value is not null)
        {
            writer.WritePropertyName(member);
            value.Value.WriteTo(writer);
        }
        return value;
    }

    public List<string>? Field(ReadOnlySpan<byte> member, List<string>? value)
    {
        if (writer is null)
        {
            if (!Take(member, value is not null)) { return value; }
            Expect(JsonTokenType.StartArray, "an array");
            var list = new List<string>();
            while (NextItem()) { list.Add(ReadText()); }
            return list;
        }
        if (value is not null)
        {
            writer.WriteStartArray(member);
            foreach (var item in value) { writer.WriteStringValue(item); }
            writer.WriteEndArray();
        }
        return value;
    }

    public List<uint>? Field(ReadOnlySpan<byte> member, List<uint>? value)
    {
        if (writer is null)
        {
            if (!Take(member, value is not null)) { return value; }
            Expect(JsonTokenType.StartArray, "an array");
            var list = new List<uint>();
            while (NextItem()) { list.Add((uint)ReadUnsigned(uint.MaxValue)); }
            return list;
        }
        if (value is not null)
        {
            writer.WriteStartArray(member);
            foreach (var item in value) { writer.WriteNumberValue(item); }
            writer.WriteEndArray();
        }
        return value;
    }

    public Dictionary<string, string>? Field(ReadOnlySpan<byte> member, Dictionary<string, string>? value)
    {
        if (writer is null)
        {
            if (!Take(member, value is not null)) { return value; }
            Expect(JsonTokenType.StartObject, "an object");
            var map = new Dictionary<string, string>();
            while (NextMember())
            {
                var key = Text();
                if (map.ContainsKey(key)) { throw Twice(); }
                reader.Read();
                map.Add(key, ReadText());
            }
            return Done(map);
        }
        if (value is not null)
        {
            writer.WriteStartObject(member);
            foreach (var (key, text) in value) { writer.WriteString(key, text); }
            writer.WriteEndObject();
        }
        return value;
    }

    public T? Field<T>(ReadOnlySpan<byte> member, T? value) where T : SpecObject, new()
    {
        if (writer is null) { return Take(member, value is not null) ? Done(ReadObject<T>()) : value; }
        if (value is not null)
        {
            writer.WritePropertyName(member);
            WriteObject(value);
        }
        return value;
    }

    public List<T>? Field<T>(ReadOnlySpan<byte> member, List<T>? value) where T : SpecObject, new()
    {
        if (writer is null)
        {
            if (!Take(member, value is not null)) { return value; }
            Expect(JsonTokenType.StartArray, "an array");
            var list = new List<T>();
            while (NextItem()) { list.Add(ReadObject<T>()); }
            return Done(list);
        }
        if (value is not null)
        {
            writer.WriteStartArray(member);
            foreach (var item in value) { WriteObject(item); }
            writer.WriteEndArray();
        }
        return value;
    }

    public Dictionary<string, T>? Field<T>(ReadOnlySpan<byte> member, Dictionary<string, T>? value) where T : SpecObject, new()
    {
        if (writer is null)
        {
            if (!Take(member, value is not null)) { return value; }
            Expect(JsonTokenType.StartObject, "an object");
            var map = new Dictionary<string, T>();
            while (NextMember())
            {
                var key = Text();
                if (map.ContainsKey(key)) { throw Twice(); }
                reader.Read();
                map.Add(key, ReadObject<T>());
            }
            return Done(map);
        }
        if (value is not null)
        {
            writer.WriteStartObject(member);
            foreach (var (key, item) in value)
            {
                writer.WritePropertyName(key);
                WriteObject(item);
            }
            writer.WriteEndObject();
        }
        return value;
    }

    bool NextItem()
    {
        reader.Read();
        return reader.TokenType != JsonTokenType.EndArray;
    }

    string ReadText()
    {
        Expect(JsonTokenType.String, "a string");
        return Text();
    }

    // Every text of the specification ends up as a C string: one that would be cut short there is refused here.
    string Text()
    {
        string text;
        try { text = reader.GetString()!; }
        catch (InvalidOperationException) { throw Bad("not valid Unicode text"); }
        return text.Contains('\0') ? throw Bad("holds a NUL character") : text;
    }

    long ReadSigned(long least, long most)
    {
        Expect(JsonTokenType.Number, "a number");
        return reader.TryGetInt64(out var number) && number >= least && number <= most
            ? number : throw Wrong($"a whole number from {least} to {most}");
    }

    ulong ReadUnsigned(ulong most)
    {
        Expect(JsonTokenType.Number, "a number");
        return reader.TryGetUInt64(out var number) && number <= most ? number : throw Wrong($"a whole number from 0 to {most}");
    }

    JsonElement ReadRaw()
    {
        reader.Read();
        return ReadElement();
    }

    JsonElement ReadElement()
    {
        var start = reader;
        var element = JsonElement.ParseValue(ref reader);
        // A lone surrogate is legal JSON that nobody could write again.
        try
        {
            using var nowhere = new Utf8JsonWriter(Stream.Null);
            element.WriteTo(nowhere);
        }
        catch (Exception e) when (e is InvalidOperationException or ArgumentException)
        {
            reader = start;
            throw Bad("not valid Unicode text");
        }
        return element;
    }

    readonly void Expect(JsonTokenType type, string wanted)
    {
        if (reader.TokenType != type) { throw Wrong(wanted); }
    }

    readonly SpecException Wrong(string wanted) => Bad($"expected {wanted}, found {Found()}");

    readonly SpecException Twice() => Bad("is there twice");

    readonly SpecException Bad(string problem) => new(JsonPath.At(document, reader.TokenStartIndex, root), problem);

    readonly string Found() => reader.TokenType switch
    {
        JsonTokenType.StartObject => "an object",
        JsonTokenType.StartArray => "an array",
        JsonTokenType.String => "a string",
        JsonTokenType.Number => reader.ValueSpan.Length <= 24 ? "the number " + Encoding.UTF8.GetString(reader.ValueSpan) : "a number",
        JsonTokenType.True or JsonTokenType.False => "a boolean",
        _ => "null",
    };
}
