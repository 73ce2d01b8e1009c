using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Unicode;

namespace Containers.Linux.Oci;

/// <summary>Reads and writes the documents of the OCI runtime specification 1.3.0. Names are matched exactly, <c>null</c> means "not given",
/// members that are there twice are refused, and unknown ones are kept.</summary>
public static class OciJson
{
    /// <summary>The version of the specification that these types follow.</summary>
    public const string Version = "1.3.0";

    /// <summary>The longest document that is read, in bytes.</summary>
    public const int MaxSize = 16 << 20;

    /// <summary>How deep objects and arrays may be nested.</summary>
    public const int MaxDepth = 64;

    internal static JsonReaderOptions ReaderOptions => new() { MaxDepth = MaxDepth, CommentHandling = JsonCommentHandling.Disallow };

    /// <summary>Reads a <c>config.json</c> (config.md).</summary>
    /// <exception cref="SpecException">The document is malformed, too long or too deep, or a member has a wrong type.</exception>
    public static Spec ReadSpec(ReadOnlySpan<byte> json) => Read<Spec>(json);

    /// <summary>Reads a process object on its own, as <c>exec --process</c> takes it. Paths in messages begin with <c>process</c>.</summary>
    /// <exception cref="SpecException">See <see cref="ReadSpec"/>.</exception>
    public static Process ReadProcess(ReadOnlySpan<byte> json) => Read<Process>(json, "process");

    /// <summary>Reads a resources object on its own, as <c>update --resources</c> takes it. Paths in messages begin with <c>resources</c>.</summary>
    /// <exception cref="SpecException">See <see cref="ReadSpec"/>.</exception>
    public static LinuxResources ReadResources(ReadOnlySpan<byte> json) => Read<LinuxResources>(json, "resources");

    /// <summary>Reads a state object (runtime.md, State).</summary>
    /// <exception cref="SpecException">See <see cref="ReadSpec"/>.</exception>
    public static OciState ReadState(ReadOnlySpan<byte> json) => Read<OciState>(json);

    /// <summary>Reads what a runtime prints for <c>features</c> (features.md).</summary>
    /// <exception cref="SpecException">See <see cref="ReadSpec"/>.</exception>
    public static Features ReadFeatures(ReadOnlySpan<byte> json) => Read<Features>(json);

    /// <summary>Reads any object of the specification; <paramref name="root"/> is what paths in messages begin with.</summary>
    /// <exception cref="SpecException">See <see cref="ReadSpec"/>.</exception>
    public static T Read<T>(ReadOnlySpan<byte> json, string root = "") where T : SpecObject, new()
    {
        if (json.Length > MaxSize) { throw new SpecException(root, $"longer than {MaxSize} bytes"); }
        if (!Utf8.IsValid(json)) { throw new SpecException(root, "not valid UTF-8"); }
        return new SpecFields(json, root).ReadDocument<T>();
    }

    /// <summary>The document as UTF-8, on one line or indented by two spaces, without a closing line feed.</summary>
    public static byte[] WriteSpec(Spec spec, bool indented = false) => Write(spec, indented);

    /// <summary>Writes a spec as one value.</summary>
    public static void WriteSpec(Utf8JsonWriter writer, Spec spec) => Write(writer, spec);

    /// <summary>Any object of the specification as UTF-8, on one line or indented by two spaces, without a closing line feed.</summary>
    public static byte[] Write(SpecObject value, bool indented = false)
    {
        var buffer = new ArrayBufferWriter<byte>(4096);
        // The relaxed encoder leaves <, + and letters beyond ASCII readable: nothing here is ever put into a web page.
        var options = new JsonWriterOptions { Indented = indented, MaxDepth = MaxDepth, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
        using (var writer = new Utf8JsonWriter(buffer, options)) { Write(writer, value); }
        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>Writes any object of the specification as one value.</summary>
    public static void Write(Utf8JsonWriter writer, SpecObject value) => new SpecFields(writer).WriteObject(value);
}
