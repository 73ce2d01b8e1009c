using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>What a container could gain from a process that is on its way into it, and from what it is given there.</summary>
public sealed class PrivilegeTests : RuntimeTest
{
    /// <summary>A long way to the program: while it is looked for, the process has the container's user and capabilities and still is the runtime.</summary>
    static readonly string LongPath = "PATH=" + string.Join(':', Enumerable.Range(0, 8000).Select(i => $"/n{i}")) + ":/bin";

    [RuntimeFact]
    public void Nobody_in_the_container_can_look_into_an_exec_that_still_is_the_runtime()
    {
        // CVE-2016-9962.
        var bundle = NewBundle().Args("/bin/pry").Change(b => b.Config["root"]!["readonly"] = false);
        Hostile.Install("pry", bundle, "/bin/pry");
        var (id, _) = Start(bundle);
        for (var i = 0; i < Rounds.Of(15, 200); i++)
            Runtime.Do("exec", "--env", LongPath, id, "true").Ends(0);
        Assert.Null(HostState.Text(bundle.InRootfs("/work/found")));
    }

    [RuntimeFact]
    public void Nobody_in_a_shared_pid_namespace_can_look_into_an_init_that_still_is_the_runtime()
    {
        var bundle = NewBundle().Args("/bin/pry").Change(b => b.Config["root"]!["readonly"] = false);
        Hostile.Install("pry", bundle, "/bin/pry");
        var (_, pid) = Start(bundle);
        for (var i = 0; i < Rounds.Of(10, 200); i++)
        {
            var other = NewBundle().Args("true").Namespace("pid", $"/proc/{pid}/ns/pid");
            other.Process["env"] = Bundle.Strings(LongPath);
            Run(other.Save()).Ends(0);
        }
        Assert.Null(HostState.Text(bundle.InRootfs("/work/found")));
    }

    [RuntimeFact(NotUnderRunc = "it shows the way of a runtime without this care")]
    public void The_prying_program_sees_a_process_that_is_not_hidden()
    {
        // What the two tests above rest on: a program of the host, in the container's namespaces, with the container's user and capabilities.
        var bundle = NewBundle().Args("/bin/pry").Change(b => b.Config["root"]!["readonly"] = false);
        Hostile.Install("pry", bundle, "/bin/pry");
        var (_, pid) = Start(bundle);
        using var seen = Spawn.Start(Folder, "/usr/bin/nsenter", ["-t", pid.ToString(), "--pid", "/usr/bin/setpriv",
            "--bounding-set", "-all", "--inh-caps", "-all", "/usr/bin/sleep", "10"]);
        Until(() => HostState.Text(bundle.InRootfs("/work/found")) is { Length: > 0 });
    }

    [RuntimeFact]
    public void Nothing_is_inheritable_in_an_exec_unless_the_bundle_says_so()
    {
        // CVE-2022-29162.
        var (id, _) = Start(Sleeper());
        foreach (var arguments in (string[][])[["exec", id], ["exec", "--cap", "CAP_NET_RAW", id], ["exec", "--cap", "CAP_NET_RAW", "--user", "1000:1000", id]])
        {
            var status = Runtime.Do([.. arguments, "grep", "^Cap", "/proc/self/status"]).Ends(0).Stdout;
            Assert.Contains("CapInh:\t0000000000000000", status);
        }
    }

    [RuntimeTheory(NotUnderRunc = "1.1.5 is open to it")]
    [InlineData(true)]
    [InlineData(false)]
    public void The_hosts_control_groups_cannot_be_written_from_a_user_namespace(bool ownNamespace)
    {
        // CVE-2023-25809: a group that belongs to the container's root, seen through a "read-only" mount.
        var bundle = NewBundle().UserNamespace();
        if (!ownNamespace)
            bundle.WithoutNamespace("cgroup");
        bundle.Shell("find /sys/fs/cgroup -name cgroup.procs -o -name tasks | while read f; do (echo $$ >$f) 2>/dev/null && echo writable $f; done; mkdir /sys/fs/cgroup/unified/new 2>/dev/null && echo made; grep ' /sys/fs/cgroup' /proc/self/mountinfo | grep -v ' ro,' ; true");
        var group = $"/sys/fs/cgroup/unified/{Tag}-group0";
        Directory.CreateDirectory(group);
        try
        {
            Native.lchown(group, 100000, 100000);
            Native.lchown(group + "/cgroup.procs", 100000, 100000);
            Assert.Equal("", Run(bundle).Ends(0).Stdout);
        }
        finally
        {
            RemoveGroup(group);
        }
    }

