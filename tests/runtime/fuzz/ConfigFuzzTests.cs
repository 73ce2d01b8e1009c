using System.Text;
using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>
/// config.json with members of other types, values out of range, things that are missing or there twice, and with single bytes changed. What could reach
/// beyond the test (hooks, other roots, groups and devices of the host) is drawn from harmless words.
/// </summary>
public sealed class ConfigFuzzTests : FuzzTest
{
    /// <summary>Every part of the specification that psrun knows, so that there is something to change.</summary>
    const string More = """
        {
          "process": {
            "user": { "uid": 0, "gid": 0, "umask": 18, "additionalGids": [ 5, 6 ] },
            "oomScoreAdj": 100, "scheduler": { "policy": "SCHED_OTHER", "nice": 1, "priority": 0, "flags": [ "SCHED_FLAG_RESET_ON_FORK" ] },
            "ioPriority": { "class": "IOPRIO_CLASS_BE", "priority": 4 }, "consoleSize": { "height": 10, "width": 20 },
            "execCPUAffinity": { "initial": "0", "final": "0" }
          },
          "domainname": "fuzz.example",
          "hooks": { "createRuntime": [ { "path": "/bin/true", "args": [ "true" ], "env": [ "A=1" ], "timeout": 5 } ], "poststop": [ { "path": "/bin/true" } ] },
          "annotations": { "a": "b" },
          "linux": {
            "uidMappings": [], "gidMappings": [], "timeOffsets": {},
            "devices": [ { "path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 438, "uid": 0, "gid": 0 } ],
            "resources": {
              "devices": [ { "allow": false, "access": "rwm" }, { "allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm" } ],
              "memory": { "limit": 67108864, "reservation": 33554432, "swap": -1, "swappiness": 10, "disableOOMKiller": false },
              "cpu": { "shares": 512, "quota": 50000, "period": 100000, "cpus": "0", "mems": "0", "idle": 0, "burst": 0 },
              "pids": { "limit": 100 }, "blockIO": { "weight": 500 }, "hugepageLimits": [], "network": {}, "rdma": {}, "unified": {}
            },
            "sysctl": { "net.ipv4.ip_default_ttl": "70", "kernel.domainname": "x" },
            "rootfsPropagation": "private", "personality": { "domain": "LINUX" }, "memoryPolicy": { "mode": "MPOL_DEFAULT" }
          }
        }
        """;

    static readonly string[] Strings =
    [
        "", " ", "/", ".", "..", "../..", "//", "true", "sh", "/bin/true", "/bin/absent", "/proc", "/proc/self/fd/3", "/dev", "/dev/null", "/sys", "/work", "/etc/passwd", "rootfs",
        "ro", "rw", "rbind", "bind", "nosuid", "rro", "private", "rshared", "size=1k", "mode=999", "mode=-1", "idmap", "tmpcopyup", "tmpfs", "proc", "sysfs", "overlay", "ext4", "bogus",
        "cgroup", "mqueue", "devpts", "CAP_KILL", "CAP_BOGUS", "RLIMIT_NOFILE", "RLIMIT_BOGUS", "pid", "network", "user", "time", "ipc", "uts", "mount", "SCHED_FIFO", "SCHED_DEADLINE",
        "NAME=VALUE", "=", "PATH=", "HOME=", "0-", "0-99999", "4294967296", "-1", "0x10", "1e3", "A\nB", "tab\there", "\u001b[31m", "nul\0nul", "\ud83d\ude00", "\u202e", "1.3.0", "2.0", "c", "b", "a",
        "rwm", "MPOL_BIND", "IOPRIO_CLASS_RT", "LINUX32",
    ];

    [RuntimeFact(NotUnderRunc = "its words are its own")]
    public void Whatever_a_config_says_the_runtime_answers_decently()
    {
        var random = new Random(Seed);
        var whole = Whole();
        for (var i = 0; i < Rounds.Of(250, 10_000); i++)
        {
            var config = JsonNode.Parse(whole)!;
            for (var n = random.Next(1, 5); n > 0; n--)
                Change(random, config);
            Tame(config);
            var bytes = Encoding.UTF8.GetBytes(config.ToJsonString());
            Try(random.Next(4) == 0 ? Garble(random, bytes) : bytes, i);
            if (i % 500 == 499)
                AssertNothingLeft();
        }
        AssertNothingLeft();
    }

    string Whole()
    {
        var bundle = NewBundle().Args("true");
        var config = JsonNode.Parse(bundle.Config.ToJsonString())!;
        Merge(config.AsObject(), JsonNode.Parse(More)!.AsObject());
        // Whole, it runs: otherwise the changes below would all be told the same thing.
        File.WriteAllText(Path.Combine(bundle.Folder, "config.json"), config.ToJsonString());
        Runtime.Run(NewId(), bundle).Ends(0);
        return config.ToJsonString();
    }

    static void Merge(JsonObject into, JsonObject from)
    {
        foreach (var (key, value) in from)
        {
            if (value is JsonObject part && into[key] is JsonObject there)
                Merge(there, part);
            else
                into[key] = value?.DeepClone();
        }
    }

