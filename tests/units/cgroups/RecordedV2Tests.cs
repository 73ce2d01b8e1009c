using Containers.Linux;
using Containers.Linux.Cgroups;
using Containers.Linux.Oci;
using Xunit;

namespace Containers.Tests.Units.Cgroups;

public sealed class RecordedV2Tests : IDisposable
{
    readonly RecordedHost recorded = RecordedHost.V2();

    ControlGroup Group => recorded.Host.Group("/p/g");

    public void Dispose() => recorded.Dispose();

    string Read(string file) => recorded.Read(2, "/p/g", file);

    void Files(params string[] files)
    {
        foreach (var file in files) { recorded.Write(2, "/p/g", file); }
    }

    [Fact]
    public void Controllers_are_enabled_from_the_first_ancestor_that_lacks_them()
    {
        recorded.Write(2, "/", "cgroup.subtree_control", "cpuset cpu io memory hugetlb pids rdma misc\n");
        recorded.Write(2, "/a", "cgroup.subtree_control", "memory pids");
        recorded.Write(2, "/a/b", "cgroup.subtree_control");
        Assert.True(recorded.Host.Group("/a/b/c").Create());
        Assert.True(recorded.Has(2, "/a/b/c"));
        Assert.Equal("cpuset cpu io memory hugetlb pids rdma misc\n", recorded.Read(2, "/", "cgroup.subtree_control"));
        const string All = "+cpuset +cpu +io +memory +hugetlb +pids +rdma +misc";
        Assert.Equal(All, recorded.Read(2, "/a", "cgroup.subtree_control"));
        Assert.Equal(All, recorded.Read(2, "/a/b", "cgroup.subtree_control"));
    }

    [Fact]
    public void A_plan_to_make_has_every_folder_and_every_controller_that_is_enabled()
    {
        recorded.Write(2, "/", "cgroup.subtree_control", "cpuset cpu io memory hugetlb pids rdma misc\n");
        recorded.Write(2, "/a", "cgroup.subtree_control", "");
        var group = recorded.Host.Group("/a/b/c");
        var root = recorded.Host.Unified!.MountPoint;
        Assert.Equal(
        [
            $"mkdir {root}/a/b", $"mkdir {root}/a/b/c", $"{root}/a/cgroup.subtree_control: -> +cpu +pids", $"{root}/a/b/cgroup.subtree_control: -> +cpu +pids",
        ], group.CreateSteps(group.MissingFolders(["cpu", "pids"]), ["cpu", "pids"]));
        Assert.Equal($"{root}/a/b/c/cgroup.type: -> threaded", group.ThreadedStep);
        Assert.False(recorded.Has(2, "/a/b"));
        group.Create(["cpu", "pids"]);
        Assert.Equal("+cpu +pids", recorded.Read(2, "/a", "cgroup.subtree_control"));
    }

    [Fact]
    public void Controllers_that_the_root_does_not_offer_are_not_asked_for()
    {
        recorded.Write(2, "/", "cgroup.controllers", "memory pids newest\n");
        recorded.Write(2, "/", "cgroup.subtree_control", "");
        recorded.Host.Group("/g").Create();
        Assert.Equal("+memory +pids", recorded.Read(2, "/", "cgroup.subtree_control"));
    }

    [Fact]
    public void Attach_writes_the_pid_once()
    {
        Files("cgroup.procs");
        Group.Attach(123);
        Assert.Equal("123", Read("cgroup.procs"));
        Assert.Throws<ArgumentOutOfRangeException>(() => Group.Attach(-1));
    }

    [Theory]
    [InlineData(100L, 150L, "100", "50")]
    [InlineData(100L, 100L, "100", "0")]
    [InlineData(100L, -1L, "100", "max")]
    [InlineData(-1L, null, "max", "max")]
    [InlineData(-1L, -1L, "max", "max")]
    [InlineData(100L, null, "100", "")]
    [InlineData(100L, 0L, "100", "")]
    [InlineData(0L, -1L, "", "max")]
    public void Memory_and_swap_become_two_limits(long? limit, long? swap, string max, string swapMax)
    {
        Files("memory.max", "memory.swap.max");
        Group.Apply(new() { Memory = new() { Limit = limit, Swap = swap } });
        Assert.Equal((max, swapMax), (Read("memory.max"), Read("memory.swap.max")));
    }

