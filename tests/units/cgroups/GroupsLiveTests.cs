using System.Diagnostics;
using Containers.Linux.Cgroups;
using Xunit;

namespace Containers.Tests.Units.Cgroups;

/// <summary>All or nothing, membership and marks, against the kernel.</summary>
public sealed class GroupsLiveTests
{
    static Dictionary<string, string?> Files(ControlGroup group)
    {
        var all = new Dictionary<string, string?>();
        foreach (var folder in group.Folders())
        {
            foreach (var file in Directory.EnumerateFiles(folder))
            {
                // What counts by itself, and what cannot be read.
                if (file.Contains("stat") || file.Contains("usage") || file.Contains("pressure")) { continue; }
                try { all[file] = File.ReadAllText(file); }
                catch (Exception e) when (e is IOException or UnauthorizedAccessException) { }
            }
        }
        return all;
    }

    [CgroupFact]
    public void OneRefusedValueInFiveChangesNothing()
    {
        using var live = new LiveGroup();
        if (live.Host.Find("memory") is not { Version: 1 }) { return; }
        live.Group.PlanLimits(new() { Memory = 64 << 20, Cpu = 0.5, CpuWeight = 300, ProcessLimit = 50 }).Apply();
        var before = Files(live.Group);
        Assert.True(before.Count > 50);
        var plan = live.Group.PlanLimits(new() { Memory = 32 << 20, Cpu = 0.25, CpuWeight = 20, ProcessLimit = 5, Values = new Dictionary<string, string> { ["memory.swappiness"] = "500" } });
        Assert.Equal(5, plan.Writes.Count);
        var refused = Assert.Throws<CgroupException>(plan.Apply);
        Assert.Equal("CgroupLimitRefused", refused.Id);
        foreach (var word in new[] { "memory.swappiness", "500", "EINVAL" }) { Assert.Contains(word, refused.Message); }
        Assert.Equal(before, Files(live.Group));
    }

    [CgroupFact]
    public void OneRefusedValueInTheV2TreeChangesNothing()
    {
        using var live = new LiveGroup();
        if (live.Host.Unified is null) { return; }
        var before = Files(live.Group);
        var plan = live.Group.PlanLimits(new() { Values = new Dictionary<string, string> { ["cgroup.max.descendants"] = "5", ["cgroup.max.depth"] = "-5" } });
        Assert.Contains("cgroup.max.depth", Assert.Throws<CgroupException>(plan.Apply).Message);
        Assert.Equal(before, Files(live.Group));
    }

    [CgroupFact]
    public void AProcessThatIsRefusedByOneHierarchyStaysInAll()
    {
        using var live = new LiveGroup();
        if (live.Host.Find("pids") is not { Version: 1 } || live.Host.Find("cpuset") is not { Version: 1 } cpuset) { return; }
        var bare = live.Make(live.Host.Group(live.Parent + "/bare"));
        // Without processors a v1 group takes nobody.
        File.WriteAllText(bare.FolderIn(cpuset) + "/cpuset.cpus", "\n");
        var child = live.Start("exec sleep 1000");
        var before = File.ReadAllText($"/proc/{child.Id}/cgroup");
        Assert.Equal("CgroupLimitRefused", Assert.Throws<CgroupException>(() => bare.Move(child.Id)).Id);
        Assert.Equal(before, File.ReadAllText($"/proc/{child.Id}/cgroup"));
    }

    [CgroupFact]
    public void ProcessesAndThreadsMove()
    {
        using var live = new LiveGroup();
        var other = live.Make(live.Host.Group(live.Parent + "/other"));
        var child = live.Start("exec sleep 1000");
        other.Move(child.Id);
        Assert.Equal([child.Id], other.Processes());
        Assert.Equal([child.Id], other.Threads());
        Assert.Equal("ProcessNotFound", Assert.Throws<CgroupException>(() => other.Move(int.MaxValue - 1)).Id);
        if (live.Host.Kind == CgroupKind.V2) { return; }
        live.Group.Move(child.Id, thread: true);
        Assert.Equal([child.Id], live.Group.Threads());
    }

    [CgroupFact]
    public void APlanToMakeHasEveryStepAndAPlanToKillEveryWrite()
    {
        using var live = new LiveGroup();
        if (live.Host.Find("cpuset") is not { Version: 1 } cpuset) { return; }
        var group = live.Host.Group(live.Parent + "/new/below");
        var steps = group.CreateSteps(group.MissingFolders());
        Assert.Equal(live.Host.Hierarchies.Count * 2, steps.Count(step => step.StartsWith("mkdir ", StringComparison.Ordinal)));
        live.Make(group);
        foreach (var path in new[] { live.Parent + "/new", group.Path })
        {
            foreach (var file in new[] { "cpuset.cpus", "cpuset.mems" })
            {
                var full = $"{live.Host.Group(path).FolderIn(cpuset)}/{file}";
                Assert.Contains($"{full}: -> {File.ReadAllText(full).Trim()}", steps);
            }
        }
        Assert.Empty(group.CreateSteps(group.MissingFolders()));
        if (live.Host.Find("freezer") is { Version: 1 } freezer) { Assert.Contains($"{group.FolderIn(freezer)}/freezer.state: -> THAWED", live.Host.Group(live.Parent + "/new").KillSteps()); }
    }

