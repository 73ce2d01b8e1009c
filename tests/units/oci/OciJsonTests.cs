using System.Collections;
using System.Reflection;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Containers.Linux.Oci;
using Xunit;

namespace Containers.Tests.Units.Oci;

public class OciJsonTests
{
    static byte[] Utf8(string text) => Encoding.UTF8.GetBytes(text);

    static bool Same(string a, string b) => JsonNode.DeepEquals(JsonNode.Parse(a), JsonNode.Parse(b));

    [Fact]
    public void Every_member_of_the_specification_has_a_property()
    {
        var spec = OciJson.ReadSpec(FullSpec.Bytes);
        Assert.Empty(UnknownIn(spec));
        Assert.True(Same(FullSpec.Json, Encoding.UTF8.GetString(OciJson.WriteSpec(spec))));
    }

    [Fact]
    public void Values_arrive_where_they_belong()
    {
        var spec = OciJson.ReadSpec(FullSpec.Bytes);
        Assert.Equal(["sh", "-c", "echo 'hi <there>' + é"], spec.Process!.Args!);
        Assert.Equal(ulong.MaxValue, spec.Process.Rlimits![0].Hard);
        Assert.Equal([5u, 6u], spec.Process.User!.AdditionalGids!);
        Assert.Equal(-500, spec.Process.OomScoreAdj);
        Assert.Equal("", spec.Process.Env![1][2..]);
        Assert.Empty(spec.Process.Capabilities!.Inheritable!);
        Assert.Equal(-1, spec.Linux!.Resources!.Memory!.Swap);
        Assert.Equal(9223372036854775808ul, spec.Linux.Resources.HugepageLimits![0].Limit);
        Assert.Equal("container_eth0", spec.Linux.NetDevices!["eth0"].Name);
        Assert.Null(spec.Linux.NetDevices["ens4"].Name);
        Assert.Equal(-172800, spec.Linux.TimeOffsets!["monotonic"].Secs);
        Assert.Equal("empty", spec.Annotations![""]);
        Assert.Equal("new", spec.FreeBsd!.Value.GetProperty("jail").GetProperty("host").GetString());
    }

    public static TheoryData<Type> ObjectTypes()
    {
        var data = new TheoryData<Type>();
        foreach (var type in typeof(SpecObject).Assembly.GetTypes())
        {
            if (type.IsSubclassOf(typeof(SpecObject))) { data.Add(type); }
        }
        return data;
    }

    [Theory]
    [MemberData(nameof(ObjectTypes))]
    public void Every_property_is_written_and_read_again(Type type)
    {
        var value = (SpecObject)Sample(type, 0)!;
        var json = OciJson.Write(value);
        var names = JsonNode.Parse(json)!.AsObject().Count;
        Assert.Equal(type.GetProperties().Length, names); // each property, and one unknown member instead of Unknown
        var again = (SpecObject)typeof(OciJsonTests).GetMethod(nameof(ReadAny), BindingFlags.Static | BindingFlags.NonPublic)!
            .MakeGenericMethod(type).Invoke(null, BindingFlags.DoNotWrapExceptions, null, [json], null)!;
        Assert.Equal(Encoding.UTF8.GetString(json), Encoding.UTF8.GetString(OciJson.Write(again)));
    }

    static T ReadAny<T>(byte[] json) where T : SpecObject, new() => OciJson.Read<T>(json);

    [Fact]
    public void An_empty_object_writes_nothing() => Assert.Equal("{}", Encoding.UTF8.GetString(OciJson.Write(new Spec())));