    [Fact]
    public void Swap_alone_counts_with_the_memory_that_was_set_before()
    {
        recorded.Write(2, "/p/g", "memory.max", "100\n");
        Files("memory.swap.max");
        Group.Update(new() { Memory = new() { Swap = 130 } });
        Assert.Equal(("100\n", "30"), (Read("memory.max"), Read("memory.swap.max")));
        Assert.Throws<CgroupException>(() => Group.Update(new() { Memory = new() { Swap = 90 } }));
        recorded.Write(2, "/p/g", "memory.max", "max\n");
        Assert.Throws<CgroupException>(() => Group.Update(new() { Memory = new() { Swap = 130 } }));
    }

    [Fact]
    public void A_refused_limit_takes_those_before_it_back()
    {
        recorded.Write(2, "/p/g", "memory.max", "100\n");
        recorded.Write(2, "/p/g", "memory.swap.max", "max\n");
        recorded.Write(2, "/p/g", "cpu.max", "max 100000\n");
        recorded.Write(2, "/p/g", "io.max", "8:0 rbps=5 wbps=max riops=max wiops=max\n");
        Assert.Throws<CgroupNotSupportedException>(() => Group.Update(new()
        {
            Memory = new() { Limit = 200, Swap = 300 },
            Cpu = new() { Quota = 5, Period = 7 },
            BlockIo = new() { ThrottleReadBpsDevice = [new() { Major = 8, Minor = 0, Rate = 9 }] },
            Rdma = new() { ["mlx"] = new() { HcaHandles = 3 } },
        }));
        Assert.Equal(("100\n", "max\n", "max 100000\n"), (Read("memory.max"), Read("memory.swap.max"), Read("cpu.max")));
        Assert.Equal("8:0 rbps=5 wbps=max riops=max wiops=max\n", Read("io.max"));
    }

    [Fact]
    public void Without_a_count_of_swap_no_swap_is_true_already()
    {
        Files("memory.max");
        Group.Apply(new() { Memory = new() { Limit = 100, Swap = 100 } });
        Group.Apply(new() { Memory = new() { Limit = -1, Swap = -1 } });
        Assert.Equal("linux.resources.memory", Assert.Throws<CgroupNotSupportedException>(() => Group.Apply(new() { Memory = new() { Limit = 100, Swap = 101 } })).Feature);
    }

    [Fact]
    public void A_reservation_is_kept_low_and_a_limit_below_usage_is_refused_when_asked_to_look()
    {
        Files("memory.low", "memory.max");
        recorded.Write(2, "/p/g", "memory.current", "5000\n");
        Group.Apply(new() { Memory = new() { Reservation = 77, Limit = 6000, CheckBeforeUpdate = true } });
        Assert.Equal(("77", "6000"), (Read("memory.low"), Read("memory.max")));
        Assert.Equal("CgroupLimitRefused", Assert.Throws<CgroupException>(() => Group.Apply(new() { Memory = new() { Limit = 5000, CheckBeforeUpdate = true } })).Id);
    }

    [Theory]
    [InlineData(50000L, 100000ul, "50000 100000")]
    [InlineData(-1L, 100000ul, "max 100000")]
    [InlineData(50000L, null, "50000")]
    [InlineData(-1L, null, "max")]
    [InlineData(null, 20000ul, "40000 20000")]
    public void Quota_and_period_are_one_file(long? quota, ulong? period, string expected)
    {
        recorded.Write(2, "/p/g", "cpu.max", "40000 80000\n");
        Group.Apply(new() { Cpu = new() { Quota = quota, Period = period } });
        Assert.StartsWith(expected, Read("cpu.max"), StringComparison.Ordinal);
    }

    [Fact]
    public void Shares_become_a_weight_and_an_idle_group_has_none()
    {
        Files("cpu.weight", "cpu.idle", "cpu.max.burst", "cpuset.cpus", "cpuset.mems", "pids.max");
        Group.Apply(new() { Cpu = new() { Shares = 1024, Idle = 0, Burst = 9, Cpus = "0-1", Mems = "0" }, Pids = new() { Limit = 3 } });
        Assert.Equal(("39", "0", "9", "0-1", "0", "3"), (Read("cpu.weight"), Read("cpu.idle"), Read("cpu.max.burst"), Read("cpuset.cpus"), Read("cpuset.mems"), Read("pids.max")));
        recorded.Write(2, "/p/g", "cpu.weight");
        Group.Apply(new() { Cpu = new() { Shares = 1024, Idle = 1 } });
        Assert.Equal(("", "1"), (Read("cpu.weight"), Read("cpu.idle")));
    }

