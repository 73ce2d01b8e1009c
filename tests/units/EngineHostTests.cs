using Containers.Linux.Cgroups;
using Containers;
using Xunit;

namespace Containers.Tests.Units;

[Collection(SnapshotContract.HostMounts)]
public sealed class EngineHostTests : IDisposable
{
    readonly EngineFixture f = new();

    public void Dispose() => f.Dispose();

    [Fact]
    public void Checks_really_try_and_leave_nothing()
    {
        var mounts = File.ReadAllText("/proc/self/mountinfo");
        var checks = f.Engine.Host.Check().ToList();
        Assert.True(checks.Count >= 10);
        Assert.Equal(checks.Count, checks.Select(c => c.Name).Distinct().Count());
        foreach (var name in new[] { "PidFd", "Namespace mnt", "Namespace net", "Overlay", "PivotRoot", "Seccomp", "Cgroup memory", "Cgroup pids", "Leftovers" })
        {
            var check = Assert.Single(checks, c => c.Name == name);
            Assert.True(check.Status == ContainerHostCheckStatus.Pass, $"{name}: {check.Found}");
        }
        Assert.Equal(mounts, File.ReadAllText("/proc/self/mountinfo"));
        Assert.DoesNotContain(Directory.GetFileSystemEntries(f.Folder), e => Path.GetFileName(e).StartsWith(".check", StringComparison.Ordinal));
        Assert.Empty(f.Left());
    }

    [Fact]
    public void A_helper_that_is_missing_fails_its_check_with_a_remedy()
    {
        var engine = new ContainerEngine(new ContainerHostOptions { Root = f.Options.Root, RunRoot = f.Options.RunRoot, HelperPath = "/no/psrun" });
        var check = Assert.Single(engine.Host.Check(), c => c.Name == "Psrun");
        Assert.Equal(ContainerHostCheckStatus.Fail, check.Status);
        Assert.NotNull(check.Remedy);
    }

    [Fact]
    public async Task Half_made_folders_are_found_as_leftovers()
    {
        await f.Engine.Containers.CreateAsync(f.Plain());
        Directory.CreateDirectory(Path.Combine(f.Options.Root, "containers", f.Options.ContainerNamespace, ".new-0123456789ab"));
        var check = Assert.Single(f.Engine.Host.Check(), c => c.Name == "Leftovers");
        Assert.Equal(ContainerHostCheckStatus.Warn, check.Status);
        Assert.Contains(".new-0123456789ab", check.Found);
    }

    [Fact]
    public void The_host_is_described_by_raw_values()
    {
        var info = f.Engine.Host.GetInfo();
        Assert.True(info.MemoryTotal > 1 << 20);
        Assert.Contains(info.CgroupMode, new[] { "v1", "hybrid", "v2" });
        Assert.Contains("memory", info.CgroupControllers);
        Assert.Equal(f.Options.Root, info.Root);
        Assert.Equal(0, info.ContainerCount);
    }

    [Fact]
    public void Own_namespaces_are_listed_with_members_and_owner()
    {
        var own = f.Engine.Namespaces.List(processId: Environment.ProcessId);
        Assert.Equal(own.Count, own.Select(n => n.Type).Distinct().Count());
        var net = Assert.Single(own, n => n.Type == LinuxNamespaceType.Net);
        Assert.Equal(File.ResolveLinkTarget("/proc/self/ns/net", false)!.Name, $"net:[{net.Id}]");
        Assert.True(net.ProcessCount >= 1);
        Assert.Equal(LinuxNamespaceHolder.Process, net.Holder);
        Assert.Null(net.Container);
        Assert.Equal(ErrorIds.NamespaceNotFound, Assert.Throws<ContainerException>(() => f.Engine.Namespaces.List(processId: int.MaxValue)).Id);
    }

    [Fact]
    public void Cgroups_are_listed_and_a_missing_one_is_told()
    {
        var all = f.Engine.Cgroups.List();
        Assert.Equal("/", all[0].Path);
        Assert.Contains("memory", all[0].Controllers);
        var own = f.Engine.Cgroups.ForProcess(Environment.ProcessId);
        Assert.StartsWith("/", own.Path);
        Assert.Equal(ErrorIds.CgroupNotFound, Assert.Throws<ContainerException>(() => f.Engine.Cgroups.Get("/no/such/group")).Id);
        Assert.Equal(ErrorIds.InvalidArgument, Assert.Throws<ContainerException>(() => f.Engine.Cgroups.Get("/a/../b")).Id);
    }

    [Fact]
    public void Network_counters_leave_out_the_loopback_and_what_makes_no_sense()
    {
        string[] lines =
        [
            "Inter-|   Receive", " face |bytes",
            "    lo:  100 1 0 0 0 0 0 0  100 1 0 0 0 0 0 0", "  eth0: 1000 1 0 0 0 0 0 0 2000 1 0 0 0 0 0 0", "a:b:     5 1 0 0 0 0 0 0    6 1 0 0 0 0 0 0", "broken: x",
        ];
        Assert.Equal((1005L, 2006L), NetworkBytes.Parse(lines));
    }

    [RunsContainersFact]
    public async Task A_container_is_found_in_namespaces_and_cgroups_limited_and_measured()
    {
        var options = f.Shell("while :; do :; done");
        options.Memory = 64 << 20;
        var c = await f.Engine.Containers.CreateAsync(options, f.Limit);
        await f.Engine.Tasks.StartAsync(c.Id, cancel: f.Limit);

        var namespaces = f.Engine.Namespaces.List(containerId: c.Id);
        Assert.Equal(c.Id, Assert.Single(namespaces, n => n.Type == LinuxNamespaceType.Net).Container);
        Assert.Null(Assert.Single(namespaces, n => n.Type == LinuxNamespaceType.User).Container);

        var group = f.Engine.Cgroups.ForContainer(c.Id);
        Assert.Equal((c.Id, 1), (group.Container, group.ProcessCount));
        Assert.Equal(64 << 20, f.Engine.Cgroups.GetLimit(group.Path).Memory);
        var limit = f.Engine.Cgroups.SetLimit(group.Path, new CgroupLimitChange { Cpu = 0.25, ProcessLimit = 50 });
        Assert.Equal((0.25, 50L, 64L << 20), (limit.Cpu, limit.ProcessLimit, limit.Memory));
        Assert.Equal(ErrorIds.InvalidArgument, Assert.Throws<ContainerException>(() => f.Engine.Cgroups.SetLimit(group.Path, new CgroupLimitChange { Cpu = -3 })).Id);
        Assert.Null(f.Engine.Cgroups.SetLimit(group.Path, new CgroupLimitChange { Cpu = -1, ProcessLimit = -1 }).Cpu);

        var measured = await f.Engine.Measurements.MeasureAsync(c.Id, cancel: f.Limit);
        Assert.True(measured.CpuPercent > 1, $"{measured.CpuPercent} %");
        Assert.Equal(64 << 20, measured.MemoryLimit);
        Assert.InRange(measured.MemoryPercent!.Value, 0, 100);
        Assert.Equal(1, measured.ProcessCount);
        Assert.Equal((0L, 0L), (measured.ReceivedBytes, measured.SentBytes));
    }
}
