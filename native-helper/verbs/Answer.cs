using System.Buffers;
using System.Text.Json;

namespace Psrun.Verbs;

/// <summary>What unpack, pack and others of their kind say: objects of JSON, one a line.</summary>
static class Answer
{
    /// <param name="fd">Standard output; standard error where an archive takes that.</param>
    public static void Line(Action<Utf8JsonWriter> write, int fd = 1)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            write(json);
            json.WriteEndObject();
        }
        buffer.Write("\n"u8);
        Log.Write(fd, buffer.WrittenSpan);
    }

    public static void Refuse(string id, string message, int fd = 1) => Line(json =>
    {
        json.WriteStartObject("error");
        json.WriteString("id", id);
        json.WriteString("message", message);
        json.WriteEndObject();
    }, fd);
}
