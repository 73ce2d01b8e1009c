using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;

namespace Containers.Tests.Runtime;

/// <summary>
/// A message bus with a systemd on it, as far as units' limits go: a Unix socket that speaks D-Bus to one program after the other. For <c>DBUS_SYSTEM_BUS_ADDRESS</c>.
/// </summary>
sealed class FakeSystemd : IDisposable
{
    const byte Call = 1, Return = 2, Error = 3;
    const byte Path = 1, Interface = 2, Member = 3, ErrorName = 4, ReplySerial = 5, Sender = 7, Signature = 8;

    readonly Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    readonly Thread server;
    uint serial;

    public FakeSystemd(string socket)
    {
        Address = "unix:path=" + socket;
        listener.Bind(new UnixDomainSocketEndPoint(socket));
        listener.Listen();
        server = new Thread(Serve) { IsBackground = true };
        server.Start();
    }

    public string Address { get; }

    /// <summary>By name: LoadState, ActiveState, ControlGroup. What is not here is not found.</summary>
    public Dictionary<string, (string Load, string Active, string Group)> Units { get; } = [];

    /// <summary>What it is to answer to the next change; null takes it.</summary>
    public string? Refusal { get; set; }

    /// <summary>What it was told: unit, whether until the next start alone, and each property as <c>NAME=VALUE</c>.</summary>
    public List<(string Unit, bool Runtime, string[] Properties)> Changes { get; } = [];

    /// <summary>What went wrong here, for the test's message.</summary>
    public Exception? Failure { get; private set; }

    void Serve()
    {
        try
        {
            while (true)
            {
                using Socket client = listener.Accept();
                using var stream = new NetworkStream(client);
                try
                {
                    Authenticate(stream);
                    while (Receive(stream) is { } message)
                        stream.Write(Answer(message));
                }
                catch (Exception e) when (e is EndOfStreamException or IOException)
                {
                    // It has gone.
                }
            }
        }
        catch (SocketException)
        {
            // Disposed of.
        }
        catch (ObjectDisposedException)
        {
        }
        catch (Exception e)
        {
            Failure = e;
        }
    }

    // "Authentication Protocol": a zero, then lines until BEGIN.
    static void Authenticate(Stream stream)
    {
        Assert.Equal(0, stream.ReadByte());
        while (true)
        {
            var line = new StringBuilder();
            while (!line.ToString().EndsWith("\r\n", StringComparison.Ordinal))
                line.Append((char)(byte)(stream.ReadByte() is var c and >= 0 ? c : throw new EndOfStreamException()));
            var words = line.ToString().Trim().Split(' ');
            if (words[0] == "BEGIN")
                return;
            stream.Write(Encoding.ASCII.GetBytes(words[0] switch
            {
                "AUTH" when words.Length < 3 => "DATA\r\n",
                "AUTH" or "DATA" => "OK 0123456789abcdef0123456789abcdef\r\n",
                "NEGOTIATE_UNIX_FD" => "AGREE_UNIX_FD\r\n",
                _ => "ERROR\r\n",
            }));
        }
    }

    sealed record Message(uint Serial, string ObjectPath, string Of, string Name, object[] Body);

    static Message? Receive(Stream stream)
    {
        var head = new byte[16];
        if (stream.ReadAtLeast(head, 16, throwOnEndOfStream: false) < 16)
            return null;
        Assert.Equal(((byte)'l', Call, (byte)1), (head[0], head[1], head[3]));
        var (bodyLength, fieldsLength) = (BinaryPrimitives.ReadInt32LittleEndian(head.AsSpan(4)), BinaryPrimitives.ReadInt32LittleEndian(head.AsSpan(12)));
        var rest = new byte[((fieldsLength + 7) / 8 * 8) + bodyLength];
        stream.ReadExactly(rest);
        // Alignment counts from the message's beginning, which is 16 before and so the same.
        var fields = new BusReader(rest);
        Dictionary<byte, object> values = [];
        while (fields.Position < fieldsLength)
        {
            fields.Align(8);
            var field = fields.ReadAll("yv");
            values[(byte)field[0]] = field[1];
        }
        var body = new BusReader(rest[((fieldsLength + 7) / 8 * 8)..]).ReadAll(values.TryGetValue(Signature, out var signature) ? (string)signature : "");
        return new(BinaryPrimitives.ReadUInt32LittleEndian(head.AsSpan(8)), (string)values[Path], values.TryGetValue(Interface, out var of) ? (string)of : "", (string)values[Member], body);
    }