    [Fact]
    public void Devices_limits_name_what_they_limit()
    {
        Files("io.max", "io.weight");
        Group.Apply(new() { BlockIo = new() { Weight = 1000, ThrottleReadBpsDevice = [new() { Major = 8, Minor = 1, Rate = 5 }] } });
        Assert.Equal(("10000", "8:1 rbps=5"), (Read("io.weight"), Read("io.max")));
        recorded.Write(2, "/p/g", "io.max");
        Group.Apply(new() { BlockIo = new() { ThrottleWriteIopsDevice = [new() { Major = 8, Minor = 1, Rate = 0 }] } });
        Assert.Equal("8:1 wiops=max", Read("io.max"));
        Files("io.bfq.weight");
        Group.Apply(new() { BlockIo = new() { WeightDevice = [new() { Major = 8, Minor = 1, Weight = 500 }] } });
        Assert.Equal("8:1 500", Read("io.bfq.weight"));
    }

    [Fact]
    public void Huge_pages_are_limited_together_with_their_reservations()
    {
        Files("hugetlb.2MB.max", "hugetlb.2MB.rsvd.max", "hugetlb.1GB.max", "rdma.max");
        Group.Apply(new() { HugepageLimits = [new() { PageSize = "2MB", Limit = 4194304 }, new() { PageSize = "1GB", Limit = 0 }], Rdma = new() { ["mlx5_0"] = new() { HcaHandles = 3, HcaObjects = 4 } } });
        Assert.Equal(("4194304", "4194304", "0", "mlx5_0 hca_handle=3 hca_object=4"), (Read("hugetlb.2MB.max"), Read("hugetlb.2MB.rsvd.max"), Read("hugetlb.1GB.max"), Read("rdma.max")));
    }

    [Theory]
    [InlineData("2mb")]
    [InlineData("MB")]
    [InlineData("2MB/../x")]
    [InlineData("")]
    [InlineData(null)]
    public void A_page_size_cannot_leave_its_folder(string? size) =>
        Assert.Equal("CgroupLimitRefused", Assert.Throws<CgroupException>(() => Group.Apply(new() { HugepageLimits = [new() { PageSize = size, Limit = 1 }] })).Id);

    [Fact]
    public void Unified_settings_are_written_line_by_line()
    {
        Files("memory.high", "io.max");
        Group.Apply(new() { Unified = new() { ["memory.high"] = "1000", ["io.max"] = "8:0 rbps=1\n8:1 rbps=2\n" } });
        Assert.Equal("1000", Read("memory.high"));
        Assert.Equal("8:1 rbps=2", Read("io.max"));
    }

    [Theory]
    [InlineData("../p/memory.max")]
    [InlineData("memory")]
    [InlineData("..")]
    [InlineData(".hidden")]
    [InlineData("memory.max\n")]
    [InlineData("cgroup.procs")]
    [InlineData("cgroup.kill")]
    [InlineData("cgroup.subtree_control")]
    public void Unified_settings_reach_no_other_file(string file) =>
        Assert.Equal("CgroupLimitRefused", Assert.Throws<CgroupException>(() => Group.Apply(new() { Unified = new() { [file] = "1" } })).Id);

    [Fact]
    public void Unified_settings_without_their_file_are_refused_by_name()
    {
        Files("cgroup.procs");
        Assert.Equal("linux.resources.unified", Assert.Throws<CgroupNotSupportedException>(() => Group.Apply(new() { Unified = new() { ["warp.max"] = "1" } })).Feature);
    }

    public static TheoryData<string, LinuxResources> OnlyV1() => new()
    {
        { "linux.resources.memory.swappiness", new() { Memory = new() { Swappiness = 60 } } },
        { "linux.resources.memory.disableOOMKiller", new() { Memory = new() { DisableOomKiller = true } } },
        { "linux.resources.memory.kernel", new() { Memory = new() { Kernel = 1 } } },
        { "linux.resources.memory.kernelTCP", new() { Memory = new() { KernelTcp = 1 } } },
        { "linux.resources.cpu.realtimeRuntime", new() { Cpu = new() { RealtimeRuntime = 1 } } },
        { "linux.resources.cpu.realtimePeriod", new() { Cpu = new() { RealtimePeriod = 1 } } },
        { "linux.resources.blockIO.leafWeight", new() { BlockIo = new() { LeafWeight = 10 } } },
        { "linux.resources.network", new() { Network = new() { ClassId = 1 } } },
        { "linux.resources.network", new() { Network = new() { Priorities = [new() { Name = "eth0", Priority = 1 }] } } },
    };

