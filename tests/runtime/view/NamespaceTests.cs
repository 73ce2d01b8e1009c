using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>Namespaces: own, the host's, or joined by path.</summary>
public sealed class NamespaceTests : RuntimeTest
{
    static string File(string type) => type switch { "network" => "net", "mount" => "mnt", _ => type };

    [RuntimeTheory]
    [InlineData("pid")]
    [InlineData("network")]
    [InlineData("ipc")]
    [InlineData("uts")]
    [InlineData("mount")]
    [InlineData("cgroup")]
    public void A_namespace_is_the_containers_own(string type)
    {
        var inside = Run(NewBundle().Args("readlink", $"/proc/self/ns/{File(type)}")).Ends(0).Stdout.Trim();
        Assert.StartsWith(File(type) + ":[", inside);
        Assert.NotEqual(HostState.Link($"/proc/self/ns/{File(type)}"), inside);
    }

    [RuntimeTheory]
    [InlineData("pid")]
    [InlineData("network")]
    [InlineData("ipc")]
    [InlineData("uts")]
    [InlineData("cgroup")]
    public void A_namespace_that_is_not_listed_is_the_callers(string type)
    {
        var bundle = NewBundle().Args("readlink", $"/proc/self/ns/{File(type)}").WithoutNamespace(type);
        if (type == "uts")
            bundle.Change(b => b.Config.Remove("hostname"));
        if (type == "network")
            // A sysfs of another network namespace cannot be mounted afresh.
            bundle.Change(b => b.Config["mounts"] = new JsonArray([.. b.Mounts.Where(m => (string?)m!["type"] != "sysfs").Select(m => m!.DeepClone())]));
        Assert.Equal(HostState.Link($"/proc/self/ns/{File(type)}"), Run(bundle).Ends(0).Stdout.Trim());
    }

    [RuntimeTheory]
    [InlineData("pid")]
    [InlineData("network")]
    [InlineData("ipc")]
    [InlineData("uts")]
    [InlineData("cgroup")]
    public void A_namespace_is_joined_by_path(string type)
    {
        var (_, holder) = Start(Sleeper());
        var path = $"/proc/{holder}/ns/{File(type)}";
        var bundle = NewBundle().Args("readlink", $"/proc/self/ns/{File(type)}").Namespace(type, path)
            .Change(b => b.Config.Remove("hostname"));
        Assert.Equal(HostState.Link(path), Run(bundle).Ends(0).Stdout.Trim());
    }

    [RuntimeFact]
    public void In_a_joined_pid_namespace_the_program_is_not_the_first()
    {
        var (_, holder) = Start(Sleeper());
        var bundle = NewBundle().Shell("echo $$; ls -d /proc/1").Namespace("pid", $"/proc/{holder}/ns/pid");
        var lines = Run(bundle).Ends(0).Lines;
        Assert.NotEqual("1", lines[0]);
        Assert.Equal("/proc/1", lines[1]);
    }

    [RuntimeFact]
    public void In_an_own_pid_namespace_the_program_is_the_first_and_alone()
    {
        var lines = Run(NewBundle().Shell("echo $$; ls -d /proc/[0-9]*")).Ends(0).Lines;
        Assert.Equal("1", lines[0]);
        Assert.All(lines[1..], path => Assert.InRange(int.Parse(path["/proc/".Length..]), 1, 9));
    }

    [RuntimeFact]
    public void A_namespace_kept_by_a_bind_mount_is_joined()
    {
        var (_, holder) = Start(Sleeper());
        var path = Path.Combine(Folder, "kept-net");
        System.IO.File.WriteAllText(path, "");
        const ulong bind = 4096;
        if (Native.mount($"/proc/{holder}/ns/net", path, null, bind, null) != 0)
            throw Native.Failure("mount");
        try
        {
            var bundle = NewBundle().Args("readlink", "/proc/self/ns/net").Namespace("network", path);
            Assert.Equal(HostState.Link($"/proc/{holder}/ns/net"), Run(bundle).Ends(0).Stdout.Trim());
        }
        finally
        {
            Native.umount2(path, 0);
        }
    }

    [RuntimeTheory]
    [InlineData("/absent/namespace", "/absent/namespace")]
    [InlineData("/proc/self/ns/uts", null)]
    [InlineData("/etc/passwd", null)]
    public void A_path_that_is_no_such_namespace_is_refused(string path, string? word)
    {
        var result = Run(NewBundle().Args("true").Namespace("network", path)).Ends(1);
        Assert.NotEmpty(result.Stderr);
        if (word is not null)
            Assert.Contains(word, result.Stderr);
        AssertNothingLeft();
    }

    [RuntimeFact]
    public void A_user_namespace_maps_the_ids_of_the_bundle()
    {
        var result = Run(NewBundle().Shell("cat /proc/self/uid_map /proc/self/gid_map; id -u; readlink /proc/self/ns/user").UserNamespace()).Ends(0);
        string[] map = ["0", "100000", "65536"];
        Assert.Equal(map, result.Lines[0].Split(' ', StringSplitOptions.RemoveEmptyEntries));
        Assert.Equal(map, result.Lines[1].Split(' ', StringSplitOptions.RemoveEmptyEntries));
        Assert.Equal("0", result.Lines[2]);
        Assert.NotEqual(HostState.Link("/proc/self/ns/user"), result.Lines[3]);
    }

