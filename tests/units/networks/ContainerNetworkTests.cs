using System.Text.Json.Nodes;
using Containers;
using Containers.Linux;
using Xunit;

namespace Containers.Tests.Units.Networks;

/// <summary>Containers on networks whose plugins are the test's own: they write down how they were called, and touch nothing.</summary>
public sealed class ContainerNetworkTests : IDisposable
{
    readonly EngineFixture f = new();
    readonly CniTest t = new();
    readonly ContainerEngine engine;

    public ContainerNetworkTests()
    {
        engine = new ContainerEngine(new ContainerHostOptions
        {
            Root = f.Options.Root, RunRoot = f.Options.RunRoot, ContainerNamespace = f.Options.ContainerNamespace, HelperPath = f.Options.HelperPath, Runtime = f.Options.Runtime,
            NetworkFolder = t.Configurations, NetworkPluginFolders = [t.Programs],
        });
        t.AnsweringPlugin("plug", "\"ips\":[{\"address\":\"10.9.0.2/24\"}]");
        t.Configuration("a.conflist", """{"cniVersion":"1.0.0","name":"a","plugins":[{"type":"plug"}]}""");
        t.Configuration("b.conflist", """{"cniVersion":"1.0.0","name":"b","plugins":[{"type":"plug"}]}""");
    }

    public void Dispose()
    {
        foreach (var id in engine.Containers.ListIds())
        {
            try { engine.Containers.RemoveAsync(id, force: true).GetAwaiter().GetResult(); }
            catch (ContainerException) { }
        }
        f.Dispose();
        t.Dispose();
    }

    async Task<string> New(string networks, string id = "box")
    {
        var options = f.Shell("sleep 1000", id);
        options.Network = NamespaceChoice.FromNetwork(networks);
        return (await engine.Containers.CreateAsync(options, f.Limit)).Id;
    }

    string NetworkId(string id) => engine.Containers.TryLoadAny(f.Options.ContainerNamespace, id)!.NetworkId!;

    static ulong IdOf(string path)
    {
        var fd = NamespaceFile.Open(path, out var file);
        Assert.True(fd >= 0, path);
        _ = Libc.close(fd);
        return file.Id;
    }

    Task Start(string id) => engine.Tasks.StartAsync(id, cancel: f.Limit);
    Task Remove(string id, bool force = true) => engine.Containers.RemoveAsync(id, force, cancel: f.Limit);

    void NothingIsLeft(string networkId)
    {
        Assert.False(File.Exists(KeptNetwork.Place(networkId)), "the namespace is kept");
        Assert.False(Directory.Exists(Path.Combine(f.Options.Root, "networks")), "an attachment is on record");
    }

    [RunsContainersFact]
    public async Task Interfaces_and_addresses_stay_over_tasks_and_go_with_the_container()
    {
        var id = await New("a,b");
        var networkId = NetworkId(id);
        Assert.Empty(t.Calls);
        await Start(id);
        var place = "/run/netns/cni-" + networkId;
        Assert.Equal(["plug ADD", "plug ADD"], t.Calls);
        Assert.Equal(["a", "b"], [(string)t.Input(0)["name"]!, (string)t.Input(1)["name"]!]);
        Assert.Contains("CNI_IFNAME=eth0", t.Variables(0));
        Assert.Contains("CNI_IFNAME=eth1", t.Variables(1));
        Assert.Contains("CNI_CONTAINERID=" + networkId, t.Variables(0));
        Assert.Contains("CNI_NETNS=" + place, t.Variables(0));
        var space = IdOf(place);
        Assert.Equal(space, IdOf($"/proc/{engine.Tasks.Get(id).ProcessId}/ns/net"));

        await engine.Tasks.StopAsync(id, timeout: TimeSpan.Zero, cancel: f.Limit);
        await Start(id);
        Assert.Equal(space, IdOf($"/proc/{engine.Tasks.Get(id).ProcessId}/ns/net"));
        Assert.Equal(2, t.Calls.Count);

        await Remove(id);
        Assert.Equal(["plug DEL", "plug DEL"], t.Calls.Skip(2));
        Assert.Equal(["b", "a"], [(string)t.Input(2)["name"]!, (string)t.Input(3)["name"]!]);
        Assert.NotNull(t.Input(2)["prevResult"]);
        NothingIsLeft(networkId);
    }

