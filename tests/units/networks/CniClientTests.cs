using System.Text.Json.Nodes;
using Containers;
using Xunit;

namespace Containers.Tests.Units.Networks;

public sealed class CniClientTests : IDisposable
{
    const string Chain = """{"cniVersion":"1.0.0","name":"net","plugins":[{"type":"first","own":{"a":[1,"b"]},"capabilities":{"mac":true}},{"type":"second","capabilities":{"portMappings":true,"ips":false}}]}""";

    readonly CniTest t = new();

    public void Dispose() => t.Dispose();

    void Plugins(string version = "1.0.0")
    {
        t.AnsweringPlugin("first", "\"ips\":[{\"address\":\"10.9.0.2/24\"}]", version);
        t.AnsweringPlugin("second", "\"ips\":[{\"address\":\"10.9.0.2/24\"}],\"dns\":{\"domain\":\"x\"}", version);
    }

    static JsonObject Capabilities => new() { ["mac"] = "02:00:00:00:00:01", ["portMappings"] = new JsonArray(new JsonObject { ["hostPort"] = 80 }), ["ips"] = new JsonArray("10.9.0.9/24") };

    [Fact]
    public async Task Add_calls_each_plugin_with_what_libcni_gives()
    {
        Environment.SetEnvironmentVariable("SECRET_OF_TEST", "x");
        Environment.SetEnvironmentVariable("CNI_OF_THE_CALLER", "x");
        Plugins();
        var result = await t.Client().AddAsync(CniTest.Parse(Chain), CniTest.Attachment(Capabilities), t.Limit);
        Assert.Equal(["first ADD", "second ADD"], t.Calls);
        Assert.Equal("x", (string)result["dns"]!["domain"]!);
        // libcni leaves the caller's environment, but for what is CNI's own.
        Assert.Equal([
            "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAME=a", "CNI_COMMAND=ADD", "CNI_CONTAINERID=box-1", "CNI_IFNAME=eth0", "CNI_NETNS=/run/netns/none-such", "CNI_PATH=" + t.Programs, "SECRET_OF_TEST=x",
        ], t.Variables(0));
        Same("""{"type":"first","own":{"a":[1,"b"]},"capabilities":{"mac":true},"name":"net","cniVersion":"1.0.0","runtimeConfig":{"mac":"02:00:00:00:00:01"}}""", t.Input(0));
        Same("""{"type":"second","capabilities":{"portMappings":true,"ips":false},"name":"net","cniVersion":"1.0.0","prevResult":{"cniVersion":"1.0.0","ips":[{"address":"10.9.0.2/24"}]},"runtimeConfig":{"portMappings":[{"hostPort":80}]}}""", t.Input(1));
    }

    static void Same(string expected, JsonObject actual) => Assert.True(JsonNode.DeepEquals(JsonNode.Parse(expected), actual), actual.ToJsonString());

    [Fact]
    public async Task Delete_goes_from_the_end_with_the_result_and_may_be_repeated()
    {
        Plugins();
        var network = CniTest.Parse(Chain);
        var result = new JsonObject { ["cniVersion"] = "1.0.0", ["ips"] = new JsonArray() };
        await t.Client().DeleteAsync(network, CniTest.Attachment(Capabilities), result, t.Limit);
        await t.Client().DeleteAsync(network, CniTest.Attachment(), null, t.Limit);
        Assert.Equal(["second DEL", "first DEL", "second DEL", "first DEL"], t.Calls);
        Assert.True(JsonNode.DeepEquals(result, t.Input(0)["prevResult"]) && JsonNode.DeepEquals(result, t.Input(1)["prevResult"]));
        Assert.NotNull(t.Input(0)["runtimeConfig"]);
        Assert.Null(t.Input(2)["prevResult"]);
    }

    [Fact]
    public async Task Before_0_4_0_delete_gets_no_result_and_there_is_no_check()
    {
        Plugins("0.3.1");
        var network = CniTest.Parse(Chain.Replace("1.0.0", "0.3.1"));
        var result = await t.Client().AddAsync(network, CniTest.Attachment(), t.Limit);
        await t.Client().DeleteAsync(network, CniTest.Attachment(), result, t.Limit);
        Assert.Null(t.Input(2)["prevResult"]);
        await CniTest.Refused(ErrorIds.NotSupported, () => t.Client().CheckAsync(network, CniTest.Attachment(), result, t.Limit));
    }

    [Fact]
    public async Task Check_asks_each_with_the_result_unless_the_network_forbids_it()
    {
        Plugins();
        var result = new JsonObject { ["cniVersion"] = "1.0.0" };
        await t.Client().CheckAsync(CniTest.Parse(Chain), CniTest.Attachment(), result, t.Limit);
        Assert.Equal(["first CHECK", "second CHECK"], t.Calls);
        Assert.Equal("1.0.0", (string)t.Input(1)["prevResult"]!["cniVersion"]!);
        await t.Client().CheckAsync(CniTest.Parse(Chain.Replace("\"name\"", "\"disableCheck\":true,\"name\"")), CniTest.Attachment(), result, t.Limit);
        Assert.Equal(2, t.Calls.Count);
    }