    [Theory]
    [InlineData("""{"x-new":{"a":[1,2.50,null,"s"]},"ociVersion":"1.9.0"}""")]
    [InlineData("""{"process":{"later":true,"user":{"uid":0,"sid":"S-1"}}}""")]
    [InlineData("""{"linux":{"resources":{"memory":{"limit":1,"zswap":-1},"misc":{"a":"b"}},"namespaces":[{"type":"pid","flags":[1]}]}}""")]
    [InlineData("""{"linux":{"intelRdt":{"enableCMT":true,"enableMBM":false}},"mounts":[{"destination":"/","tmpcopyup":1}]}""")]
    [InlineData("""{"linux":{"timeOffsets":{"boottime":{"secs":1,"x":1e400}},"netDevices":{"a":{"y":[[]]}}}}""")]
    public void Unknown_members_survive(string json)
    {
        var spec = OciJson.ReadSpec(Utf8(json));
        Assert.NotEmpty(UnknownIn(spec));
        Assert.Equal(Sorted(JsonNode.Parse(json)!), Sorted(JsonNode.Parse(OciJson.WriteSpec(spec))!));
    }

    [Theory]
    [InlineData("""{"process":{"args":["a",5]}}""", "process.args[1]", "expected a string, found the number 5")]
    [InlineData("""{"process":{"args":"sh"}}""", "process.args", "expected an array, found a string")]
    [InlineData("""{"process":{"args":[null]}}""", "process.args[0]", "expected a string, found null")]
    [InlineData("""{"process":[]}""", "process", "expected an object, found an array")]
    [InlineData("""{"process":{"user":{"uid":-1}}}""", "process.user.uid", "expected a whole number from 0 to 4294967295, found the number -1")]
    [InlineData("""{"process":{"user":{"uid":4294967296}}}""", "process.user.uid", "expected a whole number from 0 to 4294967295, found the number 4294967296")]
    [InlineData("""{"process":{"user":{"uid":1.5}}}""", "process.user.uid", "expected a whole number from 0 to 4294967295, found the number 1.5")]
    [InlineData("""{"process":{"user":{"uid":"0"}}}""", "process.user.uid", "expected a number, found a string")]
    [InlineData("""{"process":{"terminal":"yes"}}""", "process.terminal", "expected true or false, found a string")]
    [InlineData("""{"mounts":[{"destination":"/a"},{"destination":{}}]}""", "mounts[1].destination", "expected a string, found an object")]
    [InlineData("""{"mounts":[{"options":["ro",["x"]]}]}""", "mounts[0].options[1]", "expected a string, found an array")]
    [InlineData("""{"annotations":{"com.example":1}}""", "annotations[\"com.example\"]", "expected a string, found the number 1")]
    [InlineData("""{"linux":{"sysctl":{"a":null}}}""", "linux.sysctl.a", "expected a string, found null")]
    [InlineData("""{"linux":{"resources":{"cpu":{"shares":true}}}}""", "linux.resources.cpu.shares", "expected a number, found a boolean")]
    [InlineData("""{"linux":{"resources":{"blockIO":{"weight":70000}}}}""", "linux.resources.blockIO.weight", "expected a whole number from 0 to 65535, found the number 70000")]
    [InlineData("""{"linux":{"resources":{"memory":{"limit":9223372036854775808}}}}""", "linux.resources.memory.limit", "expected a whole number from -9223372036854775808 to 9223372036854775807, found the number 9223372036854775808")]
    [InlineData("""{"linux":{"timeOffsets":{"mono":3}}}""", "linux.timeOffsets.mono", "expected an object, found the number 3")]
    [InlineData("""{"linux":{"seccomp":{"syscalls":[{"names":["a"],"args":[{"index":0},{"op":1}]}]}}}""", "linux.seccomp.syscalls[0].args[1].op", "expected a string, found the number 1")]
    [InlineData("""{"windows":"x"}""", "windows", "expected an object, found a string")]
    [InlineData("""[]""", "", "expected an object, found an array")]
    [InlineData("""null""", "", "expected an object, found null")]
    public void A_wrong_type_is_refused_with_its_path(string json, string path, string problem)
    {
        var e = Assert.Throws<SpecException>(() => OciJson.ReadSpec(Utf8(json)));
        Assert.Equal(path, e.Path);
        Assert.Equal(path.Length == 0 ? problem : path + ": " + problem, e.Message);
    }

