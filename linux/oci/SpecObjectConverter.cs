using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Containers.Linux.Oci;

/// <summary>Lets objects of the specification stand inside documents that are serialized by System.Text.Json.</summary>
public sealed class SpecObjectConverter<T> : JsonConverter<T> where T : SpecObject, new()
{
    public override T? Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        // The outer document may arrive in pieces: the value is taken out whole, so that paths can be told.
        var element = JsonElement.ParseValue(ref reader);
        return OciJson.Read<T>(Encoding.UTF8.GetBytes(element.GetRawText()));
    }

    public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options) => OciJson.Write(writer, value);
}
