using Containers.Linux.Cgroups;
using Containers.Linux.Oci;
using Xunit;

namespace Containers.Tests.Units.Cgroups;

/// <summary>Plans of limits over recorded hosts: which files, in which order, what is refused before a write, and what a refused write leaves.</summary>
public sealed class LimitPlanTests
{
    const string None = "9223372036854771712\n";

    static string[] Shown(CgroupPlan plan) => [.. plan.Writes.Select(write => $"{write.File}={write.Value}")];

    // A recorded file keeps the tail of what was longer: the kernel's do not.
    static void IsAgain(IEnumerable<string> before, IEnumerable<string> now)
    {
        foreach (var (old, text) in before.Zip(now)) { Assert.StartsWith(old, text); }
    }

    static RecordedHost V1()
    {
        var host = RecordedHost.V1();
        host.Write("memory", "/g", "memory.limit_in_bytes", None);
        host.Write("memory", "/g", "memory.memsw.limit_in_bytes", None);
        host.Write("memory", "/g", "memory.soft_limit_in_bytes", None);
        host.Write("memory", "/g", "memory.usage_in_bytes", "0\n");
        host.Write("memory", "/g", "memory.swappiness", "60\n");
        host.Write("memory", "/g", "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n");
        host.Write("cpu", "/g", "cpu.shares", "1024\n");
        host.Write("cpu", "/g", "cpu.idle", "0\n");
        host.Write("cpu", "/g", "cpu.cfs_quota_us", "-1\n");
        host.Write("cpu", "/g", "cpu.cfs_period_us", "100000\n");
        host.Write("cpu", "/g", "cpu.cfs_burst_us", "0\n");
        host.Write("pids", "/g", "pids.max", "max\n");
        host.Write("cpuset", "/", "cpuset.effective_cpus", "0-3\n");
        host.Write("cpuset", "/", "cpuset.cpus", "0-3\n");
        host.Write("cpuset", "/g", "cpuset.cpus", "0-3\n");
        host.Write("net_cls", "/g", "net_cls.classid", "0\n");
        host.Write("net_cls", "/g", "net_prio.ifpriomap", "lo 0\neth0 7\n");
        host.Write("blkio", "/g", "blkio.throttle.read_bps_device", "8:0 1000\n");
        host.Write("blkio", "/g", "blkio.throttle.write_bps_device", "");
        host.Write("hugetlb", "/g", "hugetlb.2MB.limit_in_bytes", None);
        host.Write("devices", "/g", "devices.list", "c 1:3 rwm\nc 5:0 rw\n");
        host.Write("devices", "/g", "devices.allow");
        host.Write("devices", "/g", "devices.deny");
        return host;
    }

    static RecordedHost V2(bool enabled = true)
    {
        var host = RecordedHost.V2();
        host.Write(2, "/", "cgroup.subtree_control", enabled ? "cpuset cpu io memory hugetlb pids\n" : "cpu\n");
        host.Write(2, "/g", "cgroup.controllers", enabled ? "cpuset cpu io memory hugetlb pids\n" : "cpu\n");
        host.Write(2, "/", "cpuset.cpus.effective", "0-3\n");
        host.Write(2, "/g", "cpu.max", "max 100000\n");
        host.Write(2, "/g", "cpu.max.burst", "0\n");
        host.Write(2, "/g", "cpu.weight", "300\n");
        host.Write(2, "/g", "cpu.idle", "0\n");
        if (!enabled) { return host; }
        foreach (var (file, text) in new[]
        {
            ("memory.max", "max"), ("memory.swap.max", "max"), ("memory.high", "max"), ("memory.low", "0"), ("memory.min", "0"), ("memory.current", "4096"), ("memory.oom.group", "0"), ("memory.stat", "inactive_file 0\nactive_file 0"),
            ("pids.max", "max"), ("io.max", "8:0 rbps=1 wbps=max riops=max wiops=max"), ("io.weight", "default 100\n8:0 50"), ("io.latency", ""), ("cpuset.cpus", ""), ("cpuset.cpus.partition", "member"), ("hugetlb.2MB.max", "max"),
        }) { host.Write(2, "/g", file, text + "\n"); }
        return host;
    }

