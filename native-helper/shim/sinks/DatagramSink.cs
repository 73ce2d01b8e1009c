using Containers.Linux;

namespace Psrun.Shim;

/// <summary>How one line becomes one datagram.</summary>
abstract class DatagramFormat
{
    /// <summary>Longer lines come in parts, in bytes.</summary>
    public abstract int LongestLine { get; }

    /// <summary>The receiver takes a datagram that is too long for a socket as a file.</summary>
    public abstract bool TakesFiles { get; }

    public abstract byte[] Make(bool error, ReadOnlySpan<byte> line, bool more);
}

/// <summary>Sends lines as datagrams to a Unix socket: journald's, syslog's.</summary>
sealed unsafe class DatagramSink : LogSink
{
    const int MostWaiting = 1 << 20;

    readonly Server server;
    readonly string path;
    readonly DatagramFormat format;
    readonly LineCutter[] cutters;
    readonly Queue<(byte[] Datagram, int Output)> waiting = new();
    int waitingBytes;
    Watch? socket;
    bool told;

    public override bool Busy => waiting.Count > 0;

    public DatagramSink(Server server, string path, DatagramFormat format)
    {
        this.server = server;
        this.path = path;
        this.format = format;
        cutters = [new LineCutter(format.LongestLine, (line, more) => Take(false, line, more)), new LineCutter(format.LongestLine, (line, more) => Take(true, line, more))];
        int r = Connect();
        if (r < 0) throw ShimException.Of("FileFailed", $"log {path}", r);
    }

    int Connect()
    {
        int fd = Sys.Above(Sys.ConnectDatagram(path));
        if (fd < 0) return fd;
        socket = new Watch(fd, _ => Push()).Opened();
        return 0;
    }

    void Disconnect()
    {
        if (socket is null) return;
        server.Loop.Remove(socket);
        Sys.Close(socket.Fd);
        socket = null;
    }

    public override void Write(bool error, ReadOnlySpan<byte> output)
    {
        cutters[error ? 1 : 0].Add(output);
        Push();
    }

    void Take(bool error, ReadOnlySpan<byte> line, bool more)
    {
        byte[] datagram = format.Make(error, line, more);
        if (waiting.Count > 0 && waitingBytes + datagram.Length > MostWaiting) Push();
        if (waiting.Count > 0 && waitingBytes + datagram.Length > MostWaiting)
        {
            Drop(line.Length, -Libc.EAGAIN);
            return;
        }
        waiting.Enqueue((datagram, line.Length));
        waitingBytes += datagram.Length;
    }

    void Drop(int output, int why)
    {
        Dropped += output;
        if (!told) Server.Complain($"log {path}: {Sys.Words(-why)}; output that is not taken is dropped");
        told = true;
    }

    void Push()
    {
        while (waiting.TryPeek(out var next))
        {
            bool old = socket is not null;
            int r = old ? 0 : Connect();
            if (r >= 0) r = Send(next.Datagram);
            // A receiver that has come back under its name is asked at once: the line that finds the old one gone is not lost for that.
            if (old && r is (-Libc.ECONNREFUSED or -Libc.EPIPE or -Libc.ENOTCONN or -Libc.ECONNRESET))
            {
                Disconnect();
                r = Connect();
                if (r >= 0) r = Send(next.Datagram);
            }
            if (r == -Libc.EINTR) continue;
            if (r == -Libc.EAGAIN)
            {
                // Watched only while something waits: a socket with room would report it for ever.
                if (socket!.Key == 0) server.Loop.Add(socket, Libc.EPOLLOUT);
                return;
            }
            waiting.Dequeue();
            waitingBytes -= next.Datagram.Length;
            if (r >= 0)
            {
                told = false;
                continue;
            }
            Drop(next.Output, r);
            // The receiver went away, and may come back under its name.
            if (r != -Libc.EMSGSIZE) Disconnect();
        }
        if (socket is not null) server.Loop.Remove(socket);
        server.SinkRested();
    }

    int Send(byte[] datagram)
    {
        int r;
        fixed (byte* bytes = datagram) r = (int)Sys.Send(socket!.Fd, bytes, datagram.Length);
        return r is -Libc.EMSGSIZE or -Libc.ENOBUFS && format.TakesFiles ? SendFile(datagram) : r;
    }

    /// <summary>systemd's native protocol: an empty datagram with a sealed memory file.</summary>
    int SendFile(byte[] datagram)
    {
        int file = Sys.SealedFile("log", datagram);
        if (file < 0) return file;
        int r = Sys.SendDescriptor(socket!.Fd, file);
        Sys.Close(file);
        return r;
    }

    public override void End()
    {
        foreach (LineCutter cutter in cutters) cutter.End();
        Push();
    }

    public override void Close()
    {
        foreach (var (_, output) in waiting) Dropped += output;
        waiting.Clear();
        Disconnect();
    }
}
