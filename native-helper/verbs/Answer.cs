using System.Buffers;
using System.Text.Json;

namespace Psrun.Verbs;

/// <summary>What unpack and pack say on standard output: objects of JSON, one a line.</summary>
static class Answer
{
    public static void Line(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            write(json);
            json.WriteEndObject();
        }
        buffer.Write("\n"u8);
        Log.Write(1, buffer.WrittenSpan);
    }

    public static void Refuse(string id, string message) => Line(json =>
    {
        json.WriteStartObject("error");
        json.WriteString("id", id);
        json.WriteString("message", message);
        json.WriteEndObject();
    });
}
