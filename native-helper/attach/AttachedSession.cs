using Containers.Linux;
using Psrun.Processes;
using Psrun.Shim;
using System.Buffers.Binary;
using System.Text.Json;

namespace Psrun.Attaching;

/// <summary>One attachment from its first request to its end. A terminal is raw in between, and as it was whatever ends it.</summary>
sealed unsafe class AttachedSession : IDisposable
{
    const int ReadLength = 16 * 1024, MostPending = 256 * 1024, TerminalPiece = 1024, LeaveMilliseconds = 1000;

    readonly string? exec;
    readonly bool input, terminal;
    readonly DetachKeys keys;
    NativeBuffer inbox, outbox, screen, errors;
    int socket = -1, signals = -1, parent = -1;
    long sequence;
    bool inputOpen, raw, lagged;
    termios before;
    string? end;

    public AttachedSession(string? exec, bool input, bool terminal, byte[] detachKeys)
    {
        this.exec = exec;
        this.input = inputOpen = input;
        this.terminal = terminal;
        keys = new DetachKeys(detachKeys);
    }

    /// <param name="request">a whole request that also attaches; null: attach to what runs</param>
    public void Connect(byte[]? request)
    {
        // From here on signals are bytes in a pipe: none ends us between raw mode and its end.
        signals = Foreground.CatchInPipe();
        parent = Libc.pidfd_open(Libc.getppid(), 0);
        termios t = default;
        if (terminal && Libc.tcgetattr(0, &t) < 0) throw new ShimException("NotATerminal", "standard input is no terminal");
        before = t;
        Open(request);
        if (terminal) SetRaw();
    }

    void Open(byte[]? request)
    {
        socket = Sys.Connect("shim.sock");
        if (socket < 0) throw ShimException.Of("ShimLost", "shim.sock", socket);
        Ask(Json.Object(w =>
        {
            w.WriteString("op", "hello");
            w.WriteNumber("seq", ++sequence);
            w.WriteNumber("version", 1);
        }));
        // Before its first output, for a program that asks once and for all.
        if (terminal && request is null && Size() is { } size) Ask(size);
        if (request is not null) sequence = RequestNumber(request);
        Ask(request ?? Json.Object(w =>
        {
            w.WriteString("op", "attach");
            w.WriteNumber("seq", ++sequence);
            if (exec is not null) w.WriteString("exec", exec);
            if (input) w.WriteBoolean("stdin", true);
        }));
        Sys.SetNonBlocking(socket, true);
        if (terminal && request is not null) TellSize();
    }

    static long RequestNumber(byte[] request)
    {
        try
        {
            using var json = JsonDocument.Parse(request);
            return json.RootElement.GetProperty("seq").GetInt64();
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            throw new ShimException("BadRequest", "the request is not JSON with a seq");
        }
    }

    /// <summary>Waits for the answer, which comes before everything else.</summary>
    void Ask(byte[] request)
    {
        Frame(0, request);
        while (outbox.Length > 0)
        {
            long n = Sys.Send(socket, outbox.First, outbox.Length);
            if (n is -Libc.EAGAIN or -Libc.EINTR) Wait(socket, Libc.POLLOUT);
            else if (n < 0) throw ShimException.Of("ShimLost", "shim.sock", n);
            else outbox.Take((int)n);
        }
        while (true)
        {
            if (TryFrame(out byte kind, out int length))
            {
                if (kind != 0) throw new ShimException("ShimProtocol", "output came before the answer");
                using var answer = JsonDocument.Parse(inbox.Bytes.Slice(5, length - 1).ToArray());
                inbox.Take(4 + length);
                if (answer.RootElement.TryGetProperty("error", out var error))
                    throw new ShimException(error.GetProperty("id").GetString() ?? "", error.GetProperty("message").GetString() ?? "");
                return;
            }
            Wait(socket, Libc.POLLIN);
            if (!Receive()) throw new ShimException("ShimLost", "the shim closed the connection");
        }
    }

    static void Wait(int fd, int events)
    {
        pollfd poll;
        poll.fd = fd;
        poll.events = (short)events;
        poll.revents = 0;
        Libc.poll(&poll, 1, -1);
    }

    void Frame(byte kind, ReadOnlySpan<byte> payload)
    {
        Span<byte> head = stackalloc byte[5];
        BinaryPrimitives.WriteUInt32LittleEndian(head, (uint)payload.Length + 1);
        head[4] = kind;
        outbox.Append(head);
        outbox.Append(payload);
    }

