using Containers.Linux;
using System.Buffers.Binary;
using System.Text.Json;

namespace Psrun.Shim;

/// <summary>One client: frames in, frames out (docs/shim.md). Whatever it sends, only itself can come to harm.</summary>
sealed unsafe class Connection : Watched
{
    public const int LargestFrame = 1 << 20;
    const int LargestBacklog = 4 << 20, ReadLength = 64 * 1024, StallMilliseconds = 10_000;

    readonly Server server;
    NativeBuffer inbox, outbox;
    bool closing, hungUp, givesInput, handling;
    long lastProgress = Environment.TickCount64;
    EventLoop.Deadline? stall;

    public bool Closed { get; private set; }
    public bool Greeted { get; set; }
    public ContainerProcess? AttachedTo { get; private set; }
    /// <summary>The client removes the task as soon as it has ended, and the shim's group with it.</summary>
    public bool Removes { get; set; }
    public int WaitingBytes => outbox.Length;
    /// <summary>Something is still on its way to the client.</summary>
    public bool Busy => outbox.Length > 0;
    public bool Stalled => outbox.Length > 0 && Environment.TickCount64 - lastProgress >= StallMilliseconds;

    public Connection(Server server, int fd)
    {
        this.server = server;
        Fd = fd;
        server.Loop.Add(this, Libc.EPOLLIN);
    }

    public void Attach(ContainerProcess process, bool input)
    {
        AttachedTo = process;
        givesInput = input;
        process.Attached.Add(this);
    }

    /// <summary>Goes on with the task's next program.</summary>
    public void MoveTo(ContainerProcess process)
    {
        AttachedTo = process;
        process.Attached.Add(this);
    }

    public override void Ready(uint events)
    {
        if ((events & Libc.EPOLLOUT) != 0) Push();
        if (Closed) return;
        if (!MayRead)
        {
            if ((events & (Libc.EPOLLHUP | Libc.EPOLLERR)) == 0) return;
            if (closing)
            {
                Close();
                return;
            }
            // Gone, but what it sent before is still to be read when the program takes it.
            hungUp = true;
            server.Loop.Remove(this);
            return;
        }
        ReadSome();
    }

    bool InputFull => givesInput && AttachedTo?.Stdin?.Full == true;
    bool MayRead => !closing && !InputFull;

    void ReadSome()
    {
        byte* room = inbox.Reserve(ReadLength);
        long n = Sys.Read(Fd, room, ReadLength);
        if (n == -Libc.EAGAIN || n == -Libc.EINTR)
        {
            if (inbox.Length == 0) inbox.Clear();
            return;
        }
        if (n <= 0)
        {
            Close();
            return;
        }
        inbox.Added((int)n);
        HandleFrames();
    }

    void HandleFrames()
    {
        handling = true;
        TakeFrames();
        handling = false;
        if (!Closed) Listen();
    }

    void TakeFrames()
    {
        while (!Closed && MayRead && inbox.Length >= 5)
        {
            uint length = BinaryPrimitives.ReadUInt32LittleEndian(inbox.Bytes);
            if (length is < 1 or > LargestFrame)
            {
                Close();
                return;
            }
            if (inbox.Length < 4 + length) break;
            byte kind = inbox.Bytes[4];
            var payload = inbox.Bytes.Slice(5, (int)length - 1);
            bool understood = kind switch
            {
                0 => Requests.Handle(server, this, payload),
                1 => TakeInput(payload),
                _ => false,
            };
            if (Closed) return;
            if (!understood)
            {
                Close();
                return;
            }
            inbox.Take(4 + (int)length);
        }
    }

    bool TakeInput(ReadOnlySpan<byte> payload)
    {
        if (!givesInput || AttachedTo is null) return false;
        if (payload.Length == 0) AttachedTo.Stdin?.End();
        else AttachedTo.Stdin?.Write(payload);
        return true;
    }