    [Fact]
    public void A_process_on_its_own_is_named_in_paths() =>
        Assert.Equal("process.args[1]", Assert.Throws<SpecException>(() => OciJson.ReadProcess("""{"args":["a",5]}"""u8)).Path);

    [Fact]
    public void Resources_on_their_own_are_named_in_paths() =>
        Assert.Equal("resources.pids.limit", Assert.Throws<SpecException>(() => OciJson.ReadResources("""{"pids":{"limit":[]}}"""u8)).Path);

    [Theory]
    [InlineData("""{"process":{"args":["a"],"args":["b"]}}""", "process.args")]
    [InlineData("""{"root":{"path":"a"},"root":{"readonly":true}}""", "root")]
    [InlineData("""{"root":{"path":"a","p\u0061th":"b"}}""", "root.path")]
    [InlineData("""{"x":1,"x":2}""", "x")]
    [InlineData("""{"annotations":{"a":"1","a":"2"}}""", "annotations.a")]
    [InlineData("""{"linux":{"rdma":{}, "resources":{"rdma":{"d":{},"d":{}}}}}""", "linux.resources.rdma.d")]
    public void A_member_that_is_there_twice_is_refused(string json, string path)
    {
        var e = Assert.Throws<SpecException>(() => OciJson.ReadSpec(Utf8(json)));
        Assert.Equal(path, e.Path);
    }

    [Fact]
    public void Null_means_not_given()
    {
        var spec = OciJson.ReadSpec("""{"process":null,"hostname":null,"linux":{"resources":null,"namespaces":null,"sysctl":null},"vm":null}"""u8);
        Assert.Null(spec.Process);
        Assert.Equal("""{"linux":{}}""", Encoding.UTF8.GetString(OciJson.WriteSpec(spec)));
    }

    [Fact]
    public void Names_are_matched_exactly()
    {
        var spec = OciJson.ReadSpec("""{"Process":{"args":[]},"ociversion":"1"}"""u8);
        Assert.Null(spec.Process);
        Assert.Equal(2, spec.Unknown!.Count);
    }

    [Fact]
    public void An_escaped_name_is_the_same_name() =>
        Assert.Equal("h", OciJson.ReadSpec("""{"hostn\u0061me":"h"}"""u8).Hostname);

    [Theory]
    [InlineData("")]
    [InlineData(" ")]
    [InlineData("{")]
    [InlineData("{\"a\":")]
    [InlineData("{} {}")]
    [InlineData("{}x")]
    [InlineData("{\"process\":{\"args\":[\"a\",]}}")]
    [InlineData("{,}")]
    [InlineData("// note\n{}")]
    [InlineData("{'a':1}")]
    [InlineData("{\"a\":01}")]
    [InlineData("{\"a\":NaN}")]
    [InlineData("{\"a\":\"\n\"}")]
    [InlineData("\uFEFF{}")]
    [InlineData("{\"hostname\":\"a\\ud800\"}")]
    [InlineData("{\"\\udc00\":1}")]
    [InlineData("{\"annotations\":{\"\\ud800\":\"\"}}")]
    [InlineData("{\"annotations\":{\"a\":\"\\ud800\"}}")]
    [InlineData("{\"x\":[\"\\ud800\"]}")]
    [InlineData("{\"x\":{\"\\ud800\":1}}")]
    [InlineData("{\"process\":{\"args\":[\"a\\u0000b\"]}}")]
    [InlineData("{\"annotations\":{\"a\\u0000\":\"\"}}")]
    public void What_is_not_a_document_is_refused(string json) => Assert.Throws<SpecException>(() => OciJson.ReadSpec(Utf8(json)));

    [Fact]
    public void Malformed_input_is_refused_by_line_and_byte() =>
        Assert.Equal("not valid JSON at line 2, byte 7", Assert.Throws<SpecException>(() => OciJson.ReadSpec("{\n \"a\": x}"u8)).Message);

