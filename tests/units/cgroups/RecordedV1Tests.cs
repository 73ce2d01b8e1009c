using Containers.Linux.Cgroups;
using Containers.Linux.Oci;
using Xunit;

namespace Containers.Tests.Units.Cgroups;

public sealed class RecordedV1Tests : IDisposable
{
    readonly RecordedHost recorded = RecordedHost.V1();

    ControlGroup Group => recorded.Host.Group("/g");

    public void Dispose() => recorded.Dispose();

    [Fact]
    public void A_group_takes_its_cpus_from_the_nearest_ancestor_that_has_some()
    {
        recorded.Write("cpuset", "/", "cpuset.cpus", "0-3\n");
        recorded.Write("cpuset", "/", "cpuset.mems", "0\n");
        // Plain folders do not bring files of their own.
        foreach (var path in (string[])["/a", "/a/b"])
        {
            recorded.Write("cpuset", path, "cpuset.cpus");
            recorded.Write("cpuset", path, "cpuset.mems", path == "/a" ? "1\n" : "");
        }
        foreach (var hierarchy in recorded.Host.Hierarchies) { Directory.CreateDirectory(hierarchy.MountPoint); }
        Assert.False(recorded.Host.Group("/a/b").Create());
        Assert.Equal(("0-3", "0-3"), (recorded.Read("cpuset", "/a", "cpuset.cpus"), recorded.Read("cpuset", "/a/b", "cpuset.cpus")));
        Assert.Equal(("1\n", "1"), (recorded.Read("cpuset", "/a", "cpuset.mems"), recorded.Read("cpuset", "/a/b", "cpuset.mems")));
        Assert.All(recorded.Host.Hierarchies, h => Assert.True(Directory.Exists(h.MountPoint + "/a/b")));
    }

    [Fact]
    public void A_failed_creation_takes_back_what_it_made()
    {
        // Only the first three hierarchies have a place to make it in.
        foreach (var hierarchy in recorded.Host.Hierarchies.Take(3)) { Directory.CreateDirectory(hierarchy.MountPoint); }
        Assert.ThrowsAny<IOException>(() => Group.Create());
        Assert.False(Group.Exists);
    }

    [Fact]
    public void Limits_go_to_v1s_files()
    {
        foreach (var (controller, file) in ((string, string)[])
        [
            ("memory", "memory.limit_in_bytes"), ("memory", "memory.memsw.limit_in_bytes"), ("memory", "memory.soft_limit_in_bytes"), ("memory", "memory.swappiness"), ("memory", "memory.oom_control"),
            ("memory", "memory.kmem.tcp.limit_in_bytes"), ("cpu", "cpu.shares"), ("cpu", "cpu.cfs_quota_us"), ("cpu", "cpu.cfs_period_us"), ("cpu", "cpu.cfs_burst_us"), ("cpu", "cpu.rt_runtime_us"),
            ("cpu", "cpu.rt_period_us"), ("cpuset", "cpuset.cpus"), ("cpuset", "cpuset.mems"), ("pids", "pids.max"), ("blkio", "blkio.bfq.weight"), ("blkio", "blkio.leaf_weight"),
            ("blkio", "blkio.throttle.write_bps_device"), ("net_cls", "net_cls.classid"), ("net_prio", "net_prio.ifpriomap"), ("hugetlb", "hugetlb.2MB.limit_in_bytes"), ("rdma", "rdma.max"),
        ]) { recorded.Write(controller, "/g", file); }
        Group.Apply(new()
        {
            Memory = new() { Limit = 10, Swap = 20, Reservation = 5, Swappiness = 7, DisableOomKiller = true, KernelTcp = 8 },
            Cpu = new() { Shares = 1024, Quota = 1000, Period = 2000, Burst = 3, RealtimePeriod = 4, RealtimeRuntime = 5, Cpus = "1", Mems = "0" },
            Pids = new() { Limit = -1 },
            BlockIo = new() { Weight = 300, LeafWeight = 10, ThrottleWriteBpsDevice = [new() { Major = 8, Minor = 0, Rate = 9 }] },
            Network = new() { ClassId = 1048577, Priorities = [new() { Name = "eth0", Priority = 5 }] },
            HugepageLimits = [new() { PageSize = "2MB", Limit = 2097152 }],
            Rdma = new() { ["mlx4_0"] = new() { HcaHandles = 2 } },
        });
        Assert.Equal(("10", "20", "5", "7", "1", "8"), (Memory("limit_in_bytes"), Memory("memsw.limit_in_bytes"), Memory("soft_limit_in_bytes"), Memory("swappiness"), Memory("oom_control"), Memory("kmem.tcp.limit_in_bytes")));
        Assert.Equal(("1024", "1000", "2000", "3", "4", "5"), (Cpu("shares"), Cpu("cfs_quota_us"), Cpu("cfs_period_us"), Cpu("cfs_burst_us"), Cpu("rt_period_us"), Cpu("rt_runtime_us")));
        Assert.Equal(("1", "0", "max"), (recorded.Read("cpuset", "/g", "cpuset.cpus"), recorded.Read("cpuset", "/g", "cpuset.mems"), recorded.Read("pids", "/g", "pids.max")));
        Assert.Equal(("300", "10", "8:0 9"), (recorded.Read("blkio", "/g", "blkio.bfq.weight"), recorded.Read("blkio", "/g", "blkio.leaf_weight"), recorded.Read("blkio", "/g", "blkio.throttle.write_bps_device")));
        Assert.Equal(("1048577", "eth0 5"), (recorded.Read("net_cls", "/g", "net_cls.classid"), recorded.Read("net_prio", "/g", "net_prio.ifpriomap")));
        Assert.Equal(("2097152", "mlx4_0 hca_handle=2"), (recorded.Read("hugetlb", "/g", "hugetlb.2MB.limit_in_bytes"), recorded.Read("rdma", "/g", "rdma.max")));

        string Memory(string file) => recorded.Read("memory", "/g", "memory." + file);
        string Cpu(string file) => recorded.Read("cpu", "/g", "cpu." + file);
    }

