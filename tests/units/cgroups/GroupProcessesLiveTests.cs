using Containers.Linux;
using Containers.Linux.Cgroups;
using Xunit;
using Process = System.Diagnostics.Process;

namespace Containers.Tests.Units.Cgroups;

/// <summary>Processes that join groups, and what befalls a whole group of them.</summary>
[Collection("control groups")]
public class GroupProcessesLiveTests
{
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

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
}
