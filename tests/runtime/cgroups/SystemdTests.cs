using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>A test of the systemd driver, on a host that systemd keeps.</summary>
sealed class SystemdFactAttribute : FactAttribute
{
    public SystemdFactAttribute() => Skip = Native.geteuid() != 0 ? "needs root"
        : UnderTest.IsRunc || UnderTest.IsCrun ? "about psrun's driver"
        : !Directory.Exists("/run/systemd/system") ? "systemd does not run here" : null;
}

/// <summary>--systemd-cgroup: the container's group is a unit's.</summary>
public sealed class SystemdTests : EngineTest
{
    /// <summary>Units go with their containers; a slice that systemd made for one stays.</summary>
    protected override void CleanUp()
    {
    }

    string Unit => $"psrt-{Tag}.scope";

    Bundle InUnit(Bundle bundle, string? path = null) => bundle.Change(b => b.Linux["cgroupsPath"] = path ?? $"system.slice:psrt:{Tag}");

    (string Id, int Pid) StartInUnit(Bundle bundle)
    {
        var id = NewId();
        Runtime.Do("--systemd-cgroup", "run", "--detach", "--bundle", bundle.Folder, id).Ends(0);
        var pid = Runtime.Pid(id);
        Watch(pid);
        return (id, pid);
    }

    string Property(string unit, string name) => Do("systemctl", "show", "--value", "-p", name, unit).Ends(0).Stdout.Trim();

    static string GroupOf(int pid) => File.ReadLines($"/proc/{pid}/cgroup").First(line => line.StartsWith("0::") || line.Contains("name=systemd")).Split(':', 3)[2];

    /// <summary>In the v2 tree.</summary>
    static string Value(int pid, string file) => File.ReadAllText($"/sys/fs/cgroup{GroupOf(pid)}/{file}").Trim();

    static bool IsV2 => File.Exists("/sys/fs/cgroup/cgroup.controllers");

    [SystemdFact]
    public void A_container_lies_in_a_scope_that_systemd_knows()
    {
        var (id, pid) = StartInUnit(InUnit(Sleeper()));
        Assert.Equal($"/system.slice/{Unit}", GroupOf(pid));
        Assert.Equal("active", Property(Unit, "ActiveState"));
        Assert.Equal("system.slice", Property(Unit, "Slice"));
        Assert.Equal("yes", Property(Unit, "Delegate"));
        Runtime.Do("delete", "--force", id).Ends(0);
        Assert.Equal("inactive", Property(Unit, "ActiveState"));
        Assert.Equal("not-found", Property(Unit, "LoadState"));
    }

    [SystemdFact]
    public void A_slice_lies_in_its_parents()
    {
        var (id, pid) = StartInUnit(InUnit(Sleeper(), $"psrt-{Tag}.slice:x:{Tag}"));
        Assert.Equal($"/psrt.slice/psrt-{Tag}.slice/x-{Tag}.scope", GroupOf(pid));
        Assert.Equal($"psrt-{Tag}.slice", Property($"x-{Tag}.scope", "Slice"));
        Runtime.Do("delete", "--force", id).Ends(0);
        Do("systemctl", "stop", $"psrt-{Tag}.slice").Ends(0);
    }

    [SystemdFact]
    public void Without_a_path_the_unit_is_named_after_the_container()
    {
        var bundle = Sleeper().Change(b => b.Linux.Remove("cgroupsPath"));
        var (id, pid) = StartInUnit(bundle);
        Assert.Equal($"/system.slice/psrun-{id}.scope", GroupOf(pid));
    }

    [SystemdFact]
    public void Limits_are_the_kernels_and_systemds()
    {
        var bundle = InUnit(Sleeper()).Change(b => b.Linux["resources"] = JsonNode.Parse("""
            { "memory": { "limit": 67108864, "reservation": 33554432 }, "cpu": { "shares": 512, "quota": 25500, "period": 100000, "cpus": "0" }, "pids": { "limit": 77 } }
            """));
        var (_, pid) = StartInUnit(bundle);
        if (IsV2)
        {
            Assert.Equal("67108864", Value(pid, "memory.max"));
            Assert.Equal("33554432", Value(pid, "memory.low"));
            Assert.Equal("25500 100000", Value(pid, "cpu.max"));
            Assert.Equal("77", Value(pid, "pids.max"));
            Assert.Equal("0", Value(pid, "cpuset.cpus"));
            Assert.Equal("67108864", Property(Unit, "MemoryMax"));
            Assert.Equal("0", Property(Unit, "AllowedCPUs"));
        }
        Assert.Equal("77", Property(Unit, "TasksMax"));
        Assert.Equal("260ms", Property(Unit, "CPUQuotaPerSecUSec"));
    }

