using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Containers.Linux;

namespace Containers;

/// <summary>One connection to a shim (docs/shim.md). One reader and one writer at a time.</summary>
sealed class ShimConnection : IDisposable
{
    internal const byte Json = 0, StandardInput = 1, StandardOutput = 2, StandardError = 3;
    const int LongestFrame = 1 << 20;
    const int LongestAddress = 107; // sockaddr_un.sun_path without its zero
    const int ConnectAttempts = 50;

    /// <summary>The highest version of the protocol that this client knows. A shim that knows less answers with its own, and is spoken to by that.</summary>
    const int HighestVersion = 1;

    readonly Socket socket;
    readonly string container;
    readonly byte[] header = new byte[5];
    byte[]? payload;
    int filled;
    readonly SemaphoreSlim writing = new(1, 1);
    long sequence;

    ShimConnection(Socket socket, string container)
    {
        this.socket = socket;
        this.container = container;
    }

    internal readonly record struct Frame(byte Kind, byte[] Payload);

    /// <summary>Connects and says hello; null when nobody listens.</summary>
    internal static async Task<ShimConnection?> TryOpenAsync(string runFolder, string container, CancellationToken cancel)
    {
        var path = Path.Combine(runFolder, "shim.sock");
        var folder = -1;
        Socket? socket = null;
        try
        {
            if (Encoding.UTF8.GetByteCount(path) > LongestAddress)
            {
                folder = Libc.open(runFolder, Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_CLOEXEC);
                if (folder < 0) { return null; }
                path = $"/proc/self/fd/{folder}/shim.sock";
            }
            for (var attempt = 1; ; attempt++)
            {
                socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                try
                {
                    await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancel).ConfigureAwait(false);
                    break;
                }
                // The shim's queue is full for the moment: a connect that may not block has no other way to wait.
                catch (SocketException e) when (e.SocketErrorCode is SocketError.WouldBlock or SocketError.TryAgain && attempt < ConnectAttempts)
                {
                    socket.Dispose();
                    await Task.Delay(10, cancel).ConfigureAwait(false);
                }
            }
            var connection = new ShimConnection(socket, container);
            socket = null;
            try
            {
                using var answer = await connection.RequestAsync("hello", w => w.WriteNumber("version", HighestVersion), cancel).ConfigureAwait(false);
                var known = answer.RootElement.TryGetProperty("version", out var version) && version.ValueKind == JsonValueKind.Number;
                if (!known || !version.TryGetInt32(out var agreed) || agreed is < 1 or > HighestVersion) { throw connection.Broken("it greets with a version that was not offered"); }
                return connection;
            }
            catch (ContainerException e) when (e.Id == ErrorIds.ShimLost)
            {
                connection.Dispose();
                return null;
            }
            catch
            {
                connection.Dispose();
                throw;
            }
        }
        catch (SocketException) { return null; }
        finally
        {
            socket?.Dispose();
            if (folder >= 0) { _ = Libc.close(folder); }
        }
    }

    /// <summary>Sends a request and reads its answer. Only for connections that are not attached: any other frame is out of place.</summary>
    /// <exception cref="ContainerException">What the shim answered, or <c>ShimLost</c>, <c>ShimProtocol</c>.</exception>
    internal async Task<JsonDocument> RequestAsync(string op, Action<Utf8JsonWriter>? members, CancellationToken cancel)
    {
        var seq = ++sequence;
        await SendAsync(Json, Request(op, seq, members), cancel).ConfigureAwait(false);

        var frame = await ReadAsync(cancel).ConfigureAwait(false) ?? throw Lost(null);
        if (frame.Kind != Json) { throw Broken($"a frame of kind {frame.Kind} came in place of an answer"); }
        var answer = Parse(frame.Payload);
        var root = answer.RootElement;
        if (!root.TryGetProperty("seq", out var got) || !got.TryGetInt64(out var number) || number != seq)
        {
            answer.Dispose();
            throw Broken("an answer to something else came");
        }
        if (!root.TryGetProperty("error", out var error)) { return answer; }
        using (answer) { throw ShimErrors.ToException(Text(error, "id"), Text(error, "message"), container); }
    }

    /// <summary>A request's JSON.</summary>
    internal static byte[] Request(string op, long seq, Action<Utf8JsonWriter>? members)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteString("op", op);
            writer.WriteNumber("seq", seq);
            members?.Invoke(writer);
            writer.WriteEndObject();
        }
        return buffer.ToArray();
    }

    internal async Task SendAsync(byte kind, ReadOnlyMemory<byte> payload, CancellationToken cancel)
    {
        var frame = new byte[5 + payload.Length];
        BinaryPrimitives.WriteUInt32LittleEndian(frame, (uint)payload.Length + 1);
        frame[4] = kind;
        payload.CopyTo(frame.AsMemory(5));
        await writing.WaitAsync(cancel).ConfigureAwait(false);
        try
        {
            for (var sent = 0; sent < frame.Length;) { sent += await socket.SendAsync(frame.AsMemory(sent), SocketFlags.None, cancel).ConfigureAwait(false); }
        }
        catch (SocketException e) { throw Lost(e); }
        finally { writing.Release(); }
    }

    /// <summary>The next frame; null at the end of the connection. After a cancellation the next call goes on in the middle of the frame.</summary>
    internal async Task<Frame?> ReadAsync(CancellationToken cancel)
    {
        if (payload is null)
        {
            if (!await FillAsync(header, cancel).ConfigureAwait(false)) { return null; }
            var length = BinaryPrimitives.ReadUInt32LittleEndian(header);
            if (length is 0 or > LongestFrame) { throw Broken($"a frame says that it is {length} bytes long"); }
            payload = new byte[length - 1];
        }
        if (!await FillAsync(payload, cancel).ConfigureAwait(false)) { return null; }
        var frame = new Frame(header[4], payload);
        payload = null;
        return frame;
    }

    internal JsonDocument Parse(byte[] payload)
    {
        try
        {
            var document = JsonDocument.Parse(payload);
            if (document.RootElement.ValueKind == JsonValueKind.Object) { return document; }
            document.Dispose();
        }
        catch (JsonException) { }
        throw Broken("a message is not a JSON object");
    }

    async Task<bool> FillAsync(byte[] buffer, CancellationToken cancel)
    {
        try
        {
            while (filled < buffer.Length)
            {
                var n = await socket.ReceiveAsync(buffer.AsMemory(filled), SocketFlags.None, cancel).ConfigureAwait(false);
                if (n == 0) { return false; }
                filled += n;
            }
            filled = 0;
            return true;
        }
        catch (SocketException) { return false; }
    }

    static string Text(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var text) && text.ValueKind == JsonValueKind.String ? text.GetString()! : "";

    ContainerException Lost(Exception? inner) => new(ErrorIds.ShimLost,
        $"The shim of container '{container}' is gone in the middle of a request. Get-ContainerTask tells what is left; Remove-Container -Force cleans up.",
        container, ContainerErrorCategory.ConnectionError, inner);

    ContainerException Broken(string why) => new(ErrorIds.ShimProtocol,
        $"The shim of container '{container}' does not keep to the protocol: {why}. It may belong to another version of the module; stop the container and start it again.",
        container, ContainerErrorCategory.InvalidData);

    public void Dispose()
    {
        socket.Dispose();
        writing.Dispose();
    }
}
