using Containers.Linux.Cgroups;
using Containers.Linux.Oci;
using Xunit;

namespace Containers.Tests.Units.Cgroups;

/// <summary>Limits that the kernel takes, keeps and counts.</summary>
[Collection("control groups")]
public class GroupLimitsLiveTests
{
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    [CgroupFact(v1: "cpuset")]
    public void A_new_group_has_its_parents_cpus()
    {
        using var live = new LiveGroup();
        var root = live.Host.Find("cpuset")!.MountPoint;
        Assert.Equal(File.ReadAllText(root + "/cpuset.cpus"), File.ReadAllText(root + live.Group.Path + "/cpuset.cpus"));
        Assert.Equal(File.ReadAllText(root + "/cpuset.mems"), File.ReadAllText(root + live.Parent + "/cpuset.mems"));
    }

    [CgroupFact(v1: "memory")]
    public void Limits_are_set_and_read_back()
    {
        using var live = new LiveGroup();
        live.Group.Apply(new LinuxResources
        {
            Memory = new() { Limit = 64 << 20, Swap = 128 << 20, Reservation = 32 << 20, Swappiness = 10 },
            Cpu = new() { Shares = 512, Quota = 50000, Period = 100000, Burst = 1000, Cpus = "0" },
            Pids = new() { Limit = 20 },
        });
        var limits = live.Group.ReadLimits();
        Assert.Equal((64 << 20, 128 << 20, 32 << 20, 10), (limits.Memory, limits.MemorySwap, limits.MemoryReservation, limits.Swappiness));
        Assert.Equal((512, 50), (limits.CpuShares, limits.CpuWeight));
        Assert.Equal((TimeSpan.FromMilliseconds(50), TimeSpan.FromMilliseconds(100), TimeSpan.FromMilliseconds(1)), (limits.CpuQuota, limits.CpuPeriod, limits.CpuBurst));
        Assert.Equal(("0", 20), (limits.Cpus, limits.Pids));
    }

    [CgroupFact(v1: "memory")]
    public void Memory_and_swap_grow_shrink_and_go_in_the_right_order()
    {
        using var live = new LiveGroup();
        foreach (var (limit, swap) in ((long, long)[])[(100 << 20, 100 << 20), (10 << 20, 20 << 20), (200 << 20, 200 << 20), (50 << 20, -1), (20 << 20, 20 << 20), (-1, -1)])
        {
            live.Group.Apply(new LinuxResources { Memory = new() { Limit = limit, Swap = swap } });
            var limits = live.Group.ReadLimits();
            Assert.Equal(limit == -1 ? null : limit, limits.Memory);
            Assert.Equal(swap == -1 ? null : swap, limits.MemorySwap);
        }
        live.Group.Apply(new LinuxResources { Memory = new() { Limit = 10 << 20, Swap = 10 << 20 } });
        live.Group.Apply(new LinuxResources { Memory = new() { Limit = -1 } });
        Assert.Null(live.Group.ReadLimits().MemorySwap);
    }

    [CgroupFact(v1: "cpu")]
    public void A_quota_goes_away_and_a_period_waits_for_its_quota()
    {
        using var live = new LiveGroup();
        live.Host.Group(live.Parent).Apply(new LinuxResources { Cpu = new() { Quota = 100000, Period = 100000 } });
        live.Group.Apply(new LinuxResources { Cpu = new() { Quota = 90000, Period = 100000 } });
        // 90000 of 50000 would be more than the parent has: only together with the new quota does the period fit.
        live.Group.Apply(new LinuxResources { Cpu = new() { Quota = 40000, Period = 50000 } });
        Assert.Equal((TimeSpan.FromMilliseconds(40), TimeSpan.FromMilliseconds(50)), (live.Group.ReadLimits().CpuQuota, live.Group.ReadLimits().CpuPeriod));
        live.Group.Apply(new LinuxResources { Cpu = new() { Quota = -1 } });
        Assert.Null(live.Group.ReadLimits().CpuQuota);
    }

    [CgroupFact(v1: "cpu")]
    public void Limits_that_the_kernel_would_bend_or_refuse_are_refused_by_name()
    {
        using var live = new LiveGroup();
        foreach (var resources in (LinuxResources[])
        [
            new() { Cpu = new() { Shares = 1 } }, new() { Cpu = new() { Shares = 1 << 30 } }, new() { Cpu = new() { Period = 5 } },
            new() { Cpu = new() { Cpus = "999-1000" } }, new() { Cpu = new() { Cpus = "0\n1" } }, new() { Memory = new() { Swappiness = 101 } },
            new() { HugepageLimits = [new() { PageSize = "../../x", Limit = 0 }] }, new() { BlockIo = new() { ThrottleReadBpsDevice = [new() { Major = -1, Minor = 0, Rate = 1 }] } },
        ])
        {
            if (resources.HugepageLimits is not null && live.Host.Find("hugetlb") is not { Version: 1 }) { continue; }
            Assert.Equal("CgroupLimitRefused", Assert.Throws<CgroupException>(() => live.Group.Apply(resources)).Id);
        }
        Assert.Equal("linux.resources.unified", Assert.Throws<CgroupNotSupportedException>(() => live.Group.Apply(new() { Unified = new() { ["memory.max"] = "1" } })).Feature);
        Assert.Equal("CgroupNotFound", Assert.Throws<CgroupException>(() => live.Host.Group(live.Parent + "/none").Apply(new() { Pids = new() { Limit = 1 } })).Id);
    }

