using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>
/// Control groups on the host as it is: v1 hierarchies and the unified tree beside them, or the unified tree alone. Files are looked up
/// under both names.
/// </summary>
public sealed class CgroupTests : RuntimeTest
{
    /// <summary>The host folder of a process in the hierarchy of a controller.</summary>
    static string GroupOf(int pid, string controller)
    {
        string? unified = null;
        foreach (var line in File.ReadLines($"/proc/{pid}/cgroup"))
        {
            var parts = line.Split(':', 3);
            if (parts[1].Split(',').Contains(controller))
                return $"/sys/fs/cgroup/{parts[1]}{parts[2]}";
            if (parts[1] == "")
                unified = parts[2];
        }
        return "/sys/fs/cgroup" + unified;
    }

    static string Value(int pid, string controller, string file1, string file2)
    {
        var folder = GroupOf(pid, controller);
        var path = Path.Combine(folder, file1);
        return File.ReadAllText(File.Exists(path) ? path : Path.Combine(folder, file2)).Trim();
    }

    static Bundle With(Bundle bundle, string controller, JsonObject values) =>
        bundle.Change(b => b.Linux["resources"]![controller] = values);

    [RuntimeFact]
    public void A_memory_limit_is_set()
    {
        var (_, pid) = Start(With(Sleeper(), "memory", new JsonObject { ["limit"] = 64 << 20, ["reservation"] = 32 << 20 }));
        Assert.Equal((64 << 20).ToString(), Value(pid, "memory", "memory.limit_in_bytes", "memory.max"));
        Assert.Equal((32 << 20).ToString(), Value(pid, "memory", "memory.soft_limit_in_bytes", "memory.low"));
    }

    [RuntimeFact]
    public void A_memory_limit_is_kept()
    {
        // The shell grows a variable until the kernel ends it; its end is its parent's, so it runs as the init itself.
        var bundle = With(NewBundle().Shell("x=0123456789; while :; do x=$x$x; done").WithoutNamespace("pid"), "memory",
            new JsonObject { ["limit"] = 24 << 20, ["swap"] = 24 << 20 });
        Run(bundle).Ends(137);
    }

    [RuntimeFact]
    public void Processor_shares_quota_and_period_are_set()
    {
        var (_, pid) = Start(With(Sleeper(), "cpu", new JsonObject { ["shares"] = 512, ["quota"] = 25000, ["period"] = 50000 }));
        var folder = GroupOf(pid, "cpu");
        if (File.Exists(Path.Combine(folder, "cpu.max")))
        {
            Assert.Equal("25000 50000", File.ReadAllText(Path.Combine(folder, "cpu.max")).Trim());
            return;
        }
        Assert.Equal("512", Value(pid, "cpu", "cpu.shares", "cpu.weight"));
        Assert.Equal("25000", Value(pid, "cpu", "cpu.cfs_quota_us", ""));
        Assert.Equal("50000", Value(pid, "cpu", "cpu.cfs_period_us", ""));
    }

    [RuntimeFact]
    public void Processors_and_memory_nodes_are_set()
    {
        var (id, pid) = Start(With(Sleeper(), "cpu", new JsonObject { ["cpus"] = "0", ["mems"] = "0" }));
        Assert.Equal("0", Value(pid, "cpuset", "cpuset.cpus", "cpuset.cpus"));
        Assert.Equal("0", Value(pid, "cpuset", "cpuset.mems", "cpuset.mems"));
        Assert.Equal("Cpus_allowed_list:\t0\n", Runtime.Do("exec", id, "grep", "Cpus_allowed_list", "/proc/self/status").Ends(0).Stdout);
    }

    [RuntimeFact]
    public void A_limit_of_processes_is_set_and_kept()
    {
        var bundle = With(NewBundle().Shell("for i in 1 2 3 4 5 6 7 8; do sleep 1000 & done; sleep 1000"), "pids", new JsonObject { ["limit"] = 4 });
        var result = Run(bundle);
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains("can't fork", result.Stderr);

        var (_, pid) = Start(With(Sleeper(), "pids", new JsonObject { ["limit"] = 4 }));
        Assert.Equal("4", Value(pid, "pids", "pids.max", "pids.max"));
    }

