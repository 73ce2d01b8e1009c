using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>
/// <c>linux.netDevices</c>: interfaces of the host that move into the container. The "host" of these tests is a network namespace of their own in which the
/// runtime is started, so that this host's interfaces stay where they are.
/// </summary>
public sealed class NetDeviceTests : RuntimeTest
{
    const string OldRunc = "1.1 leaves the member out";

    /// <summary>Runs a script in a new network namespace with the interface pair web0 and web1; <c>$psrun run</c> in it runs the bundle.</summary>
    Result OnHost(Bundle bundle, string script) => Spawn.Run(Folder, "/usr/bin/unshare",
    [
        "--net", "/bin/busybox", "sh", "-c",
        $"""
        ip() {"{"} /bin/busybox ip "$@"; {"}"}
        run() {"{"} {Runtime.Program} --root {Runtime.Root} run --bundle {bundle.Folder} "$@" {NewId()}; {"}"}
        # busybox does not name the peer
        ip link add web0 type veth && ip link set veth0 name web1 || exit 99
        {script}
        """,
    ]);

    static Bundle With(Bundle bundle, string name, string? newName = null) => bundle.Change(b =>
    {
        var devices = b.Linux["netDevices"] as JsonObject;
        if (devices is null)
            b.Linux["netDevices"] = devices = [];
        devices[name] = newName is null ? new JsonObject() : new JsonObject { ["name"] = newName };
    });

    [RuntimeFact(NotUnderRunc = OldRunc)]
    public void An_interface_moves_with_its_addresses_and_is_up()
    {
        var bundle = With(NewBundle().Shell("ip addr show web0"), "web0");
        var result = OnHost(bundle, """
            ip link set web0 mtu 1400 up; ip link set web1 up
            ip addr add 10.9.8.7/24 broadcast 10.9.8.255 dev web0; ip addr add fd00:1::2/64 dev web0
            run; ip link show web0 2>&1
            """);
        Assert.Contains("inet 10.9.8.7/24 brd 10.9.8.255 scope global", result.Stdout);
        Assert.Contains("inet6 fd00:1::2/64", result.Stdout);
        Assert.Contains("mtu 1400", result.Stdout);
        Assert.Matches("web0.*[<,]UP[,>]", result.Stdout);
        // It went with the container's namespace, and its peer with it.
        Assert.Contains("can't find device", result.Stdout + result.Stderr);
    }

    [RuntimeFact(NotUnderRunc = OldRunc)]
    public void An_interface_gets_another_name()
    {
        var bundle = With(NewBundle().Shell("ip -o link | cut -d: -f2 | cut -d@ -f1"), "web0", "eth0");
        Assert.Equal(["lo", "eth0"], OnHost(bundle, "run").Ends(0).Lines.Select(line => line.Trim()));
    }

    [RuntimeFact(NotUnderRunc = OldRunc)]
    public void The_kernel_numbers_interfaces_by_a_template()
    {
        var bundle = With(With(NewBundle().Shell("ip -o link | cut -d: -f2 | cut -d@ -f1"), "web0", "net%d"), "web1", "net%d");
        Assert.Equal(["lo", "net0", "net1"], OnHost(bundle, "run").Ends(0).Lines.Select(line => line.Trim()).Order());
    }

    [RuntimeFact(NotUnderRunc = OldRunc)]
    public void Only_permanent_global_addresses_move()
    {
        var bundle = With(NewBundle().Shell("ip addr show web0"), "web0");
        var result = OnHost(bundle, "ip addr add 10.9.8.7/24 dev web0; ip addr add 169.254.1.2/16 scope link dev web0; run").Ends(0);
        Assert.Contains("10.9.8.7/24", result.Stdout);
        Assert.DoesNotContain("169.254.1.2", result.Stdout);
    }

    [RuntimeFact(NotUnderRunc = OldRunc)]
    public void An_interface_moves_into_a_user_namespace_too()
    {
        var bundle = With(NewBundle().Shell("ip addr show web0").UserNamespace(), "web0");
        Assert.Contains("10.9.8.7/24", OnHost(bundle, "ip addr add 10.9.8.7/24 dev web0; run").Ends(0).Stdout);
    }

    [RuntimeFact(NotUnderRunc = OldRunc)]
    public void A_creation_that_fails_brings_the_interface_back()
    {
        var bundle = With(NewBundle().Args("/nosuchprogram"), "web0", "eth0");
        var result = OnHost(bundle, "ip addr add 10.9.8.7/24 dev web0; ip link set web0 up; run; ip addr show web0");
        Assert.Contains("10.9.8.7/24", result.Ends(0).Stdout);
        Assert.Matches("web0.*[<,]UP[,>]", result.Stdout);
    }

    [RuntimeFact(NotUnderRunc = OldRunc)]
    public void A_name_that_is_taken_is_refused_and_the_others_come_back()
    {
        var bundle = With(With(NewBundle().Args("true"), "web0", "eth0"), "web1", "lo");
        var result = OnHost(bundle, "run && exit 98; ip link show web0 && ip link show web1");
        Assert.Contains("netDevices: web1", result.Ends(0).Stderr);
        Assert.Contains("lo already", result.Stderr);
    }

    [RuntimeTheory(NotUnderRunc = OldRunc)]
    [InlineData("nosuch", null, "nosuch: there is no such interface")]
    [InlineData("lo", "lo0", "lo")]
    [InlineData("web0", "a/b", "a/b")]
    [InlineData("web0", "a name", "a name")]
    [InlineData("web0", "..", "..")]
    [InlineData("web0", "longerthanfifteen", "longerthanfifteen")]
    [InlineData("web0", "x%s", "x%s")]
    [InlineData("web0", "%d%d", "%d%d")]
    public void What_cannot_move_is_refused_by_name(string name, string? newName, string words)
    {
        var result = OnHost(With(NewBundle().Args("true"), name, newName), "run && exit 98; ip link show web0");
        Assert.Contains("linux.netDevices", result.Ends(0).Stderr);
        Assert.Contains(words, result.Stderr);
        AssertNothingLeft();
    }

    [RuntimeFact(NotUnderRunc = OldRunc)]
    public void Without_a_network_namespace_it_is_refused_by_name() =>
        Assert.Contains("linux.netDevices: needs a network namespace", OnHost(With(NewBundle().Args("true").WithoutNamespace("network"), "web0"), "run").Ends(1).Stderr);
}