    [Fact]
    public void Invalid_utf8_is_refused()
    {
        Assert.Throws<SpecException>(() => OciJson.ReadSpec([(byte)'{', (byte)'"', 0xff, (byte)'"', (byte)':', (byte)'1', (byte)'}']));
        Assert.Throws<SpecException>(() => OciJson.ReadSpec([.. "{\"x\":\""u8, 0xc3, .. "\"}"u8]));
    }

    [Fact]
    public void Depth_ends_at_64()
    {
        // The document itself is the first level.
        var spec = OciJson.ReadSpec(Utf8($"{{\"x\":{new string('[', 63)}{new string(']', 63)}}}"));
        Assert.Single(OciJson.ReadSpec(OciJson.WriteSpec(spec)).Unknown!);
        Assert.Throws<SpecException>(() => OciJson.ReadSpec(Utf8($"{{\"x\":{new string('[', 64)}{new string(']', 64)}}}")));
        Assert.Throws<SpecException>(() => OciJson.ReadSpec(Utf8(new string('[', 1 << 20))));
        Assert.Throws<SpecException>(() => OciJson.ReadSpec(Utf8("{\"process\":" + string.Concat(Enumerable.Repeat("{\"user\":", 10000)))));
    }

    [Fact]
    public void Size_ends_at_16_MiB()
    {
        var fits = Utf8("{\"hostname\":\"" + new string('a', OciJson.MaxSize - 15) + "\"}");
        Assert.Equal(OciJson.MaxSize, fits.Length);
        Assert.Equal(OciJson.MaxSize - 15, OciJson.ReadSpec(fits).Hostname!.Length);
        Assert.Throws<SpecException>(() => OciJson.ReadSpec([.. fits, (byte)' ']));
    }

    [Fact]
    public void A_hostile_key_cannot_reach_a_terminal_through_the_message()
    {
        var e = Assert.Throws<SpecException>(() => OciJson.ReadSpec(Utf8("{\"annotations\":{\"\\u001b[2J\\n" + new string('k', 500) + "\":1}}")));
        Assert.DoesNotContain(e.Message, char.IsControl);
        Assert.True(e.Message.Length < 200);
    }

    [Fact]
    public void Any_damage_to_a_document_is_read_or_refused_never_worse()
    {
        var random = new Random(20260101);
        var whole = FullSpec.Bytes;
        var refused = 0;
        for (var i = 0; i < 20000; i++)
        {
            var damaged = (byte[])whole.Clone();
            for (var n = random.Next(1, 4); n > 0; n--)
            {
                damaged[random.Next(damaged.Length)] = random.Next(3) == 0 ? (byte)random.Next(256) : "{}[]\",:0-n\\"u8[random.Next(11)];
            }
            var length = random.Next(4) == 0 ? random.Next(damaged.Length) : damaged.Length;
            try { OciJson.WriteSpec(OciJson.ReadSpec(damaged.AsSpan(0, length))); }
            catch (SpecException) { refused++; }
        }
        Assert.InRange(refused, 1000, 19999);
    }

    [Fact]
    public void Text_stays_readable() =>
        Assert.Equal("""{"hostname":"a+<é>"}""", Encoding.UTF8.GetString(OciJson.WriteSpec(new Spec { Hostname = "a+<é>" })));

    [Fact]
    public void Indented_output_has_a_line_for_each_member() =>
        Assert.Equal("{\n  \"hostname\": \"a\"\n}", Encoding.UTF8.GetString(OciJson.WriteSpec(new Spec { Hostname = "a" }, indented: true)).ReplaceLineEndings("\n"));

