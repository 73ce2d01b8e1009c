namespace Containers.Tests.Runtime;

/// <summary>
/// What stands in the place of /proc and /sys decides what a write there does: CVE-2019-16884, CVE-2019-19921 and its returns CVE-2023-27561 and CVE-2023-28642, and CVE-2025-52881.
/// </summary>
public sealed class ProcTests : RuntimeTest
{
    void Refused(Bundle bundle, params string[] words)
    {
        var result = Run(bundle).Ends(1);
        foreach (var word in words)
            Assert.Contains(word, result.Stderr);
        AssertNothingLeft();
    }

    [RuntimeTheory]
    [InlineData("proc")]
    [InlineData("sys")]
    public void A_link_of_the_image_in_place_of_a_kernel_file_system_is_refused(string name)
    {
        var bundle = NewBundle().Args("true");
        Directory.Delete(bundle.InRootfs(name));
        Directory.CreateDirectory(bundle.InRootfs("/elsewhere/self"));
        File.CreateSymbolicLink(bundle.InRootfs(name), "/elsewhere");
        Refused(bundle, "/" + name);
    }

    [RuntimeFact]
    public void A_link_to_another_containers_volume_in_place_of_proc_is_refused()
    {
        // As published: the image's /proc is a link into a volume that another container writes.
        var bundle = NewBundle().Args("true");
        var volume = Directory.CreateDirectory(Path.Combine(Folder, "volume")).FullName;
        Directory.CreateDirectory(Path.Combine(volume, "fake/self/attr"));
        Directory.Delete(bundle.InRootfs("proc"));
        File.CreateSymbolicLink(bundle.InRootfs("proc"), "volume/fake");
        bundle.Mounts.Insert(0, System.Text.Json.Nodes.JsonNode.Parse($$"""{ "destination": "/volume", "type": "bind", "source": "{{volume}}", "options": [ "bind" ] }"""));
        Refused(bundle.Save(), "/proc");
    }

    [RuntimeTheory(NotUnderRunc = "1.1.5 has other words for it")]
    [InlineData("/proc", "tmpfs")]
    [InlineData("/proc", "bind")]
    [InlineData("/proc/", "bind")]
    [InlineData("/work/../proc", "bind")]
    [InlineData("/proc/self/attr", "bind")]
    [InlineData("/proc/sys", "bind")]
    [InlineData("/proc/sys/net", "tmpfs")]
    [InlineData("/proc/../proc/sysrq-trigger", "bind")]
    public void A_mount_over_proc_or_in_it_is_refused(string destination, string type)
    {
        var source = Directory.CreateDirectory(Path.Combine(Folder, "volume")).FullName;
        var bundle = NewBundle().Args("true");
        Refused(type == "bind" ? bundle.Mount(destination, "bind", source, "bind") : bundle.Mount(destination, "tmpfs", "tmpfs"), "proc");
    }

    [RuntimeTheory(NotUnderRunc = "1.1.5 has other words for it")]
    [InlineData("/way", "/proc/sys", "tmpfs")]
    [InlineData("/way/net", "/proc/sys", "tmpfs")]
    [InlineData("/way", "proc/version", "bind")]
    [InlineData("/way", "work/../proc/sys/kernel", "bind")]
    public void A_link_of_the_image_that_leads_into_proc_is_no_way_around(string destination, string link, string type)
    {
        var bundle = NewBundle().Args("true");
        File.CreateSymbolicLink(bundle.InRootfs("/way"), link);
        var file = Path.Combine(Folder, "file");
        File.WriteAllText(file, "");
        Refused(type == "bind" ? bundle.Mount(destination, "bind", link.Contains("kernel") ? Folder : file, "bind") : bundle.Mount(destination, "tmpfs", "tmpfs"), "/proc");
    }

    [RuntimeTheory]
    [InlineData("/proc/cpuinfo")]
    [InlineData("/proc/meminfo")]
    [InlineData("/proc/uptime")]
    public void Files_that_lxcfs_gives_can_be_mounted(string destination)
    {
        var file = Path.Combine(Folder, "file");
        File.WriteAllText(file, "given\n");
        var result = Run(NewBundle().Args("cat", destination).Mount(destination, "bind", file, "bind", "ro")).Ends(0);
        Assert.Equal("given\n", result.Stdout);
    }

    [RuntimeFact]
    public void The_hosts_own_proc_can_be_given_where_a_container_shares_its_pids()
    {
        var bundle = NewBundle().Args("cat", "/proc/sys/kernel/ostype").WithoutNamespace("pid");
        foreach (var mount in bundle.Mounts)
        {
            if ((string?)mount!["destination"] == "/proc")
                (mount["type"], mount["source"], mount["options"]) = ("bind", "/proc", Bundle.Strings("rbind", "nosuid", "noexec", "nodev"));
        }
        Assert.Equal("Linux\n", Run(bundle.Save()).Ends(0).Stdout);
    }

    [RuntimeFact]
    public void A_sysctl_reaches_the_kernel_and_the_streams_stay_those_of_the_caller()
    {
        var bundle = NewBundle().Args("cat", "/proc/sys/net/ipv4/ip_default_ttl");
        bundle.Linux["sysctl"] = new System.Text.Json.Nodes.JsonObject { ["net.ipv4.ip_default_ttl"] = "77" };
        Assert.Equal("77\n", Run(bundle.Save()).Ends(0).Stdout);
    }

    [RuntimeFact(NotUnderRunc = "1.1.5 writes to whatever stands there")]
    public void A_host_with_something_else_over_its_proc_is_told_so()
    {
        // A runtime that runs inside a container whose /proc somebody prepared: what it writes must not end in the prepared file.
        var trap = Path.Combine(Folder, "trap");
        File.WriteAllText(trap, "");
        var bundle = NewBundle().Args("true");
        bundle.Linux["sysctl"] = new System.Text.Json.Nodes.JsonObject { ["kernel.domainname"] = "trapped" };
        bundle.Save();
        var id = NewId();
        var script = $"mount --bind {trap} /proc/sys/kernel/domainname && exec {UnderTest.Program} --root {Runtime.Root} run --bundle {bundle.Folder} {id}";
        var result = Spawn.Run(Folder, "/usr/bin/unshare", ["--mount", "/bin/sh", "-c", script]).Ends(1);
        Assert.Contains("something is mounted over it", result.Stderr);
        Assert.Equal("", File.ReadAllText(trap));

        script = $"mount -t tmpfs {Tag} /proc/sys && mkdir -p /proc/sys/kernel && : >/proc/sys/kernel/domainname && exec {UnderTest.Program} --root {Runtime.Root} run --bundle {bundle.Folder} {id}";
        result = Spawn.Run(Folder, "/usr/bin/unshare", ["--mount", "/bin/sh", "-c", script]).Ends(1);
        Assert.Contains("something is mounted over it", result.Stderr);
    }
}
