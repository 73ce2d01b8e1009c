using System.Text;
using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>What a client of version 1 sent, byte for byte, and what it was answered: a shim goes on understanding it, whatever it learns besides.</summary>
public sealed class ShimTranscriptTests : ShimTest
{
    // Lengths and kinds included. Never changed: clients of that time are out there.
    const string Client = """
        23000000 00 7b226f70223a2268656c6c6f222c22736571223a312c2276657273696f6e223a317d
        17000000 00 7b226f70223a227374617465222c22736571223a327d
        18000000 00 7b226f70223a22617474616368222c22736571223a337d
        17000000 00 7b226f70223a227374617274222c22736571223a347d
        """;

    // "?" stands for what differs from run to run; members that are not named here may stand beside them.
    static readonly string[] Answers =
    [
        """{"seq":1,"version":1,"pid":"?"}""",
        """{"seq":2,"version":1,"id":"?","namespace":"t","state":"created","pid":"?","pidStartTime":"?","shimPid":"?","shimStartTime":"?","createdAt":"?","startedAt":null,"execs":[],"droppedLogBytes":0}""",
        """{"seq":3,"offset":0}""",
        """{"seq":4,"startedAt":"?"}""",
        """{"event":"exit","version":1,"exitCode":3,"signal":null,"oomKilled":false,"startedAt":"?","finishedAt":"?","reason":"Exited"}""",
    ];

    static byte[] Bytes(string hex) => Convert.FromHexString(string.Concat(hex.Where(c => !char.IsWhiteSpace(c))));

    [RuntimeFact]
    public void A_client_of_version_1_is_understood_byte_for_byte()
    {
        var task = Created("echo out; echo err >&2; exit 3");
        using var client = new ShimClient(Path.Combine(task.RunDir, "shim.sock"), hello: false);
        var sent = Bytes(Client);
        // The numbers of the frames above are right.
        for (var at = 0; at < sent.Length; at += 4 + BitConverter.ToInt32(sent, at))
            JsonNode.Parse(sent.AsSpan(at + 5, BitConverter.ToInt32(sent, at) - 1));
        client.Socket.Send(sent);
        foreach (var expected in Answers)
        {
            var said = client.NextJson();
            Assert.NotNull(said);
            foreach (var (name, value) in JsonNode.Parse(expected)!.AsObject())
            {
                Assert.True(said.ContainsKey(name), $"{name} is missing: {said.ToJsonString()}");
                if (value?.ToString() != "?")
                    Assert.True(JsonNode.DeepEquals(value, said[name]), $"{name}: {said.ToJsonString()}");
            }
        }
        Assert.Null(client.NextJson());
        Assert.Equal(("out\n", "err\n"), (client.Out, client.Error));
    }

    [RuntimeTheory]
    [InlineData(1, 1)]
    [InlineData(2, 1)]
    [InlineData(int.MaxValue, 1)]
    public void The_highest_version_that_both_know_is_agreed_on(int asked, int agreed)
    {
        using var client = new ShimClient(Path.Combine(Created("true").RunDir, "shim.sock"), hello: false);
        Assert.Equal(agreed, (int)client.Call("hello", ("version", asked))["version"]!);
        client.Call("state");
    }

    [RuntimeTheory]
    [InlineData(0)]
    [InlineData(-1)]
    public void A_version_that_never_was_is_refused(int asked)
    {
        using var client = new ShimClient(Path.Combine(Created("true").RunDir, "shim.sock"), hello: false);
        Assert.Equal("BadRequest", client.Refused("hello", ("version", asked)));
        Assert.Equal("BadRequest", client.Refused("state"));
    }
}