    [Theory]
    [MemberData(nameof(OnlyV1))]
    public void What_only_v1_has_is_refused_by_name(string feature, LinuxResources resources) =>
        Assert.Equal(feature, Assert.Throws<CgroupNotSupportedException>(() => Group.Apply(resources)).Feature);

    [Fact]
    public void A_new_group_gets_a_device_program_whether_or_not_there_are_rules()
    {
        Group.Apply(null);
        Assert.Empty(recorded.DevicePrograms);
        Group.Apply(null, create: true);
        Group.Apply(new() { Devices = [new() { Allow = true }] });
        Assert.Equal([Group.FolderIn(recorded.Host.Unified!), Group.FolderIn(recorded.Host.Unified!)], recorded.DevicePrograms.Select(p => p.Folder));
        Assert.Equal([false, true], recorded.DevicePrograms.Select(p => DeviceMachine.Run(p.Program, Libc.BPF_DEVCG_DEV_CHAR, 1, 11, Libc.BPF_DEVCG_ACC_READ)));
    }

    [Fact]
    public void A_recorded_group_is_never_given_to_the_kernel()
    {
        var host = new CgroupHost(Path.GetDirectoryName(recorded.Host.Unified!.MountPoint)!, "25 30 0:23 / /cgroup rw - cgroup2 cgroup2 rw");
        Files("cgroup.procs");
        Assert.Equal("linux.resources.devices", Assert.Throws<CgroupNotSupportedException>(() => host.Group("/p/g").Apply(null, create: true)).Feature);
        Assert.Equal("CgroupNotFound", Assert.Throws<CgroupException>(() => host.Group("/none").Apply(null, create: true)).Id);
    }

    [Fact]
    public void A_file_that_is_missing_is_named_with_the_member_that_asked_for_it()
    {
        Files("cgroup.procs");
        var e = Assert.Throws<CgroupNotSupportedException>(() => Group.Apply(new() { HugepageLimits = [new() { PageSize = "3MB", Limit = 1 }] }));
        Assert.Equal("linux.resources.hugepageLimits", e.Feature);
        Assert.Contains("hugetlb.3MB.max", e.Message);
    }

    [Fact]
    public void A_missing_controller_is_told_from_a_missing_group()
    {
        Assert.Equal("CgroupNotFound", Assert.Throws<CgroupException>(() => Group.Apply(new() { Pids = new() { Limit = 1 } })).Id);
        Files("cgroup.procs");
        Assert.Equal("linux.resources.pids", Assert.Throws<CgroupNotSupportedException>(() => Group.Apply(new() { Pids = new() { Limit = 1 } })).Feature);
    }

    [Fact]
    public void Stats_are_read_from_all_controllers()
    {
        foreach (var (file, text) in ((string, string)[])
        [
            ("memory.current", "1000\n"), ("memory.max", "max\n"), ("memory.peak", "2000\n"), ("memory.swap.current", "3\n"), ("memory.stat", "anon 1\ninactive_file 44\nactive_file 5\n"),
            ("memory.events", "low 0\noom 2\noom_kill 1\noom_group_kill 0\n"), ("cpu.stat", "usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_periods 4\nnr_throttled 3\nthrottled_usec 7\n"),
            ("pids.current", "5\n"), ("pids.max", "9\n"), ("io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=50 dios=60\n8:16 rbytes=10 wbytes=20 rios=30 wios=40 dbytes=0 dios=0\n"),
            ("memory.pressure", "some avg10=1.50 avg60=2.00 avg300=3.00 total=40\nfull avg10=0.10 avg60=0.20 avg300=0.30 total=5\n"), ("cpu.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=7\n"),
        ]) { recorded.Write(2, "/p/g", file, text); }
        var stats = Group.ReadStats();
        Assert.Equal((1000, null, 2000, 3, 44, 1), (stats.MemoryUsage, stats.MemoryLimit, stats.MemoryMaxUsage, stats.SwapUsage, stats.MemoryInactiveFile, stats.OomKills));
        Assert.Equal((300, 200, 100, 70), (stats.CpuUsage!.Value.Ticks, stats.CpuUser!.Value.Ticks, stats.CpuSystem!.Value.Ticks, stats.CpuThrottledTime!.Value.Ticks));
        Assert.Equal((4, 3, 5, 9), (stats.CpuPeriods, stats.CpuThrottledPeriods, stats.Pids, stats.PidsLimit));
        Assert.Equal((11, 22, 33, 44), (stats.IoReadBytes, stats.IoWriteBytes, stats.IoReadOperations, stats.IoWriteOperations));
        Assert.Equal(new CgroupPressure(1.5, 2, 3, TimeSpan.FromMicroseconds(40), 0.1, 0.2, 0.3, TimeSpan.FromMicroseconds(5)), stats.MemoryPressure);
        Assert.Equal((70, 0), (stats.CpuPressure!.SomeTotal.Ticks, stats.CpuPressure.FullTotal.Ticks));
        Assert.Null(stats.IoPressure);
    }

