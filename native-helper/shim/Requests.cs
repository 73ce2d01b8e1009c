using System.Text.Json;

namespace Psrun.Shim;

/// <summary>One request's members, all that any op knows.</summary>
struct Request
{
    public string? Op, Exec, Stdout, Stderr, StdinPath, ImagePath, Criu, Policy;
    public long Sequence;
    public int? Version, Signal, Width, Height, Limit;
    public bool All, Stdin, Attach, Kill, Terminal, Removes, LeaveRunning, TcpEstablished, FileLocks, ExternalSockets;
    public byte[]? Process;
}

/// <summary>Reads requests and answers those that need no more than a look or a signal; the rest is the server's.</summary>
static class Requests
{
    const int ProtocolVersion = 1;

    /// <returns>False when it was not JSON: the connection is to be closed.</returns>
    public static bool Handle(Server server, Connection client, ReadOnlySpan<byte> json)
    {
        var request = new Request();
        try
        {
            Parse(json, ref request);
        }
        catch (JsonException)
        {
            return false;
        }
        catch (Exception e) when (e is InvalidOperationException or FormatException)
        {
            client.Fail(request.Sequence, "BadRequest", "a member has the wrong type or is out of range");
            return true;
        }
        try
        {
            if (request.Op is null) throw new ShimException("BadRequest", "no op");
            if (!client.Greeted && request.Op != "hello") throw new ShimException("BadRequest", "the first request is hello");
            Do(server, client, request);
        }
        catch (ShimException e)
        {
            client.Fail(request.Sequence, e.Id, e.Message);
        }
        return true;
    }