    [Fact]
    public void V1RaisesSwapFirstAndLowersItLast()
    {
        using var host = V1();
        var group = host.Host.Group("/g");
        Assert.Equal(["memory.limit_in_bytes=1048576", "memory.memsw.limit_in_bytes=2097152"], Shown(group.PlanLimits(new() { Memory = 1 << 20, MemorySwap = 2 << 20 })));
        host.Write("memory", "/g", "memory.limit_in_bytes", "1048576\n");
        host.Write("memory", "/g", "memory.memsw.limit_in_bytes", "1048576\n");
        Assert.Equal(["memory.memsw.limit_in_bytes=4194304", "memory.limit_in_bytes=4194304"], Shown(group.PlanLimits(new() { Memory = 4 << 20, MemorySwap = 4 << 20 })));
        Assert.Equal(["memory.memsw.limit_in_bytes=-1", "memory.limit_in_bytes=-1"], Shown(group.PlanLimits(new() { Memory = -1 })));
    }

    [Fact]
    public void V1SetsABurstAfterTheQuotaGrowsAndBeforeItShrinks()
    {
        using var host = V1();
        var group = host.Host.Group("/g");
        Assert.Equal(["cpu.cfs_quota_us=50000", "cpu.cfs_burst_us=20000"], Shown(group.PlanLimits(new() { Cpu = 0.5, CpuBurst = TimeSpan.FromMilliseconds(20) })));
        host.Write("cpu", "/g", "cpu.cfs_quota_us", "50000\n");
        host.Write("cpu", "/g", "cpu.cfs_burst_us", "40000\n");
        Assert.Equal(["cpu.cfs_burst_us=10000", "cpu.cfs_quota_us=20000"], Shown(group.PlanLimits(new() { Cpu = 0.2, CpuBurst = TimeSpan.FromMilliseconds(10) })));
        Assert.Equal("InvalidLimit", Assert.Throws<CgroupException>(() => group.PlanLimits(new() { Cpu = 0.2 })).Id);
    }

    [Fact]
    public void V1TakesEachWordToItsFile()
    {
        using var host = V1();
        var plan = host.Host.Group("/g").PlanLimits(new()
        {
            MemoryReservation = 4096, Swappiness = 10, OomKillDisable = true, CpuWeight = 100, CpuIdle = false, CpuSet = "1-2", ProcessLimit = 5, NetClass = 0x100001,
            NetPriority = new Dictionary<string, uint> { ["lo"] = 3, ["eth0"] = 7 }, HugePageLimit = new Dictionary<string, long> { ["2MB"] = 2 << 20 },
            IoLimit = [new("8:0", 2000, 500, null, null)], Values = new Dictionary<string, string> { ["memory.swappiness"] = "11" },
        });
        Assert.Equal(
            [
                "memory.soft_limit_in_bytes=4096", "memory.swappiness=10", "memory.oom_control=1", "cpuset.cpus=1-2", "pids.max=5", "blkio.throttle.read_bps_device=8:0 2000",
                "blkio.throttle.write_bps_device=8:0 500", "hugetlb.2MB.limit_in_bytes=2097152", "net_cls.classid=1048577", "net_prio.ifpriomap=lo 3", "memory.swappiness=11",
            ], Shown(plan));
    }

    [Fact]
    public void WhatIsRefusedAtTheEndIsPutBackFromTheBeginning()
    {
        using var host = V1();
        var allow = host.Host.Find("devices")!.MountPoint + "/g/devices.allow";
        File.Delete(allow);
        Directory.CreateDirectory(allow);
        var group = host.Host.Group("/g");
        string[] files = ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.swappiness"];
        var before = files.Select(file => host.Read("memory", "/g", file).Trim()).ToArray();
        var plan = group.PlanLimits(new() { Memory = 1 << 20, MemorySwap = 1 << 20, Swappiness = 5, Cpu = 0.5, ProcessLimit = 9, DeviceRule = [new() { Allow = true, Type = "c", Major = 10, Minor = 200, Access = "rwm" }] });
        var refused = Assert.Throws<CgroupException>(plan.Apply);
        Assert.Equal("CgroupLimitRefused", refused.Id);
        Assert.Contains("devices.allow", refused.Message);
        Assert.Contains("EISDIR", refused.Message);
        IsAgain(before, files.Select(file => host.Read("memory", "/g", file)));
        Assert.StartsWith("-1", host.Read("cpu", "/g", "cpu.cfs_quota_us"));
        Assert.StartsWith("max", host.Read("pids", "/g", "pids.max"));
    }

