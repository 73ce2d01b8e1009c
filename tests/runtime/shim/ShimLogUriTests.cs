using System.Buffers.Binary;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;

namespace Containers.Tests.Runtime;

/// <summary>Logs that are no files: docs/shim.md, "Other logs".</summary>
public sealed class ShimLogUriTests : ShimTest
{
    ShimTask Logging(string uri, string script) => NewTask(script, o => (o["log"], o["logUri"]) = (null, uri));

    string SocketPath => Path.Combine(Folder, "sink");

    Socket Receiver()
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified) { ReceiveTimeout = (int)SpawnOptions.Limit(30).TotalMilliseconds };
        socket.Bind(new UnixDomainSocketEndPoint(SocketPath));
        return socket;
    }

    /// <summary>The next datagram, or the content of the sealed file that came in its place.</summary>
    static unsafe byte[] Next(Socket socket, out bool file)
    {
        Assert.True(socket.Poll(SpawnOptions.Limit(30), SelectMode.SelectRead), "nothing came");
        var data = new byte[1 << 20];
        Span<byte> control = stackalloc byte[64];
        control.Clear();
        nint count;
        fixed (byte* dataStart = data, controlStart = control)
        {
            var vector = new Native.IoVec { Base = (nint)dataStart, Length = (nuint)data.Length };
            var message = new Native.MsgHdr { Iov = (nint)(&vector), IovLength = 1, Control = (nint)controlStart, ControlLength = 64 };
            count = Native.recvmsg((int)socket.Handle, ref message, 0x40000000);
        }
        file = count == 0 && MemoryMarshal.Read<ulong>(control) == 20;
        if (!file)
            return data[..(int)count];
        using var content = new FileStream(new Microsoft.Win32.SafeHandles.SafeFileHandle(MemoryMarshal.Read<int>(control[16..]), ownsHandle: true), FileAccess.Read);
        content.Position = 0;
        var whole = new MemoryStream();
        content.CopyTo(whole);
        return whole.ToArray();
    }

    static Dictionary<string, string> Fields(byte[] datagram)
    {
        var fields = new Dictionary<string, string>();
        for (var rest = datagram.AsSpan(); rest.Length > 0;)
        {
            var end = rest.IndexOf((byte)'\n');
            var head = Encoding.Latin1.GetString(rest[..end]);
            rest = rest[(end + 1)..];
            if (head.IndexOf('=') is > 0 and var equals)
            {
                fields.Add(head[..equals], head[(equals + 1)..]);
                continue;
            }
            var length = (int)BinaryPrimitives.ReadInt64LittleEndian(rest);
            fields.Add(head, Encoding.Latin1.GetString(rest.Slice(8, length)));
            Assert.Equal((byte)'\n', rest[8 + length]);
            rest = rest[(8 + length + 1)..];
        }
        return fields;
    }

    [RuntimeFact]
    public void The_journal_gets_lines_with_their_fields_and_long_ones_as_a_file()
    {
        using var socket = Receiver();
        var task = Logging("journald://" + SocketPath, "echo 'first = line'; echo problem >&2; sleep 0.2; printf '\\377\\000x\n'; dd if=/dev/zero bs=1000 count=900 2>/dev/null | tr '\\0' y; echo; printf unended");
        task.Launch().Start();
        var first = new[] { Fields(Next(socket, out _)), Fields(Next(socket, out _)) };
        var output = first.Single(f => f["PRIORITY"] == "6");
        Assert.Equal("first = line", output["MESSAGE"]);
        Assert.Equal("problem", first.Single(f => f["PRIORITY"] == "3")["MESSAGE"]);
        Assert.Equal((task.Id, task.Id, "t", task.Id), (output["CONTAINER_ID"], output["CONTAINER_NAME"], output["CONTAINER_NAMESPACE"], output["SYSLOG_IDENTIFIER"]));
        Assert.False(output.ContainsKey("CONTAINER_PARTIAL_MESSAGE"));
        Assert.Equal("\u00ff\0x", Fields(Next(socket, out _))["MESSAGE"]);
        Assert.Equal(new string('y', 900_000), Fields(Next(socket, out var file))["MESSAGE"]);
        Assert.True(file);
        Assert.Equal("unended", Fields(Next(socket, out _))["MESSAGE"]);
        task.WaitForShim();
        Assert.False(task.Has("shim.log"), task.Has("shim.log") ? task.ShimLog : "");
        Assert.False(File.Exists(task.LogPath));
    }

    [RuntimeFact]
    public void Syslog_gets_what_syslog_of_libc_would_send()
    {
        using var socket = Receiver();
        var task = Logging("syslog://" + SocketPath, "echo one; sleep 0.2; echo two >&2; sleep 0.2; dd if=/dev/zero bs=1000 count=9 2>/dev/null | tr '\\0' y; echo");
        task.Launch().Start();
        Assert.Matches($@"^<30>[A-Z][a-z][a-z] [ \d]\d \d\d:\d\d:\d\d {task.Id}\[{task.ShimPid}\]: one$", Encoding.ASCII.GetString(Next(socket, out _)));
        Assert.Matches($@"^<27>.*: two$", Encoding.ASCII.GetString(Next(socket, out _)));
        Assert.EndsWith(": " + new string('y', 8000), Encoding.ASCII.GetString(Next(socket, out _)));
        Assert.EndsWith(": " + new string('y', 1000), Encoding.ASCII.GetString(Next(socket, out _)));
        task.WaitForShim();
    }

    [RuntimeFact]
    public void A_receiver_that_stalls_stops_nothing_and_what_it_missed_is_counted()
    {
        using var socket = Receiver();
        var task = Logging("journald://" + SocketPath, "yes 'a line that nobody takes' | head -c 20000000; sleep 1000");
        task.Launch();
        using var client = task.Connect();
        client.Call("attach");
        client.Call("start");
        while (client.Stdout.Length < 20_000_000)
        {
            var (kind, payload) = client.ReadFrame() ?? throw new IOException("closed");
            if (kind == 2)
                client.Stdout.Write(payload);
        }
        using var other = task.Connect();
        Assert.InRange((long)other.Call("state")["droppedLogBytes"]!, 10_000_000, 20_000_000);
        other.Call("shutdown", ("kill", true));
        // What still waits for it holds the end up for five seconds at most.
        task.WaitForShim();
        Assert.Single(task.ShimLog.Split('\n'), line => line.Contains("dropped"));
    }

    [RuntimeFact]
    public void A_receiver_that_comes_back_gets_what_is_printed_then()
    {
        var first = Receiver();
        var task = Logging("journald://" + SocketPath, "while read line; do echo $line; done");
        task.Orders["stdin"] = true;
        task.Launch();
        using var client = task.Connect();
        client.Call("attach", ("stdin", true));
        client.Call("start");
        client.Input("one\n");
        Assert.Equal("one", Fields(Next(first, out _))["MESSAGE"]);
        // Another test that starts a program at this moment has copies of all descriptors for as long as it takes: closing alone might leave it open.
        first.Shutdown(SocketShutdown.Both);
        first.Dispose();
        File.Delete(SocketPath);
        client.Input("two\n");
        client.ReadUntil("two");
        using var second = Receiver();
        client.Input("three\n");
        Assert.Equal("three", Fields(Next(second, out _))["MESSAGE"]);
        Assert.Equal(3, (int)client.Call("state")["droppedLogBytes"]!);
        client.EndInput();
        client.ReadToEnd();
        task.WaitForShim();
    }

    string Program(string script)
    {
        var path = Path.Combine(Folder, "logger program");
        File.WriteAllText(path, "#!/bin/sh\n" + script);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        return "binary://" + path.Replace(" ", "%20");
    }

    [RuntimeFact]
    public void A_program_reads_both_streams_on_its_descriptors_and_is_ready_before_the_task()
    {
        var program = Program($"""
            cd {Folder}
            printf '%s\n' "$@" > arguments
            env | grep ^CONTAINER_ | sort > environment
            /bin/sleep 0.3
            echo yes > ready
            exec 5>&-
            cat <&3 > output & cat <&4 > errors &
            wait
            echo end > end
            """);
        var task = Logging(program + "?file=a%20b&flag&x=y", "cat; echo out; echo err >&2");
        task.Launch();
        Assert.True(File.Exists(Path.Combine(Folder, "ready")));
        task.Start();
        task.WaitForShim();
        string Said(string name) => File.ReadAllText(Path.Combine(Folder, name));
        Assert.Equal("file\na b\nflag\nx\ny\n", Said("arguments"));
        Assert.Equal($"CONTAINER_ID={task.Id}\nCONTAINER_NAMESPACE=t\n", Said("environment"));
        Assert.Equal(("out\n", "err\n", "end\n"), (Said("output"), Said("errors"), Said("end")));
    }

    [RuntimeFact]
    public void A_program_that_does_not_read_stops_nothing()
    {
        var task = Logging(Program("exec 5>&-; exec sleep 1000"), "yes 'a line that nobody takes' | head -c 5000000; exit 3");
        task.Launch();
        using var client = task.Connect();
        client.Call("start");
        Assert.Equal(3, (int)client.Call("wait")["exitCode"]!);
        Assert.InRange((long)client.Call("state")["droppedLogBytes"]!, 3_000_000, 5_000_000);
        task.WaitForShim();
    }

    [RuntimeFact]
    public void What_is_not_there_is_refused_before_the_task()
    {
        foreach (var uri in new[] { "journald:///nowhere/at/all", "syslog://" + Folder, "binary:///nowhere/at/all" })
        {
            var (status, line) = Logging(uri, "true").TryLaunch();
            Assert.Equal((1, "FileFailed"), (status, (string)line["error"]!["id"]!));
        }
        var (_, wrong) = Logging("carrier-pigeon:", "true").TryLaunch();
        Assert.Equal("BadOrders", (string)wrong["error"]!["id"]!);
    }
}
