using System.Buffers;
using System.Text;
using System.Text.Json;
using Containers.Linux;

namespace Psrun;

/// <summary>--log, --log-format: one line for each message, to standard error and to the file, as docker, containerd and podman read it from runc.</summary>
static unsafe class Log
{
    const int LongestHalf = 4096;

    static string? s_file;
    static bool s_json;
    static bool s_debug;

    public static void Configure(string? file, string? format, bool debug)
    {
        s_json = format switch
        {
            null or "text" => false,
            "json" => true,
            _ => throw new PsrunException($"--log-format: \"{format}\" is none of text, json"),
        };
        s_file = file;
        s_debug = debug;
    }

    public static void Error(string message)
    {
        string line = OneLine(message);
        if (s_file != null)
            Append("error", line);
        Write(2, "psrun: " + line + "\n");
    }

    /// <summary>Goes to the log file; to standard error only with --debug, so that a program's own output stays clean.</summary>
    public static void Warning(string message)
    {
        if (s_file != null)
            Append("warning", OneLine(message));
        else if (s_debug)
            Write(2, "psrun: warning: " + OneLine(message) + "\n");
    }

    /// <summary>With --debug, to the log file and, without one, to standard error.</summary>
    public static void Debug(string message)
    {
        if (!s_debug)
            return;
        if (s_file != null)
            Append("debug", OneLine(message));
        else
            Write(2, "psrun: debug: " + OneLine(message) + "\n");
    }

    static void Append(string level, string message)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        string time = DateTimeOffset.UtcNow.ToString("yyyy-MM-ddTHH:mm:ssZ");
        if (s_json)
        {
            using var json = new Utf8JsonWriter(buffer);
            json.WriteStartObject();
            json.WriteString("level", level);
            json.WriteString("msg", message);
            json.WriteString("time", time);
            json.WriteEndObject();
        }
        else
        {
            buffer.Write(Encoding.UTF8.GetBytes($"time=\"{time}\" level={level} msg=\"{message.Replace("\\", "\\\\").Replace("\"", "\\\"")}\""));
        }
        buffer.Write("\n"u8);
        int fd = Libc.open(s_file!, Libc.O_WRONLY | Libc.O_CREAT | Libc.O_APPEND | Libc.O_CLOEXEC, 0x180);
        if (fd < 0)
            return;
        fixed (byte* p = buffer.WrittenSpan)
            Libc.write(fd, p, (nuint)buffer.WrittenCount);
        Libc.close(fd);
    }

    /// <summary>What comes from a bundle may hold line breaks and terminal controls, and be of any length; a log line must not.</summary>
    public static string OneLine(string message)
    {
        // What a bundle says may be of any length; what is wrong stands at the beginning or at the end.
        if (message.Length > 2 * LongestHalf)
            message = $"{message.AsSpan(0, LongestHalf)} ... {message.AsSpan(message.Length - LongestHalf)}";
        var text = new StringBuilder(message.Length);
        foreach (char c in message)
            text.Append(c == '\n' || c == '\r' ? ' ' : char.IsControl(c) ? '?' : c);
        return text.ToString().TrimEnd();
    }

    public static void Write(int fd, string text) => Write(fd, Encoding.UTF8.GetBytes(text));

    public static void Write(int fd, ReadOnlySpan<byte> bytes)
    {
        fixed (byte* p = bytes)
            for (int done = 0; done < bytes.Length;)
            {
                nint n = Libc.write(fd, p + done, (nuint)(bytes.Length - done));
                if (n <= 0)
                    return;
                done += (int)n;
            }
    }
}