    [Fact]
    public async Task A_plugin_s_error_has_its_code_message_and_details_and_nothing_stays_up()
    {
        t.AnsweringPlugin("first", "\"ips\":[]");
        t.Plugin("second", """[ "$CNI_COMMAND" = ADD ] && { echo '{"cniVersion":"1.0.0","code":7,"msg":"no such master","details":"eth9 is not there"}'; exit 1; }""");
        var e = await CniTest.Refused(ErrorIds.NetworkPluginFailed, () => t.Client().AddAsync(CniTest.Parse(Chain), CniTest.Attachment(), t.Limit));
        var said = Assert.IsType<NetworkPluginException>(e.InnerException);
        Assert.Equal(("second", "ADD", 7, "no such master", "eth9 is not there"), (said.Plugin, said.Command, said.Code, said.Message, said.Details));
        Assert.Equal("net", e.Target);
        Assert.Equal(["first ADD", "second ADD", "second DEL", "first DEL"], t.Calls);
    }

    [Theory]
    [InlineData("echo broken >&2; exit 3", "broken")]
    [InlineData("exit 4", "status 4")]
    [InlineData("echo no json", "no json")]
    [InlineData("echo '[]'", "no object")]
    [InlineData("exit 0", "answers nothing")]
    [InlineData("echo '{\"cniVersion\":\"0.4.0\"}'", "0.4.0")]
    [InlineData("kill -9 $$", "status")]
    [InlineData("head -c 5000000 /dev/zero", "more than")]
    public async Task An_answer_that_is_none_is_told_as_it_is(string script, string word)
    {
        t.Plugin("first", $"[ \"$CNI_COMMAND\" = ADD ] && {{ {script}; }}");
        t.Plugin("second");
        var e = await CniTest.Refused(ErrorIds.NetworkPluginFailed, () => t.Client().AddAsync(CniTest.Parse(Chain), CniTest.Attachment(), t.Limit));
        Assert.Contains(word, e.Message);
        Assert.Equal(["first ADD", "second DEL", "first DEL"], t.Calls);
    }

    [Fact]
    public async Task A_plugin_that_hangs_is_ended_and_what_it_began_is_taken_down()
    {
        t.Plugin("first", """[ "$CNI_COMMAND" = ADD ] && exec sleep 1000""");
        t.Plugin("second");
        var e = await CniTest.Refused(ErrorIds.NetworkPluginFailed, () => t.Client(TimeSpan.FromSeconds(10)).AddAsync(CniTest.Parse(Chain), CniTest.Attachment(), t.Limit));
        Assert.Contains("not done within", e.Message);
        Assert.Contains("first DEL", t.Calls);
    }

    [Fact]
    public async Task A_plugin_that_is_missing_is_named_before_anything_is_done()
    {
        t.AnsweringPlugin("first", "\"ips\":[]");
        File.WriteAllText(Path.Combine(t.Programs, "second"), "not executable");
        var e = await CniTest.Refused(ErrorIds.NetworkPluginNotFound, () => t.Client().AddAsync(CniTest.Parse(Chain), CniTest.Attachment(), t.Limit));
        Assert.Equal(("second", ContainerErrorCategory.NotInstalled), (e.Target, e.Category));
        Assert.Empty(t.Calls);
    }

    [Fact]
    public async Task Delete_takes_unknown_container_for_done_and_stops_at_other_errors()
    {
        t.Plugin("first", "");
        t.Plugin("second", """echo '{"cniVersion":"1.0.0","code":3,"msg":"unknown"}'; exit 1""");
        await t.Client().DeleteAsync(CniTest.Parse(Chain), CniTest.Attachment(), null, t.Limit);
        t.Plugin("second", """echo '{"cniVersion":"1.0.0","code":11,"msg":"later"}'; exit 1""");
        var e = await CniTest.Refused(ErrorIds.NetworkPluginFailed, () => t.Client().DeleteAsync(CniTest.Parse(Chain), CniTest.Attachment(), null, t.Limit));
        Assert.Equal(11, ((NetworkPluginException)e.InnerException!).Code);
        Assert.Equal(["second DEL", "first DEL", "second DEL"], t.Calls);
    }

