using System.Buffers.Binary;
using System.Text;

namespace Containers.Tests.Runtime;

/// <summary>Clients that mean harm, or are broken: each spoils its own connection and nothing else.</summary>
public sealed class ShimProtocolTests : ShimTest
{
    static ShimClient Raw(ShimTask task) => new(Path.Combine(task.RunDir, "shim.sock"), hello: false);

    static void IsClosed(ShimClient client) => Assert.Null(client.ReadFrame());

    static void StillServes(ShimTask task)
    {
        using var client = task.Connect();
        Assert.Equal("created", (string)client.Call("state")["state"]!);
    }

    [RuntimeTheory]
    [InlineData(0u)]
    [InlineData(1_048_577u)]
    [InlineData(0x7fffffffu)]
    [InlineData(0xffffffffu)]
    public void A_frame_of_forbidden_length_closes_the_connection(uint length)
    {
        var task = Created("true");
        using var client = task.Connect();
        var head = new byte[5];
        BinaryPrimitives.WriteUInt32LittleEndian(head, length);
        client.Socket.Send(head);
        IsClosed(client);
        StillServes(task);
    }

    [RuntimeTheory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(255)]
    [InlineData(1)] // input from a connection that is attached to nothing
    public void A_frame_of_another_kind_closes_the_connection(byte kind)
    {
        var task = Created("true");
        using var client = task.Connect();
        client.SendFrame(kind, "x"u8);
        IsClosed(client);
        StillServes(task);
    }

    [RuntimeTheory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("{\"op\":\"state\",\"seq\":1} {}")]
    [InlineData("{\"op\":\"state\",\"seq\":}")]
    [InlineData("\0\0\0\0")]
    public void What_is_not_one_JSON_object_closes_the_connection(string text)
    {
        var task = Created("true");
        using var client = task.Connect();
        client.SendFrame(0, Encoding.UTF8.GetBytes(text));
        IsClosed(client);
        StillServes(task);
    }

    [RuntimeFact]
    public void Garbage_of_a_megabyte_harms_nobody()
    {
        var task = Created("true");
        var random = new Random(4711);
        for (var i = 0; i < 20; i++)
        {
            using var client = Raw(task);
            var garbage = new byte[1 << 16];
            random.NextBytes(garbage);
            try
            {
                client.Socket.Send(garbage);
                IsClosed(client);
            }
            catch (System.Net.Sockets.SocketException)
            {
                // Closed while we sent.
            }
        }
        StillServes(task);
    }

    [RuntimeFact]
    public void Wrong_members_are_refused_and_the_connection_lives_on()
    {
        using var client = Created("true").Connect();
        Assert.Equal("BadRequest", client.Refused("signal", ("signal", "nine")));
        Assert.Equal("BadRequest", client.Refused("signal", ("signal", 0)));
        Assert.Equal("BadRequest", client.Refused("signal", ("signal", 65)));
        Assert.Equal("BadRequest", client.Refused("no-such-op"));
        Assert.Equal("BadRequest", client.Refused("state", ("unknown", 1)));
        Assert.Equal("BadRequest", client.Refused("exec", ("exec", "e"), ("process", "text")));
        Assert.Equal("created", (string)client.Call("state")["state"]!);
    }

    [RuntimeFact]
    public void Nothing_goes_before_hello()
    {
        using var client = Raw(Created("true"));
        Assert.Equal("BadRequest", client.Refused("state"));
        Assert.Equal("BadRequest", client.Refused("hello"));
        Assert.Equal(1, (int)client.Call("hello", ("version", 7))["version"]!);
        client.Call("state");
    }

    [RuntimeFact]
    public void Frames_may_come_byte_by_byte_and_many_at_once()
    {
        using var client = Created("true").Connect();
        var json = Encoding.UTF8.GetBytes("{\"op\":\"state\",\"seq\":99}");
        var frame = new byte[5 + json.Length];
        BinaryPrimitives.WriteInt32LittleEndian(frame, json.Length + 1);
        json.CopyTo(frame, 5);
        foreach (var b in frame)
            client.Socket.Send([b]);
        Assert.Equal(99, (int)client.NextJson()!["seq"]!);
        client.Socket.Send(Enumerable.Repeat(frame, 200).SelectMany(f => f).ToArray());
        for (var i = 0; i < 200; i++)
            Assert.Equal(99, (int)client.NextJson()!["seq"]!);
    }

    [RuntimeFact]
    public void Silent_connections_do_not_shut_others_out()
    {
        var task = Created("sleep 1000");
        List<ShimClient> silent = [];
        for (var i = 0; i < 300; i++)
            silent.Add(Raw(task));
        StillServes(task);
        foreach (var client in silent)
            client.Dispose();
        StillServes(task);
        Until(() => Directory.GetFileSystemEntries($"/proc/{task.ShimPid}/fd").Length <= 40);
    }

    [RuntimeFact]
    public void Who_asks_without_reading_is_closed_before_it_fills_memory()
    {
        var task = Created("sleep 1000");
        using var client = task.Connect();
        var json = "{\"op\":\"state\",\"seq\":1}"u8;
        client.Socket.SendTimeout = 2000;
        try
        {
            for (var i = 0; i < 100_000; i++)
                client.SendFrame(0, json);
        }
        catch (System.Net.Sockets.SocketException)
        {
            // Closed.
        }
        StillServes(task);
        var resident = File.ReadLines($"/proc/{task.ShimPid}/status").Single(l => l.StartsWith("VmRSS:"));
        Assert.InRange(int.Parse(resident[6..].Replace("kB", "").Trim()), 0, 24 << 10);
    }

    [RuntimeFact]
    public void A_client_that_vanishes_while_it_waits_is_forgotten()
    {
        var task = Created("sleep 0.3");
        for (var i = 0; i < 20; i++)
        {
            using var client = task.Connect();
            client.Ask("wait");
            client.Ask("attach");
        }
        task.Start();
        task.WaitForShim();
        Assert.Equal(0, (int)task.Record("exit.json")["exitCode"]!);
    }

    [RuntimeFact]
    public void A_connection_is_attached_once()
    {
        using var client = Created("true").Connect();
        client.Call("attach");
        Assert.Equal("AlreadyAttached", client.Refused("attach"));
    }
}
