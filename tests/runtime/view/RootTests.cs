using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>What the container sees of its root, /dev, /proc and /sys.</summary>
public sealed class RootTests : RuntimeTest
{
    [RuntimeFact]
    public void A_read_only_root_cannot_be_written()
    {
        var bundle = NewBundle().Args("touch", "/work/file");
        Assert.Contains("Read-only file system", Run(bundle).Ends(1).Stderr);
        Assert.False(File.Exists(bundle.InRootfs("/work/file")));
    }

    [RuntimeFact]
    public void A_writable_root_can_be_written()
    {
        var bundle = NewBundle().Args("touch", "/work/file").Change(b => b.Config["root"]!["readonly"] = false);
        Run(bundle).Ends(0);
        Assert.True(File.Exists(bundle.InRootfs("/work/file")));
    }

    [RuntimeTheory]
    [InlineData("null", "1", "3")]
    [InlineData("zero", "1", "5")]
    [InlineData("full", "1", "7")]
    [InlineData("random", "1", "8")]
    [InlineData("urandom", "1", "9")]
    [InlineData("tty", "5", "0")]
    public void A_default_device_is_there(string name, string major, string minor) =>
        Assert.Equal($"character special file 666 {major} {minor} 0 0\n",
            Run(NewBundle().Args("stat", "-c", "%F %a %t %T %u %g", $"/dev/{name}")).Ends(0).Stdout);

    [RuntimeTheory]
    [InlineData("ptmx", "pts/ptmx")]
    [InlineData("fd", "/proc/self/fd")]
    [InlineData("stdin", "/proc/self/fd/0")]
    [InlineData("stdout", "/proc/self/fd/1")]
    [InlineData("stderr", "/proc/self/fd/2")]
    public void A_default_link_is_there(string name, string target) =>
        Assert.Equal(target + "\n", Run(NewBundle().Args("readlink", $"/dev/{name}")).Ends(0).Stdout);

    [RuntimeFact]
    public void The_devices_work_under_the_default_denial()
    {
        var bundle = NewBundle().Shell("echo gone >/dev/null; head -c 3 /dev/zero | od -An -tx1; head -c 4 /dev/urandom | wc -c");
        Assert.Equal(["00 00 00", "4"], Run(bundle).Ends(0).Lines.Select(line => line.Trim()));
    }

    [RuntimeFact]
    public void Dev_holds_nothing_of_the_host()
    {
        var names = Run(NewBundle().Args("ls", "/dev")).Ends(0).Lines;
        Assert.Equal(["fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero"], names.Except(["core"]).Order());
    }

    [RuntimeFact]
    public void A_device_of_the_bundle_is_made_with_owner_and_mode()
    {
        var bundle = NewBundle().Args("stat", "-c", "%F %a %t %T %u %g", "/dev/fuse").Change(b => b.Linux["devices"] = new JsonArray(new JsonObject
        {
            ["path"] = "/dev/fuse", ["type"] = "c", ["major"] = 10, ["minor"] = 229, ["fileMode"] = 0x180, ["uid"] = 5, ["gid"] = 6,
        }));
        Assert.Equal("character special file 600 a e5 5 6\n", Run(bundle).Ends(0).Stdout);
    }

    [RuntimeFact]
    public void A_device_of_an_unknown_kind_is_refused_by_name()
    {
        var bundle = NewBundle().Args("true").Change(b => b.Linux["devices"] = new JsonArray(new JsonObject
        {
            ["path"] = "/dev/odd", ["type"] = "z", ["major"] = 10, ["minor"] = 229,
        }));
        Assert.Contains("device", Run(bundle).Ends(1).Stderr);
    }

    [RuntimeFact]
    public void In_a_user_namespace_the_devices_work()
    {
        var bundle = NewBundle().Shell("echo gone >/dev/null; head -c 3 /dev/zero | wc -c").UserNamespace();
        Assert.Equal("3", Run(bundle).Ends(0).Stdout.Trim());
    }

    [RuntimeFact]
    public void A_masked_file_is_empty_and_a_masked_folder_too()
    {
        var bundle = NewBundle().Shell("cat /etc/secret; ls /work; touch /work/x").WriteFile("/etc/secret", "secret").WriteFile("/work/hidden", "x")
            .Change(b =>
            {
                b.Config["root"]!["readonly"] = false;
                b.Linux["maskedPaths"] = Bundle.Strings("/etc/secret", "/work", "/absent");
            });
        var result = Run(bundle).Ends(1);
        Assert.Empty(result.Stdout);
        Assert.Contains("Read-only file system", result.Stderr);
    }

    [RuntimeTheory]
    [InlineData("/proc/keys")]
    [InlineData("/proc/timer_list")]
    public void The_kernels_secrets_are_masked(string path) => Assert.Empty(Run(NewBundle().Args("cat", path)).Ends(0).Stdout);

    [RuntimeFact]
    public void A_read_only_path_cannot_be_written_while_the_rest_can()
    {
        var bundle = NewBundle().Shell("touch /work/x && touch /tmp/x").Change(b =>
        {
            b.Config["root"]!["readonly"] = false;
            b.Linux["readonlyPaths"] = Bundle.Strings("/tmp", "/absent");
        });
        Assert.Contains("/tmp/x: Read-only file system", Run(bundle).Ends(1).Stderr);
        Assert.True(File.Exists(bundle.InRootfs("/work/x")));
    }

    [RuntimeTheory]
    [InlineData("/proc/sys/kernel/hostname")]
    [InlineData("/proc/sys/vm/swappiness")]
    public void The_kernels_switches_are_read_only(string path)
    {
        var result = Run(NewBundle().Shell($"echo h >{path}"));
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains("Read-only file system", result.Stderr);
    }

    [RuntimeFact]
    public void A_sysctl_of_an_own_namespace_is_set()
    {
        var before = File.ReadAllText("/proc/sys/net/ipv4/ip_default_ttl");
        var bundle = NewBundle().Args("cat", "/proc/sys/net/ipv4/ip_default_ttl", "/proc/sys/kernel/msgmax")
            .Change(b => b.Linux["sysctl"] = new JsonObject { ["net.ipv4.ip_default_ttl"] = "77", ["kernel.msgmax"] = "4242" });
        Assert.Equal(["77", "4242"], Run(bundle).Ends(0).Lines);
        Assert.Equal(before, File.ReadAllText("/proc/sys/net/ipv4/ip_default_ttl"));
    }

    [RuntimeTheory]
    [InlineData("network", "net.ipv4.ip_default_ttl")]
    [InlineData("ipc", "kernel.msgmax")]
    [InlineData(null, "vm.swappiness")]
    [InlineData(null, "kernel.../../vm/swappiness")]
    public void A_sysctl_of_the_host_is_refused_by_name(string? without, string name)
    {
        var bundle = NewBundle().Args("true").Change(b => b.Linux["sysctl"] = new JsonObject { [name] = "1" });
        if (without is not null)
            bundle.WithoutNamespace(without);
        Assert.Contains(name, Run(bundle).Ends(1).Stderr);
        AssertNothingLeft();
    }
}
