using System.Buffers.Binary;
using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Containers.Linux;
using Xunit;

namespace Containers.Tests.Units;

/// <summary>
/// A shim of another time: it says what that one said, frame by frame, out of a transcript (tests/units/shims), and knows nothing else. A request is
/// recognised by its op and its members' names; the numbers of requests and processes are put in anew. What was never asked of the old shim fails the test.
/// </summary>
sealed partial class OldShim : IDisposable
{
    readonly Dictionary<string, Queue<List<(byte Kind, byte[] Payload)>>> answers = [];
    readonly Dictionary<string, string> records = [];
    readonly Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    // Processes that stand for the container's init and for the shim: never the tests' own, for they may be killed.
    readonly Process program = Process.Start("/bin/sleep", ["1000"]), shim = Process.Start("/bin/sleep", ["1000"]);
    readonly string folder;
    readonly List<string> unknown = [];
    readonly CancellationTokenSource over = new();

    /// <param name="folder">The task's run folder.</param>
    public OldShim(string folder, string transcript)
    {
        this.folder = Directory.CreateDirectory(folder).FullName;
        Read(File.ReadLines(Path.Combine(AppContext.BaseDirectory, "shims", transcript)));
        listener.Bind(new UnixDomainSocketEndPoint(Path.Combine(folder, "shim.sock")));
        listener.Listen();
        _ = Task.Run(ServeAsync);
    }

    /// <summary>Called with the op before it is answered.</summary>
    public Action<string>? Asked { get; set; }

    public int Program => program.Id;

    public int Shim => shim.Id;

    /// <summary>Puts a record of the transcript where the old shim had it, about processes that are there now.</summary>
    public void Put(string record, string file)
    {
        var json = JsonNode.Parse(records[record])!.AsObject();
        foreach (var (name, pid) in new[] { ("pid", program.Id), ("shimPid", shim.Id) })
        {
            if (!json.ContainsKey(name)) { continue; }
            Assert.True(ProcessStat.TryReadStart(pid, out _, out var started));
            (json[name], json[name == "pid" ? "pidStartTime" : "shimStartTime"]) = (pid, started);
        }
        var temporary = Path.Combine(folder, file + ".new");
        File.WriteAllText(temporary, json.ToJsonString());
        File.Move(temporary, Path.Combine(folder, file), overwrite: true);
    }

    /// <summary>In place of what it said to a request.</summary>
    public void Answer(string request, string json) => answers[request] = new([[(0, Encoding.UTF8.GetBytes(json))]]);

    void Read(IEnumerable<string> lines)
    {
        List<(byte, byte[])>? said = null;
        foreach (var line in lines)
        {
            if (line.StartsWith("file ", StringComparison.Ordinal))
            {
                var words = line.Split(' ', 3);
                records[words[1]] = words[2];
            }
            else if (line.StartsWith("> ", StringComparison.Ordinal))
            {
                said = [];
                var request = Name(JsonNode.Parse(line[2..])!.AsObject());
                if (!answers.TryGetValue(request, out var queue)) { answers[request] = queue = new(); }
                queue.Enqueue(said);
            }
            else if (line.StartsWith("< ", StringComparison.Ordinal))
            {
                var kind = (byte)(line[2] - '0');
                said!.Add((kind, kind == 0 ? Encoding.UTF8.GetBytes(line[4..]) : Convert.FromHexString(line[4..])));
            }
        }
    }

    static string Name(JsonObject request) => string.Join(' ', request.Select(member => member.Key).Where(name => name is not ("op" or "seq")).Order(StringComparer.Ordinal).Prepend((string)request["op"]!));

    async Task ServeAsync()
    {
        try
        {
            while (true) { _ = ServeAsync(await listener.AcceptAsync(over.Token)); }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException) { }
    }

    async Task ServeAsync(Socket client)
    {
        using (client)
        {
            try
            {
                while (await FrameAsync(client) is var (kind, payload))
                {
                    if (kind == 0 && !await AnswerAsync(client, JsonNode.Parse(payload)!.AsObject())) { break; }
                }
            }
            catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException) { }
        }
    }

    /// <returns>False at the connection's end.</returns>
    async Task<bool> AnswerAsync(Socket client, JsonObject request)
    {
        var name = Name(request);
        Asked?.Invoke((string)request["op"]!);
        List<(byte Kind, byte[] Payload)>? said;
        lock (answers)
        {
            if (!answers.TryGetValue(name, out var queue))
            {
                unknown.Add(name);
                return false;
            }
            said = queue.Count > 1 ? queue.Dequeue() : queue.Peek();
        }
        foreach (var (kind, payload) in said)
        {
            var bytes = kind != 0 ? payload : Encoding.UTF8.GetBytes(Sequence().Replace(Encoding.UTF8.GetString(payload), $"\"seq\":{request["seq"]}"));
            var frame = new byte[5 + bytes.Length];
            BinaryPrimitives.WriteInt32LittleEndian(frame, bytes.Length + 1);
            frame[4] = kind;
            bytes.CopyTo(frame, 5);
            await client.SendAsync(frame, over.Token);
        }
        // An attached connection is closed after the exit.
        return said.Count == 1;
    }

    async Task<(byte Kind, byte[] Payload)?> FrameAsync(Socket client)
    {
        var head = new byte[4];
        if (!await FillAsync(client, head)) { return null; }
        var body = new byte[BinaryPrimitives.ReadInt32LittleEndian(head)];
        return await FillAsync(client, body) ? (body[0], body[1..]) : null;
    }

    async Task<bool> FillAsync(Socket client, byte[] buffer)
    {
        for (var filled = 0; filled < buffer.Length;)
        {
            var n = await client.ReceiveAsync(buffer.AsMemory(filled), over.Token);
            if (n == 0) { return false; }
            filled += n;
        }
        return true;
    }

    [GeneratedRegex("\"seq\":\\d+")]
    private static partial Regex Sequence();

    public void Dispose()
    {
        over.Cancel();
        listener.Dispose();
        foreach (var process in new[] { program, shim })
        {
            process.Kill();
            process.WaitForExit();
            process.Dispose();
        }
        lock (answers) { Assert.Empty(unknown); }
    }
}