    [RunsContainersFact]
    public async Task A_loopback_is_up_in_it_and_its_sysctls_are_the_container_s()
    {
        var options = f.Shell("cat /sys/class/net/lo/flags /proc/sys/net/ipv4/ip_default_ttl", "box");
        options.Network = NamespaceChoice.FromNetwork("a");
        options.Sysctl = new Dictionary<string, string> { ["net.ipv4.ip_default_ttl"] = "77" };
        await engine.Containers.CreateAsync(options, f.Limit);
        await Start("box");
        Assert.Equal(0, (await engine.Tasks.WaitAsync("box", cancel: f.Limit)).ExitCode);
        var log = File.ReadAllText(engine.Containers.Get("box").LogPath!);
        Assert.Contains(" 0x9\n", log);
        Assert.Contains(" 77\n", log);
    }

    [RunsContainersFact]
    public async Task A_network_that_fails_leaves_no_task_and_nothing_up()
    {
        t.Plugin("refusing", """[ "$CNI_COMMAND" = ADD ] && { echo '{"code":100,"msg":"not today"}'; exit 1; }""");
        t.Configuration("c.conflist", """{"cniVersion":"1.0.0","name":"c","plugins":[{"type":"plug"},{"type":"refusing"}]}""");
        var id = await New("a,c");
        var e = await CniTest.Refused(ErrorIds.NetworkPluginFailed, () => Start(id));
        Assert.Equal(100, ((NetworkPluginException)e.InnerException!).Code);
        Assert.Equal(ContainerTaskState.None, engine.Containers.Get(id).State);
        NothingIsLeft(NetworkId(id));
        Assert.Equal(1, t.Calls.Count(call => call == "refusing ADD"));
        // The other network's plugin was undone too.
        Assert.Contains(Enumerable.Range(0, t.Calls.Count), i => t.Calls[i] == "plug DEL" && (string)t.Input(i)["name"]! == "a");
    }

    [RunsContainersFact]
    public async Task A_start_that_fails_for_another_reason_takes_its_networks_down()
    {
        var options = f.Shell("true", "box");
        options.ArgumentList = ["/no/such/program"];
        options.Network = NamespaceChoice.FromNetwork("a");
        await engine.Containers.CreateAsync(options, f.Limit);
        await CniTest.Refused(ErrorIds.ExecutableNotFound, () => Start("box"));
        Assert.Equal(["plug ADD", "plug DEL"], t.Calls);
        NothingIsLeft(NetworkId("box"));
    }

    [RunsContainersFact]
    public async Task What_was_cut_off_is_taken_down_before_it_is_made_anew()
    {
        var id = await New("a");
        var networkId = NetworkId(id);
        Leave(networkId, null);
        await Start(id);
        Assert.Equal(["plug DEL", "plug ADD"], t.Calls);
        Assert.Null(t.Input(0)["prevResult"]);

        // As after the machine's restart: the record is there, the namespace is not.
        await engine.Tasks.StopAsync(id, timeout: TimeSpan.Zero, cancel: f.Limit);
        KeptNetwork.Remove(networkId);
        await Start(id);
        Assert.Equal(["plug DEL", "plug ADD", "plug DEL", "plug ADD"], t.Calls);
        await Remove(id);
        NothingIsLeft(networkId);
    }

    void Leave(string networkId, JsonObject? result, string container = "box")
    {
        var records = new CniRecords(Path.Combine(f.Options.Root, "networks"));
        using var held = records.LockAsync(networkId, f.Limit).GetAwaiter().GetResult();
        records.Save(new CniRecord
        {
            Network = new CniFolder(t.Configurations).Get("a"), Result = result, ContainerNamespace = f.Options.ContainerNamespace, Container = container,
            Attachment = new CniAttachment { ContainerId = networkId, NetworkNamespace = KeptNetwork.Place(networkId), Interface = "eth0" },
        });
    }

    [RunsContainersFact]
    public async Task A_plugin_that_cannot_take_down_keeps_the_container_and_force_keeps_the_record()
    {
        var id = await New("a");
        await Start(id);
        await engine.Tasks.StopAsync(id, timeout: TimeSpan.Zero, cancel: f.Limit);
        t.Plugin("plug", """[ "$CNI_COMMAND" = DEL ] && { echo '{"code":11,"msg":"later"}'; exit 1; }""");
        await CniTest.Refused(ErrorIds.NetworkPluginFailed, () => Remove(id, force: false));
        Assert.Equal(["box"], engine.Containers.ListIds());
        Assert.Empty(await engine.Networks.FindStaleAsync(cancel: f.Limit));
        var networkId = NetworkId(id);
        await Remove(id);
        Assert.Empty(engine.Containers.ListIds());
        var stale = Assert.Single(await engine.Networks.FindStaleAsync(cancel: f.Limit));
        Assert.Equal(("box", "a", "eth0", "10.9.0.2/24"), (stale.ContainerId, stale.Network, stale.Interface, Assert.Single(stale.Addresses)));
        await CniTest.Refused(ErrorIds.NetworkPluginFailed, () => engine.Networks.ClearAsync(stale, f.Limit));
        t.Plugin("plug");
        await engine.Networks.ClearAsync(stale, f.Limit);
        await engine.Networks.ClearAsync(stale, f.Limit);
        Assert.Empty(await engine.Networks.FindStaleAsync(cancel: f.Limit));
        NothingIsLeft(networkId);
    }