    [Theory]
    [InlineData(0), InlineData(1), InlineData(2), InlineData(3), InlineData(4), InlineData(5)]
    public void V2PutsBackWhateverWasWrittenBeforeTheRefusal(int at)
    {
        using var host = V2();
        // In the order of the plan; each in turn is a folder, which takes no write.
        string[] files = ["memory.max", "memory.high", "cpu.weight", "cpu.max", "pids.max", "hugetlb.2MB.max"];
        var path = host.Host.Unified!.MountPoint + "/g/";
        File.Delete(path + files[at]);
        Directory.CreateDirectory(path + files[at]);
        var before = files.Where((_, i) => i != at).Select(file => host.Read(2, "/g", file).Trim()).ToArray();
        var plan = host.Host.Group("/g").PlanLimits(new() { Memory = 1 << 20, MemoryHigh = 1 << 19, CpuWeight = 50, Cpu = 0.5, ProcessLimit = 7, HugePageLimit = new Dictionary<string, long> { ["2MB"] = 0 } });
        Assert.Contains(files[at], Assert.Throws<CgroupException>(plan.Apply).Message);
        IsAgain(before, files.Where((_, i) => i != at).Select(file => host.Read(2, "/g", file)));
    }

    [Fact]
    public void V2TakesEachWordToItsFile()
    {
        using var host = V2();
        var plan = host.Host.Group("/g").PlanLimits(new()
        {
            Memory = 2 << 20, MemorySwap = 3 << 20, MemoryHigh = 1 << 20, MemoryLow = 4096, MemoryMinimum = 8192, OomGroup = true, Cpu = 1.5, CpuBurst = TimeSpan.FromMilliseconds(1), CpuWeight = 50,
            CpuSet = "0,2", CpuSetPartition = CgroupPartition.Isolated, ProcessLimit = 5, IoWeight = 200, IoLimit = [new("8:0", -1, 500, null, 10)],
            IoLatency = new Dictionary<string, TimeSpan> { ["8:0"] = TimeSpan.FromMilliseconds(10) }, HugePageLimit = new Dictionary<string, long> { ["2MB"] = -1 },
        });
        Assert.Equal(
            [
                "memory.swap.max=1048576", "memory.max=2097152", "memory.high=1048576", "memory.low=4096", "memory.min=8192", "memory.oom.group=1", "cpu.weight=50", "cpu.max=150000 100000", "cpu.max.burst=1000",
                "cpuset.cpus=0,2", "cpuset.cpus.partition=isolated", "pids.max=5", "io.weight=200", "io.max=8:0 rbps=max wbps=500 wiops=10", "io.latency=8:0 target=10000",
            ], Shown(plan));
        plan.Apply();
        Assert.StartsWith("2097152", host.Read(2, "/g", "memory.max"));
        Assert.Equal("", plan.RollBack());
        Assert.StartsWith("max", host.Read(2, "/g", "memory.max"));
        Assert.StartsWith("8:0 rbps=1 wbps=max riops=max wiops=max", host.Read(2, "/g", "io.max"));
    }

    [Fact]
    public void V2KeepsTheSumOfMemoryAndSwapWhenMemoryAloneIsNamed()
    {
        using var host = V2();
        host.Write(2, "/g", "memory.max", "2097152\n");
        host.Write(2, "/g", "memory.swap.max", "1048576\n");
        Assert.Equal(["memory.swap.max=2097152", "memory.max=1048576"], Shown(host.Host.Group("/g").PlanLimits(new() { Memory = 1 << 20 })));
        Assert.Equal("InvalidLimit", Assert.Throws<CgroupException>(() => host.Host.Group("/g").PlanLimits(new() { Memory = 8 << 20 })).Id);
    }

    [Fact]
    public void V2EnablesAControllerDownTheTree()
    {
        using var host = V2(enabled: false);
        host.Write(2, "/g/h", "cgroup.controllers", "\n");
        host.Write(2, "/g", "cgroup.subtree_control", "\n");
        var plan = host.Host.Group("/g/h").PlanLimits(new() { ProcessLimit = 5, Memory = 1 << 20 });
        Assert.Equal(
            ["/cgroup.subtree_control=+memory", "/g/cgroup.subtree_control=+memory", "/g/h/memory.max=1048576", "/cgroup.subtree_control=+pids", "/g/cgroup.subtree_control=+pids", "/g/h/pids.max=5"],
            plan.Writes.Select(write => $"{write.Folder[host.Host.Unified!.MountPoint.Length..]}/{write.File}={write.Value}"));
        // Here nothing makes the files of a controller that is enabled: the write of memory.max is refused, and what was enabled goes again.
        Assert.Throws<CgroupNotSupportedException>(plan.Apply);
        Assert.StartsWith("-memory", host.Read(2, "/", "cgroup.subtree_control"));
    }