    byte[] Answer(Message call)
    {
        switch (call.Name)
        {
            case "Hello":
                return Write(call, Return, "s", w => w.Text(":1.7"));
            case "AddMatch":
                return Write(call, Return, "", _ => { });
            case "LoadUnit":
                return Write(call, Return, "o", w => w.Text("/org/freedesktop/systemd1/unit/" + Convert.ToHexStringLower(Encoding.UTF8.GetBytes((string)call.Body[0]))));
            case "Get" when call.ObjectPath.StartsWith("/org/freedesktop/systemd1/unit/", StringComparison.Ordinal):
                var name = Encoding.UTF8.GetString(Convert.FromHexString(call.ObjectPath[(call.ObjectPath.LastIndexOf('/') + 1)..]));
                var unit = Units.TryGetValue(name, out var found) ? found : ("not-found", "inactive", "");
                var value = call.Body switch
                {
                    ["org.freedesktop.systemd1.Unit", "LoadState"] => unit.Item1,
                    ["org.freedesktop.systemd1.Unit", "ActiveState"] => unit.Item2,
                    ["org.freedesktop.systemd1.Service" or "org.freedesktop.systemd1.Slice", "ControlGroup"] => unit.Item3,
                    _ => null,
                };
                return value is null ? Write(call, Error, "s", w => w.Text("Unknown property"), "org.freedesktop.DBus.Error.UnknownProperty")
                    : Write(call, Return, "v", w => w.Signature("s").Text(value));
            case "SetUnitProperties" or "FreezeUnit" or "ThawUnit" when Refusal is { } refusal:
                return Write(call, Error, "s", w => w.Text("That is refused"), refusal);
            case "SetUnitProperties" or "FreezeUnit" or "ThawUnit" when !Units.ContainsKey((string)call.Body[0]):
                return Write(call, Error, "s", w => w.Text($"Unit {call.Body[0]} not found."), "org.freedesktop.systemd1.NoSuchUnit");
            case "SetUnitProperties":
                Changes.Add(((string)call.Body[0], (bool)call.Body[1], [.. ((object[])call.Body[2]).Cast<object[]>().Select(property => $"{property[0]}={Words(property[1])}")]));
                return Write(call, Return, "", _ => { });
            case "FreezeUnit" or "ThawUnit":
                Changes.Add(((string)call.Body[0], true, [call.Name]));
                return Write(call, Return, "", _ => { });
            default:
                return Write(call, Error, "s", w => w.Text($"{call.Of}.{call.Name}"), "org.freedesktop.DBus.Error.UnknownMethod");
        }
    }

    static string Words(object value) => value is object[] many ? "[" + string.Join(' ', many.Select(Words)) + "]" : $"{value}";

    byte[] Write(Message call, byte type, string signature, Action<BusWriter> write, string? error = null)
    {
        var body = new BusWriter();
        write(body);
        var fields = new BusWriter();
        fields.Byte(ReplySerial).Signature("u").U32(call.Serial);
        fields.Align(8).Byte(Sender).Signature("s").Text("org.freedesktop.DBus");
        if (error is not null)
            fields.Align(8).Byte(ErrorName).Signature("s").Text(error);
        if (signature.Length > 0)
            fields.Align(8).Byte(Signature).Signature("g").Signature(signature);
        var message = new BusWriter().Byte((byte)'l').Byte(type).Byte(0).Byte(1).U32((uint)body.Length).U32(++serial).U32((uint)fields.Length);
        return message.Add(fields.ToArray()).Align(8).Add(body.ToArray()).ToArray();
    }

    public void Dispose()
    {
        listener.Dispose();
        server.Join(TimeSpan.FromSeconds(10));
        Assert.Null(Failure);
    }
}
