namespace Psrun.Shim;

/// <summary>
/// Where an init's output goes when its log is no file (docs/shim.md, "Other logs"). A sink takes what it is given without waiting: what its
/// receiver does not take in time, and what does not fit into a bounded queue, is counted and gone.
/// </summary>
abstract class LogSink
{
    /// <summary>Bytes of output that the receiver did not get.</summary>
    public long Dropped { get; protected set; }

    /// <summary>Something is still on its way to the receiver.</summary>
    public abstract bool Busy { get; }

    public abstract void Write(bool error, ReadOnlySpan<byte> output);

    /// <summary>No more output comes: unended lines are given out.</summary>
    public abstract void End();

    public abstract void Close();

    /// <param name="uri">journald:, syslog: (each with the path of another socket, if any), or binary:///program?argument=value</param>
    /// <exception cref="ShimException">BadOrders; FileFailed: the receiver is not there.</exception>
    public static LogSink Open(Server server, string uri, string id, string containerNamespace)
    {
        int colon = uri.IndexOf(':');
        string rest = colon < 0 ? "" : uri[(colon + 1)..];
        if (rest.StartsWith("//", StringComparison.Ordinal)) rest = rest[2..];
        if (rest.Length > 0 && rest[0] != '/') throw new ShimException("BadOrders", $"logUri '{uri}' has no absolute path");
        switch (colon < 0 ? "" : uri[..colon])
        {
            case "journald":
                return new DatagramSink(server, Path(rest, "/run/systemd/journal/socket"), new JournalFormat(id, containerNamespace));
            case "syslog":
                return new DatagramSink(server, Path(rest, "/dev/log"), new SyslogFormat(id));
            case "binary" when rest.Length > 0:
                return new BinarySink(server, rest, id, containerNamespace);
            default:
                throw new ShimException("BadOrders", $"logUri '{uri}' is none of journald:, syslog:, binary:///program");
        }
    }

    static string Path(string given, string otherwise) => given.Length > 0 ? Uri.UnescapeDataString(given) : otherwise;
}

/// <summary>Cuts one stream into lines; a line longer than the limit comes in parts.</summary>
sealed class LineCutter(int longest, LineCutter.Take take)
{
    /// <param name="more">the line goes on in the next part</param>
    public delegate void Take(ReadOnlySpan<byte> line, bool more);

    NativeBuffer open;

    public void Add(ReadOnlySpan<byte> output)
    {
        while (output.Length > 0)
        {
            int end = output.IndexOf((byte)'\n');
            int length = Math.Min(end >= 0 ? end : output.Length, longest - open.Length);
            bool whole = end >= 0 && length == end;
            if (open.Length == 0 && whole) take(output[..length], false);
            else
            {
                open.Append(output[..length]);
                if (whole || open.Length == longest) Give(!whole);
            }
            output = output[(whole ? length + 1 : length)..];
        }
    }

    public void End()
    {
        if (open.Length > 0) Give(false);
    }

    void Give(bool more)
    {
        take(open.Bytes, more);
        open.Clear();
    }
}