    [CgroupFact(v1: "memory")]
    public void A_memory_limit_below_what_is_in_use_is_refused_with_both_numbers()
    {
        using var live = new LiveGroup();
        var process = live.Start("a=$(head -c 16000000 /dev/zero | tr '\\0' x); echo full; sleep 1000");
        Assert.Equal("full", process.StandardOutput.ReadLine());
        var e = Assert.Throws<CgroupException>(() => live.Group.Apply(new() { Memory = new() { Limit = 4 << 20, CheckBeforeUpdate = true } }));
        Assert.Equal("CgroupLimitRefused", e.Id);
        Assert.Contains("4194304", e.Message);
        Assert.Null(live.Group.ReadLimits().Memory);
    }

    [CgroupFact(v1: "memory")]
    public void Running_out_of_memory_is_counted()
    {
        using var live = new LiveGroup();
        live.Group.Apply(new() { Memory = new() { Limit = 8 << 20, Swap = 8 << 20 } });
        var process = live.Start("a=$(head -c 40000000 /dev/zero | tr '\\0' x)");
        Assert.True(process.WaitForExit(Patience));
        var stats = live.Group.ReadStats();
        Assert.InRange(stats.OomKills!.Value, 1, 10);
        Assert.Equal(8 << 20, stats.MemoryLimit);
        Assert.InRange(stats.MemoryMaxUsage!.Value, 4 << 20, 8 << 20);
    }

    [CgroupFact]
    public void Stats_follow_what_the_processes_do()
    {
        using var live = new LiveGroup();
        live.Group.Apply(new() { Cpu = new() { Quota = 10000, Period = 100000 }, Pids = new() { Limit = 7 } });
        var process = live.Start("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done; sleep 1000");
        Assert.Equal("done", process.StandardOutput.ReadLine());
        Assert.True(SpinWait.SpinUntil(() => live.Group.Processes().Count == 2, Patience));
        var stats = live.Group.ReadStats();
        Assert.InRange(stats.CpuUsage!.Value, TimeSpan.FromMilliseconds(5), Patience);
        Assert.True(stats.CpuUser > TimeSpan.Zero);
        Assert.InRange(stats.CpuThrottledPeriods!.Value, 1, stats.CpuPeriods!.Value);
        Assert.True(stats.CpuThrottledTime > TimeSpan.Zero);
        Assert.InRange(stats.MemoryUsage!.Value, 4096, 100 << 20);
        Assert.Null(stats.MemoryLimit);
        Assert.Equal((2, 7, 0), (stats.Pids, stats.PidsLimit, stats.OomKills));
        Assert.NotNull(stats.IoReadBytes);
        if (live.Host.Unified is not null) { Assert.NotNull(stats.CpuPressure); }
    }

    [CgroupFact]
    public void The_number_of_tasks_is_held()
    {
        using var live = new LiveGroup();
        live.Group.Apply(new() { Pids = new() { Limit = 1 } });
        var process = live.Start("/bin/sleep 1000; echo never");
        Assert.True(process.WaitForExit(Patience));
        Assert.NotEqual(0, process.ExitCode);
        live.Group.Apply(new() { Pids = new() { Limit = -1 } });
        Assert.Null(live.Group.ReadLimits().Pids);
    }

    [CgroupFact(v1: "devices")]
    public void A_new_container_has_the_default_devices_and_no_others()
    {
        using var live = new LiveGroup();
        live.Group.Apply(new() { Devices = [new() { Allow = false, Access = "rwm" }, new() { Allow = true, Type = "c", Major = 10, Minor = 229, Access = "rw" }] }, create: true);
        var list = File.ReadAllLines(live.Group.FolderIn(live.Host.Find("devices")!) + "/devices.list");
        Assert.Equal(["b *:* m", "c *:* m", "c 10:229 rw", "c 136:* rwm", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm", "c 5:0 rwm", "c 5:2 rwm"],
            list.Order(StringComparer.Ordinal));
        var process = live.Start("echo x > /dev/null && echo null; head -c 1 /dev/kmsg; echo end");
        Assert.Equal("null", process.StandardOutput.ReadLine());
        Assert.Equal("end", process.StandardOutput.ReadLine());
    }

    [CgroupFact(v1: "devices")]
    public void Devices_are_denied_even_when_a_spec_says_nothing_and_left_alone_by_an_update()
    {
        using var live = new LiveGroup();
        var file = live.Group.FolderIn(live.Host.Find("devices")!) + "/devices.list";
        live.Group.Apply(null);
        Assert.Equal("a *:* rwm", File.ReadAllText(file).TrimEnd());
        live.Group.Apply(null, create: true);
        Assert.DoesNotContain("a *:*", File.ReadAllText(file));
        live.Group.Apply(new() { Devices = [new() { Allow = true, Access = "rwm" }] });
        Assert.Equal("a *:* rwm", File.ReadAllText(file).TrimEnd());
    }

    [CgroupFact(v1: "blkio")]
    public void A_disks_limit_is_set_read_and_taken_away()
    {
        var disk = File.ReadAllLines("/proc/partitions").Skip(2).Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)).FirstOrDefault(f => Directory.Exists("/sys/block/" + f[3]));
        if (disk is null) { return; }
        using var live = new LiveGroup();
        var (major, minor) = (long.Parse(disk[0]), long.Parse(disk[1]));
        live.Group.Apply(new()
        {
            BlockIo = new()
            {
                ThrottleReadBpsDevice = [new() { Major = major, Minor = minor, Rate = 1 << 20 }], ThrottleWriteIopsDevice = [new() { Major = major, Minor = minor, Rate = 100 }],
            },
        });
        Assert.Equal([new($"{major}:{minor}", 1 << 20, null, null, 100)], live.Group.ReadLimits().Io);
        live.Group.Apply(new() { BlockIo = new() { ThrottleReadBpsDevice = [new() { Major = major, Minor = minor, Rate = 0 }] } });
        Assert.Equal([new($"{major}:{minor}", null, null, null, 100)], live.Group.ReadLimits().Io);
    }
}