    [Theory]
    [InlineData("eth0 1\neth1")]
    [InlineData("a/b")]
    [InlineData("an-interface-with-a-long-name")]
    [InlineData("")]
    [InlineData(null)]
    public void An_interface_name_is_one_word(string? name)
    {
        recorded.Write("net_prio", "/g", "net_prio.ifpriomap");
        Assert.Equal("CgroupLimitRefused", Assert.Throws<CgroupException>(() => Group.Apply(new() { Network = new() { Priorities = [new() { Name = name, Priority = 1 }] } })).Id);
    }

    [Fact]
    public void What_only_v2_has_is_refused_by_name()
    {
        Assert.Equal("linux.resources.unified", Assert.Throws<CgroupNotSupportedException>(() => Group.Apply(new() { Unified = new() { ["memory.max"] = "1" } })).Feature);
        recorded.Write("memory", "/g", "cgroup.procs");
        Assert.Equal("linux.resources.memory", Assert.Throws<CgroupNotSupportedException>(() => Group.Apply(new() { Memory = new() { Kernel = 1 } })).Feature);
        Assert.Equal("freezer", Assert.Throws<CgroupNotSupportedException>(Group.Freeze).Feature);
    }

    [Fact]
    public void Device_rules_are_written_in_order_after_everything_was_denied()
    {
        recorded.Write("devices", "/g", "devices.allow");
        recorded.Write("devices", "/g", "devices.deny");
        Group.Apply(new() { Devices = [new() { Allow = true, Type = "b", Major = 8, Access = "r" }, new() { Allow = false, Type = "b", Major = 8, Minor = null, Access = "r" }] }, create: true);
        Assert.Equal("a\nb 8:* r\n", recorded.Read("devices", "/g", "devices.deny"));
        Assert.StartsWith("b 8:* r\nc *:* m\nb *:* m\nc 1:3 rwm\n", recorded.Read("devices", "/g", "devices.allow"), StringComparison.Ordinal);
    }

    [Fact]
    public void Where_everything_is_allowed_the_default_devices_are_not_named()
    {
        recorded.Write("devices", "/g", "devices.allow");
        recorded.Write("devices", "/g", "devices.deny");
        Group.Apply(new() { Devices = [new() { Allow = false }, new() { Allow = true, Type = "a", Access = "rwm" }, new() { Allow = false, Type = "c", Major = 1, Minor = 3, Access = "w" }] }, create: true);
        Assert.Equal(("a\n", "c 1:3 w\n"), (recorded.Read("devices", "/g", "devices.allow"), recorded.Read("devices", "/g", "devices.deny")));
    }