    [SystemdFact]
    public void An_update_outlives_a_reload_of_systemd()
    {
        var (id, pid) = StartInUnit(InUnit(Sleeper()));
        Runtime.Do("update", "--memory", "50331648", "--pids-limit", "55", id).Ends(0);
        Do("systemctl", "daemon-reload").Ends(0);
        Assert.Equal("55", Property(Unit, "TasksMax"));
        if (!IsV2)
            return;
        Assert.Equal("50331648", Property(Unit, "MemoryMax"));
        Assert.Equal("50331648", Value(pid, "memory.max"));
        Assert.Equal("55", Value(pid, "pids.max"));
    }

    [SystemdFact]
    public void Devices_are_denied_after_a_reload_as_before()
    {
        var bundle = InUnit(NewBundle().Args("sleep", "1000")).Change(b =>
        {
            foreach (var set in (string[])["bounding", "effective", "permitted"])
                b.Process["capabilities"]![set] = Bundle.Strings("CAP_MKNOD", "CAP_SYS_RAWIO");
        });
        var (id, _) = StartInUnit(bundle);
        Assert.Equal("strict", Property(Unit, "DevicePolicy"));
        Do("systemctl", "daemon-reload").Ends(0);
        var result = Runtime.Exec(id, "/bin/sh", "-c", "echo x >/dev/null && echo null works; mknod /dev/shm/mem c 1 1 && head -c 1 /dev/shm/mem");
        Assert.Contains("null works", result.Stdout);
        Assert.NotEqual(0, result.ExitCode);
    }

    [SystemdFact]
    public void An_exec_a_pause_and_a_kill_are_the_scopes()
    {
        var (id, pid) = StartInUnit(InUnit(Sleeper()));
        Runtime.Exec(id, "--detach", "--", "sleep", "999").Ends(0);
        Assert.Equal(2, File.ReadAllLines($"/sys/fs/cgroup{(IsV2 ? "" : "/systemd")}{GroupOf(pid)}/cgroup.procs").Length);
        Runtime.Do("pause", id).Ends(0);
        Assert.Equal("paused", Runtime.Status(id));
        Runtime.Do("resume", id).Ends(0);
        Runtime.Do("kill", id, "KILL").Ends(0);
        Runtime.WaitForEnd(pid);
        Runtime.Do("delete", id).Ends(0);
        Assert.Equal("not-found", Property(Unit, "LoadState"));
    }

    [SystemdFact]
    public void A_creation_that_fails_leaves_no_unit()
    {
        var id = NewId();
        Runtime.Do("--systemd-cgroup", "run", "--bundle", InUnit(NewBundle().Args("absent")).Folder, id).Ends(1);
        Assert.Equal("not-found", Property(Unit, "LoadState"));
        AssertNothingLeft();
    }

    [SystemdFact]
    public void A_unit_that_is_there_already_is_refused_and_stays()
    {
        var (_, pid) = StartInUnit(InUnit(Sleeper()));
        var second = Runtime.Do("--systemd-cgroup", "run", "--bundle", InUnit(Sleeper()).Folder, NewId()).Ends(1);
        Assert.Contains(Unit, second.Stderr);
        Assert.Equal($"/system.slice/{Unit}", GroupOf(pid));
        Assert.Equal("active", Property(Unit, "ActiveState"));
    }