    [CgroupFact]
    public void OneThatHasEndedIsNotMoved()
    {
        using var live = new LiveGroup();
        // The second sleep never collects the first.
        var child = live.Start("sleep 0 & exec sleep 1000", live.Host.Group(live.Parent));
        var ended = 0;
        Assert.True(SpinWait.SpinUntil(() => int.TryParse(File.ReadAllText($"/proc/{child.Id}/task/{child.Id}/children").Trim(), out ended)
            && File.ReadAllText($"/proc/{ended}/stat").Contains(") Z ", StringComparison.Ordinal), TimeSpan.FromSeconds(20)));
        Assert.Equal("ProcessNotFound", Assert.Throws<CgroupException>(() => live.Group.Move(ended)).Id);
    }

    [CgroupFact]
    public void ADomainTakesNoProcessWhenItIsThreaded()
    {
        using var live = new LiveGroup();
        if (live.Host.Unified is null) { return; }
        var threaded = live.Make(live.Host.Group(live.Parent + "/g/threaded"));
        threaded.MakeThreaded();
        Assert.Equal("threaded", threaded.Type);
        var invalid = live.Make(live.Host.Group(live.Parent + "/g/invalid"));
        var child = live.Start("exec sleep 1000", live.Host.Group(live.Parent + "/g"));
        Assert.Equal("CgroupThreaded", Assert.Throws<CgroupException>(() => invalid.Move(child.Id)).Id);
    }

    [CgroupFact]
    public void MarksAndProtectionTellWhatMayGo()
    {
        using var live = new LiveGroup();
        Assert.False(live.Group.IsOurs);
        live.Group.MarkAsOurs();
        Assert.True(live.Group.IsOurs);
        Assert.Null(live.Group.Protection);
        Assert.False(live.Group.HoldsUs);
        Assert.NotNull(live.Host.Group("/").Protection);
        Assert.Contains(live.Group.Path, live.Host.Group(live.Parent).Below());
        Assert.Empty(live.Group.MissingFolders());
        Assert.NotEmpty(live.Host.Group(live.Parent + "/none/below").MissingFolders());
    }

    [CgroupFact]
    public void HierarchiesAreNamedBeforeTheyAreMounted()
    {
        var known = CgroupHost.Detect().ReadControllers();
        Assert.Equal("none,name=track", CgroupHierarchyMount.Options([], "track", known));
        Assert.Equal("InvalidLimit", Assert.Throws<CgroupException>(() => CgroupHierarchyMount.Options([], "a,release_agent=/bin/sh", known)).Id);
        Assert.Equal("InvalidLimit", Assert.Throws<CgroupException>(() => CgroupHierarchyMount.Options([], null, known)).Id);
        Assert.Throws<CgroupNotSupportedException>(() => CgroupHierarchyMount.Options(["memory,release_agent=/bin/sh"], null, known));
    }

    [CgroupFact]
    public void AWatcherTellsThatTheLastProcessWentAndThatMemoryRanOut()
    {
        using var live = new LiveGroup();
        var child = live.Start("head -c 200000000 /dev/zero | tail -n 1; sleep 1000");
        using var watcher = new CgroupWatcher(live.Host);
        var kinds = new List<CgroupEventKind> { CgroupEventKind.Populated };
        var limited = live.Host.Find("memory") is { } memory && (memory.Version == 1 || live.Host.Kind == CgroupKind.V2);
        if (limited)
        {
            live.Group.PlanLimits(new() { Memory = 32 << 20, MemorySwap = 32 << 20 }).Apply();
            kinds.Add(CgroupEventKind.OutOfMemory);
        }
        watcher.Add(live.Group, kinds, default, default, []);
        var seen = new List<CgroupNotice>();
        if (limited) { Until(n => n.Kind == CgroupEventKind.OutOfMemory); }
        live.Group.Kill();
        Until(n => n is { Kind: CgroupEventKind.Populated, State: false });

        void Until(Predicate<CgroupNotice> wanted)
        {
            var start = Stopwatch.StartNew();
            while (!seen.Exists(wanted))
            {
                Assert.True(start.Elapsed < TimeSpan.FromSeconds(60), "nothing was told");
                seen.AddRange(watcher.Wait(1000));
            }
        }
    }

    [CgroupFact]
    public void V1AloneTellsByThePidfdsOfWhoIsInside()
    {
        if (LiveGroup.Part(1) is not { } host) { return; }
        using var live = new LiveGroup(host);
        using var watcher = new CgroupWatcher(host);
        watcher.Add(live.Group, [CgroupEventKind.Populated], default, default, []);
        var child = live.Start("exec sleep 1000");
        Assert.True(Next().State);
        live.Group.Kill();
        Assert.False(Next().State);

        CgroupNotice Next()
        {
            var start = Stopwatch.StartNew();
            while (true)
            {
                if (watcher.Wait(1000) is [var first, ..]) { return first; }
                Assert.True(start.Elapsed < TimeSpan.FromSeconds(60), "nothing was told");
            }
        }
    }

    [CgroupFact]
    public void AWatcherEndsWithItsGroups()
    {
        using var live = new LiveGroup();
        var one = live.Make(live.Host.Group(live.Parent + "/one"));
        using var watcher = new CgroupWatcher(live.Host);
        watcher.Add(one, [CgroupEventKind.Frozen], default, default, []);
        Assert.Equal(1, watcher.Count);
        one.Remove();
        var start = Stopwatch.StartNew();
        while (watcher.Count > 0)
        {
            Assert.True(start.Elapsed < TimeSpan.FromSeconds(60), "the removal was not told");
            Assert.Empty(watcher.Wait(1000));
        }
        Assert.Equal("CgroupNotFound", Assert.Throws<CgroupException>(() => watcher.Add(one, [CgroupEventKind.Frozen], default, default, [])).Id);
    }
}