    bool TryFrame(out byte kind, out int length)
    {
        (kind, length) = (0, 0);
        if (inbox.Length < 5) return false;
        uint said = BinaryPrimitives.ReadUInt32LittleEndian(inbox.Bytes);
        if (said is < 1 or > Connection.LargestFrame) throw new ShimException("ShimProtocol", $"a frame says that it is {said} bytes long");
        kind = inbox.Bytes[4];
        length = (int)said;
        return inbox.Length >= 4 + length;
    }

    bool Receive()
    {
        byte* room = inbox.Reserve(ReadLength);
        long n = Sys.Read(socket, room, ReadLength);
        if (n > 0) inbox.Added((int)n);
        return n > 0 || n is -Libc.EAGAIN or -Libc.EINTR;
    }

    void SetRaw()
    {
        termios t = before;
        Libc.cfmakeraw(&t);
        Libc.tcsetattr(0, &t);
        raw = true;
    }

    void TellSize()
    {
        if (Size() is { } request) Frame(0, request);
    }

    byte[]? Size()
    {
        winsize size;
        if (Libc.ioctl(0, Libc.TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0) return null;
        int width = size.ws_col, height = size.ws_row;
        return Json.Object(w =>
        {
            w.WriteString("op", "resize");
            w.WriteNumber("seq", ++sequence);
            if (exec is not null) w.WriteString("exec", exec);
            w.WriteNumber("width", width);
            w.WriteNumber("height", height);
        });
    }

    /// <returns>How it ended: <c>exit</c>, <c>detached</c>, <c>interrupted</c> or <c>lost</c>.</returns>
    public string Run()
    {
        pollfd* polls = stackalloc pollfd[6];
        while (true)
        {
            TakeFrames();
            if (lagged) AttachAgain();
            if (end is not null && screen.Length == 0 && errors.Length == 0) return end;
            bool full = screen.Length > MostPending || errors.Length > MostPending;
            polls[0] = new pollfd { fd = inputOpen && end is null && outbox.Length < MostPending ? 0 : -1, events = Libc.POLLIN };
            polls[1] = new pollfd { fd = end is null ? socket : -1, events = (short)((full ? 0 : Libc.POLLIN) | (outbox.Length > 0 ? Libc.POLLOUT : 0)) };
            polls[2] = new pollfd { fd = signals, events = Libc.POLLIN };
            polls[3] = new pollfd { fd = parent, events = Libc.POLLIN };
            polls[4] = new pollfd { fd = screen.Length > 0 ? 1 : -1, events = Libc.POLLOUT };
            polls[5] = new pollfd { fd = errors.Length > 0 ? 2 : -1, events = Libc.POLLOUT };
            if (Libc.poll(polls, 6, -1) < 0)
            {
                if (Libc.errno == Libc.EINTR) continue;
                throw ShimException.Of("ShimFailed", "poll", -Libc.errno);
            }
            // Whoever started us is gone: there is nobody to show anything to, and a shell wants its terminal back.
            if (polls[3].revents != 0 || polls[2].revents != 0 && Interrupted())
            {
                HangUp();
                return "interrupted";
            }
            if (polls[4].revents != 0) Show(1, ref screen);
            if (polls[5].revents != 0) Show(2, ref errors);
            if (polls[1].revents != 0 && end is null && !Exchange(polls[1].revents)) end = "lost";
            if (polls[0].revents != 0 && end is null && !TakeInput())
            {
                Leave("detach", null);
                return "detached";
            }
        }
    }

    /// <summary>What the kernel does for the session of a terminal that goes away; an init belongs to no terminal of ours.</summary>
    void HangUp()
    {
        if (exec is not null && terminal) Leave("signal", Libc.SIGHUP);
    }

    /// <summary>A last request, and the time for the shim to read it.</summary>
    void Leave(string op, int? signal)
    {
        Frame(0, Json.Object(w =>
        {
            w.WriteString("op", op);
            w.WriteNumber("seq", ++sequence);
            if (signal is null) return;
            w.WriteString("exec", exec);
            w.WriteNumber("signal", signal.Value);
        }));
        long until = Environment.TickCount64 + LeaveMilliseconds, last = sequence;
        while (Environment.TickCount64 < until && !Answered(last))
        {
            pollfd poll = new() { fd = socket, events = (short)(Libc.POLLIN | (outbox.Length > 0 ? Libc.POLLOUT : 0)) };
            if (Libc.poll(&poll, 1, (int)Math.Max(0, until - Environment.TickCount64)) > 0 && !Exchange(poll.revents)) return;
        }
    }

    bool Answered(long number)
    {
        while (TryFrame(out byte kind, out int length))
        {
            bool answer = kind == 0 && IsAnswer(inbox.Bytes.Slice(5, length - 1), number);
            inbox.Take(4 + length);
            if (answer) return true;
        }
        return false;
    }

    static bool IsAnswer(ReadOnlySpan<byte> payload, long number)
    {
        using var message = JsonDocument.Parse(payload.ToArray());
        return message.RootElement.TryGetProperty("seq", out var value) && value.TryGetInt64(out long seq) && seq == number;
    }

    bool Exchange(short events)
    {
        if ((events & Libc.POLLOUT) != 0 && outbox.Length > 0)
        {
            long n = Sys.Send(socket, outbox.First, outbox.Length);
            if (n > 0) outbox.Take((int)n);
            // What was sent before may still be there to read: the exit.
            else if (n is not (-Libc.EAGAIN or -Libc.EINTR)) outbox.Clear();
        }
        return (events & ~Libc.POLLOUT) == 0 || Receive();
    }

    void TakeFrames()
    {
        while (end is null && !lagged && TryFrame(out byte kind, out int length))
        {
            ReadOnlySpan<byte> payload = inbox.Bytes.Slice(5, length - 1);
            if (kind == 2) screen.Append(payload);
            else if (kind == 3) errors.Append(payload);
            else TakeEvent(payload);
            inbox.Take(4 + length);
        }
    }

    void TakeEvent(ReadOnlySpan<byte> payload)
    {
        using var message = JsonDocument.Parse(payload.ToArray());
        // An answer to a resize is no event.
        string? name = message.RootElement.TryGetProperty("event", out var value) ? value.GetString() : null;
        if (name == "exit") end = "exit";
        else if (name == "lagged") lagged = true;
    }

    /// <summary>The terminal took output too slowly for a container that must not wait: on from here, and it is said.</summary>
    void AttachAgain()
    {
        lagged = false;
        Sys.Close(socket);
        socket = -1;
        inbox.Clear();
        outbox.Clear();
        screen.Append("\r\n[output is left out here: Get-ContainerLog has it]\r\n"u8);
        try
        {
            Open(null);
        }
        catch (ShimException)
        {
            end = "lost";
        }
    }

    static void Show(int fd, ref NativeBuffer pending)
    {
        long n = Sys.Write(fd, pending.First, Math.Min(pending.Length, TerminalPiece));
        if (n > 0) pending.Take((int)n);
        // Nobody reads it any more; the program goes on without.
        else if (n is not (-Libc.EAGAIN or -Libc.EINTR)) pending.Clear();
    }

    /// <returns>False when the detach keys were typed.</returns>
    bool TakeInput()
    {
        byte* typed = stackalloc byte[ReadLength];
        long n = Sys.Read(0, typed, ReadLength);
        if (n is -Libc.EAGAIN or -Libc.EINTR) return true;
        if (n <= 0)
        {
            inputOpen = false;
            Frame(1, []);
            return true;
        }
        Span<byte> pass = new byte[n + keys.MostHeld];
        int count = keys.Filter(new ReadOnlySpan<byte>(typed, (int)n), pass);
        if (count < 0) return false;
        if (count > 0) Frame(1, pass[..count]);
        return true;
    }

    /// <returns>True when it is to end.</returns>
    bool Interrupted()
    {
        byte* numbers = stackalloc byte[64];
        long n = Sys.Read(signals, numbers, 64);
        for (int i = 0; i < n; i++)
        {
            int signal = numbers[i];
            if (signal is Libc.SIGTERM or Libc.SIGHUP) return true;
            if (signal == Libc.SIGWINCH && terminal) TellSize();
            // After a stop the shell may have set the terminal as it likes it.
            if (signal == Libc.SIGCONT && raw)
            {
                SetRaw();
                TellSize();
            }
            // SIGINT and SIGQUIT come from a terminal that is not raw, and go to our parent too, who decides.
        }
        return false;
    }

    public void Dispose()
    {
        if (raw)
        {
            termios t = before;
            Libc.tcsetattr(0, &t);
        }
        raw = false;
        Sys.Close(socket);
    }
}