    [Fact]
    public void AnIdleGroupGetsItsWeightBack()
    {
        using var host = V2();
        var plan = host.Host.Group("/g").PlanLimits(new() { CpuIdle = true });
        plan.Apply();
        host.Write(2, "/g", "cpu.weight", "0\n");
        Assert.Equal("", plan.RollBack());
        Assert.StartsWith("0", host.Read(2, "/g", "cpu.idle"));
        Assert.StartsWith("300", host.Read(2, "/g", "cpu.weight"));
    }

    public static TheoryData<string, CgroupLimitChange, string> Refused => new()
    {
        { "v1", new() { MemoryHigh = 1 }, "CgroupNotSupported" },
        { "v1", new() { MemoryLow = 1 }, "CgroupNotSupported" },
        { "v1", new() { MemoryMinimum = 1 }, "CgroupNotSupported" },
        { "v1", new() { OomGroup = true }, "CgroupNotSupported" },
        { "v1", new() { CpuSetPartition = CgroupPartition.Root }, "CgroupNotSupported" },
        { "v1", new() { IoLatency = new Dictionary<string, TimeSpan> { ["8:0"] = TimeSpan.FromSeconds(1) } }, "CgroupNotSupported" },
        { "v1", new() { Values = new Dictionary<string, string> { ["memory.oom.group"] = "1" } }, "CgroupNotSupported" },
        { "v1", new() { Values = new Dictionary<string, string> { ["misc.max"] = "x 1" } }, "CgroupNotSupported" },
        { "v2", new() { Swappiness = 1 }, "CgroupNotSupported" },
        { "v2", new() { OomKillDisable = true }, "CgroupNotSupported" },
        { "v2", new() { NetClass = 1 }, "CgroupNotSupported" },
        { "v2", new() { NetPriority = new Dictionary<string, uint> { ["lo"] = 1 } }, "CgroupNotSupported" },
        { "v2", new() { Values = new Dictionary<string, string> { ["memory.limit_in_bytes"] = "1" } }, "CgroupNotSupported" },
        { "hybrid", new() { HugePageLimit = new Dictionary<string, long> { ["2MB"] = 1 } }, "CgroupNotSupported" },
        { "hybrid", new() { ProcessLimit = 1 }, "CgroupNotSupported" },
        { "v2", new() { Memory = 0 }, "InvalidLimit" },
        { "v2", new() { MemorySwap = 1 }, "InvalidLimit" },
        { "v1", new() { Memory = 4096, MemorySwap = 1024 }, "InvalidLimit" },
        { "v1", new() { Swappiness = 101 }, "InvalidLimit" },
        { "v1", new() { Cpu = 0 }, "InvalidLimit" },
        { "v2", new() { CpuWeight = 10001 }, "InvalidLimit" },
        { "v2", new() { HugePageLimit = new Dictionary<string, long> { ["2MB"] = 3 << 20 } }, "InvalidLimit" },
        { "v2", new() { CpuIdle = true, CpuWeight = 5 }, "InvalidLimit" },
        { "v2", new() { CpuBurst = TimeSpan.FromMilliseconds(1) }, "InvalidLimit" },
        { "v2", new() { CpuSet = "0-9" }, "InvalidLimit" },
        { "v1", new() { CpuSet = "3-1" }, "InvalidLimit" },
        { "v2", new() { IoWeight = 0 }, "InvalidLimit" },
        { "v2", new() { IoLimit = [new("sda", 1, null, null, null)] }, "InvalidLimit" },
        { "v2", new() { IoLimit = [new("8:0", 0, null, null, null)] }, "InvalidLimit" },
        { "v2", new() { HugePageLimit = new Dictionary<string, long> { ["../2MB"] = 1 } }, "InvalidLimit" },
        { "v1", new() { NetPriority = new Dictionary<string, uint> { ["none"] = 1 } }, "InvalidLimit" },
        { "v2", new() { Values = new Dictionary<string, string> { ["cgroup.procs"] = "1" } }, "InvalidLimit" },
        { "v2", new() { Values = new Dictionary<string, string> { ["cgroup.kill"] = "1" } }, "InvalidLimit" },
        { "v2", new() { Values = new Dictionary<string, string> { ["../cgroup.procs"] = "1" } }, "InvalidLimit" },
        { "v2", new() { Values = new Dictionary<string, string> { ["io.max"] = "8:0 rbps=1" } }, "InvalidLimit" },
        { "v2", new() { Values = new Dictionary<string, string> { ["memory.high"] = "1\n2" } }, "InvalidLimit" },
    };