    [RunsContainersFact]
    public async Task What_a_container_has_whole_is_not_stale_and_what_was_cut_off_is()
    {
        var id = await New("a");
        Leave(NetworkId(id), new JsonObject { ["cniVersion"] = "1.0.0" });
        Assert.Empty(await engine.Networks.FindStaleAsync(cancel: f.Limit));
        Leave(NetworkId(id), null);
        Leave("gone-0123456789ab", new JsonObject { ["cniVersion"] = "1.0.0" }, "gone");
        Assert.Equal(["box", "gone"], (await engine.Networks.FindStaleAsync(cancel: f.Limit)).Select(one => one.ContainerId));
    }

    [RunsContainersFact]
    public async Task What_cannot_be_is_refused_when_the_container_is_made()
    {
        await CniTest.Refused(ErrorIds.NetworkNotFound, () => New("none-such"));
        await CniTest.Refused(ErrorIds.InvalidArgument, () => New("a,a"));
        await CniTest.Refused(ErrorIds.NetworkNotSupported, () => New("a,host"));
        await CniTest.Refused(ErrorIds.NetworkNotSupported, () => New("a,/run/netns/x"));
        var mapped = f.Shell("true");
        mapped.Network = NamespaceChoice.FromNetwork("a");
        mapped.UidMap = [new NamespaceIdMap(0, 100000, 65536)];
        await CniTest.Refused(ErrorIds.NetworkNotSupported, () => engine.Containers.CreateAsync(mapped, f.Limit));
        Assert.Empty(t.Calls);
    }

    [RunsContainersWithPluginsFact]
    public async Task Two_containers_on_a_bridge_reach_each_other_and_a_third_elsewhere_does_not()
    {
        using var host = new PretendedHost(t);
        foreach (var (name, number) in new[] { ("east", 77), ("west", 78) })
        {
            t.Configuration(name + ".conflist", $$"""
                {"cniVersion":"1.0.0","name":"{{name}}","plugins":[{"type":"bridge","bridge":"{{name}}","ipam":{"type":"host-local","dataDir":"{{t.Folder}}/leases","ranges":[[{"subnet":"10.{{number}}.0.0/24"}]]} }]}
                """);
        }
        var server = f.Shell("while true; do echo served | busybox nc -l -p 80; done", "one");
        server.Network = NamespaceChoice.FromNetwork("east");
        File.CreateSymbolicLink(Path.Combine(f.Rootfs, "bin/nc"), "busybox");
        await engine.Containers.CreateAsync(server, f.Limit);
        await New("east", "two");
        await New("west", "three");
        foreach (var id in new[] { "one", "two", "three" }) { await Start(id); }
        var address = new CniRecords(Path.Combine(f.Options.Root, "networks")).Load(NetworkId("one"), "eth0")!.Result!["ips"]![0]!["address"]!.GetValue<string>().Split('/')[0];
        var answer = "";
        for (var attempt = 0; attempt < 50 && answer.Length == 0; attempt++)
        {
            answer = PretendedHost.Run(KeptNetwork.Place(NetworkId("two")), true, "/bin/busybox", "nc", "-w", "5", address, "80").Trim();
            if (answer.Length == 0) { await Task.Delay(200); }
        }
        Assert.Equal("served", answer);
        Assert.Equal("", PretendedHost.Run(KeptNetwork.Place(NetworkId("three")), true, "/bin/busybox", "nc", "-w", "2", address, "80").Trim());
        foreach (var id in new[] { "one", "two", "three" }) { await Remove(id); }
        Assert.DoesNotContain("veth", PretendedHost.Run(host.Place, "ip", "link"));
        Assert.Empty(Directory.GetFiles(t.Folder + "/leases", "10.*", SearchOption.AllDirectories));
    }
}

/// <summary>A test that runs containers on networks of Debian's plugins.</summary>
sealed class RunsContainersWithPluginsFactAttribute : FactAttribute
{
    public RunsContainersWithPluginsFactAttribute() => Skip = new RunsContainersFactAttribute().Skip ?? new RunsPluginsFactAttribute().Skip;
}
