using System.Collections;
using Containers;
using Containers.Linux.Oci;
using Xunit;

namespace Containers.Tests.Units;

public sealed class EngineSpecTests : IDisposable
{
    readonly EngineFixture f = new();

    public void Dispose() => f.Dispose();

    Spec Build(Action<ContainerCreateOptions>? change = null)
    {
        var options = f.Plain("box");
        change?.Invoke(options);
        var spec = f.Engine.Containers.CreateAsync(options).GetAwaiter().GetResult().Spec;
        Remove();
        return spec;
    }

    void Remove()
    {
        foreach (var id in f.Engine.Containers.ListIds()) { f.Engine.Containers.RemoveAsync(id).GetAwaiter().GetResult(); }
    }

    void Refused(string id, Action<ContainerCreateOptions> change)
    {
        var e = Assert.Throws<ContainerException>(() => { Build(change); });
        Assert.True(e.Id == id, $"{e.Id}: {e.Message}");
        Assert.Empty(f.Engine.Containers.ListIds());
    }

    static string[] Types(Spec spec) => [.. spec.Linux!.Namespaces!.Select(n => n.Type!).Order()];

    [Fact]
    public void The_defaults_are_those_of_the_security_page()
    {
        var spec = Build();
        Assert.Equal(["cgroup", "ipc", "mount", "network", "pid", "uts"], Types(spec));
        var caps = spec.Process!.Capabilities!;
        var page = File.ReadAllText(Path.Combine(Repository(), "docs/security.md"));
        Assert.Equal(11, caps.Bounding!.Count);
        Assert.All(caps.Bounding, c => Assert.Contains(c, page));
        Assert.Equal(caps.Bounding, caps.Effective);
        Assert.Equal(caps.Bounding, caps.Permitted);
        Assert.Empty(caps.Inheritable!);
        Assert.Empty(caps.Ambient!);
        Assert.False(spec.Process.NoNewPrivileges);
        Assert.Equal(0x12u, spec.Process.User!.Umask);
        Assert.All(spec.Linux!.MaskedPaths!.Where(p => !p.Contains("thermal_throttle")), p => Assert.Contains($"`{p}`", page));
        Assert.All(spec.Linux.ReadonlyPaths!, p => Assert.Contains($"`{p}`", page));
        Assert.All(spec.Mounts!, m => Assert.Contains($"`{m.Destination}`", page));
        Assert.Equal("/pscontainers/" + f.Options.ContainerNamespace + "/box", spec.Linux.CgroupsPath);
        Assert.False(spec.Linux.Resources!.Devices![0].Allow);
    }

