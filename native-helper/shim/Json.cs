using System.Buffers;
using System.Globalization;
using System.Text.Json;

namespace Psrun.Shim;

static class Json
{
    // Nobody pastes this into HTML: a '+' may stay a '+'.
    static readonly JsonWriterOptions Plain = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static byte[] Object(Action<Utf8JsonWriter> members)
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        using (var writer = new Utf8JsonWriter(buffer, Plain))
        {
            writer.WriteStartObject();
            members(writer);
            writer.WriteEndObject();
        }
        return buffer.WrittenSpan.ToArray();
    }

    public static byte[] Error(string id, string message) => Object(w => WriteError(w, id, message));

    public static void WriteError(Utf8JsonWriter w, string id, string message)
    {
        w.WriteStartObject("error");
        w.WriteString("id", id);
        w.WriteString("message", message);
        w.WriteEndObject();
    }

    public static void WriteTime(Utf8JsonWriter w, string name, DateTimeOffset? time)
    {
        if (time is null) w.WriteNull(name);
        else w.WriteString(name, time.Value.ToString("o", CultureInfo.InvariantCulture));
    }

    public static void WriteNumber(Utf8JsonWriter w, string name, long? number)
    {
        if (number is null) w.WriteNull(name);
        else w.WriteNumber(name, number.Value);
    }
}

/// <summary>How a process ended: <c>exit.json</c>.</summary>
sealed record ExitRecord(int ExitCode, int? Signal, bool OomKilled, DateTimeOffset? StartedAt, DateTimeOffset FinishedAt, string Reason)
{
    public static ExitRecord Of(int waitStatus, bool oomKilled, bool killed, DateTimeOffset? startedAt, DateTimeOffset finishedAt)
    {
        int signal = waitStatus & 0x7f;
        int code = signal != 0 ? 128 + signal : (waitStatus >> 8) & 0xff;
        oomKilled &= code != 0;
        return new ExitRecord(code, signal != 0 ? signal : null, oomKilled, startedAt, finishedAt,
            startedAt is null ? "NotStarted" : oomKilled && signal == Containers.Linux.Libc.SIGKILL && !killed ? "OomKilled" : "Exited");
    }

    public void Write(Utf8JsonWriter w)
    {
        w.WriteNumber("version", 1);
        w.WriteNumber("exitCode", ExitCode);
        Json.WriteNumber(w, "signal", Signal);
        w.WriteBoolean("oomKilled", OomKilled);
        Json.WriteTime(w, "startedAt", StartedAt);
        Json.WriteTime(w, "finishedAt", FinishedAt);
        w.WriteString("reason", Reason);
    }
}