    void Try(byte[] config, int number)
    {
        var folder = Path.Combine(Folder, "bundle0");
        File.WriteAllBytes(Path.Combine(folder, "config.json"), config);
        var id = $"{Tag}-f{number}";
        string Input() => Encoding.UTF8.GetString(config);
        AssertDecent(Runtime.Do(Limited, "run", "--bundle", folder, id), Input);
        AssertNoState(Input);
    }

    /// <summary>One member or element anywhere: another value, another type, gone, or there again.</summary>
    static void Change(Random random, JsonNode root)
    {
        var places = new List<(JsonNode Parent, string? Key, int Index)>();
        Collect(root, places);
        var (parent, key, index) = places[random.Next(places.Count)];
        if (parent is JsonObject o)
        {
            if (random.Next(5) == 0)
                o.Remove(key!);
            else if (random.Next(6) == 0)
                o[Pick(random, Strings)] = o[key!]?.DeepClone();
            else
                o[key!] = Value(random, o[key!]);
        }
        else
        {
            var a = parent.AsArray();
            if (random.Next(5) == 0)
                a.RemoveAt(index);
            else if (random.Next(4) == 0)
                a.Insert(random.Next(a.Count + 1), a[index]?.DeepClone());
            else
                a[index] = Value(random, a[index]);
        }
    }

    static void Collect(JsonNode node, List<(JsonNode, string?, int)> places)
    {
        if (node is JsonObject o)
        {
            foreach (var (key, value) in o)
            {
                places.Add((o, key, 0));
                if (value is not null)
                    Collect(value, places);
            }
        }
        else if (node is JsonArray a)
        {
            for (var i = 0; i < a.Count; i++)
            {
                places.Add((a, null, i));
                if (a[i] is { } value)
                    Collect(value, places);
            }
        }
    }

    static JsonNode? Value(Random random, JsonNode? old) => random.Next(10) switch
    {
        0 => null,
        1 => JsonValue.Create(random.Next(2) == 0),
        2 => JsonValue.Create(Pick(random, 0, 1, -1, 7, 4095, 65536, int.MaxValue, int.MinValue)),
        3 => JsonValue.Create(Pick(random, long.MaxValue, long.MinValue, 4294967295L, 4294967296L, -4294967296L)),
        4 => JsonValue.Create(Pick(random, 0.5, -0.0, 1e300, ulong.MaxValue)),
        5 => new JsonObject(),
        6 => new JsonArray(),
        7 => new JsonArray(JsonValue.Create(Pick(random, Strings)), JsonValue.Create(Pick(random, Strings))),
        8 when old is JsonValue v && v.TryGetValue<string>(out var text) => JsonValue.Create(random.Next(3) switch
        {
            0 => text + Pick(random, Strings),
            1 => text[..random.Next(text.Length + 1)],
            _ => string.Concat(Enumerable.Repeat(text + "x", random.Next(1, 400))),
        }),
        _ => JsonValue.Create(Pick(random, Strings)),
    };

    /// <summary>Nothing of a change may do harm outside: a hook runs on the host, a root and a source are its folders, and a time to wait is one for the test.</summary>
    void Tame(JsonNode config)
    {
        if (config["root"] is JsonObject root && root["path"] is JsonValue path && path.TryGetValue<string>(out var text) && text.StartsWith('/'))
            root["path"] = "rootfs";
        if (config["root"] is JsonObject other && other["path"] is JsonValue relative && relative.TryGetValue(out text) && text.Contains(".."))
            other["path"] = "rootfs/../rootfs";
        if (config["hooks"] is JsonObject hooks)
        {
            foreach (var (_, list) in hooks.ToArray())
                foreach (var hook in list as JsonArray ?? [])
                    if (hook is JsonObject h && h["path"] is JsonValue p && p.TryGetValue(out text) && text is not ("/bin/true" or "/bin/absent"))
                        h["path"] = text.StartsWith('/') ? "/bin/false" : text.Length > 100 ? "relative" : text.TrimStart('/');
        }
        foreach (var mount in config["mounts"] as JsonArray ?? [])
        {
            // Only what the test made, and what every container is given, may show up in the root.
            if (mount is JsonObject m && m["source"] is JsonValue s && s.TryGetValue(out text) && text.StartsWith('/') && text is not ("/dev/null" or "/proc" or "/sys"))
                m["source"] = Path.Combine(Folder, "bundle0/rootfs/work");
        }
        if (config["linux"] is JsonObject linux)
        {
            // Groups of the test's own name alone: they are counted at the end.
            if (linux["cgroupsPath"] is JsonValue group && group.TryGetValue(out text))
                linux["cgroupsPath"] = text.Contains(Tag) && text.LastIndexOf('/') <= 0 ? text : text.Length > 60 ? "/" + Tag + new string('x', 300) : "/" + Tag + "-odd-" + text.Replace("/", "");
            else
                linux["cgroupsPath"] = $"/{Tag}-group0";
        }
    }
}
