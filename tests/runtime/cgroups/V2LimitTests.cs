using System.Diagnostics;
using Containers.Linux.Cgroups;
using Containers.Linux.Oci;

namespace Containers.Tests.Runtime;

/// <summary>A test of limits that needs their controllers in the v2 tree.</summary>
sealed class V2FactAttribute : FactAttribute
{
    static readonly string[] Needed = ["cpu", "cpuset", "memory", "pids"];

    public V2FactAttribute() => Skip = Native.geteuid() != 0 ? "needs root" : UnderTest.IsRunc || UnderTest.IsCrun ? "about limits of groups, no runtime has part in it" : Missing() is { } missing ? $"no {missing} in the v2 tree here" : null;

    static string? Missing()
    {
        const string File = "/sys/fs/cgroup/cgroup.controllers";
        var there = System.IO.File.Exists(File) ? System.IO.File.ReadAllText(File).Trim().Split(' ') : [];
        return Needed.FirstOrDefault(name => !there.Contains(name));
    }
}

/// <summary>Limits in the v2 tree, told by what they do to processes.</summary>
public sealed class V2LimitTests : RuntimeTest
{
    const string Hog = "x=0123456789; while :; do x=$x$x; done";
    const string Spinner = "while :; do :; done";

    static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    readonly CgroupHost host = CgroupHost.Detect();
    readonly List<Spawn> started = [];

    ControlGroup Top => host.Group($"/{Tag}-v2");

    /// <summary>A group below one of the test's own.</summary>
    ControlGroup Make(string name)
    {
        var group = host.Group($"{Top.Path}/{name}");
        group.Create();
        return group;
    }

    string Folder2(ControlGroup group) => group.FolderIn(host.Unified!);

    string Read(ControlGroup group, string file) => File.ReadAllText($"{Folder2(group)}/{file}").Trim();

    /// <summary>Starts a shell script in the group.</summary>
    Spawn Shell(ControlGroup group, string script)
    {
        var spawn = Spawn.Start(Folder, "/bin/sh", ["-c", $"echo 0 >{Folder2(group)}/cgroup.procs && {script}"], new SpawnOptions { Timeout = Patience });
        started.Add(spawn);
        return spawn;
    }

    static void Set(ControlGroup group, CgroupLimitChange change) => group.PlanLimits(change).Apply();

    protected override void CleanUp()
    {
        if (!Top.Exists)
            return;
        Top.Kill();
        foreach (var spawn in started)
            spawn.Dispose();
        Top.Remove(wait: Patience);
    }

    [V2Fact]
    public void Limits_are_read_as_they_were_set_and_all_taken_away()
    {
        var group = Make("a");
        Set(group, new()
        {
            Memory = 64 << 20, MemorySwap = 96 << 20, MemoryHigh = 48 << 20, MemoryLow = 8 << 20, MemoryMinimum = 4 << 20, OomGroup = true, Cpu = 0.5, CpuBurst = TimeSpan.FromMilliseconds(20), CpuWeight = 300, CpuSet = "0",
            ProcessLimit = 33,
        });
        var now = group.ReadLimits();
        Assert.Equal((64L << 20, 96L << 20, 48L << 20, 8L << 20, 4L << 20), (now.Memory, now.MemorySwap, now.MemoryHigh, now.MemoryLow, now.MemoryMinimum));
        Assert.Equal((true, 0.5, TimeSpan.FromMilliseconds(20), 300L, "0", 33L), (now.OomGroup, now.CpuQuota / now.CpuPeriod, now.CpuBurst, now.CpuWeight, now.Cpus, now.Pids));
        // Memory above what both had together, and back below.
        Set(group, new() { Memory = 128 << 20, MemorySwap = 160 << 20 });
        Set(group, new() { Memory = 32 << 20 });
        Assert.Equal((32L << 20, 160L << 20), (group.ReadLimits().Memory, group.ReadLimits().MemorySwap));

        group.PlanLimits(group.Clearing()).Apply();
        Assert.Equal(("max", "max", "max", "0", "0", "0"), (Read(group, "memory.max"), Read(group, "memory.swap.max"), Read(group, "memory.high"), Read(group, "memory.low"), Read(group, "memory.min"), Read(group, "memory.oom.group")));
        Assert.Equal(("max 100000", "0", "100", "", "max"), (Read(group, "cpu.max"), Read(group, "cpu.max.burst"), Read(group, "cpu.weight"), Read(group, "cpuset.cpus"), Read(group, "pids.max")));
    }

