using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>docs/shim.md from the client's side, written apart from the product's own client.</summary>
sealed class ShimClient : IDisposable
{
    readonly Queue<JsonObject> events = new();
    int sequence;

    public Socket Socket { get; }
    public MemoryStream Stdout { get; } = new();
    public MemoryStream Stderr { get; } = new();

    public ShimClient(string path, bool hello = true)
    {
        Socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { ReceiveTimeout = (int)SpawnOptions.Limit(30).TotalMilliseconds, SendTimeout = (int)SpawnOptions.Limit(30).TotalMilliseconds };
        Socket.Connect(new UnixDomainSocketEndPoint(path));
        if (hello)
            Assert.Equal(1, (int)Call("hello", ("version", 1))["version"]!);
    }

    public void SendFrame(byte kind, ReadOnlySpan<byte> payload)
    {
        var frame = new byte[5 + payload.Length];
        BinaryPrimitives.WriteUInt32LittleEndian(frame, (uint)payload.Length + 1);
        frame[4] = kind;
        payload.CopyTo(frame.AsSpan(5));
        for (var sent = 0; sent < frame.Length;)
            sent += Socket.Send(frame.AsSpan(sent));
    }

    public void Input(string text) => SendFrame(1, Encoding.UTF8.GetBytes(text));

    public void EndInput() => SendFrame(1, []);

    public int Ask(string op, params (string Name, JsonNode? Value)[] members)
    {
        var request = new JsonObject { ["op"] = op, ["seq"] = ++sequence };
        foreach (var (name, value) in members)
            request[name] = value;
        SendFrame(0, Encoding.UTF8.GetBytes(request.ToJsonString()));
        return sequence;
    }

    /// <summary>A request and its answer, which may be an error.</summary>
    public JsonObject Try(string op, params (string Name, JsonNode? Value)[] members)
    {
        return AnswerTo(Ask(op, members));
    }

    /// <summary>The answer to what was asked before; other messages on the way are kept.</summary>
    public JsonObject AnswerTo(int asked)
    {
        for (var kept = events.Count; kept > 0; kept--)
        {
            var json = events.Dequeue();
            if ((int?)json["seq"] == asked)
                return json;
            events.Enqueue(json);
        }
        while (true)
        {
            var json = NextJson() ?? throw new IOException($"closed before the answer to request {asked}");
            if ((int?)json["seq"] == asked)
                return json;
            events.Enqueue(json);
        }
    }

    public JsonObject Call(string op, params (string Name, JsonNode? Value)[] members)
    {
        var answer = Try(op, members);
        Assert.True(answer["error"] is null, $"{op}: {answer.ToJsonString()}");
        return answer;
    }

    public string Refused(string op, params (string Name, JsonNode? Value)[] members)
    {
        var answer = Try(op, members);
        Assert.True(answer["error"] is not null, $"{op} was not refused: {answer.ToJsonString()}");
        return (string)answer["error"]!["id"]!;
    }

    /// <summary>The next JSON frame; output on the way is kept in <see cref="Stdout"/> and <see cref="Stderr"/>. Null at the connection's end.</summary>
    public JsonObject? NextJson()
    {
        while (true)
        {
            if (ReadFrame() is not var (kind, payload))
                return null;
            if (kind == 0)
                return JsonNode.Parse(payload)!.AsObject();
            Assert.True(kind is 2 or 3, $"a frame of kind {kind}");
            (kind == 2 ? Stdout : Stderr).Write(payload);
        }
    }

    public (byte Kind, byte[] Payload)? ReadFrame()
    {
        var head = new byte[4];
        if (!Fill(head))
            return null;
        var body = new byte[BinaryPrimitives.ReadUInt32LittleEndian(head)];
        Assert.True(Fill(body), "closed inside a frame");
        return (body[0], body[1..]);
    }

    bool Fill(byte[] target)
    {
        for (var done = 0; done < target.Length;)
        {
            int n;
            try
            {
                n = Socket.Receive(target.AsSpan(done));
            }
            catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionReset)
            {
                return false;
            }
            if (n == 0)
                return done == 0 ? false : throw new IOException("closed inside a frame");
            done += n;
        }
        return true;
    }

    /// <summary>Reads to the connection's end; gives the last event.</summary>
    public JsonObject? ReadToEnd()
    {
        JsonObject? last = events.LastOrDefault();
        while (NextJson() is { } json)
            last = json;
        return last;
    }

    public void ReadUntil(string text)
    {
        while (!Encoding.UTF8.GetString(Stdout.ToArray()).Contains(text))
        {
            if (ReadFrame() is not var (kind, payload))
                throw new IOException($"closed before '{text}', after: {Out}");
            if (kind == 0)
                events.Enqueue(JsonNode.Parse(payload)!.AsObject());
            else
                (kind == 2 ? Stdout : Stderr).Write(payload);
        }
    }

    public string Out => Encoding.UTF8.GetString(Stdout.ToArray());

    public string Error => Encoding.UTF8.GetString(Stderr.ToArray());

    public static JsonObject Process(params string[] args) => new()
    {
        ["args"] = Bundle.Strings(args), ["cwd"] = "/", ["env"] = Bundle.Strings("PATH=/bin"), ["user"] = new JsonObject { ["uid"] = 0, ["gid"] = 0 },
    };

    public void Dispose() => Socket.Dispose();
}
