using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace Psrun.Shim;

/// <summary>
/// systemd's journal, native protocol: NAME=VALUE lines, and NAME, the value's length (64 bits, little endian) and the value where it may have any bytes
/// (systemd.io/JOURNAL_NATIVE_PROTOCOL). Fields as docker's and podman's drivers name them.
/// </summary>
sealed class JournalFormat(string id, string containerNamespace) : DatagramFormat
{
    readonly byte[] fields = Encoding.UTF8.GetBytes($"CONTAINER_ID={id}\nCONTAINER_ID_FULL={id}\nCONTAINER_NAME={id}\nCONTAINER_NAMESPACE={containerNamespace}\nSYSLOG_IDENTIFIER={id}\n");

    public override int LongestLine => 1 << 20;
    public override bool TakesFiles => true;

    public override byte[] Make(bool error, ReadOnlySpan<byte> line, bool more)
    {
        ReadOnlySpan<byte> priority = error ? "PRIORITY=3\n"u8 : "PRIORITY=6\n"u8, partial = more ? "CONTAINER_PARTIAL_MESSAGE=true\n"u8 : default, name = "MESSAGE\n"u8;
        byte[] datagram = new byte[fields.Length + priority.Length + partial.Length + name.Length + 8 + line.Length + 1];
        Span<byte> rest = datagram;
        Put(fields, ref rest);
        Put(priority, ref rest);
        Put(partial, ref rest);
        Put(name, ref rest);
        BinaryPrimitives.WriteInt64LittleEndian(rest, line.Length);
        rest = rest[8..];
        Put(line, ref rest);
        rest[0] = (byte)'\n';
        return datagram;
    }

    static void Put(ReadOnlySpan<byte> bytes, ref Span<byte> rest)
    {
        bytes.CopyTo(rest);
        rest = rest[bytes.Length..];
    }
}

/// <summary>RFC 3164 as syslog(3) sends it to the local daemon: facility daemon, no host name, local time.</summary>
sealed class SyslogFormat(string id) : DatagramFormat
{
    const int Daemon = 3 << 3, Error = 3, Information = 6;

    // What rsyslog and syslog-ng take of one message unless told otherwise, with room for the head.
    public override int LongestLine => 8000;
    public override bool TakesFiles => false;

    public override byte[] Make(bool error, ReadOnlySpan<byte> line, bool more)
    {
        DateTimeOffset now = DateTimeOffset.UtcNow.ToLocalTime();
        string head = string.Create(CultureInfo.InvariantCulture, $"<{Daemon | (error ? Error : Information)}>{now:MMM} {now.Day,2} {now:HH:mm:ss} {id}[{Environment.ProcessId}]: ");
        return [.. Encoding.UTF8.GetBytes(head), .. line];
    }
}