    /// <summary>The program has taken input: this connection may be read again.</summary>
    public void InputWanted()
    {
        if (Closed || !givesInput || handling) return;
        HandleFrames();
        if (Closed || !hungUp || !MayRead) return;
        hungUp = false;
        server.Loop.Add(this, Libc.EPOLLIN);
    }

    void Listen()
    {
        if (!hungUp) server.Loop.Change(this, (uint)((MayRead ? Libc.EPOLLIN : 0) | (outbox.Length > 0 ? Libc.EPOLLOUT : 0)));
    }

    public void Answer(long sequence, Action<Utf8JsonWriter>? members = null) => SendJson(Json.Object(w =>
    {
        w.WriteNumber("seq", sequence);
        members?.Invoke(w);
    }));

    public void Fail(long sequence, string id, string message) => Answer(sequence, w => Json.WriteError(w, id, message));

    public void SendJson(byte[] json)
    {
        Send(0, json);
        // Somebody who asks and asks and never reads.
        if (!Closed && outbox.Length > LargestBacklog + 2 * LargestFrame) Close();
    }

    /// <param name="place">Where the log stood before this output came, number of the file and offset in it; null without a log.</param>
    public void SendOutput(bool error, ReadOnlySpan<byte> output, (int File, long Offset)? place)
    {
        if (AttachedTo!.IsInit && outbox.Length + output.Length > LargestBacklog)
        {
            SendJson(Json.Object(w =>
            {
                w.WriteString("event", "lagged");
                Json.WriteNumber(w, "offset", place?.Offset);
                Json.WriteNumber(w, "file", place?.File);
            }));
            Detach();
            CloseWhenSent();
            return;
        }
        Send(error ? (byte)3 : (byte)2, output);
    }

    void Send(byte kind, ReadOnlySpan<byte> payload)
    {
        if (Closed || closing) return;
        Span<byte> head = stackalloc byte[5];
        BinaryPrimitives.WriteUInt32LittleEndian(head, (uint)payload.Length + 1);
        head[4] = kind;
        if (outbox.Length == 0) lastProgress = Environment.TickCount64;
        outbox.Append(head);
        outbox.Append(payload);
        Push();
    }

    void Push()
    {
        while (outbox.Length > 0)
        {
            long n = Sys.Send(Fd, outbox.First, outbox.Length);
            if (n == -Libc.EINTR) continue;
            if (n == -Libc.EAGAIN) break;
            if (n < 0)
            {
                Close();
                return;
            }
            outbox.Take((int)n);
            lastProgress = Environment.TickCount64;
        }
        if (outbox.Length == 0 && closing)
        {
            Close();
            return;
        }
        Listen();
        AttachedTo?.Throttle();
    }

    /// <summary>Closes when everything was sent, or when the client has taken nothing for ten seconds.</summary>
    public void CloseWhenSent()
    {
        if (Closed || closing) return;
        closing = true;
        if (outbox.Length == 0 || hungUp) Close();
        else
        {
            Listen();
            WatchStall();
        }
    }

    void WatchStall() => stall = server.Loop.After(StallMilliseconds, () =>
    {
        stall = null;
        if (Stalled) Close();
        else WatchStall();
    });

    /// <summary>The client goes and the process stays as it is, its input open.</summary>
    public void Leave()
    {
        givesInput = false;
        Detach();
    }

    void Detach()
    {
        if (AttachedTo is not { } process) return;
        process.Attached.Remove(this);
        AttachedTo = null;
        // An exec process's input ends with who gave it.
        if (givesInput && !process.IsInit) process.Stdin?.End();
        process.Throttle();
    }

    public void Close()
    {
        if (Closed) return;
        Closed = true;
        server.Loop.Cancel(stall);
        server.Loop.Remove(this);
        Sys.Close(Fd);
        Fd = -1;
        inbox.Clear();
        outbox.Clear();
        Detach();
        server.Forget(this);
    }
}