    [Theory]
    [InlineData("")]
    [InlineData("\n\n")]
    [InlineData("-")]
    [InlineData("99999999999999999999999999\n")]
    [InlineData("usage_usec\nuser_usec x\n some \nsome avg10= total=\n8:0 rbytes= wbytes=x")]
    [InlineData("usage_usec 9223372036854775807\nsome avg10=1e999 total=9223372036854775807\n")]
    public void Files_that_make_no_sense_are_read_as_unknown(string text)
    {
        foreach (var file in (string[])["memory.current", "memory.max", "memory.stat", "memory.events", "cpu.stat", "pids.current", "io.stat", "io.max", "cpu.max", "cpu.weight", "cpu.pressure", "memory.low"])
        {
            recorded.Write(2, "/p/g", file, text);
        }
        Assert.Null(Group.ReadStats().MemoryUsage);
        Assert.Null(Group.ReadLimits().Memory);
    }

    [Fact]
    public void Limits_are_read_as_they_were_set()
    {
        foreach (var (file, text) in ((string, string)[])
        [
            ("memory.max", "100\n"), ("memory.swap.max", "50\n"), ("memory.low", "0\n"), ("cpu.weight", "39\n"), ("cpu.max", "max 100000\n"), ("cpu.idle", "0\n"), ("cpuset.cpus", "0-1\n"),
            ("pids.max", "max\n"), ("io.max", "8:0 rbps=5 wbps=max riops=max wiops=7\n"), ("hugetlb.2MB.max", "max\n"), ("hugetlb.1GB.max", "1073741824\n"),
        ]) { recorded.Write(2, "/p/g", file, text); }
        var limits = Group.ReadLimits();
        Assert.Equal((100, 150, null, null), (limits.Memory, limits.MemorySwap, limits.MemoryReservation, limits.Swappiness));
        Assert.Equal((39, 39ul), (limits.CpuWeight, ResourceValues.SharesToWeight((ulong)limits.CpuShares!)));
        Assert.Equal((null, TimeSpan.FromMilliseconds(100), false), (limits.CpuQuota, limits.CpuPeriod, limits.CpuIdle));
        Assert.Equal(("0-1", null), (limits.Cpus, limits.Pids));
        Assert.Equal([new("8:0", 5, null, null, 7)], limits.Io);
        Assert.Equal([new("1GB", 1073741824)], limits.HugePages);
    }

    [Fact]
    public void Kill_and_freeze_are_the_kernels_own()
    {
        Files("cgroup.kill", "cgroup.freeze");
        recorded.Write(2, "/p/g", "cgroup.events", "populated 0\nfrozen 1\n");
        Group.Kill();
        Group.Freeze();
        Assert.Equal(("1", "1", true), (Read("cgroup.kill"), Read("cgroup.freeze"), Group.Frozen));
        Group.Thaw();
        Assert.Equal("0", Read("cgroup.freeze"));
    }

    [Fact]
    public void Processes_of_other_pid_namespaces_are_left_out()
    {
        recorded.Write(2, "/p/g", "cgroup.procs", "7\n0\n3\n7\n99999999999\n-4\nx\n");
        recorded.Write(2, "/p/g/below", "cgroup.procs", "5\n");
        Assert.Equal([3, 7], Group.Processes());
        Assert.Equal([3, 5, 7], Group.Processes(recursive: true));
    }
}
