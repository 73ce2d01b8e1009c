using Containers.Linux;

namespace Psrun.Shim;

/// <summary>The end of a container's output that the shim reads: a pipe, or the master of a terminal.</summary>
sealed unsafe class OutputStream(Server server, ContainerProcess process, bool error) : Watched
{
    // One for all streams: a single thread reads, and hands on before it reads again.
    public const int ReadLength = 256 * 1024;
    const int UsualPipe = 64 * 1024, LargePipe = 1 << 20;
    static readonly byte* buffer = Sys.Map(ReadLength);
    static bool touched;

    bool paused, enlarged;

    public bool Ended { get; private set; }
    /// <summary>Nobody waits for more: what comes is read, so that its writer is not held up, and dropped.</summary>
    public bool Abandoned { get; set; }

    public void Open(int fd)
    {
        Fd = fd;
        Sys.SetNonBlocking(fd, true);
        server.Loop.Add(this, Libc.EPOLLIN);
    }

    public override void Ready(uint events) => ReadOnce();

    /// <returns>False when nothing more can be read now.</returns>
    public bool ReadOnce()
    {
        if (Ended || paused) return false;
        long n = Sys.Read(Fd, buffer, ReadLength);
        if (n == -Libc.EAGAIN || n == -Libc.EINTR) return false;
        // A terminal's master gives EIO when the last slave was closed.
        if (n <= 0)
        {
            Fail();
            return false;
        }
        touched |= n > 4096;
        if (n >= UsualPipe && !enlarged)
        {
            // Its writer has waited for us: with more room each of the two works for longer before it has to wake the other. A terminal refuses, and who may not is no worse off.
            enlarged = true;
            Sys.EnlargePipe(Fd, LargePipe);
        }
        if (!Abandoned) process.Deliver(error, new ReadOnlySpan<byte>(buffer, (int)n));
        return true;
    }

    /// <summary>Stops or goes on reading; a full pipe then holds up its writer.</summary>
    public void Pause(bool on)
    {
        if (paused == on || Ended) return;
        paused = on;
        // Without EPOLLIN a hung-up pipe would still be reported again and again.
        if (on) server.Loop.Remove(this);
        else server.Loop.Add(this, Libc.EPOLLIN);
    }

    public bool Paused => paused;

    /// <summary>Nothing more can be read: whoever waits for the end of the stream has it.</summary>
    public void Fail()
    {
        Close();
        process.StreamEnded();
    }

    public void Close()
    {
        if (Ended || Fd < 0) return;
        Ended = true;
        server.Loop.Remove(this);
        Sys.Close(Fd);
        Fd = -1;
    }

    public static void Rest()
    {
        if (touched) Sys.GiveBack(buffer + 4096, ReadLength - 4096);
        touched = false;
    }
}

/// <summary>The end of a container's input that the shim writes.</summary>
sealed unsafe class InputStream(Server server, ContainerProcess process, bool terminal) : Watched
{
    public const int High = 1 << 20, Low = 1 << 18;

    NativeBuffer waiting;
    bool closing;

    public bool Closed { get; private set; }
    public int WaitingBytes => waiting.Length;
    public bool Full => !Closed && waiting.Length > High;

    public void Open(int fd)
    {
        Fd = fd;
        Sys.SetNonBlocking(fd, true);
    }

    public void Write(ReadOnlySpan<byte> bytes)
    {
        if (Closed || closing) return;
        waiting.Append(bytes);
        Push();
    }

    /// <summary>After what was written before: closes a pipe; types a terminal's end-of-file character.</summary>
    public void End()
    {
        if (Closed || closing) return;
        if (terminal)
        {
            int character = Sys.EndOfFileCharacter(Fd);
            if (character > 0) Write([(byte)character]);
            return;
        }
        closing = true;
        Push();
    }

    public override void Ready(uint events)
    {
        bool full = waiting.Length > Low;
        Push();
        if (full && waiting.Length <= Low) process.InputWanted();
    }

    void Push()
    {
        while (waiting.Length > 0)
        {
            long n = Sys.Write(Fd, waiting.First, waiting.Length);
            if (n == -Libc.EINTR) continue;
            if (n == -Libc.EAGAIN)
            {
                // Watched only while something waits: a pipe without a reader would report its error for ever.
                if (Key == 0) server.Loop.Add(this, Libc.EPOLLOUT);
                return;
            }
            if (n < 0)
            {
                Close();
                return;
            }
            waiting.Take((int)n);
        }
        server.Loop.Remove(this);
        if (closing) Close();
    }

    public void Close()
    {
        if (Closed || Fd < 0) return;
        Closed = true;
        server.Loop.Remove(this);
        Sys.Close(Fd);
        Fd = -1;
        bool any = waiting.Length > 0;
        waiting.Clear();
        if (any) process.InputWanted();
    }
}