    [RuntimeFact]
    public void Devices_are_denied_but_for_the_default_ones_and_the_bundles()
    {
        var bundle = NewBundle().Shell("""
            cd /dev
            mknod mem c 1 1 2>&1; mknod fuse c 10 229 && echo fuse made
            echo x >/dev/null && echo null works
            """).Change(b =>
        {
            foreach (var set in (string[])["bounding", "effective", "permitted"])
                b.Process["capabilities"]![set]!.AsArray().Add((JsonNode)"CAP_MKNOD");
            b.Linux["resources"]!["devices"] = new JsonArray(
                new JsonObject { ["allow"] = false, ["access"] = "rwm" },
                new JsonObject { ["allow"] = true, ["type"] = "c", ["major"] = 10, ["minor"] = 229, ["access"] = "rwm" });
        });
        // Only what is in the kernel's list may be opened; mknod of the rest is allowed since runc's default rules allow c *:* m.
        var result = Run(bundle).Ends(0);
        Assert.Contains("fuse made", result.Stdout);
        Assert.Contains("null works", result.Stdout);
    }

    [RuntimeFact]
    public void A_denied_device_cannot_be_opened()
    {
        var bundle = NewBundle().Shell("mknod /dev/mem c 1 1; head -c 1 /dev/mem").Change(b =>
        {
            foreach (var set in (string[])["bounding", "effective", "permitted"])
                b.Process["capabilities"]![set] = Bundle.Strings("CAP_MKNOD", "CAP_SYS_RAWIO");
        });
        var result = Run(bundle);
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains("Operation not permitted", result.Stderr);
    }

    [RuntimeFact]
    public void Without_rules_no_device_but_the_default_ones_is_open()
    {
        var bundle = NewBundle().Shell("mknod /dev/mem c 1 1; head -c 1 /dev/mem").Change(b =>
        {
            b.Linux["resources"]!.AsObject().Remove("devices");
            foreach (var set in (string[])["bounding", "effective", "permitted"])
                b.Process["capabilities"]![set] = Bundle.Strings("CAP_MKNOD", "CAP_SYS_RAWIO");
        });
        Assert.NotEqual(0, Run(bundle).ExitCode);
    }

    [RuntimeFact]
    public void The_path_is_the_bundles_in_every_hierarchy()
    {
        var (_, pid) = Start(Sleeper().Change(b => b.Linux["cgroupsPath"] = $"/{Tag}-parent/child"));
        try
        {
            Assert.All(HostState.Groups(File.ReadLines($"/proc/{pid}/cgroup")), line => Assert.EndsWith($":/{Tag}-parent/child", line));
        }
        finally
        {
            parents.Add($"{Tag}-parent");
        }
    }

    readonly List<string> parents = [];

    /// <summary>A parent that the bundle named may stay when the container goes: the runtime cannot know whose it is.</summary>
    protected override void CleanUp()
    {
        if (parents.Count == 0)
            return;
        foreach (var id in Runtime.Do("list", "-q").Lines)
            Runtime.Do("delete", "--force", id).Ends(0);
        foreach (var parent in parents)
        {
            foreach (var hierarchy in Directory.EnumerateDirectories("/sys/fs/cgroup").Append("/sys/fs/cgroup"))
            {
                Assert.False(Directory.Exists($"{hierarchy}/{parent}/child"));
                if (Directory.Exists($"{hierarchy}/{parent}"))
                    Directory.Delete($"{hierarchy}/{parent}");
            }
        }
    }

    [RuntimeFact]
    public void Without_a_path_the_group_has_the_containers_name()
    {
        var (id, pid) = Start(Sleeper().Change(b => b.Linux.Remove("cgroupsPath")));
        Assert.All(HostState.Groups(File.ReadLines($"/proc/{pid}/cgroup")), line => Assert.EndsWith("/" + id, line));
    }

