using System.Text.Json;

namespace Psrun.Shim;

delegate void OutputListener(ReadOnlySpan<byte> output);

/// <summary>The init or an exec process: its pid, its streams, who is attached to it and who waits for it.</summary>
sealed class ContainerProcess(Server server, string? execId)
{
    const int StopReadingAt = 4 << 20, GoOnAt = 1 << 20;

    /// <summary>How long after a process's end a descendant that holds its pipes may keep the end from being told.</summary>
    const int HolderMilliseconds = 2000;

    EventLoop.Deadline? holderDeadline;
    bool draining;
    int waitStatus;
    DateTimeOffset finishedAt;

    public string? ExecId { get; } = execId;
    public int Pid { get; private set; }
    public ulong StartTime { get; private set; }
    public bool Terminal { get; init; }
    public DateTimeOffset? StartedAt { get; set; }
    public long OomKillsBefore { get; set; }
    /// <summary>This shim has sent it SIGKILL, or to the init that takes it along: then that ended it, whatever else died of want of memory.</summary>
    public bool Killed { get; set; }
    public OutputStream? Stdout { get; private set; }
    public OutputStream? Stderr { get; private set; }
    public InputStream? Stdin { get; private set; }
    /// <summary>Takes the output in place of log and clients.</summary>
    public OutputListener? Listener { get; init; }
    public List<Connection> Attached { get; } = new();
    public List<(Connection Client, long Sequence)> Waiters { get; } = new();
    /// <summary>Reaped; its pid may already be another's.</summary>
    public bool Ended { get; private set; }
    public bool Drained { get; private set; }
    public ExitRecord? Record { get; private set; }
    public bool IsInit => ExecId is null;
    public bool Alive => Pid > 0 && !Ended;

    public void Adopt(int pid)
    {
        Pid = pid;
        StartTime = Files.StartTime(pid);
    }

    public void OpenOutput(int fd, bool error)
    {
        var stream = new OutputStream(server, this, error);
        if (error) Stderr = stream;
        else Stdout = stream;
        stream.Open(fd);
    }

    public void OpenInput(int fd)
    {
        Stdin = new InputStream(server, this, Terminal);
        Stdin.Open(fd);
    }

    public void Deliver(bool error, ReadOnlySpan<byte> output)
    {
        if (Listener is not null)
        {
            Listener(output);
            return;
        }
        (int, long)? place = null;
        if (IsInit && server.Log is { } log)
        {
            place = (log.Number, log.Offset);
            log.Write(error, output);
        }
        if (IsInit) server.Sink?.Write(error, output);
        // Backwards: a client that lags takes itself out.
        for (int i = Attached.Count - 1; i >= 0; i--) Attached[i].SendOutput(error, output, place);
        if (!IsInit) Throttle();
    }

    /// <summary>An exec process's output has its clients as its only readers: a slow one holds up the process, not our memory.</summary>
    public void Throttle()
    {
        if (IsInit) return;
        int most = 0;
        foreach (Connection c in Attached) most = Math.Max(most, c.WaitingBytes);
        bool paused = Stdout?.Paused == true || Stderr?.Paused == true;
        if (!paused && most > StopReadingAt) Pause(true);
        else if (paused && most < GoOnAt) Pause(false);
    }

    void Pause(bool on)
    {
        Stdout?.Pause(on);
        Stderr?.Pause(on);
    }

    public void InputWanted()
    {
        for (int i = Attached.Count - 1; i >= 0; i--) Attached[i].InputWanted();
    }

    /// <summary>The process was reaped.</summary>
    public void End(int status)
    {
        Ended = true;
        waitStatus = status;
        finishedAt = DateTimeOffset.UtcNow;
        Stdin?.Close();
    }

    /// <summary>
    /// Reads what is left; <see cref="Server.ProcessDrained"/> follows when both streams are at their end, or when the time of those is over
    /// who hold the pipes open though the process is gone.
    /// </summary>
    public void Drain()
    {
        draining = true;
        ReadWhatIsThere();
        if (AllRead) Finish();
        else if (!Drained) holderDeadline = server.Loop.After(HolderMilliseconds, HoldersTimeIsOver);
    }

    // What the process itself wrote is in the pipe when it is reaped. Bounded, because a holder may go on writing.
    void ReadWhatIsThere()
    {
        for (int i = 0; i < 64 && Stdout?.ReadOnce() == true; i++) { }
        for (int i = 0; i < 64 && Stderr?.ReadOnce() == true; i++) { }
    }

    bool AllRead => Stdout?.Ended != false && Stderr?.Ended != false;

    public void StreamEnded()
    {
        if (draining && AllRead) Finish();
    }

    void HoldersTimeIsOver()
    {
        holderDeadline = null;
        // Not a holder but a client of ours may be in the way, as long as it takes what it is sent.
        for (int i = Attached.Count - 1; i >= 0; i--)
            if (Attached[i].Stalled) Attached[i].Close();
        if (Stdout?.Paused == true || Stderr?.Paused == true)
        {
            holderDeadline = server.Loop.After(HolderMilliseconds, HoldersTimeIsOver);
            return;
        }
        ReadWhatIsThere();
        Finish();
    }

    void Finish()
    {
        if (Drained) return;
        Drained = true;
        server.Loop.Cancel(holderDeadline);
        if (Stdout is not null) Stdout.Abandoned = true;
        if (Stderr is not null) Stderr.Abandoned = true;
        server.ProcessDrained(this);
    }

    public void MakeRecord(long oomKillsNow) =>
        Record = ExitRecord.Of(waitStatus, oomKillsNow > OomKillsBefore, Killed, StartedAt, finishedAt);

    /// <summary>What is told of a task that ends without a run of its own.</summary>
    public void Replace(ExitRecord record) => Record = record;

    /// <summary>Everyone who waited knows, and whoever asks now may.</summary>
    public bool Told { get; private set; }

    /// <summary>Tells everyone who waits or is attached. The record is on disk by then.</summary>
    public void Tell()
    {
        Told = true;
        foreach (var (client, sequence) in Waiters.ToArray()) client.Answer(sequence, Record!.Write);
        Waiters.Clear();
        foreach (Connection client in Attached.ToArray()) TellExit(client);
        Attached.Clear();
    }

    public void TellExit(Connection client)
    {
        client.SendJson(Json.Object(w =>
        {
            w.WriteString("event", "exit");
            if (ExecId is not null) w.WriteString("exec", ExecId);
            Record!.Write(w);
        }));
        client.CloseWhenSent();
    }

    public void CloseStreams()
    {
        server.Loop.Cancel(holderDeadline);
        Stdin?.Close();
        Stdout?.Close();
        Stderr?.Close();
    }

    public void WriteExec(Utf8JsonWriter w)
    {
        w.WriteStartObject();
        w.WriteString("id", ExecId);
        w.WriteNumber("pid", Pid);
        w.WriteNumber("pidStartTime", StartTime);
        w.WriteString("state", Ended ? "stopped" : "running");
        w.WriteEndObject();
    }
}