    [RuntimeFact]
    public void In_a_user_namespace_the_process_is_another_user_on_the_host()
    {
        var (_, pid) = Start(Sleeper().UserNamespace());
        var line = System.IO.File.ReadLines($"/proc/{pid}/status").Single(text => text.StartsWith("Uid:"));
        Assert.Equal("Uid:\t100000\t100000\t100000\t100000", line);
    }

    [RuntimeFact]
    public void In_a_user_namespace_files_are_made_as_the_mapped_user()
    {
        var bundle = NewBundle().Shell("echo mine >/work/file; stat -c %u /work/file").UserNamespace()
            .Change(b => b.Config["root"]!["readonly"] = false);
        Assert.Equal("0\n", Run(bundle).Ends(0).Stdout);
        var owner = Spawn.Run(Folder, "/usr/bin/stat", ["-c", "%u", bundle.InRootfs("/work/file")]);
        Assert.Equal("100000\n", owner.Stdout);
    }

    [RuntimeFact]
    public void A_user_namespace_without_mappings_is_refused()
    {
        var result = Run(NewBundle().Args("true").Namespace("user")).Ends(1);
        Assert.NotEmpty(result.Stderr);
        AssertNothingLeft();
    }

    [RuntimeFact]
    public void A_user_namespace_is_joined_by_path()
    {
        var (_, holder) = Start(Sleeper().UserNamespace());
        var bundle = NewBundle().Shell("readlink /proc/self/ns/user; cat /proc/self/uid_map").UserNamespace()
            .Namespace("user", $"/proc/{holder}/ns/user")
            .Change(b =>
            {
                b.Linux.Remove("uidMappings");
                b.Linux.Remove("gidMappings");
            });
        if (UnderTest.IsRunc)
            return; // runc 1.1 wants the mappings repeated, and then refuses them
        var lines = Run(bundle).Ends(0).Lines;
        Assert.Equal(HostState.Link($"/proc/{holder}/ns/user"), lines[0]);
        Assert.Contains("100000", lines[1]);
    }

    [RuntimeFact(NotUnderRunc = "time namespaces came with 1.2")]
    public void A_time_namespace_has_the_offsets_of_the_bundle()
    {
        var bundle = NewBundle().Shell("readlink /proc/self/ns/time; cat /proc/self/timens_offsets; cut -d. -f1 /proc/uptime").Namespace("time")
            .Change(b => b.Linux["timeOffsets"] = new JsonObject
            {
                ["boottime"] = new JsonObject { ["secs"] = 1_000_000, ["nanosecs"] = 5 },
                ["monotonic"] = new JsonObject { ["secs"] = 2_000_000 },
            });
        var lines = Run(bundle).Ends(0).Lines;
        Assert.NotEqual(HostState.Link("/proc/self/ns/time"), lines[0]);
        Assert.Equal(["monotonic", "2000000", "0"], lines[1].Split(' ', StringSplitOptions.RemoveEmptyEntries));
        Assert.Equal(["boottime", "1000000", "5"], lines[2].Split(' ', StringSplitOptions.RemoveEmptyEntries));
        Assert.True(long.Parse(lines[3]) > 1_000_000);
    }

    [RuntimeFact(NotUnderRunc = "time namespaces came with 1.2")]
    public void A_time_namespace_is_joined_by_path()
    {
        var (_, holder) = Start(Sleeper().Namespace("time"));
        var bundle = NewBundle().Args("readlink", "/proc/self/ns/time").Namespace("time", $"/proc/{holder}/ns/time");
        Assert.Equal(HostState.Link($"/proc/{holder}/ns/time"), Run(bundle).Ends(0).Stdout.Trim());
    }

    [RuntimeFact(NotUnderRunc = "time namespaces came with 1.2")]
    public void Time_offsets_without_a_time_namespace_are_refused_by_name()
    {
        var bundle = NewBundle().Args("true").Change(b => b.Linux["timeOffsets"] = new JsonObject
        {
            ["monotonic"] = new JsonObject { ["secs"] = 1 },
        });
        Assert.Contains("time", Run(bundle).Ends(1).Stderr);
    }

    [RuntimeFact]
    public void The_host_name_is_the_bundles_and_stays_inside()
    {
        var before = System.IO.File.ReadAllText("/proc/sys/kernel/hostname");
        Assert.Equal("boxed\n", Run(NewBundle().Args("hostname")).Ends(0).Stdout);
        Assert.Equal(before, System.IO.File.ReadAllText("/proc/sys/kernel/hostname"));
    }

    [RuntimeFact(NotUnderRunc = "domainname came with 1.2")]
    public void The_domain_name_is_the_bundles()
    {
        var bundle = NewBundle().Args("cat", "/proc/sys/kernel/domainname").Change(b => b.Config["domainname"] = "example.net");
        Assert.Equal("example.net\n", Run(bundle).Ends(0).Stdout);
    }

    [RuntimeFact]
    public void A_host_name_without_an_own_uts_namespace_is_refused()
    {
        var before = System.IO.File.ReadAllText("/proc/sys/kernel/hostname");
        Run(NewBundle().Args("true").WithoutNamespace("uts")).Ends(1);
        Assert.Equal(before, System.IO.File.ReadAllText("/proc/sys/kernel/hostname"));
    }

    [RuntimeFact]
    public void The_network_is_a_loopback_that_is_up()
    {
        var lines = Run(NewBundle().Args("ip", "-o", "link")).Ends(0).Lines;
        Assert.Contains("LOOPBACK,UP", Assert.Single(lines, line => line.StartsWith("1:")));
        Assert.DoesNotContain(lines, line => line.Contains("eth0"));
    }
}
