using System.Diagnostics;
using System.Text.Json.Nodes;
using Containers;
using Containers.Linux;
using Xunit;

namespace Containers.Tests.Units.Networks;

/// <summary>A test with Debian's plugins: they run in a network namespace that stands for the host, so that the real one is left alone.</summary>
sealed class RunsPluginsFactAttribute : FactAttribute
{
    internal const string Programs = "/usr/lib/cni";

    public RunsPluginsFactAttribute()
    {
        if (Environment.UserName != "root") { Skip = "needs root"; }
        else if (new[] { "bridge", "host-local", "portmap", "loopback", "firewall" }.FirstOrDefault(one => !File.Exists(Path.Combine(Programs, one))) is { } missing) { Skip = $"needs the CNI plugin '{missing}' in {Programs}"; }
        else if (!File.Exists("/usr/sbin/iptables")) { Skip = "needs iptables"; }
        else if (!File.Exists("/usr/bin/nsenter")) { Skip = "needs nsenter"; }
        else if (!File.Exists("/bin/busybox")) { Skip = "needs a static /bin/busybox"; }
    }
}

/// <summary>A network namespace that plays the host, and plugins that run in it.</summary>
sealed class PretendedHost : IDisposable
{
    readonly CniTest t;
    readonly List<string> places = [];

    internal PretendedHost(CniTest t)
    {
        this.t = t;
        Place = Namespace("host");
        foreach (var plugin in Directory.GetFiles(RunsPluginsFactAttribute.Programs))
        {
            var name = Path.GetFileName(plugin);
            // What allocates addresses runs where its caller runs.
            var path = Path.Combine(t.Programs, name);
            File.WriteAllText(path, $"#!/bin/sh\nexec nsenter --net={Place} {plugin}\n");
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }

    internal string Place { get; }

    internal string Namespace(string name)
    {
        var place = Path.Combine(t.Folder, "netns-" + name);
        File.WriteAllText(place, "");
        NetworkNamespace.Make(place);
        places.Add(place);
        return place;
    }

    /// <summary>What a program prints in a namespace; its status has to be 0 unless it may fail.</summary>
    internal static string Run(string place, bool mayFail, params string[] words)
    {
        var info = new ProcessStartInfo("/usr/bin/nsenter") { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var word in (string[])["--net=" + place, .. words]) { info.ArgumentList.Add(word); }
        using var process = Process.Start(info)!;
        var complaints = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(mayFail || process.ExitCode == 0, $"{string.Join(' ', words)}: {output}{complaints.Result}");
        return output;
    }

    internal static string Run(string place, params string[] words) => Run(place, false, words);

    public void Dispose()
    {
        foreach (var place in places) { Libc.umount2(place, Libc.MNT_DETACH); }
    }
}

public sealed class CniPeerTests : IDisposable
{
    readonly CniTest t = new();

    public void Dispose() => t.Dispose();

    CniConfiguration Bridge() => CniTest.Parse($$"""
        {"cniVersion":"1.0.0","name":"net-{{Path.GetFileName(t.Folder)}}","plugins":[
          {"type":"bridge","bridge":"br0","isGateway":true,"ipMasq":true,"capabilities":{"ips":true,"mac":true},"ipam":{"type":"host-local","dataDir":"{{t.Folder}}/leases","ranges":[[{"subnet":"10.77.0.0/24"}]],"routes":[{"dst":"0.0.0.0/0"}]} },
          {"type":"portmap","capabilities":{"portMappings":true} }]}
        """);

    CniAttachment At(string place, string id, JsonObject? capabilities = null) => new() { ContainerId = id, NetworkNamespace = place, Interface = "eth0", Capabilities = capabilities ?? [] };

    string[] Leases() => Directory.Exists(t.Folder + "/leases") ? [.. Directory.GetFiles(t.Folder + "/leases", "10.*", SearchOption.AllDirectories).Select(file => Path.GetFileName(file))] : [];