    [V2Fact]
    public void One_refused_value_in_five_changes_nothing()
    {
        var group = Make("a");
        Set(group, new() { Memory = 96 << 20, MemorySwap = 128 << 20, Cpu = 0.75, CpuWeight = 250, ProcessLimit = 44 });
        string[] files = ["memory.max", "memory.swap.max", "memory.high", "memory.oom.group", "cpu.max", "cpu.weight", "cpuset.cpus", "pids.max"];
        var before = files.Select(file => Read(group, file)).ToList();
        var refused = Assert.Throws<CgroupException>(() => Set(group, new() { Memory = 64 << 20, Cpu = 0.25, CpuWeight = 50, ProcessLimit = 9, Values = new Dictionary<string, string> { ["memory.oom.group"] = "7" } }));
        Assert.Equal("CgroupLimitRefused", refused.Id);
        Assert.Contains("memory.oom.group", refused.Message);
        Assert.Equal(before, files.Select(file => Read(group, file)));
    }

    [V2Fact]
    public void A_group_that_becomes_idle_gets_its_weight_back_when_the_rest_is_refused()
    {
        var group = Make("a");
        Set(group, new() { CpuWeight = 250 });
        Assert.Throws<CgroupException>(() => Set(group, new() { CpuIdle = true, Values = new Dictionary<string, string> { ["memory.oom.group"] = "7" } }));
        Assert.Equal(("0", "250"), (Read(group, "cpu.idle"), Read(group, "cpu.weight")));
    }

    [V2Fact]
    public void Who_wants_more_memory_than_its_group_has_is_killed_and_who_does_not_lives()
    {
        var group = Make("a");
        Set(group, new() { Memory = 48 << 20, MemorySwap = 48 << 20 });
        var modest = Shell(group, "exec sleep 1000");
        var within = Shell(group, "x=$(head -c 4000000 /dev/zero | tr '\\0' x); echo ${#x}");
        Assert.Equal("4000000", within.Wait().Ends(0).Stdout.Trim());
        Assert.Equal(0, group.ReadStats().OomKills);
        Assert.Equal(9, Shell(group, Hog).Wait().Signal);
        Assert.Equal(1, group.ReadStats().OomKills);
        Assert.Equal([modest.Pid], group.Processes());
    }

    [V2Fact]
    public void With_OomGroup_all_are_killed_together()
    {
        var group = Make("a");
        Set(group, new() { Memory = 48 << 20, MemorySwap = 48 << 20, OomGroup = true });
        using var watcher = new CgroupWatcher(host);
        watcher.Add(group, [CgroupEventKind.OutOfMemory], TimeSpan.FromMilliseconds(150), TimeSpan.FromSeconds(1), ["memory"]);
        var modest = Shell(group, "exec sleep 1000");
        Until(() => group.Processes().Contains(modest.Pid));
        Assert.Equal(9, Shell(group, Hog).Wait().Signal);
        Assert.Equal(9, modest.Wait().Signal);
        Assert.True(group.WaitEmpty(Patience));
        Assert.InRange(group.ReadStats().OomKills!.Value, 2, 4);
        // Told by the file of events, without anybody asking again and again.
        var notice = watcher.Wait(30_000);
        Assert.Equal((CgroupEventKind.OutOfMemory, group.Path), (notice[0].Kind, notice[0].Path));
    }

    [V2Fact]
    public void Forks_beyond_the_limit_are_refused_and_counted()
    {
        var group = Make("a");
        Set(group, new() { ProcessLimit = 5 });
        var bomb = Shell(group, "i=0; while [ $i -lt 30 ]; do sleep 1000 & i=$((i+1)); done; echo never");
        Assert.DoesNotContain("never", bomb.Wait().Stdout);
        Assert.InRange(group.Processes().Count, 1, 5);
        Assert.True(group.ReadStats().PidsLimitHits >= 1);
    }