    [Fact]
    public void Objects_stand_inside_serialized_documents()
    {
        var text = JsonSerializer.Serialize(new Holder { Spec = OciJson.ReadSpec(FullSpec.Bytes) });
        Assert.True(Same($"{{\"Spec\":{FullSpec.Json}}}", text));
        Assert.Equal("h", JsonSerializer.Deserialize<Holder>(text)!.Spec!.Hostname);
        Assert.Equal("process.args[0]", Assert.Throws<SpecException>(() => JsonSerializer.Deserialize<Holder>("""{"Spec":{"process":{"args":[1]}}}""")).Path);
    }

    [Fact]
    public void State_and_features_use_the_spelling_of_the_specification()
    {
        var state = OciJson.ReadState("""{"ociVersion":"1.3.0","id":"a","status":"running","pid":4,"bundle":"/b","annotations":{"k":"v"}}"""u8);
        Assert.Equal(("a", 4), (state.Id, state.Pid));
        Assert.Null(state.Unknown);
        var features = OciJson.ReadFeatures("""
            {"ociVersionMin":"1.0.0","ociVersionMax":"1.3.0","hooks":["prestart"],"mountOptions":["ro"],
             "linux":{"namespaces":["pid"],"capabilities":["CAP_CHOWN"],"cgroup":{"v1":true,"v2":true,"systemd":false,"systemdUser":false,"rdma":true},
              "seccomp":{"enabled":true,"actions":["SCMP_ACT_LOG"],"operators":["SCMP_CMP_EQ"],"archs":["SCMP_ARCH_ARM"],"knownFlags":[],"supportedFlags":[]},
              "apparmor":{"enabled":false},"selinux":{"enabled":false},"intelRdt":{"enabled":false,"schemata":false,"monitoring":false},
              "memoryPolicy":{"modes":["MPOL_BIND"],"flags":[]},"mountExtensions":{"idmap":{"enabled":true}},"netDevices":{"enabled":true}},
             "annotations":{"a":"b"},"potentiallyUnsafeConfigAnnotations":["com.example."]}
            """u8);
        Assert.Empty(UnknownIn(features));
        Assert.True(features.Linux!.MountExtensions!.IdMap!.Enabled);
    }

    sealed class Holder
    {
        public Spec? Spec { get; set; }
    }

    static List<string> UnknownIn(object? value)
    {
        var found = new List<string>();
        if (value is SpecObject o)
        {
            if (o.Unknown is { } unknown) { found.AddRange(unknown.Keys); }
            foreach (var p in o.GetType().GetProperties()) { found.AddRange(UnknownIn(p.GetValue(o))); }
        }
        else if (value is IDictionary map) { foreach (var item in map.Values) { found.AddRange(UnknownIn(item)); } }
        else if (value is IList list) { foreach (var item in list) { found.AddRange(UnknownIn(item)); } }
        return found;
    }

    static string Sorted(JsonNode? node) => node switch
    {
        JsonObject o => "{" + string.Join(",", o.OrderBy(p => p.Key, StringComparer.Ordinal).Select(p => p.Key + ":" + Sorted(p.Value))) + "}",
        JsonArray a => "[" + string.Join(",", a.Select(Sorted)) + "]",
        null => "null",
        _ => node.ToJsonString(),
    };

    static object? Sample(Type type, int depth)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        if (type == typeof(string)) { return "s"; }
        if (type == typeof(bool)) { return true; }
        if (type == typeof(JsonElement)) { return JsonDocument.Parse("""{"k":[1]}""").RootElement; }
        if (type.IsPrimitive) { return Convert.ChangeType(type.GetField("MaxValue")!.GetValue(null), type); }
        var value = Activator.CreateInstance(type)!;
        if (value is IDictionary map) { map["k"] = Sample(type.GenericTypeArguments[1], depth + 1); }
        else if (value is IList list) { list.Add(Sample(type.GenericTypeArguments[0], depth + 1)); }
        else { foreach (var p in type.GetProperties()) { p.SetValue(value, Sample(p.PropertyType, depth + 1)); } }
        return value;
    }
}