    static void Parse(ReadOnlySpan<byte> json, ref Request q)
    {
        var reader = new Utf8JsonReader(json);
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject) throw new JsonException();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            string name = reader.GetString()!;
            reader.Read();
            switch (name)
            {
                case "op": q.Op = reader.GetString(); break;
                case "seq": q.Sequence = reader.GetInt64(); break;
                case "exec": q.Exec = reader.GetString(); break;
                case "version": q.Version = reader.GetInt32(); break;
                case "signal": q.Signal = reader.GetInt32(); break;
                case "width": q.Width = reader.GetInt32(); break;
                case "height": q.Height = reader.GetInt32(); break;
                case "all": q.All = reader.GetBoolean(); break;
                case "stdin": q.Stdin = reader.GetBoolean(); break;
                case "attach": q.Attach = reader.GetBoolean(); break;
                case "removes": q.Removes = reader.GetBoolean(); break;
                case "kill": q.Kill = reader.GetBoolean(); break;
                case "stdout": q.Stdout = reader.GetString(); break;
                case "stderr": q.Stderr = reader.GetString(); break;
                case "stdinPath": q.StdinPath = reader.GetString(); break;
                case "policy": q.Policy = reader.GetString(); break;
                case "limit": q.Limit = reader.GetInt32(); break;
                case "imagePath": q.ImagePath = reader.GetString(); break;
                case "criu": q.Criu = reader.GetString(); break;
                case "leaveRunning": q.LeaveRunning = reader.GetBoolean(); break;
                case "tcpEstablished": q.TcpEstablished = reader.GetBoolean(); break;
                case "fileLocks": q.FileLocks = reader.GetBoolean(); break;
                case "externalSockets": q.ExternalSockets = reader.GetBoolean(); break;
                case "process":
                    if (reader.TokenType != JsonTokenType.StartObject) throw new InvalidOperationException();
                    int start = (int)reader.TokenStartIndex;
                    q.Terminal = ReadTerminal(ref reader);
                    q.Process = json[start..(int)reader.BytesConsumed].ToArray();
                    break;
                default:
                    // Passed over, then refused: the answer needs seq, which may still come.
                    reader.Skip();
                    q.Op = $"?{name}";
                    break;
            }
        }
        // Something behind the object.
        if (reader.TokenType != JsonTokenType.EndObject || reader.Read()) throw new JsonException();
    }

    static bool ReadTerminal(ref Utf8JsonReader reader)
    {
        bool terminal = false;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            bool wanted = reader.ValueTextEquals("terminal"u8);
            reader.Read();
            if (wanted) terminal = reader.GetBoolean();
            else reader.Skip();
        }
        return terminal;
    }

    static void Do(Server server, Connection client, Request q)
    {
        switch (q.Op)
        {
            case "hello":
                if (q.Version is not >= 1) throw new ShimException("BadRequest", "hello without a version from 1 on");
                client.Greeted = true;
                client.Answer(q.Sequence, w =>
                {
                    w.WriteNumber("version", ProtocolVersion);
                    w.WriteNumber("pid", Environment.ProcessId);
                });
                break;
            case "state":
                client.Answer(q.Sequence, server.WriteState);
                break;
            case "start":
                server.StartTask(client, q.Sequence);
                break;
            case "wait":
                ContainerProcess awaited = server.Find(q.Exec);
                if (awaited.Told) client.Answer(q.Sequence, awaited.Record!.Write);
                else awaited.Waiters.Add((client, q.Sequence));
                break;
            case "signal":
                if (q.Signal is not (>= 1 and <= 64)) throw new ShimException("BadRequest", "signal is not a number from 1 to 64");
                server.Signal(client, q);
                break;
            case "exec":
                server.Exec(client, q);
                break;
            case "attach":
                Attach(server, client, q);
                break;
            case "detach":
                client.Leave();
                client.Answer(q.Sequence);
                client.CloseWhenSent();
                break;
            case "resize":
                if (q.Width is not (>= 1 and <= ushort.MaxValue) || q.Height is not (>= 1 and <= ushort.MaxValue))
                    throw new ShimException("BadRequest", "width and height are not numbers of cells from 1 to 65535");
                Resize(server.Find(q.Exec), (ushort)q.Width, (ushort)q.Height);
                client.Answer(q.Sequence);
                break;
            case "close-stdin":
                if (server.Find(q.Exec).Stdin is not { } stdin) throw NoInput();
                stdin.End();
                client.Answer(q.Sequence);
                break;
            case "pause":
                server.Pause(client, q.Sequence);
                break;
            case "resume":
                server.Resume(client, q.Sequence);
                break;
            case "debug":
                client.Answer(q.Sequence, server.WriteDebug);
                break;
            case "checkpoint":
                server.Checkpoint(client, q);
                break;
            case "set-restarts":
                server.SetRestarts(q.Policy, q.Limit ?? 0);
                client.Answer(q.Sequence);
                break;
            case "end-restarts":
                server.EndRestarts();
                client.Answer(q.Sequence);
                break;
            case "shutdown":
                server.Shutdown(client, q.Sequence, q.Kill);
                break;
            default:
                throw new ShimException("BadRequest", q.Op!.StartsWith('?') ? $"unknown member '{q.Op[1..]}'" : $"unknown op '{q.Op}'");
        }
    }

    static void Attach(Server server, Connection client, Request q)
    {
        ContainerProcess process = server.Find(q.Exec);
        if (client.AttachedTo is not null) throw new ShimException("AlreadyAttached", "this connection is attached to a process already");
        if (q.Stdin && process.Stdin is null) throw NoInput();
        if (process.Told)
        {
            client.Answer(q.Sequence, w => WriteOffset(w, server, process));
            process.TellExit(client);
            return;
        }
        client.Answer(q.Sequence, w => WriteOffset(w, server, process));
        client.Removes = q.Removes && process.IsInit;
        client.Attach(process, q.Stdin);
    }

    static void WriteOffset(Utf8JsonWriter w, Server server, ContainerProcess process)
    {
        if (!process.IsInit) return;
        Json.WriteNumber(w, "offset", server.Log?.Offset);
        Json.WriteNumber(w, "file", server.Log?.Number);
    }

    static void Resize(ContainerProcess process, ushort width, ushort height)
    {
        if (!process.Terminal) throw new ShimException("NotATerminal", "the process has no terminal");
        if (process.Stdout is not { Ended: false } terminal) return;
        int r = Sys.TerminalSize(terminal.Fd, width, height);
        if (r < 0) throw ShimException.Of("NotATerminal", "the terminal's size", r);
    }

    static ShimException NoInput() => new("NoStandardInput", "the process has no standard input to give to");
}