    [V2Fact]
    public void Half_a_processor_is_half_a_processor()
    {
        var group = Make("a");
        Set(group, new() { Cpu = 0.5 });
        Shell(group, Spinner);
        Assert.InRange(Used(TimeSpan.FromSeconds(6), group)[0], 0.42, 0.56);
        Assert.True(group.ReadStats().CpuThrottledPeriods > 10);
    }

    [V2Fact]
    public void Weights_of_one_and_three_share_a_processor_so()
    {
        var (light, heavy) = (Make("a"), Make("b"));
        Set(light, new() { CpuWeight = 100, CpuSet = "0" });
        Set(heavy, new() { CpuWeight = 300, CpuSet = "0" });
        Shell(light, Spinner);
        Shell(heavy, Spinner);
        var used = Used(TimeSpan.FromSeconds(6), light, heavy);
        Assert.InRange(used[1] / used[0], 2.4, 3.6);
    }

    /// <summary>Processors that each group uses meanwhile.</summary>
    double[] Used(TimeSpan span, params ControlGroup[] groups)
    {
        foreach (var group in groups)
            Until(() => group.ReadStats().CpuUsage > TimeSpan.FromMilliseconds(200));
        var before = groups.Select(group => group.ReadStats().CpuUsage!.Value).ToArray();
        var clock = Stopwatch.StartNew();
        using var pause = new ManualResetEventSlim();
        pause.Wait(span);
        var after = groups.Select(group => group.ReadStats().CpuUsage!.Value).ToArray();
        var time = clock.Elapsed;
        return [.. after.Zip(before, (end, begin) => (end - begin) / time)];
    }

    [V2Fact]
    public void A_pinned_process_runs_nowhere_else()
    {
        var last = (Environment.ProcessorCount - 1).ToString(System.Globalization.CultureInfo.InvariantCulture);
        var group = Make("a");
        Set(group, new() { CpuSet = last });
        var spinner = Shell(group, Spinner);
        Until(() => group.ReadStats().CpuUsage > TimeSpan.FromMilliseconds(200));
        for (var i = 0; i < 200; i++)
            Assert.Equal(last, File.ReadAllText($"/proc/{spinner.Pid}/stat").Split(' ')[38]);
    }

    [V2Fact]
    public void A_frozen_tree_does_not_move()
    {
        var (group, below) = (Make("a"), Make("a/b"));
        Shell(below, Spinner);
        Until(() => below.ReadStats().CpuUsage > TimeSpan.FromMilliseconds(200));
        group.Freeze();
        var before = below.ReadStats().CpuUsage;
        using var pause = new ManualResetEventSlim();
        pause.Wait(2000);
        Assert.Equal(before, below.ReadStats().CpuUsage);
        group.Thaw();
        Until(() => below.ReadStats().CpuUsage > before);
    }

    [V2Fact]
    public void A_device_that_no_rule_allows_is_refused()
    {
        var group = Make("a");
        Set(group, new() { DeviceRule = [new LinuxDeviceCgroup { Allow = false, Type = "a", Access = "rwm" }] });
        var result = Shell(group, "echo x >/dev/null && echo null; : </dev/kmsg && echo kmsg").Wait();
        Assert.Equal("null", result.Stdout.Trim());
        Assert.Contains("ermitted", result.Stderr);
        Set(group, new() { DeviceRule = [new LinuxDeviceCgroup { Allow = true, Type = "a", Access = "rwm" }] });
        Assert.Equal("kmsg", Shell(group, ": </dev/kmsg && echo kmsg").Wait().Ends(0).Stdout.Trim());
    }

    [V2Fact]
    public void A_group_with_processors_of_its_own_is_a_partition()
    {
        if (Environment.ProcessorCount < 2)
            return;
        _ = Make("a");
        Set(Top, new() { CpuSet = "1", CpuSetPartition = CgroupPartition.Root });
        Assert.Equal("root", Read(Top, "cpuset.cpus.partition"));
        Set(Top, new() { CpuSetPartition = CgroupPartition.Member });
        Assert.Equal("member", Read(Top, "cpuset.cpus.partition"));
    }
}
