using Containers.Linux.Cgroups;
using Xunit;

namespace Containers.Tests.Units.Cgroups;

public class CgroupHostTests
{
    [Fact]
    public void A_v1_host_is_told_by_its_mounts()
    {
        using var recorded = RecordedHost.V1();
        var host = recorded.Host;
        Assert.Equal(CgroupKind.V1, host.Kind);
        Assert.Null(host.Unified);
        Assert.Equal(["name=systemd", "cpu,cpuacct", "memory", "cpuset", "net_cls,net_prio", "blkio", "devices", "pids", "hugetlb", "rdma"], host.Hierarchies.Select(h => h.Name));
        Assert.Same(host.Find("cpu"), host.Find("cpuacct"));
        Assert.Empty(host.Hierarchies[0].Controllers);
        Assert.EndsWith("/sys/fs/cgroup/rdma set", host.Find("rdma")!.MountPoint, StringComparison.Ordinal);
    }

    [Fact]
    public void A_part_of_a_hierarchy_and_a_second_mount_are_left_alone()
    {
        using var recorded = RecordedHost.V1();
        Assert.Null(recorded.Host.Find("freezer"));
        Assert.EndsWith("/sys/fs/cgroup/memory", recorded.Host.Find("memory")!.MountPoint, StringComparison.Ordinal);
    }

    [Fact]
    public void A_v2_host_has_one_tree_with_its_controllers()
    {
        using var recorded = RecordedHost.V2();
        Assert.Equal(CgroupKind.V2, recorded.Host.Kind);
        Assert.Same(recorded.Host.Unified, Assert.Single(recorded.Host.Hierarchies));
        Assert.Same(recorded.Host.Unified, recorded.Host.Find("io"));
        Assert.Null(recorded.Host.Find("blkio"));
    }

    [Fact]
    public void Named_hierarchies_beside_the_v2_tree_do_not_make_a_host_hybrid()
    {
        var host = new CgroupHost("", "1 0 0:1 / /a rw - cgroup2 none rw\n2 0 0:2 / /b rw - cgroup none rw,name=systemd\n");
        Assert.Equal(CgroupKind.V2, host.Kind);
        Assert.Equal(CgroupKind.Hybrid, new CgroupHost("", "1 0 0:1 / /a rw - cgroup2 none rw\n2 0 0:2 / /b rw - cgroup none rw,pids\n").Kind);
    }

    [Theory]
    [InlineData("")]
    [InlineData("\n\n - cgroup\n")]
    [InlineData("1 0 0:1 / /a rw - tmpfs cgroup rw,memory\n")]
    [InlineData("1 0 0:1 / /a rw - cgroup none rw,unheard\n")]
    public void Without_a_hierarchy_there_is_no_host(string mountInfo) =>
        Assert.Equal("CgroupNotMounted", Assert.Throws<CgroupException>(() => new CgroupHost("", mountInfo)).Id);

    [Fact]
    public void Controllers_are_refused_by_name()
    {
        using var recorded = RecordedHost.V1();
        Assert.Equal("warp", Assert.Throws<CgroupNotSupportedException>(() => recorded.Host.Require("warp")).Feature);
        Assert.Equal("freezer", Assert.Throws<CgroupNotSupportedException>(() => recorded.Host.Require("freezer")).Feature);
        Assert.Same(recorded.Host.Find("blkio"), recorded.Host.Require("io"));
    }

    [Fact]
    public void Proc_cgroups_is_read_by_its_columns()
    {
        using var recorded = RecordedHost.V1();
        Assert.Equal([new("cpuset", 4, 7, true), new("memory", 3, 9, false)], recorded.Host.ReadControllers());
    }

    [CgroupFact]
    public void This_host_is_found()
    {
        var host = CgroupHost.Detect();
        Assert.NotEmpty(host.Hierarchies);
        Assert.Equal(File.Exists("/sys/fs/cgroup/cgroup.procs") ? CgroupKind.V2 : host.Unified is null ? CgroupKind.V1 : CgroupKind.Hybrid, host.Kind);
        Assert.All(host.Hierarchies, h => Assert.True(File.Exists(h.MountPoint + "/cgroup.procs")));
        Assert.Contains(host.ReadControllers(), c => c is { Name: "memory" });
    }
}

public class CgroupPathTests
{
    [Theory]
    [InlineData("/a", "/a")]
    [InlineData("//a///b/", "/a/b")]
    [InlineData("/", "/")]
    [InlineData("/a.b/..c/...", "/a.b/..c/...")]
    public void A_path_has_one_spelling(string path, string expected) => Assert.Equal(expected, CgroupPath.Normalize(path));

    [Theory]
    [InlineData("")]
    [InlineData("a")]
    [InlineData("/a/../b")]
    [InlineData("/..")]
    [InlineData("/./a")]
    [InlineData("/a/.")]
    [InlineData("/a\nb")]
    [InlineData("/a\0b")]
    [InlineData("/a\u001b[2J")]
    public void A_hostile_path_is_refused(string path) =>
        Assert.Equal("InvalidCgroupPath", Assert.Throws<CgroupException>(() => CgroupPath.Normalize(path)).Id);

    // An attribute could not carry this text.
    [Fact]
    public void Half_a_character_is_refused() => Assert.Throws<CgroupException>(() => CgroupPath.Normalize("/a\ud800"));

    [Fact]
    public void A_path_that_the_kernel_would_refuse_is_refused_before()
    {
        Assert.Throws<CgroupException>(() => CgroupPath.Normalize("/" + new string('a', 256)));
        Assert.Throws<CgroupException>(() => CgroupPath.Normalize(string.Concat(Enumerable.Repeat("/aaaa", 800))));
        Assert.Equal(256, CgroupPath.Normalize("/" + new string('a', 255)).Length);
    }

    [Theory]
    [InlineData(null, "/", "/id")]
    [InlineData("", "/", "/id")]
    [InlineData("/x/y", "/p", "/x/y")]
    [InlineData("x/y", "/p", "/p/x/y")]
    [InlineData("x", "/", "/x")]
    [InlineData("/a:b:c", "/", "/a:b:c")]
    [InlineData("a:b", "/", "/a:b")]
    public void A_containers_path_follows_the_specification(string? cgroupsPath, string parent, string expected) =>
        Assert.Equal(expected, CgroupPath.Resolve(cgroupsPath, "id", parent));

    [Theory]
    [InlineData("/")]
    [InlineData("//")]
    [InlineData("../x")]
    [InlineData("x/../../y")]
    public void A_container_gets_neither_the_root_nor_what_is_above(string cgroupsPath) =>
        Assert.Equal("InvalidCgroupPath", Assert.Throws<CgroupException>(() => CgroupPath.Resolve(cgroupsPath, "id")).Id);

    [Fact]
    public void An_id_is_one_name() => Assert.Throws<CgroupException>(() => CgroupPath.Resolve(null, "a/b"));

    [Theory]
    [InlineData("system.slice:runc:abc")]
    [InlineData(":docker:abc")]
    public void Systemds_paths_are_refused_by_name(string cgroupsPath) =>
        Assert.Equal("linux.cgroupsPath", Assert.Throws<CgroupNotSupportedException>(() => CgroupPath.Resolve(cgroupsPath, "id")).Feature);
}