    [Theory, MemberData(nameof(Refused))]
    public void IsRefusedBeforeAnyWrite(string kind, CgroupLimitChange change, string id)
    {
        using var host = kind == "v1" ? V1() : kind == "v2" ? V2() : RecordedHost.Hybrid();
        if (kind == "hybrid") { host.Write("memory", "/g", "memory.limit_in_bytes", None); }
        Assert.Equal(id, Assert.ThrowsAny<CgroupException>(() => host.Host.Group("/g").PlanLimits(change)).Id);
    }

    [Fact]
    public void MemoryBelowWhatIsInUseIsRefusedButCacheCanGo()
    {
        using var host = V2();
        host.Write(2, "/g", "memory.current", "1000000\n");
        host.Write(2, "/g", "memory.stat", "anon 100000\ninactive_file 600000\nactive_file 300000\n");
        Assert.Equal("CgroupLimitRefused", Assert.Throws<CgroupException>(() => host.Host.Group("/g").PlanLimits(new() { Memory = 50_000 })).Id);
        Assert.Equal(["memory.max=200000"], Shown(host.Host.Group("/g").PlanLimits(new() { Memory = 200_000 })));
    }

    [Fact]
    public void V1GivesNoGroupMoreProcessorsThanItsParent()
    {
        using var host = V1();
        host.Write("cpu", "/g", "cpu.cfs_quota_us", "50000\n");
        host.Write("cpu", "/g/h", "cpu.cfs_quota_us", "-1\n");
        host.Write("cpu", "/g/h", "cpu.cfs_period_us", "100000\n");
        host.Write("cpu", "/g/h", "cpu.cfs_burst_us", "0\n");
        Assert.Equal("InvalidLimit", Assert.Throws<CgroupException>(() => host.Host.Group("/g/h").PlanLimits(new() { Cpu = 0.6 })).Id);
        Assert.Equal(["cpu.cfs_quota_us=40000"], Shown(host.Host.Group("/g/h").PlanLimits(new() { Cpu = 0.4 })));
    }

    [Fact]
    public void DeviceRulesOfV2AreTheLastStep()
    {
        using var host = V2();
        var plan = host.Host.Group("/g").PlanLimits(new() { ProcessLimit = 4, DeviceRule = [new() { Allow = true, Type = "a", Access = "rwm" }] });
        Assert.Equal(["pids.max", "(device program)"], plan.Writes.Select(write => write.File));
        plan.Apply();
        Assert.EndsWith("/g", Assert.Single(host.DevicePrograms).Folder);
    }

    [Fact]
    public void ClearingTakesAwayWhatIsSetAndNothingElse()
    {
        using var host = V2();
        host.Write(2, "/g", "memory.max", "2097152\n");
        host.Write(2, "/g", "memory.swap.max", "0\n");
        host.Write(2, "/g", "cpu.weight", "100\n");
        host.Write(2, "/g", "memory.oom.group", "1\n");
        host.Write(2, "/g", "io.weight", "default 100\n");
        var group = host.Host.Group("/g");
        Assert.Equal(["memory.swap.max=max", "memory.max=max", "memory.oom.group=0", "io.max=8:0 rbps=max"], Shown(group.PlanLimits(group.Clearing())));
        Assert.Equal(["memory.oom.group=0"], Shown(group.PlanLimits(group.Clearing([CgroupLimitName.OomGroup, CgroupLimitName.ProcessLimit]))));
        Assert.Throws<CgroupNotSupportedException>(() => group.Clearing([CgroupLimitName.NetClass]));
    }

    [Fact]
    public void AFolderOfAHierarchyNamesItsGroup()
    {
        using var host = RecordedHost.V1();
        var memory = host.Host.Find("memory")!.MountPoint;
        Assert.Equal("/a/b", host.Host.PathOf(memory + "/a/b/"));
        Assert.Equal("/", host.Host.PathOf(memory));
        Assert.Equal("/a/b", host.Host.PathOf("/a//b"));
        Assert.Throws<CgroupException>(() => host.Host.PathOf(memory + "/../devices"));
    }
}
