using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary><c>update</c>: the limits of a container that runs.</summary>
public sealed class UpdateTests : RuntimeTest
{
    static bool IsV2 => File.Exists("/sys/fs/cgroup/cgroup.controllers");

    /// <summary>The number or text in a file of the container's group, by its names on v1 and on v2.</summary>
    static string Value(int pid, string controller, string v1, string v2)
    {
        foreach (var line in File.ReadLines($"/proc/{pid}/cgroup"))
        {
            var parts = line.Split(':', 3);
            if (IsV2 ? parts[1] == "" : parts[1].Split(',').Contains(controller))
                return File.ReadAllText($"/sys/fs/cgroup/{parts[1]}{parts[2]}/{(IsV2 ? v2 : v1)}").Trim();
        }
        throw new DirectoryNotFoundException(controller);
    }

    static string Memory(int pid) => Value(pid, "memory", "memory.limit_in_bytes", "memory.max");

    static string Tasks(int pid) => Value(pid, "pids", "pids.max", "pids.max");

    [RuntimeTheory]
    [InlineData("--memory", "67108864", "memory", "memory.limit_in_bytes", "memory.max", "67108864", "67108864")]
    [InlineData("--memory", "64m", "memory", "memory.limit_in_bytes", "memory.max", "67108864", "67108864")]
    [InlineData("--memory", "0.5GiB", "memory", "memory.limit_in_bytes", "memory.max", "536870912", "536870912")]
    [InlineData("--memory-reservation", "33554432", "memory", "memory.soft_limit_in_bytes", "memory.low", "33554432", "33554432")]
    [InlineData("--pids-limit", "77", "pids", "pids.max", "pids.max", "77", "77")]
    [InlineData("--cpu-share", "512", "cpu", "cpu.shares", "cpu.weight", "512", "20")]
    [InlineData("--cpu-quota", "30000", "cpu", "cpu.cfs_quota_us", "cpu.max", "30000", "30000 100000")]
    [InlineData("--cpu-period", "50000", "cpu", "cpu.cfs_period_us", "cpu.max", "50000", "max 50000")]
    [InlineData("--cpuset-cpus", "0", "cpuset", "cpuset.cpus", "cpuset.cpus", "0", "0")]
    [InlineData("--cpuset-mems", "0", "cpuset", "cpuset.mems", "cpuset.mems", "0", "0")]
    public void An_option_sets_its_limit(string option, string value, string controller, string v1, string v2, string expected1, string expected2)
    {
        var (id, pid) = Start(Sleeper());
        Runtime.Do("update", option, value, id).Ends(0);
        Assert.Equal(IsV2 ? expected2 : expected1, Value(pid, controller, v1, v2));
    }

    [RuntimeTheory(NotUnderRunc = "1.1 does not know it")]
    [InlineData("--cpu-idle", "1", "cpu.idle", "cpu.idle", "1")]
    [InlineData("--cpu-burst", "10000", "cpu.cfs_burst_us", "cpu.max.burst", "10000")]
    public void Newer_options_of_the_processor_set_theirs(string option, string value, string v1, string v2, string expected)
    {
        var (id, pid) = Start(Sleeper().Change(b => b.Linux["resources"]!["cpu"] = new JsonObject { ["quota"] = 50000, ["period"] = 100000 }));
        Runtime.Do("update", option, value, id).Ends(0);
        Assert.Equal(expected, Value(pid, "cpu", v1, v2));
    }

    [RuntimeFact]
    public void Memory_and_swap_go_up_and_down_together()
    {
        var (id, pid) = Start(Sleeper().Change(b => b.Linux["resources"]!["memory"] = new JsonObject { ["limit"] = 64 << 20, ["swap"] = 96 << 20 }));
        string Swap() => Value(pid, "memory", "memory.memsw.limit_in_bytes", "memory.swap.max");
        long Both(long memory, long both) => IsV2 ? both - memory : both;

        Runtime.Do("update", "--memory", "256m", "--memory-swap", "512m", id).Ends(0);
        Assert.Equal((256L << 20, Both(256 << 20, 512 << 20)), (long.Parse(Memory(pid)), long.Parse(Swap())));
        Runtime.Do("update", "--memory", "32m", "--memory-swap", "48m", id).Ends(0);
        Assert.Equal((32L << 20, Both(32 << 20, 48 << 20)), (long.Parse(Memory(pid)), long.Parse(Swap())));
        Runtime.Do("update", "--memory-swap", "128m", id).Ends(0);
        Assert.Equal((32L << 20, Both(32 << 20, 128 << 20)), (long.Parse(Memory(pid)), long.Parse(Swap())));
        Runtime.Do("update", "--memory", "-1", id).Ends(0);
        Assert.Contains(Memory(pid), (string[])["9223372036854771712", "max"]);
        Assert.Contains(Swap(), (string[])["9223372036854771712", "max"]);
    }

    [RuntimeFact]
    public void Resources_come_from_a_file_and_from_standard_input()
    {
        var (id, pid) = Start(Sleeper());
        var file = Path.Combine(Folder, "resources.json");
        File.WriteAllText(file, """{ "memory": { "limit": 134217728 }, "pids": { "limit": 50 }, "cpu": { "cpus": "0" } }""");
        Runtime.Do("update", "--resources", file, id).Ends(0);
        Assert.Equal(("134217728", "50", "0"), (Memory(pid), Tasks(pid), Value(pid, "cpuset", "cpuset.cpus", "cpuset.cpus")));
        Runtime.Do(new SpawnOptions { Input = """{ "memory": { "limit": 100663296 } }""" }, "update", "-r", "-", id).Ends(0);
        Assert.Equal("100663296", Memory(pid));
        if (!UnderTest.IsRunc) // which then takes this one away
            Assert.Equal("50", Tasks(pid));
    }