    public static TheoryData<LinuxDeviceCgroup> BadRules() =>
    [
        new() { Allow = true, Type = "x", Access = "r" }, new() { Allow = true, Type = "c", Access = "rx" }, new() { Allow = true, Type = "c" }, new() { Allow = true, Type = "a", Major = 1 },
        new() { Allow = false, Type = "a", Access = "w" }, new() { Allow = true, Type = "c", Major = -2, Access = "r" }, new() { Allow = true, Type = "c\n", Access = "r" },
        new() { Allow = true, Type = "c", Major = 1L << 40, Access = "r" }, new() { Allow = true, Type = "a", Access = "rrr" },
    ];

    [Theory]
    [MemberData(nameof(BadRules))]
    public void A_device_rule_that_v1_would_read_otherwise_is_refused(LinuxDeviceCgroup rule) =>
        Assert.Equal("CgroupLimitRefused", Assert.Throws<CgroupException>(() => Group.Apply(new() { Devices = [rule] })).Id);

    [Fact]
    public void A_hole_in_a_wider_device_rule_is_refused_by_name()
    {
        LinuxDeviceCgroup wide = new() { Allow = true, Type = "c", Major = 1, Access = "rwm" }, one = new() { Allow = false, Type = "c", Major = 1, Minor = 3, Access = "r" };
        Assert.Equal("linux.resources.devices", Assert.Throws<CgroupNotSupportedException>(() => Group.Apply(new() { Devices = [wide, one] })).Feature);
        wide.Allow = false;
        one.Allow = true;
        Assert.Equal("linux.resources.devices", Assert.Throws<CgroupNotSupportedException>(() => Group.Apply(new() { Devices = [new() { Allow = true }, wide, one] })).Feature);
    }

    [Fact]
    public void Stats_and_limits_are_read_from_v1s_files()
    {
        foreach (var (controller, file, text) in ((string, string, string)[])
        [
            ("memory", "memory.usage_in_bytes", "1000\n"), ("memory", "memory.memsw.usage_in_bytes", "1200\n"), ("memory", "memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory", "memory.stat", "cache 1\ninactive_file 9\ntotal_inactive_file 30\n"), ("memory", "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"),
            ("cpu", "cpu.stat", "nr_periods 5\nnr_throttled 2\nthrottled_time 4000\n"), ("cpuacct", "cpuacct.usage", "7000\n"), ("cpu", "cpu.cfs_quota_us", "-1\n"), ("cpu", "cpu.shares", "1024\n"),
            ("pids", "pids.current", "3\n"), ("pids", "pids.max", "max\n"), ("blkio", "blkio.throttle.io_service_bytes_recursive", "8:0 Read 10\n8:0 Write 20\n8:0 Sync 5\n8:0 Total 30\n8:16 Read 1\nTotal 31\n"),
            ("blkio", "blkio.throttle.read_bps_device", "8:0 100\n8:16 200\n"), ("blkio", "blkio.throttle.write_iops_device", "8:16 7\n"), ("hugetlb", "hugetlb.2MB.limit_in_bytes", "9223372036852678656\n"),
        ]) { recorded.Write(controller, "/g", file, text); }
        var stats = Group.ReadStats();
        Assert.Equal((1000, 200, 30, null, 3), (stats.MemoryUsage, stats.SwapUsage, stats.MemoryInactiveFile, stats.MemoryLimit, stats.OomKills));
        Assert.Equal((5, 2, 40, 70), (stats.CpuPeriods, stats.CpuThrottledPeriods, stats.CpuThrottledTime!.Value.Ticks, stats.CpuUsage!.Value.Ticks));
        Assert.Equal((3, null, 11, 20, null), (stats.Pids, stats.PidsLimit, stats.IoReadBytes, stats.IoWriteBytes, stats.IoReadOperations));
        Assert.Null(stats.MemoryPressure);
        var limits = Group.ReadLimits();
        Assert.Equal((null, null, 1024, 100), (limits.Memory, limits.CpuQuota, limits.CpuShares, limits.CpuWeight));
        Assert.Equal([new("8:0", 100, null, null, null), new("8:16", 200, null, null, 7)], limits.Io);
        Assert.Empty(limits.HugePages);
    }
}