    [Fact]
    public async Task Collection_and_status_are_asked_of_networks_of_version_1_1_0()
    {
        Plugins("1.1.0");
        var old = CniTest.Parse(Chain);
        await t.Client().CollectAsync(old, [("box-1", "eth0")], t.Limit);
        await t.Client().StatusAsync(old, t.Limit);
        Assert.Empty(t.Calls);
        var network = CniTest.Parse(Chain.Replace("1.0.0", "1.1.0"));
        await t.Client().CollectAsync(network, [("box-1", "eth0"), ("box-2", "eth1")], t.Limit);
        await t.Client().StatusAsync(network, t.Limit);
        Assert.Equal(["first GC", "second GC", "first STATUS", "second STATUS"], t.Calls);
        var kept = JsonNode.Parse("""[{"containerID":"box-1","ifname":"eth0"},{"containerID":"box-2","ifname":"eth1"}]""");
        Assert.True(JsonNode.DeepEquals(kept, t.Input(0)["cni.dev/valid-attachments"]) && JsonNode.DeepEquals(kept, t.Input(0)["cni.dev/attachments"]));
        Assert.Contains("CNI_CONTAINERID=", t.Variables(0));
        await t.Client().CollectAsync(CniTest.Parse(Chain.Replace("1.0.0", "1.1.0").Replace("\"name\"", "\"disableGC\":true,\"name\"")), [], t.Limit);
        Assert.Equal(4, t.Calls.Count);
        t.Plugin("first", """echo '{"cniVersion":"1.1.0","code":50,"msg":"no upstream"}'; exit 1""");
        Assert.Equal(50, ((NetworkPluginException)(await CniTest.Refused(ErrorIds.NetworkPluginFailed, () => t.Client().StatusAsync(network, t.Limit))).InnerException!).Code);
        // Whoever else has to collect is asked all the same.
        await CniTest.Refused(ErrorIds.NetworkPluginFailed, () => t.Client().CollectAsync(network, [], t.Limit));
        Assert.Equal("second GC", t.Calls[^1]);
    }

    [Fact]
    public async Task A_network_in_a_version_that_its_plugin_does_not_know_is_found()
    {
        t.Plugin("first", """echo '{"cniVersion":"1.0.0","supportedVersions":["0.4.0","1.0.0"]}'""");
        t.Plugin("second", """echo '{"cniVersion":"1.0.0","supportedVersions":["0.4.0"]}'""");
        var e = await CniTest.Refused(ErrorIds.NetworkInvalid, () => t.Client().ValidateAsync(CniTest.Parse(Chain), t.Limit));
        Assert.Contains("second", e.Message);
        Assert.Equal(["first VERSION", "second VERSION"], t.Calls);
        await t.Client().ValidateAsync(CniTest.Parse(Chain.Replace("1.0.0", "0.4.0")), t.Limit);
    }

    [Theory]
    [InlineData("-a", "/x", "eth0")]
    [InlineData("a/b", "/x", "eth0")]
    [InlineData("a", "x", "eth0")]
    [InlineData("a", "/x", "sixteen-bytes-xx")]
    [InlineData("a", "/x", "a/b")]
    [InlineData("a", "/x", "..")]
    [InlineData("a", "/x", "a b")]
    [InlineData("a", "/x", "")]
    public async Task Names_that_would_mean_something_else_reach_no_plugin(string id, string space, string name)
    {
        Plugins();
        var attachment = new CniAttachment { ContainerId = id, NetworkNamespace = space, Interface = name };
        await CniTest.Refused(ErrorIds.InvalidArgument, () => t.Client().AddAsync(CniTest.Parse(Chain), attachment, t.Limit));
        Assert.Empty(t.Calls);
    }

    [Fact]
    public async Task A_record_is_read_as_it_was_written_and_damage_is_named()
    {
        var records = new CniRecords(Path.Combine(t.Folder, "records"));
        using (var held = await records.LockAsync("box-1", t.Limit))
        {
            records.Save(new CniRecord { Network = CniTest.Parse(Chain), Attachment = CniTest.Attachment(Capabilities), ContainerNamespace = "default", Container = "box" });
            Assert.Null(records.Load("box-1", "eth0")!.Result);
            records.Save(new CniRecord { Network = CniTest.Parse(Chain), Attachment = CniTest.Attachment(Capabilities), Result = new JsonObject { ["cniVersion"] = "1.0.0" }, ContainerNamespace = "default", Container = "box" });
        }
        var read = records.Load("box-1", "eth0")!;
        Assert.Equal(("net", "1.0.0", "box-1", "/run/netns/none-such", "default", "box"), (read.Network.Name, read.Network.Version, read.Attachment.ContainerId, read.Attachment.NetworkNamespace, read.ContainerNamespace, read.Container));
        Assert.Equal("IgnoreUnknown=1;K8S_POD_NAME=a", read.Attachment.ArgumentText);
        Assert.True(JsonNode.DeepEquals(Capabilities, read.Attachment.Capabilities));
        Assert.Equal(["portMappings"], read.Network.Plugins[1].Capabilities);
        Assert.NotNull(read.Result);
        Assert.Equal(["box-1"], records.ListContainers());
        Assert.Null(records.Load("box-1", "eth1"));
        File.WriteAllText(Path.Combine(t.Folder, "records/box-1/eth0"), "{}");
        CniTest.Refused(ErrorIds.StoreDamaged, () => records.Load("box-1", "eth0"));
        records.Remove("box-1", "eth0");
        records.Unlock("box-1", await records.LockAsync("box-1", t.Limit));
        Assert.False(Directory.Exists(Path.Combine(t.Folder, "records")));
    }
}
