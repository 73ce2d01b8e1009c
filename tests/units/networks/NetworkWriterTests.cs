using System.Net;
using System.Text.Json.Nodes;
using Containers;
using Containers.Linux;
using Xunit;

namespace Containers.Tests.Units.Networks;

public sealed class NetworkWriterTests : IDisposable
{
    readonly CniTest t = new();
    readonly ContainerEngine engine;

    public NetworkWriterTests() => engine = new ContainerEngine(new ContainerHostOptions
    {
        Root = t.Folder + "/root", RunRoot = t.Folder + "/run", NetworkFolder = t.Configurations, NetworkPluginFolders = [t.Programs],
    });

    public void Dispose() => t.Dispose();

    void Knowing(params string[] types)
    {
        foreach (var type in types) { t.Plugin(type, """echo '{"cniVersion":"1.0.0","supportedVersions":["0.4.0","1.0.0"]}'"""); }
    }

    static JsonObject Written(NetworkCreateOptions o, bool firewall = false)
    {
        NetworkWriter.Check(o);
        return NetworkWriter.Write(o, [.. o.Subnet.Select(Subnets.Parse)], "/addresses", firewall);
    }

    [Fact]
    public void A_bridge_is_written_in_the_words_of_its_plugins()
    {
        var network = Written(new NetworkCreateOptions { Name = "web", Subnet = ["10.90.0.0/24", "fd00:90::/64"], Gateway = ["10.90.0.9"], IPRange = ["10.90.0.64/26"], Mtu = 1400, Vlan = 7 }, firewall: true);
        var plugins = network["plugins"]!.AsArray();
        Assert.Equal(["bridge", "portmap", "firewall"], plugins.Select(plugin => (string)plugin!["type"]!));
        var bridge = plugins[0]!;
        Assert.Equal((NetworkWriter.BridgeName("web"), true, true, 1400, 7), ((string)bridge["bridge"]!, (bool)bridge["isGateway"]!, (bool)bridge["ipMasq"]!, (int)bridge["mtu"]!, (int)bridge["vlan"]!));
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse("""
            {"type":"host-local","dataDir":"/addresses","ranges":[[{"subnet":"10.90.0.0/24","gateway":"10.90.0.9","rangeStart":"10.90.0.64","rangeEnd":"10.90.0.126"}],[{"subnet":"fd00:90::/64","gateway":"fd00:90::1"}]],"routes":[{"dst":"0.0.0.0/0"},{"dst":"::/0"}]}
            """), bridge["ipam"]), bridge["ipam"]!.ToJsonString());
        Assert.InRange(NetworkWriter.BridgeName(new string('x', 128)).Length, 1, 15);
    }

    [Fact]
    public void An_internal_bridge_has_no_gateway_no_route_and_no_ports()
    {
        var plugins = Written(new NetworkCreateOptions { Name = "in", Internal = true, Subnet = ["10.90.0.0/24"] })["plugins"]!.AsArray();
        var bridge = Assert.Single(plugins)!;
        Assert.Equal((false, false), ((bool)bridge["isGateway"]!, (bool)bridge["ipMasq"]!));
        Assert.Empty(bridge["ipam"]!["routes"]!.AsArray());
    }

    [Fact]
    public void Other_drivers_get_what_they_know()
    {
        var macvlan = Written(new NetworkCreateOptions { Name = "m", Driver = "macvlan", Subnet = ["192.168.1.0/24"], Option = new Dictionary<string, string> { ["parent"] = "eth0", ["mode"] = "vepa" } })["plugins"]![0]!;
        Assert.Equal(("macvlan", "eth0", "vepa"), ((string)macvlan["type"]!, (string)macvlan["master"]!, (string)macvlan["mode"]!));
        var device = Written(new NetworkCreateOptions { Name = "d", Driver = "host-device", Option = new Dictionary<string, string> { ["parent"] = "eth9" } })["plugins"]![0]!;
        Assert.Equal(("eth9", null), ((string)device["device"]!, device["ipam"]));
        Assert.Equal("portmap", (string)Written(new NetworkCreateOptions { Name = "p", Driver = "ptp", Subnet = ["10.90.0.0/24"] })["plugins"]![1]!["type"]!);
    }

    public static TheoryData<NetworkCreateOptions> Wrong() => new()
    {
        new NetworkCreateOptions { Name = "../a" },
        new NetworkCreateOptions { Name = "host" },
        new NetworkCreateOptions { Name = "a", Subnet = ["10.0.0.1/24"] },
        new NetworkCreateOptions { Name = "a", Subnet = ["10.0.0.0"] },
        new NetworkCreateOptions { Name = "a", Subnet = ["10.0.0.0/31"] },
        new NetworkCreateOptions { Name = "a", Subnet = ["0.0.0.0/0"] },
        new NetworkCreateOptions { Name = "a", Subnet = ["x/24"] },
        new NetworkCreateOptions { Name = "a", Subnet = ["10.90.0.0/24"], Gateway = ["10.91.0.1"] },
        new NetworkCreateOptions { Name = "a", Subnet = ["10.90.0.0/24"], Gateway = ["10.90.0.1", "10.90.0.2"] },
        new NetworkCreateOptions { Name = "a", Subnet = ["10.90.0.0/24"], Gateway = ["1"] },
        new NetworkCreateOptions { Name = "a", Subnet = ["10.90.0.0/24"], IPRange = ["10.90.0.0/23"] },
        new NetworkCreateOptions { Name = "a", Subnet = ["10.90.0.0/24"], IPRange = ["10.90.0.4/31"] },
        new NetworkCreateOptions { Name = "a", Mtu = 10 },
        new NetworkCreateOptions { Name = "a", Vlan = 4095 },
        new NetworkCreateOptions { Name = "a", Option = new Dictionary<string, string> { ["parent"] = "eth0" } },
        new NetworkCreateOptions { Name = "a", Option = new Dictionary<string, string> { ["bridge"] = "a/b" } },
        new NetworkCreateOptions { Name = "a", Driver = "macvlan" },
        new NetworkCreateOptions { Name = "a", Driver = "macvlan", Subnet = ["10.90.0.0/24"], Internal = true },
        new NetworkCreateOptions { Name = "a", Driver = "ipvlan", Subnet = ["10.90.0.0/24"], Option = new Dictionary<string, string> { ["mode"] = "vepa" } },
        new NetworkCreateOptions { Name = "a", Driver = "host-device" },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public void What_cannot_be_is_refused(NetworkCreateOptions wrong) => CniTest.Refused(ErrorIds.InvalidArgument, () => Written(wrong));

    [Fact]
    public void A_free_subnet_meets_nothing_that_is_taken()
    {
        Assert.Equal("10.100.0.0/24", Subnets.Free([]).ToString());
        Assert.Equal("10.101.1.0/24", Subnets.Free([IPNetwork.Parse("10.100.0.0/16"), IPNetwork.Parse("10.101.0.128/25"), IPNetwork.Parse("fd00::/8")]).ToString());
        CniTest.Refused(ErrorIds.NetworkConflict, () => Subnets.Free([IPNetwork.Parse("10.0.0.0/8")]));
    }

    [Fact]
    public void Routes_are_read_as_the_kernel_writes_them()
    {
        var file = Path.Combine(t.Folder, "route");
        File.WriteAllText(file, "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\neth0\t00000000\t010AA8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\neth0\t000AA8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\nbroken\n");
        Assert.Equal("192.168.10.0/24", Assert.Single(Subnets.Routes4(file)).ToString());
        File.WriteAllText(file, "00000000000000000000000000000000 00 0 0 0 0 0 0 0 lo\nfd000090000000000000000000000000 40 00000000000000000000000000000000 00 0 00000100 00000001 00000000 00000001 eth0\nfe800000000000000000000000000000 40 0 0 0 0 0 0 0 eth0\n");
        Assert.Equal("fd00:90::/64", Assert.Single(Subnets.Routes6(file)).ToString());
    }

    [NeedsRootFact]
    public async Task Networks_are_made_with_subnets_apart_and_removed()
    {
        Knowing("bridge", "portmap", "firewall");
        var one = await engine.Networks.CreateAsync(new NetworkCreateOptions { Name = "one" }, t.Limit);
        var two = await engine.Networks.CreateAsync(new NetworkCreateOptions { Name = "two" }, t.Limit);
        Assert.Equal(["one", "two"], engine.Networks.List().Select(network => network.Name));
        Assert.NotEqual(one.Subnets, two.Subnets);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(one.Path));
        Assert.Contains("bridge VERSION", t.Calls);
        await CniTest.Refused(ErrorIds.NetworkExists, () => engine.Networks.CreateAsync(new NetworkCreateOptions { Name = "one" }, t.Limit));
        var met = await CniTest.Refused(ErrorIds.NetworkConflict, () => engine.Networks.CreateAsync(new NetworkCreateOptions { Name = "three", Subnet = [one.Subnets[0]] }, t.Limit));
        Assert.Contains("'one'", met.Message);
        engine.Networks.Remove("one");
        CniTest.Refused(ErrorIds.NetworkNotFound, () => engine.Networks.Remove("one"));
        Assert.Equal("two", Assert.Single(engine.Networks.List()).Name);
    }

    [NeedsRootFact]
    public async Task A_network_without_its_plugins_is_not_made()
    {
        Knowing("bridge");
        await CniTest.Refused(ErrorIds.NetworkPluginNotFound, () => engine.Networks.CreateAsync(new NetworkCreateOptions { Name = "one" }, t.Limit));
        Assert.Empty(Directory.GetFileSystemEntries(t.Configurations));
    }

    [NeedsRootFact]
    public async Task A_file_of_any_plugins_is_taken_and_one_of_others_is_not_removed_unasked()
    {
        Knowing("theirs");
        var file = Path.Combine(t.Folder, "their.conflist");
        File.WriteAllText(file, """{"cniVersion":"0.4.0","name":"their.net","plugins":[{"type":"theirs","keep":[1]}]}""");
        var made = await engine.Networks.CreateFromFileAsync(file, t.Limit);
        Assert.Equal(("their.net", "theirs", "0.4.0"), (made.Name, made.Driver, made.CniVersion));
        Assert.Equal(1, (int)JsonNode.Parse(File.ReadAllText(made.Path))!["plugins"]![0]!["keep"]![0]!);
        File.WriteAllText(file, """{"cniVersion":"1.1.0","name":"young","plugins":[{"type":"theirs"}]}""");
        await CniTest.Refused(ErrorIds.NetworkInvalid, () => engine.Networks.CreateFromFileAsync(file, t.Limit));
        await CniTest.Refused(ErrorIds.NetworkInvalid, () => engine.Networks.CreateFromFileAsync(file + ".none", t.Limit));
        engine.Networks.Remove("their.net");
        t.Configuration("10-flannel.conflist", """{"cniVersion":"1.0.0","name":"cbr0","plugins":[{"type":"flannel"}]}""");
        CniTest.Refused(ErrorIds.NetworkNotOurs, () => engine.Networks.Remove("cbr0"));
        engine.Networks.Remove("cbr0", force: true);
        Assert.Empty(engine.Networks.List());
    }

    [RunsPluginsFact]
    public async Task A_made_network_works_and_its_bridge_is_removed_by_its_name()
    {
        using var host = new PretendedHost(t);
        var made = await engine.Networks.CreateAsync(new NetworkCreateOptions { Name = "real-" + Path.GetFileName(t.Folder), Subnet = ["10.99.77.0/24", "fd00:77::/64"] }, t.Limit);
        Assert.Equal(["bridge", "portmap", "firewall"], made.Plugins);
        var network = new CniFolder(t.Configurations).Get(made.Name);
        var attachment = new CniAttachment { ContainerId = "one", NetworkNamespace = host.Namespace("one"), Interface = "eth0" };
        var result = await t.Client().AddAsync(network, attachment, t.Limit);
        Assert.Equal(["10.99.77.2/24", "fd00:77::2/64"], ContainerNetworkAttachment.Of(new CniRecord { Network = network, Attachment = attachment, Result = result, Container = "c", ContainerNamespace = "n" }).Addresses);
        await t.Client().DeleteAsync(network, attachment, result, t.Limit);
        var bridge = NetworkWriter.BridgeName(made.Name);
        Assert.Contains(bridge, PretendedHost.Run(host.Place, "ip", "link"));
        LinuxException? failed = null;
        // A thread that stands where the host is: the bridge is of its network namespace.
        var there = new Thread(() =>
        {
            var fd = NamespaceFile.Open(host.Place, out _);
            if (Libc.setns(fd, Libc.CLONE_NEWNET) != 0) { failed = new LinuxException("setns", host.Place, Libc.errno); }
            _ = Libc.close(fd);
            try
            {
                BridgeInterface.Remove("lo");
                BridgeInterface.Remove(bridge);
                BridgeInterface.Remove(bridge);
            }
            catch (LinuxException e) { failed = e; }
        });
        there.Start();
        there.Join();
        Assert.Null(failed);
        var left = PretendedHost.Run(host.Place, "ip", "link");
        Assert.DoesNotContain(bridge, left);
        Assert.Contains("lo: <LOOPBACK,UP", left);
        engine.Networks.Remove(made.Name);
        Assert.False(Directory.Exists(engine.Options.Root + "/addresses"));
    }
}

/// <summary>A test that writes what only root may: networks.</summary>
sealed class NeedsRootFactAttribute : FactAttribute
{
    public NeedsRootFactAttribute()
    {
        if (Environment.UserName != "root") { Skip = "needs root"; }
        else if (!File.Exists("/usr/sbin/iptables")) { Skip = "needs iptables"; }
    }
}