    [RuntimeFact(NotUnderRunc = "1.1.5 makes the upper mount read-only alone")]
    public void A_read_only_sys_of_the_hosts_has_no_writable_control_groups_below()
    {
        var bundle = NewBundle().WithoutNamespace("network").WithoutNamespace("cgroup");
        for (var i = bundle.Mounts.Count - 1; i >= 0; i--)
        {
            if (((string)bundle.Mounts[i]!["destination"]!).StartsWith("/sys", StringComparison.Ordinal))
                bundle.Mounts.RemoveAt(i);
        }
        bundle.Mount("/sys", "bind", "/sys", "rbind", "nosuid", "noexec", "nodev", "ro");
        bundle.Shell("grep ' /sys' /proc/self/mountinfo | grep -v ' ro,'; mkdir /sys/fs/cgroup/unified/" + Tag + "-made 2>&1; echo $?");
        var lines = Run(bundle).Ends(0).Lines;
        Assert.Equal("1", lines[^1]);
        Assert.Contains("Read-only file system", lines[^2]);
        Assert.Equal(2, lines.Length);
    }

    static void RemoveGroup(string group)
    {
        if (Directory.Exists(group))
            Directory.Delete(group);
    }

    [RuntimeTheory(NotUnderRunc = "1.1.5 is open to it")]
    [InlineData("link")]
    [InlineData("file")]
    [InlineData("absent")]
    [InlineData("zero")]
    public void A_path_is_not_masked_with_what_an_image_brings_as_its_null_device(string kind)
    {
        // CVE-2025-31133.
        var bundle = NewBundle().Shell("cat /work/masked");
        bundle.WriteFile("/work/masked", "hidden\n").WriteFile("/work/other", "shown\n");
        var dev = Directory.CreateDirectory(Path.Combine(Folder, "dev")).FullName;
        var path = Path.Combine(dev, "null");
        if (kind == "link")
            File.CreateSymbolicLink(path, "/work/other");
        else if (kind == "file")
            File.WriteAllText(path, "shown\n");
        else if (kind == "zero")
            Spawn.Run(Folder, "/bin/mknod", [path, "c", "1", "5"]).Ends(0);
        for (var i = bundle.Mounts.Count - 1; i >= 0; i--)
        {
            if (((string)bundle.Mounts[i]!["destination"]!).StartsWith("/dev", StringComparison.Ordinal))
                bundle.Mounts.RemoveAt(i);
        }
        bundle.Mount("/dev", "bind", dev, "bind");
        bundle.Linux["maskedPaths"] = Bundle.Strings("/work/masked");
        var result = Run(bundle.Save());
        Assert.Equal("", result.Stdout);
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains("/dev/null", result.Stderr);
    }

    [RuntimeFact(NotUnderRunc = "1.1.5 is open to it")]
    public void The_console_is_not_put_where_a_link_of_the_image_leads()
    {
        // CVE-2025-52565.
        var bundle = NewBundle().Shell("stat -c %t /work/victim");
        bundle.WriteFile("/work/victim", "plain\n");
        var dev = Directory.CreateDirectory(Path.Combine(Folder, "dev")).FullName;
        Directory.CreateDirectory(Path.Combine(dev, "pts"));
        File.CreateSymbolicLink(Path.Combine(dev, "console"), "/work/victim");
        foreach (var mount in bundle.Mounts)
        {
            if ((string?)mount!["destination"] == "/dev")
                (mount["type"], mount["source"], mount["options"]) = ("bind", dev, Bundle.Strings("bind"));
        }
        for (var i = bundle.Mounts.Count - 1; i >= 0; i--)
        {
            if ((string?)bundle.Mounts[i]!["destination"] is "/dev/shm" or "/dev/mqueue")
                bundle.Mounts.RemoveAt(i);
        }
        bundle.Process["terminal"] = true;
        using var console = new ConsoleSocket(Folder);
        var id = NewId();
        var result = Runtime.Do("run", "--detach", "--console-socket", console.Path, "--bundle", bundle.Save().Folder, id);
        if (result.ExitCode == 0)
        {
            console.Receive();
            console.ReadUntil("0\r\n");
        }
        else
        {
            Assert.Contains("/dev/console", result.Stderr);
        }
    }

    [RuntimeFact]
    public void A_terminal_is_not_made_of_what_an_image_brings_as_its_multiplexer()
    {
        var bundle = NewBundle().Args("true");
        bundle.Process["terminal"] = true;
        for (var i = bundle.Mounts.Count - 1; i >= 0; i--)
        {
            if ((string?)bundle.Mounts[i]!["destination"] == "/dev/pts")
                bundle.Mounts.RemoveAt(i);
        }
        var pts = Directory.CreateDirectory(Path.Combine(Folder, "pts")).FullName;
        File.WriteAllText(Path.Combine(pts, "ptmx"), "");
        bundle.Mount("/dev/pts", "bind", pts, "bind");
        using var console = new ConsoleSocket(Folder);
        Runtime.Do("run", "--detach", "--console-socket", console.Path, "--bundle", bundle.Save().Folder, NewId()).Ends(1);
        AssertNothingLeft();
    }
}