    [RuntimeFact]
    public void The_processor_of_a_running_program_changes()
    {
        var (id, pid) = Start(Sleeper());
        Runtime.Do("update", "--cpuset-cpus", "0", id).Ends(0);
        Assert.Contains("Cpus_allowed_list:\t0\n", File.ReadAllText($"/proc/{pid}/status"));
    }

    [RuntimeFact]
    public void A_created_and_a_paused_container_can_be_updated_and_a_stopped_one_cannot()
    {
        var (id, pid) = Create(Sleeper());
        Runtime.Do("update", "--pids-limit", "20", id).Ends(0);
        Assert.Equal("20", Tasks(pid));
        Runtime.Do("start", id).Ends(0);
        Runtime.Do("pause", id).Ends(0);
        Runtime.Do("update", "--pids-limit", "21", id).Ends(0);
        Assert.Equal("21", Tasks(pid));
        Assert.Equal("paused", Runtime.Status(id));
        Runtime.Do("resume", id).Ends(0);
        Runtime.Do("kill", id, "KILL").Ends(0);
        Runtime.WaitForEnd(pid);
        Assert.Contains("not running", Runtime.Do("update", "--pids-limit", "22", id).Ends(1).Stderr);
    }

    [RuntimeFact(NotUnderRunc = "1.1 says itself that setting back failed")]
    public void A_limit_that_is_refused_takes_the_others_back()
    {
        var (id, pid) = Start(Sleeper().Change(b =>
        {
            b.Linux["resources"]!["memory"] = new JsonObject { ["limit"] = 64 << 20, ["swap"] = 96 << 20 };
            b.Linux["resources"]!["cpu"] = new JsonObject { ["shares"] = 300 };
            b.Linux["resources"]!["pids"] = new JsonObject { ["limit"] = 30 };
        }));
        string[] All() => [Memory(pid), Value(pid, "memory", "memory.memsw.limit_in_bytes", "memory.swap.max"), Value(pid, "cpu", "cpu.shares", "cpu.weight"), Tasks(pid)];
        var before = All();
        var result = Runtime.Do("update", "--memory", "128m", "--memory-swap", "1g", "--cpu-share", "900", "--pids-limit", "99", "--blkio-weight", "7", id);
        if (result.ExitCode == 0)
            return; // this kernel takes such a weight
        Assert.Contains("blockIO", result.Stderr);
        Assert.Equal(before, All());
    }

    [RuntimeTheory]
    [InlineData("--memory", "1")]
    [InlineData("--memory", "many")]
    [InlineData("--memory", "5q")]
    [InlineData("--cpu-quota", "x")]
    [InlineData("--cpu-share", "-3")]
    [InlineData("--cpuset-cpus", "4000")]
    [InlineData("--l3-cache-schema", "L3:0=f")]
    [InlineData("--nosuch", "1")]
    public void What_cannot_be_is_refused_and_changes_nothing(string option, string value)
    {
        // Below what is in use: v1 refuses it, v2 takes it and kills.
        if (value == "1" && File.Exists("/sys/fs/cgroup/cgroup.controllers"))
            return;
        var (id, pid) = Start(Sleeper().Change(b => b.Linux["resources"]!["memory"] = new JsonObject { ["limit"] = 64 << 20 }));
        Assert.NotEmpty(Runtime.Do("update", option, value, id).Ends(1).Stderr);
        Assert.Equal((64 << 20).ToString(), Memory(pid));
    }

    [RuntimeTheory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("""{ "memory": { "limit": "much" } }""")]
    public void Resources_that_are_none_are_refused(string text)
    {
        var (id, _) = Start(Sleeper());
        Assert.NotEmpty(Runtime.Do(new SpawnOptions { Input = text }, "update", "-r", "-", id).Ends(1).Stderr);
    }

    [RuntimeFact]
    public void Device_rules_that_are_the_bundles_stay_in_force()
    {
        var bundle = Sleeper();
        var (id, _) = Start(bundle);
        Runtime.Do(new SpawnOptions { Input = bundle.Linux["resources"]!.ToJsonString() }, "update", "-r", "-", id).Ends(0);
        Runtime.Exec(id, "sh", "-c", "echo x >/dev/null").Ends(0);
    }

    [RuntimeFact(NotUnderRunc = "it leaves device rules out of an update")]
    public void Other_device_rules_take_the_old_ones_place()
    {
        var (id, _) = Start(Sleeper().Change(b =>
        {
            b.Linux["devices"] = new JsonArray(new JsonObject { ["path"] = "/dev/fuse", ["type"] = "c", ["major"] = 10, ["minor"] = 229 });
        }));
        Runtime.Exec(id, "sh", "-c", "test -c /dev/fuse && ! (: </dev/fuse)").Ends(0);
        Runtime.Do(new SpawnOptions { Input = """{ "devices": [ { "allow": false, "access": "rwm" }, { "allow": true, "type": "c", "major": 10, "minor": 229, "access": "r" } ] }""" },
            "update", "-r", "-", id).Ends(0);
        Runtime.Exec(id, "sh", "-c", "exec 3</dev/fuse").Ends(0);
        Runtime.Exec(id, "sh", "-c", "echo x >/dev/null").Ends(0);
    }
}
