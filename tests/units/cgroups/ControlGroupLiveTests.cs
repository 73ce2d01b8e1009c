using System.Text;
using Containers.Linux;
using Containers.Linux.Cgroups;
using Containers.Linux.Oci;
using Xunit;
using Process = System.Diagnostics.Process;

namespace Containers.Tests.Units.Cgroups;

public class ControlGroupLiveTests
{
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    [CgroupFact]
    public void A_group_is_made_and_removed_in_every_hierarchy()
    {
        using var live = new LiveGroup(create: false);
        Assert.False(live.Group.Exists);
        Assert.True(live.Group.Create());
        Assert.False(live.Group.Create());
        Assert.All(live.Host.Hierarchies, h => Assert.True(Directory.Exists(live.Group.FolderIn(h))));
        live.Group.Remove(live.Parent);
        Assert.False(live.Group.Exists);
        Assert.Equal(0, live.FoldersLeft());
        live.Group.Remove(live.Parent);
    }

    [CgroupFact]
    public void Parents_are_removed_up_to_the_one_named_and_only_when_empty()
    {
        using var live = new LiveGroup(create: false);
        var deep = live.Host.Group(live.Parent + "/a/b/c");
        var beside = live.Host.Group(live.Parent + "/a/x");
        deep.Create();
        beside.Create();
        deep.Remove(live.Parent);
        Assert.False(live.Host.Group(live.Parent + "/a/b").Exists);
        Assert.True(beside.Exists);
        beside.Remove(live.Parent + "/a");
        Assert.False(live.Host.Group(live.Parent + "/a").Exists);
        Assert.True(live.Host.Group(live.Parent).Exists);
    }

    [CgroupFact(v1: "cpuset")]
    public void A_new_group_has_its_parents_cpus()
    {
        using var live = new LiveGroup();
        var root = live.Host.Find("cpuset")!.MountPoint;
        Assert.Equal(File.ReadAllText(root + "/cpuset.cpus"), File.ReadAllText(root + live.Group.Path + "/cpuset.cpus"));
        Assert.Equal(File.ReadAllText(root + "/cpuset.mems"), File.ReadAllText(root + live.Parent + "/cpuset.mems"));
    }

    [CgroupFact]
    public void A_process_joins_in_every_hierarchy()
    {
        using var live = new LiveGroup();
        var process = live.Start("exec sleep 1000");
        // One line for each hierarchy of the kernel; those that are mounted nowhere stay as they are.
        var joined = File.ReadAllLines($"/proc/{process.Id}/cgroup").Count(line => line.EndsWith(":" + live.Group.Path, StringComparison.Ordinal));
        Assert.Equal(live.Host.Hierarchies.Count, joined);
        Assert.Equal([process.Id], live.Group.Processes());
    }