    [RuntimeFact(NotUnderRunc = "it takes the dots away")]
    public void A_path_with_dots_is_refused_by_name()
    {
        var result = Run(Sleeper().Change(b => b.Linux["cgroupsPath"] = $"../../../../../../{Tag}-dots")).Ends(1);
        Assert.Contains("cgroupsPath", result.Stderr);
        Assert.False(Directory.Exists($"/{Tag}-dots"));
        Assert.False(Directory.Exists($"/sys/fs/{Tag}-dots"));
        AssertNothingLeft();
    }

    [RuntimeFact]
    public void In_a_cgroup_namespace_the_group_is_the_root()
    {
        var lines = Run(NewBundle().Args("cat", "/proc/self/cgroup")).Ends(0).Lines;
        Assert.NotEmpty(lines);
        Assert.All(HostState.Groups(lines), line => Assert.EndsWith(":/", line));
    }

    [RuntimeFact]
    public void Without_a_cgroup_namespace_the_path_is_seen()
    {
        var lines = Run(NewBundle().Args("cat", "/proc/self/cgroup").WithoutNamespace("cgroup")).Ends(0).Lines;
        Assert.All(HostState.Groups(lines), line => Assert.Contains(Tag, line));
    }

    [RuntimeFact]
    public void The_container_sees_its_own_limits()
    {
        var bundle = With(NewBundle().Shell("cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max"), "memory",
            new JsonObject { ["limit"] = 64 << 20 });
        Assert.Equal((64 << 20) + "\n", Run(bundle).Ends(0).Stdout);
    }

    [RuntimeFact]
    public void The_container_cannot_change_its_limits()
    {
        var bundle = NewBundle().Shell("for f in /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max; do test -e $f && echo 9 >$f; done");
        var result = Run(bundle);
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains("Read-only file system", result.Stderr);
    }

    [RuntimeFact]
    public void Groups_that_the_container_made_go_with_it()
    {
        var bundle = NewBundle().Shell("cd /sys/fs/cgroup; test -d pids && cd pids; mkdir -p inner/deeper && sleep 1000").Change(b =>
            b.Mounts.Single(mount => (string?)mount!["type"] == "cgroup")!["options"] = Bundle.Strings("nosuid", "noexec", "nodev"));
        var (id, pid) = Start(bundle);
        var inner = Path.Combine(GroupOf(pid, "pids"), "inner/deeper");
        Until(() => Directory.Exists(inner));
        Runtime.Do("delete", "--force", id).Ends(0);
        AssertNothingLeft();
    }

    [RuntimeFact]
    public void A_stopped_containers_groups_go_at_delete()
    {
        var (id, pid) = Start(Sleeper());
        Runtime.Do("kill", id, "KILL").Ends(0);
        Runtime.WaitForEnd(pid);
        Runtime.Do("delete", id).Ends(0);
        Assert.Empty(HostState.Cgroups(Tag));
    }

    [RuntimeTheory]
    [InlineData("memory", "limit", 1)]
    [InlineData("cpu", "quota", 1)]
    [InlineData("cpu", "period", 1)]
    public void A_limit_that_the_kernel_refuses_fails_the_run_and_leaves_nothing(string controller, string name, int value)
    {
        var result = Run(With(NewBundle().Args("true"), controller, new JsonObject { [name] = value })).Ends(1);
        Assert.NotEmpty(result.Stderr);
        AssertNothingLeft();
    }

    [RuntimeFact]
    public void A_processor_that_is_not_there_fails_the_run_and_leaves_nothing()
    {
        Run(With(NewBundle().Args("true"), "cpu", new JsonObject { ["cpus"] = "4000" })).Ends(1);
        AssertNothingLeft();
    }

    [RuntimeFact]
    public void No_limit_is_minus_one()
    {
        var (_, pid) = Start(With(With(Sleeper(), "memory", new JsonObject { ["limit"] = -1 }), "pids", new JsonObject { ["limit"] = -1 }));
        Assert.Equal("max", Value(pid, "pids", "pids.max", "pids.max"));
        Assert.Contains(Value(pid, "memory", "memory.limit_in_bytes", "memory.max"), (string[])["9223372036854771712", "max"]);
    }
}