    static string Repository()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Containers.slnx"))) { folder = Path.GetDirectoryName(folder.TrimEnd('/'))!; }
        return folder;
    }

    [Fact]
    public void Every_error_id_stands_on_its_page_and_no_other()
    {
        var ids = typeof(ErrorIds).GetFields().Select(field => (string)field.GetValue(null)!).Order().ToList();
        var page = File.ReadLines(Path.Combine(Repository(), "docs/errors.md")).Where(l => l.StartsWith("| `", StringComparison.Ordinal))
            .Select(l => l.Split('`')[1]).Order().ToList();
        Assert.Equal(ids, page);
    }

    [Fact]
    public void The_environment_is_docker_s_with_the_user_s_on_top()
    {
        var file = Path.Combine(f.Folder, "env");
        File.WriteAllText(file, "# comment\nA=from file\nB= spaced \n\nHOME_OF_TESTS\n");
        Environment.SetEnvironmentVariable("HOME_OF_TESTS", "taken");
        var env = Build(o => { o.EnvironmentFile = [file]; o.Environment = new Dictionary<string, string> { ["A"] = "own", ["E"] = "" }; o.User = "web"; }).Process!.Env!;
        Assert.Contains("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", env);
        Assert.Contains("HOSTNAME=box", env);
        Assert.Contains("HOME=/srv/web", env);
        Assert.Contains("A=own", env);
        Assert.Contains("B= spaced ", env);
        Assert.Contains("E=", env);
        Assert.Contains("HOME_OF_TESTS=taken", env);
        Assert.DoesNotContain(env, e => e.StartsWith("TERM=", StringComparison.Ordinal));
        File.WriteAllText(file, "no name =x\n");
        Assert.Equal(ErrorIds.EnvironmentFileInvalid, Assert.Throws<ContainerException>(() => Build(o => { o.Id = "x"; o.EnvironmentFile = [file]; })).Id);
    }

    [Theory]
    [InlineData(null, 0u, 0u, "")]
    [InlineData("web", 1000u, 1001u, "10,2000")]
    [InlineData("1000", 1000u, 1001u, "10,2000")]
    [InlineData("1000:5", 1000u, 5u, "")]
    [InlineData("web:wheel", 1000u, 10u, "")]
    [InlineData("4711", 4711u, 0u, "")]
    [InlineData("4711:4712", 4711u, 4712u, "")]
    [InlineData("12", 77u, 77u, "")]
    public void Users_are_looked_up_inside(string? user, uint uid, uint gid, string groups)
    {
        var found = Build(o => o.User = user).Process!.User!;
        Assert.Equal((uid, gid, groups), (found.Uid!.Value, found.Gid!.Value, string.Join(',', found.AdditionalGids ?? [])));
    }

    [Theory]
    [InlineData("nobody-here")]
    [InlineData("web:nogroup")]
    [InlineData("-1")]
    [InlineData("4294967295")]
    [InlineData("99999999999")]
    public void A_user_that_is_not_there_is_refused(string user) => Refused(ErrorIds.UserNotFound, o => o.User = user);

    [Fact]
    public void A_passwd_that_points_out_of_the_root_filesystem_is_read_inside_of_it()
    {
        var outside = Path.Combine(f.Folder, "outside");
        File.WriteAllText(outside, "evil:x:666:666::/:/bin/sh\n");
        File.Delete(Path.Combine(f.Rootfs, "etc/passwd"));
        File.CreateSymbolicLink(Path.Combine(f.Rootfs, "etc/passwd"), outside);
        Refused(ErrorIds.UserNotFound, o => o.User = "evil");
        File.Delete(Path.Combine(f.Rootfs, "etc/passwd"));
        Assert.Equal(0, Mono.Unix.Native.Syscall.mkfifo(Path.Combine(f.Rootfs, "etc/passwd"), Mono.Unix.Native.FilePermissions.S_IRUSR));
        Refused(ErrorIds.UserNotFound, o => o.User = "evil");
    }

    [Fact]
    public void A_program_that_is_not_root_has_no_capabilities_at_first()
    {
        var caps = Build(o => o.User = "1000").Process!.Capabilities!;
        Assert.Empty(caps.Effective!);
        Assert.Empty(caps.Permitted!);
        Assert.Equal(11, caps.Bounding!.Count);
    }

    [Fact]
    public void Capabilities_are_dropped_added_and_named_in_any_way()
    {
        var caps = Build(o => { o.DropCapability = ["all"]; o.AddCapability = ["net_raw", "CAP_CHOWN"]; }).Process!.Capabilities!;
        Assert.Equal(["CAP_CHOWN", "CAP_NET_RAW"], caps.Bounding!);
        Refused(ErrorIds.InvalidArgument, o => { o.Id = "x"; o.AddCapability = ["NO_SUCH"]; });
    }

    [Fact]
    public void Privileged_opens_devices_and_paths()
    {
        var spec = Build(o => o.Privileged = true);
        Assert.Null(spec.Linux!.MaskedPaths);
        Assert.Null(spec.Linux.ReadonlyPaths);
        Assert.True(spec.Linux.Resources!.Devices!.Single().Allow);
        Assert.Contains("rw", spec.Mounts!.Single(m => m.Destination == "/sys").Options!);
        Assert.Contains("CAP_SYS_ADMIN", spec.Process!.Capabilities!.Bounding!);
    }

    [Fact]
    public void Resources_are_the_runtime_specification_s()
    {
        var r = Build(o =>
        {
            o.Memory = 64 << 20; o.MemorySwap = 128 << 20; o.MemoryReservation = 32 << 20;
            o.Cpu = 0.5; o.CpuWeight = 300; o.CpuSet = "0"; o.ProcessLimit = 20;
        }).Linux!.Resources!;
        Assert.Equal((64L << 20, 128L << 20, 32L << 20), (r.Memory!.Limit, r.Memory.Swap, r.Memory.Reservation));
        Assert.Equal((50_000L, 100_000ul, "0"), (r.Cpu!.Quota, r.Cpu.Period, r.Cpu.Cpus));
        // v1 has the weight as shares in its proportion, v2 as it is.
        if (File.Exists("/sys/fs/cgroup/cgroup.controllers")) { Assert.Equal((null, "300"), (r.Cpu.Shares, r.Unified!["cpu.weight"])); }
        else { Assert.Equal((3072ul, null), (r.Cpu.Shares, r.Unified)); }
        Assert.Equal(20, r.Pids!.Limit);
    }

    [Fact]
    public void Values_out_of_range_are_refused_by_name()
    {
        Refused(ErrorIds.InvalidArgument, o => o.Memory = 0);
        Refused(ErrorIds.InvalidArgument, o => o.Memory = -2);
        Refused(ErrorIds.InvalidArgument, o => o.MemorySwap = 1 << 20);
        Refused(ErrorIds.InvalidArgument, o => { o.Memory = 2 << 20; o.MemorySwap = 1 << 20; });
        Refused(ErrorIds.InvalidArgument, o => o.Cpu = 0);
        Refused(ErrorIds.InvalidArgument, o => o.Cpu = double.NaN);
        Refused(ErrorIds.InvalidArgument, o => o.CpuWeight = 0);
        Refused(ErrorIds.InvalidArgument, o => o.CpuSet = "0-");
        Refused(ErrorIds.InvalidArgument, o => o.CpuSet = "0;reboot");
        Refused(ErrorIds.InvalidArgument, o => o.ProcessLimit = 0);
        Refused(ErrorIds.InvalidArgument, o => o.OomScoreAdjust = 1001);
        Refused(ErrorIds.InvalidArgument, o => o.ShmSize = 0);
        Refused(ErrorIds.InvalidArgument, o => o.ResourceLimit = ["nofile"]);
        Refused(ErrorIds.InvalidArgument, o => o.ResourceLimit = ["nofile=2:1"]);
        Refused(ErrorIds.InvalidArgument, o => o.Sysctl = new Dictionary<string, string> { ["kernel.panic"] = "1" });
        Refused(ErrorIds.InvalidArgument, o => { o.Network = NamespaceChoice.Host; o.Sysctl = new Dictionary<string, string> { ["net.ipv4.ip_forward"] = "1" }; });
        Refused(ErrorIds.InvalidArgument, o => o.StopSignal = "SIGNONE");
        Refused(ErrorIds.InvalidArgument, o => o.StopTimeoutSec = -1);
        Refused(ErrorIds.InvalidArgument, o => o.WorkingDirectory = "tmp");
        Refused(ErrorIds.InvalidArgument, o => o.HostName = "a b");
        Refused(ErrorIds.InvalidArgument, o => o.ArgumentList = ["/bin/echo", "a\0b"]);
        Refused(ErrorIds.InvalidArgument, o => o.Environment = new Dictionary<string, string> { ["A=B"] = "c" });
        Refused(ErrorIds.InvalidArgument, o => o.CgroupParent = "/a/../..");
        Refused(ErrorIds.InvalidArgument, o => o.CgroupParent = "relative");
        Refused(ErrorIds.InvalidArgument, o => o.Device = ["/etc/passwd"]);
        Refused(ErrorIds.InvalidArgument, o => { o.NullIO = true; o.Tty = true; });
        Refused(ErrorIds.InvalidArgument, o => o.RestartPolicy = "sometimes");
        Refused(ErrorIds.NotSupported, o => o.LogUri = "carrier-pigeon:");
        Refused(ErrorIds.InvalidArgument, o => o.UserNamespace = NamespaceChoice.Private);
        Refused(ErrorIds.InvalidSpec, o => o.ArgumentList = null);
        Refused(ErrorIds.RootfsNotFound, o => o.RootfsPath = "/no/such/root");
        Refused(ErrorIds.InvalidArgument, o => o.RootfsPath = null);
    }

    [Fact]
    public void Limits_sysctls_and_devices_are_taken_over()
    {
        var spec = Build(o =>
        {
            o.ResourceLimit = ["nofile=100:200", "core=unlimited"];
            o.Sysctl = new Dictionary<string, string> { ["net.ipv4.ip_forward"] = "1" };
            o.Device = ["/dev/null:/dev/nothing:r"];
            o.OomScoreAdjust = 5;
        });
        var open = spec.Process!.Rlimits!.Single(l => l.Type == "RLIMIT_NOFILE");
        Assert.Equal((100ul, 200ul), (open.Soft, open.Hard));
        Assert.Equal(ulong.MaxValue, spec.Process.Rlimits!.Single(l => l.Type == "RLIMIT_CORE").Hard);
        Assert.Equal("1", spec.Linux!.Sysctl!["net.ipv4.ip_forward"]);
        var device = Assert.Single(spec.Linux.Devices!);
        Assert.Equal(("/dev/nothing", "c", 1L, 3L), (device.Path, device.Type, device.Major, device.Minor));
        Assert.Equal("r", spec.Linux.Resources!.Devices![^1].Access);
    }

    [Fact]
    public void Networks_and_namespaces_are_chosen_by_word_path_and_object()
    {
        Assert.DoesNotContain("network", Types(Build(o => o.Network = NamespaceChoice.FromNetwork("host"))));
        var own = f.Engine.Namespaces.List(LinuxNamespaceType.Net, Environment.ProcessId).Single();
        var spec = Build(o => o.Network = NamespaceChoice.FromNetwork(own));
        Assert.Equal(own.HolderPath, spec.Linux!.Namespaces!.Single(n => n.Type == "network").Path);
        Refused(ErrorIds.NamespaceNotFound, o => o.Network = NamespaceChoice.FromNetwork("/etc/passwd"));
        Refused(ErrorIds.NamespaceNotFound, o => o.Network = NamespaceChoice.FromNetwork("/proc/self/ns/uts"));
        Refused(ErrorIds.ContainerNotFound, o => o.Network = NamespaceChoice.FromNetwork("container:gone"));
        Assert.Equal(ErrorIds.NetworkNotSupported, Assert.Throws<ContainerException>(() => NamespaceChoice.FromNetwork("a,host")).Id);
        Assert.Equal(ErrorIds.InvalidArgument, Assert.Throws<ContainerException>(() => NamespaceChoice.From(own, LinuxNamespaceType.Pid)).Id);
        Assert.Equal(ErrorIds.InvalidArgument, Assert.Throws<ContainerException>(() => NamespaceChoice.From("none", LinuxNamespaceType.Pid)).Id);
        Assert.Equal(ErrorIds.InvalidId, Assert.Throws<ContainerException>(() => NamespaceChoice.From("container:../x", LinuxNamespaceType.Pid)).Id);
    }

    public static TheoryData<object> BindMounts() =>
    [
        "/etc:/data:ro",
        "type=bind,src=/etc,dst=/data,options=rbind:ro",
        "type=bind,source=/etc,target=/data,readonly",
        new Hashtable { ["Source"] = "/etc", ["Target"] = "/data", ["ReadOnly"] = true },
        new Hashtable { ["type"] = "bind", ["src"] = "/etc", ["dst"] = "/data", ["options"] = new object[] { "ro" } },
        new ContainerMount { Type = ContainerMountType.Bind, Source = "/etc", Target = "/data/", ReadOnly = true },
    ];

    [Theory]
    [MemberData(nameof(BindMounts))]
    public void A_bind_mount_is_the_same_in_every_spelling(object value)
    {
        var mount = Build(o => o.Mount = [ContainerMount.From(value)]).Mounts!.Last();
        Assert.Equal(("/data", "bind", "/etc"), (mount.Destination, mount.Type, mount.Source));
        Assert.Contains("rbind", mount.Options!);
        Assert.Contains("ro", mount.Options!);
    }

    [Theory]
    [InlineData("etc")]
    [InlineData("/etc:data")]
    [InlineData("/etc:/")]
    [InlineData("/etc:/x/../..")]
    [InlineData("/no/such/folder:/data")]
    [InlineData("../volume:/data")]
    [InlineData("/etc:/data:z")]
    [InlineData("/etc:/data:nocopy")]
    [InlineData("type=bind,src=/etc,dst=/data,subpath=../x")]
    [InlineData("type=bind,src=/etc,dst=/data,subpath=/x")]
    [InlineData("type=tmpfs,dst=/data,subpath=x")]
    [InlineData("type=volume,dst=/data,subpath=x")]
    [InlineData("relative/x:/data")]
    [InlineData("/etc:/data:what")]
    [InlineData("/etc:/data:ro:z")]
    [InlineData("type=volume,src=a/b,dst=/data")]
    [InlineData("type=bind,src=/etc,dst=/data,color=red")]
    [InlineData("type=tmpfs,dst=/data,options=size=1m:exec:lowerdir=/")]
    [InlineData("type=bind,src=/etc")]
    public void A_mount_that_makes_no_sense_is_refused(string mount) =>
        Assert.Equal(ErrorIds.InvalidMount, Assert.Throws<ContainerException>(() => ContainerMount.From(mount)).Id);

    [Fact]
    public void A_tmpfs_has_its_options_and_a_mount_takes_the_place_of_a_default()
    {
        var mounts = Build(o => o.Mount = [ContainerMount.From("type=tmpfs,dst=/dev/shm,tmpfs-size=1m"), ContainerMount.From("/etc:/a/b"), ContainerMount.From("/etc:/a")]).Mounts!;
        var shm = Assert.Single(mounts, m => m.Destination == "/dev/shm");
        Assert.Contains("size=1m", shm.Options!);
        Assert.Contains("nodev", shm.Options!);
        Assert.True(mounts.FindIndex(m => m.Destination == "/a") < mounts.FindIndex(m => m.Destination == "/a/b"));
        Refused(ErrorIds.InvalidMount, o => { o.Mount = [ContainerMount.From("/etc:/a"), ContainerMount.From("/tmp:/a")]; });
    }

    [Fact]
    public async Task A_bundle_keeps_its_own_spec()
    {
        var bundle = Directory.CreateDirectory(Path.Combine(f.Folder, "bundle")).FullName;
        Directory.CreateDirectory(Path.Combine(bundle, "rootfs"));
        File.WriteAllText(Path.Combine(bundle, "config.json"),
            """{"ociVersion":"1.0.2","process":{"args":["sh"],"cwd":"/","terminal":true},"root":{"path":"rootfs"},"mounts":[{"destination":"/d","type":"bind","source":"data","options":["rbind"]}],"own":{"x":1}}""");
        var c = await f.Engine.Containers.CreateAsync(new ContainerCreateOptions { Bundle = bundle, Runtime = "/bin/true" });
        Assert.Equal(bundle, c.Bundle);
        Assert.Equal(Path.Combine(bundle, "rootfs"), c.RootfsPath);
        Assert.True(c.Tty);
        Assert.Equal(Path.Combine(bundle, "data"), c.Spec.Mounts![0].Source);
        Assert.True(c.Spec.Unknown!.ContainsKey("own"));
        await f.Engine.Containers.RemoveAsync(c.Id);
        Refused(ErrorIds.InvalidArgument, o => { o.RootfsPath = null; o.Bundle = bundle; });
        File.WriteAllText(Path.Combine(bundle, "config.json"), """{"process":{"args":"sh"}}""");
        Refused(ErrorIds.InvalidSpec, o => { o.RootfsPath = null; o.Bundle = bundle; o.ArgumentList = null; });
        File.Delete(Path.Combine(bundle, "config.json"));
        Refused(ErrorIds.InvalidSpec, o => { o.RootfsPath = null; o.Bundle = bundle; o.ArgumentList = null; });
    }

    [Theory]
    [InlineData("TERM", 15)]
    [InlineData("sigkill", 9)]
    [InlineData("1", 1)]
    [InlineData("RTMIN+3", 37)]
    public void Signals_are_known_by_name_and_number(string text, int number) => Assert.Equal(number, ContainerSignal.Parse(text));
}