    [CgroupFact]
    public void Attaching_says_what_is_missing()
    {
        using var live = new LiveGroup();
        Assert.Equal("CgroupNotFound", Assert.Throws<CgroupException>(() => live.Host.Group(live.Parent + "/none").Attach(0)).Id);
        using var gone = Process.Start("/bin/true", [])!;
        gone.WaitForExit();
        Assert.Equal(Libc.ESRCH, Assert.Throws<LinuxException>(() => live.Group.Attach(gone.Id)).Errno);
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

    [CgroupFact]
    public void Reading_a_group_that_is_not_there_says_so()
    {
        var none = CgroupHost.Detect().Group($"/pscontainers-none-{Guid.NewGuid():N}");
        Assert.Equal("CgroupNotFound", Assert.Throws<CgroupException>(() => none.ReadStats()).Id);
        Assert.Equal("CgroupNotFound", Assert.Throws<CgroupException>(() => none.ReadLimits()).Id);
        Assert.Empty(none.Processes(recursive: true));
        none.Kill();
        Assert.True(none.WaitEmpty(TimeSpan.Zero));
        Assert.False(none.Frozen);
    }

    [CgroupFact]
    public void The_root_is_neither_killed_nor_limited()
    {
        var root = CgroupHost.Detect().Group("/");
        foreach (var act in (Action[])[root.Kill, root.Freeze, root.Thaw, () => root.Remove(), () => root.Apply(new()), () => root.Create()])
        {
            Assert.Equal("InvalidCgroupPath", Assert.Throws<CgroupException>(act).Id);
        }
    }

    // 0: the host as it is; 1 and 2: as if only its v1 hierarchies, or only its v2 tree, were there.
    public static TheoryData<int> Parts()
    {
        var parts = new TheoryData<int> { 0 };
        if (LiveGroup.Part(1) is { } v1 && v1.Find("freezer") is not null) { parts.Add(1); }
        if (LiveGroup.Part(2) is not null) { parts.Add(2); }
        return parts;
    }

    static LiveGroup Part(int part) => new(part == 0 ? CgroupHost.Detect() : LiveGroup.Part(part));

    [CgroupTheory]
    [MemberData(nameof(Parts))]
    public void Kill_reaches_every_process_below(int part)
    {
        using var live = Part(part);
        var child = live.Make(live.Host.Group(live.Group.Path + "/child"));
        var a = live.Start("sleep 1000 & sleep 1000 & sleep 1000; echo never");
        var b = live.Start("trap '' TERM; sleep 1000; echo never", child);
        Assert.True(SpinWait.SpinUntil(() => live.Group.Processes(recursive: true).Count == 6, Patience));
        Assert.Equal(4, live.Group.Processes().Count);
        Assert.False(live.Group.WaitEmpty(TimeSpan.FromMilliseconds(5)));
        live.Group.Kill();
        Assert.True(live.Group.WaitEmpty(Patience));
        Assert.True(a.WaitForExit(Patience) && b.WaitForExit(Patience));
        Assert.Equal(137, a.ExitCode);
        live.Group.Kill();
    }

    [CgroupFact]
    public void A_signal_goes_to_every_process_below_and_to_no_other()
    {
        using var live = new LiveGroup();
        var child = live.Make(live.Host.Group(live.Group.Path + "/child"));
        const string Script = "trap 'echo usr1; exit 3' USR1; echo ready; while :; do /bin/sleep 0.01; done";
        var inside = new[] { live.Start(Script), live.Start(Script, child) };
        var outside = live.Start("exec sleep 1000", live.Host.Group(live.Parent));
        foreach (var process in inside) { Assert.Equal("ready", process.StandardOutput.ReadLine()); }
        Assert.InRange(live.Group.Signal(Libc.SIGUSR1), 2, 4);
        foreach (var process in inside)
        {
            Assert.Equal("usr1", process.StandardOutput.ReadLine());
            Assert.True(process.WaitForExit(Patience));
            Assert.Equal(3, process.ExitCode);
        }
        Assert.False(outside.HasExited);
        Assert.True(live.Group.WaitEmpty(Patience));
        Assert.Equal(0, live.Group.Signal(Libc.SIGUSR1));
    }

    [CgroupTheory]
    [MemberData(nameof(Parts))]
    public void Kill_outruns_processes_that_fork_without_end(int part)
    {
        using var live = Part(part);
        live.Start("f() { /bin/true; f & }; f & f & f & sleep 1000");
        live.Group.Kill();
        Assert.True(live.Group.WaitEmpty(Patience));
    }

    [CgroupTheory]
    [MemberData(nameof(Parts))]
    public void Frozen_processes_stand_still_and_can_be_killed(int part)
    {
        using var live = Part(part);
        var process = live.Start("while :; do :; done");
        Assert.True(SpinWait.SpinUntil(() => Ticks() > 0, Patience));
        live.Group.Freeze();
        Assert.True(live.Group.Frozen);
        var before = Ticks();
        Assert.False(SpinWait.SpinUntil(() => Ticks() > before + 1, TimeSpan.FromMilliseconds(100)));
        live.Group.Thaw();
        Assert.False(live.Group.Frozen);
        Assert.True(SpinWait.SpinUntil(() => Ticks() > before + 1, Patience));
        live.Group.Freeze();
        live.Group.Kill();
        Assert.True(live.Group.WaitEmpty(Patience));

        long Ticks() => long.Parse(File.ReadAllText($"/proc/{process.Id}/stat").Split(' ')[13]);
    }

    [CgroupFact]
    public void A_group_with_processes_is_not_removed()
    {
        using var live = new LiveGroup();
        var process = live.Start("exec sleep 1000");
        var e = Assert.Throws<CgroupException>(() => live.Group.Remove(wait: TimeSpan.FromMilliseconds(20)));
        Assert.Equal("CgroupBusy", e.Id);
        Assert.Equal([process.Id], live.Group.Processes());
        process.Kill();
        live.Group.Remove(wait: Patience);
        Assert.False(live.Group.Exists);
    }

    [CgroupFact]
    public void Whatever_was_made_inside_is_removed_too()
    {
        using var live = new LiveGroup();
        foreach (var h in live.Host.Hierarchies)
        {
            // Names from inside need not be text.
            foreach (var name in (byte[][])[[.. "plain"u8], [0xff, 0xfe], [.. " -rf\t"u8]])
            {
                Assert.Equal(0, MakeFolder(live.Group.FolderIn(h), name));
                var inner = Encoding.UTF8.GetBytes(live.Group.FolderIn(h) + "/");
                Assert.Equal(0, MakeFolder(null, [.. inner, .. name, .. "/inner"u8]));
            }
        }
        live.Group.Remove();
        Assert.False(live.Group.Exists);
    }

    [CgroupFact]
    public void Groups_nested_beyond_reason_are_refused_and_still_removed()
    {
        using var live = new LiveGroup(LiveGroup.Part(2) ?? LiveGroup.Part(1));
        var folder = live.Group.FolderIn(live.Host.Hierarchies[0]);
        for (var i = 0; i < 300; i++)
        {
            folder += "/d";
            Directory.CreateDirectory(folder);
        }
        Assert.Equal("CgroupTooDeep", Assert.Throws<CgroupException>(() => live.Group.Processes(recursive: true)).Id);
        live.Group.Remove();
        Assert.False(live.Group.Exists);
    }

    [CgroupFact]
    public void Makers_and_removers_of_one_parent_do_not_disturb_each_other()
    {
        using var live = new LiveGroup(create: false);
        Parallel.For(0, 4, new ParallelOptions { MaxDegreeOfParallelism = 4 }, worker =>
        {
            var group = live.Host.Group($"{live.Parent}/p/w{worker}");
            for (var i = 0; i < 40; i++)
            {
                group.Create();
                Assert.True(group.Exists);
                group.Remove(live.Parent);
            }
        });
        Assert.Equal(0, live.FoldersLeft());
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

    static unsafe int MakeFolder(string? parent, byte[] name)
    {
        byte[] path = [.. Encoding.UTF8.GetBytes(parent is null ? "" : parent + "/"), .. name, 0];
        fixed (byte* p = path) { return (int)Libc.syscall_errno(Libc.SYS_mkdirat, Libc.AT_FDCWD, (nint)p, 0x1ed, 0, 0, 0); }
    }
}