    [SystemdFact]
    public void A_plain_users_container_lies_in_the_users_own_systemd()
    {
        var home = Path.Combine(Folder, "home");
        Until(() => Do("useradd", "--home-dir", home, "--create-home", "--shell", "/bin/sh", Tag).ExitCode == 0);
        var uid = Do("id", "-u", Tag).Ends(0).Stdout.Trim();
        try
        {
            File.SetUnixFileMode(home, Permission.Program);
            Do("systemctl", "start", $"user@{uid}.service").Ends(0);
            var program = Path.Combine(home, "psrun");
            File.Copy(UnderTest.Program, program);
            File.SetUnixFileMode(program, Permission.Program);
            var bundle = Path.Combine(home, "bundle");
            Rootfs.Make(Path.Combine(bundle, "rootfs"));
            Do("chown", "-R", Tag + ":", bundle).Ends(0);
            Result AsUser(params string[] words) => Spawn.Run(Folder, UnderTest.InPath("setpriv")!, ["--reuid", Tag, "--regid", Tag, "--init-groups", "--inh-caps=-all", "env", "-i",
                "HOME=" + home, "PATH=/usr/bin:/bin", $"XDG_RUNTIME_DIR=/run/user/{uid}", program, .. words], new SpawnOptions { WorkingDirectory = bundle, Timeout = TimeSpan.FromSeconds(120) });
            AsUser("spec", "--rootless").Ends(0);
            var path = Path.Combine(bundle, "config.json");
            var spec = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
            spec["process"]!["terminal"] = false;
            spec["process"]!["args"] = Bundle.Strings("sleep", "1000");
            spec["linux"]!["resources"] = JsonNode.Parse("""{ "memory": { "limit": 67108864 }, "pids": { "limit": 66 } }""");
            File.WriteAllText(path, spec.ToJsonString());
            var id = Tag + "-user";
            AsUser("--systemd-cgroup", "run", "--detach", id).Ends(0);
            try
            {
                var pid = (int)JsonNode.Parse(AsUser("state", id).Ends(0).Stdout)!["pid"]!;
                Assert.Equal($"/user.slice/user-{uid}.slice/user@{uid}.service/user.slice/psrun-{id}.scope", GroupOf(pid));
                Assert.Equal("67108864", Value(pid, "memory.max"));
                Assert.Equal("66", Value(pid, "pids.max"));
                AsUser("exec", "--detach", id, "sleep", "999").Ends(0);
                Assert.Equal(2, File.ReadAllLines($"/sys/fs/cgroup{GroupOf(pid)}/cgroup.procs").Length);
                AsUser("update", "--pids-limit", "44", id).Ends(0);
                Assert.Equal("44", Value(pid, "pids.max"));
            }
            finally
            {
                AsUser("delete", "--force", id).Ends(0);
            }
        }
        finally
        {
            Do("systemctl", "stop", $"user@{uid}.service", $"user-runtime-dir@{uid}.service");
            Until(() => Do("userdel", "--force", Tag).ExitCode is 0 or 6 || Do("id", "-u", Tag).ExitCode != 0);
        }
    }

    [RuntimeFact(NotUnderRunc = "about psrun's driver", NotUnderCrun = "about psrun's driver")]
    public void Without_systemd_or_with_a_path_of_another_form_it_is_refused_by_name()
    {
        var result = Runtime.Do("--systemd-cgroup", "run", "--bundle", InUnit(NewBundle().Args("true"), $"/{Tag}-group0").Folder, NewId()).Ends(1);
        Assert.Contains("slice:prefix:name", result.Stderr);
        AssertNothingLeft();
        if (Directory.Exists("/run/systemd/system"))
            return;
        Assert.Contains("systemd does not run here", Runtime.Do("--systemd-cgroup", "run", "--bundle", InUnit(NewBundle().Args("true")).Folder, NewId()).Ends(1).Stderr);
        AssertNothingLeft();
    }

    [RuntimeFact(NotUnderRunc = "it has no --cgroup-manager", NotUnderCrun = "about limits it says nothing")]
    public void Without_control_groups_the_container_has_none_and_limits_are_refused_by_name()
    {
        var bundle = NewBundle().Args("cat", "/proc/self/cgroup").WithoutNamespace("cgroup");
        var inside = Runtime.Do("--cgroup-manager", "disabled", "run", "--bundle", bundle.Folder, NewId()).Ends(0).Lines;
        Assert.Equal(HostState.Groups(File.ReadLines("/proc/self/cgroup")), HostState.Groups(inside));
        bundle.Change(b => b.Linux["resources"] = JsonNode.Parse("""{ "pids": { "limit": 9 } }"""));
        Assert.Contains("--cgroup-manager", Runtime.Do("--cgroup-manager", "disabled", "run", "--bundle", bundle.Folder, NewId()).Ends(1).Stderr);
        Assert.Contains("--cgroup-manager", Runtime.Do("--cgroup-manager", "nosuch", "run", "--bundle", bundle.Folder, NewId()).Ends(1).Stderr);
        AssertNothingLeft();
    }
}