    [RunsPluginsFact]
    public async Task A_container_gets_an_address_a_route_and_its_port_and_nothing_stays()
    {
        using var host = new PretendedHost(t);
        var (client, network) = (t.Client(), Bridge());
        var (one, two) = (host.Namespace("one"), host.Namespace("two"));
        await client.ValidateAsync(network, t.Limit);
        var ports = new JsonObject { ["portMappings"] = new JsonArray(new JsonObject { ["hostPort"] = 8080, ["containerPort"] = 80, ["protocol"] = "tcp" }), ["mac"] = "02:00:00:00:77:09", ["ips"] = new JsonArray("10.77.0.9") };
        var result = await client.AddAsync(network, At(one, "one", ports), t.Limit);
        var other = await client.AddAsync(network, At(two, "two"), t.Limit);
        Assert.Equal("10.77.0.9/24", (string)result["ips"]![0]!["address"]!);
        Assert.NotEqual("10.77.0.9/24", (string)other["ips"]![0]!["address"]!);
        Assert.Equal(2, Leases().Length);
        Assert.Contains("02:00:00:00:77:09", PretendedHost.Run(one, "ip", "link", "show", "eth0"));
        Assert.Contains("default via 10.77.0.1", PretendedHost.Run(one, "ip", "route"));
        PretendedHost.Run(two, "/bin/busybox", "ping", "-c", "1", "-W", "10", "10.77.0.9");
        Assert.Contains("10.77.0.9:80", PretendedHost.Run(host.Place, "iptables", "-t", "nat", "-S"));
        // Not of the one with ports: portmap of 1.1.1 looks for rules of IPv6 then, whatever addresses there are.
        await client.CheckAsync(network, At(two, "two"), other, t.Limit);
        PretendedHost.Run(two, "ip", "route", "del", "default");
        var e = await CniTest.Refused(ErrorIds.NetworkPluginFailed, () => client.CheckAsync(network, At(two, "two"), other, t.Limit));
        Assert.Equal("bridge", ((NetworkPluginException)e.InnerException!).Plugin);

        await client.DeleteAsync(network, At(one, "one", ports), result, t.Limit);
        await client.DeleteAsync(network, At(one, "one", ports), result, t.Limit);
        await client.DeleteAsync(network, At(two, "two"), other, t.Limit);
        Assert.Empty(Leases());
        Assert.DoesNotContain("10.77.0.", PretendedHost.Run(host.Place, "iptables", "-t", "nat", "-S"));
        Assert.DoesNotContain("veth", PretendedHost.Run(host.Place, "ip", "link"));
        Assert.DoesNotContain("eth0", PretendedHost.Run(one, "ip", "link"));
    }

    [RunsPluginsFact]
    public async Task A_network_half_up_leaves_no_lease_and_no_interface()
    {
        using var host = new PretendedHost(t);
        var one = host.Namespace("one");
        t.Plugin("refusing", """[ "$CNI_COMMAND" = ADD ] && { echo '{"code":100,"msg":"not today"}'; exit 1; }""");
        var network = CniTest.Parse($$"""
            {"cniVersion":"1.0.0","name":"half","plugins":[{"type":"bridge","bridge":"br0","ipam":{"type":"host-local","dataDir":"{{t.Folder}}/leases","ranges":[[{"subnet":"10.77.0.0/24"}]]} },{"type":"refusing"}]}
            """);
        await CniTest.Refused(ErrorIds.NetworkPluginFailed, () => t.Client().AddAsync(network, At(one, "one"), t.Limit));
        Assert.Empty(Leases());
        Assert.DoesNotContain("eth0", PretendedHost.Run(one, "ip", "link"));
        // The namespace is gone before DEL, as after the machine's restart.
        await t.Client().DeleteAsync(network, At(t.Folder + "/none", "one"), null, t.Limit);
    }

    [RunsPluginsFact]
    public async Task The_loopback_of_a_new_namespace_is_up_as_the_loopback_plugin_has_it()
    {
        using var host = new PretendedHost(t);
        var network = CniTest.Parse("""{"cniVersion":"1.0.0","name":"lo","plugins":[{"type":"loopback"}]}""");
        var result = await t.Client().AddAsync(network, new CniAttachment { ContainerId = "one", NetworkNamespace = host.Namespace("one"), Interface = "lo" }, t.Limit);
        Assert.Equal("127.0.0.1/8", (string)result["ips"]![0]!["address"]!);
        PretendedHost.Run(host.Place, "/bin/busybox", "ping", "-c", "1", "-W", "10", "127.0.0.1");
    }
}
