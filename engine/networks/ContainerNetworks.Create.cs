using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Containers.Linux;

namespace Containers;

public sealed partial class ContainerNetworks
{
    const string FilePrefix = "90-";

    /// <summary>Makes a network: a file in the folder of network configurations. Interfaces come with the first container.</summary>
    /// <exception cref="ContainerException"><c>NetworkExists</c>, <c>NetworkConflict</c>, <c>NetworkPluginNotFound</c>, <c>InvalidArgument</c>, <c>NotSupported</c>, <c>StoreUnavailable</c> …</exception>
    public async Task<ContainerNetwork> CreateAsync(NetworkCreateOptions o, CancellationToken cancel = default)
    {
        NetworkWriter.Check(o);
        var named = o.Subnet.Select(Subnets.Parse).ToList();
        if (named.Count(Subnets.Is4) > 1 || named.Count(subnet => !Subnets.Is4(subnet)) > 1) { throw Subnets.Bad("Subnet", string.Join(',', o.Subnet), "a network has one of IPv4, one of IPv6, or one of each"); }
        if (o.Driver == "host-device" && named.Count > 0) { throw Subnets.Bad("Subnet", o.Subnet[0], "an interface of the host keeps its own addresses' network"); }
        if (o.Driver is "bridge" or "ptp" && !o.Internal) { RefuseWithoutIptables(o.Name); }
        using var held = HoldFolder();
        var subnets = named;
        if (o.Driver is "bridge" or "ptp")
        {
            var taken = Taken();
            foreach (var subnet in named)
            {
                if (taken.Find(one => Subnets.Meet(one.Subnet, subnet)) is { Owner: { } owner } met)
                {
                    throw new ContainerException(ErrorIds.NetworkConflict, $"The subnet {subnet} meets {met.Subnet}, which is {owner}. Choose another, or leave -Subnet out to have a free one.", subnet.ToString(), ContainerErrorCategory.ResourceExists);
                }
            }
            if (named.Count == 0) { subnets = [Subnets.Free([.. taken.Select(one => one.Subnet)])]; }
        }
        else if ((o.Gateway.Count > 0 || o.IPRange.Count > 0) && named.Count == 0) { throw Subnets.Bad("Gateway", o.Name, "it needs a subnet"); }
        var written = NetworkWriter.Write(o, subnets, engine.Paths.NetworkAddresses, HasPlugin("firewall"));
        return await AddFileAsync(written, o.Name, cancel).ConfigureAwait(false);
    }

    /// <summary>Takes a configuration that somebody wrote, any plugins in it, under the name that it has.</summary>
    /// <param name="path">A file with a list of plugins, or one plugin.</param>
    /// <exception cref="ContainerException"><c>NetworkInvalid</c>, <c>NetworkExists</c>, <c>NetworkPluginNotFound</c> …</exception>
    public async Task<ContainerNetwork> CreateFromFileAsync(string path, CancellationToken cancel = default)
    {
        byte[] content;
        try { content = Folders.ReadOfUser(path, CniConfiguration.LongestFile) ?? throw NetworkErrors.Invalid(path, "it is not there"); }
        catch (Exception e) when (e is IOException or InvalidDataException or UnauthorizedAccessException) { throw NetworkErrors.Invalid(path, "it " + e.Message.TrimEnd('.'), e); }
        var name = CniConfiguration.Parse(content, path).Name;
        var written = CniConfiguration.ParseObject(content, path);
        written[NetworkWriter.Mark] = new JsonObject { ["createdAt"] = DateTimeOffset.UtcNow.ToString("O") };
        using var held = HoldFolder();
        return await AddFileAsync(written, name, cancel).ConfigureAwait(false);
    }

    /// <summary>Removes a network that no container is on, with the bridge and the list of addresses that were made for it.</summary>
    /// <param name="force">Also one whose file somebody else wrote.</param>
    /// <exception cref="ContainerException"><c>NetworkNotFound</c>, <c>NetworkInUse</c>, <c>NetworkNotOurs</c>.</exception>
    public void Remove(string name, bool force = false)
    {
        using var held = HoldFolder();
        var network = folder.Get(name);
        var users = UsersOf(name);
        if (users.Count > 0)
        {
            throw new ContainerException(ErrorIds.NetworkInUse, $"Containers are on network '{name}': {string.Join(", ", users)}. Remove them first; Clear-ContainerNetwork takes down what removed ones have left.", name, ContainerErrorCategory.ResourceBusy);
        }
        var ours = IsOurs(network);
        if (!ours && !force)
        {
            throw new ContainerException(ErrorIds.NetworkNotOurs, $"The network '{name}' was made by somebody else, who may use it: '{network.Path}'. -Force removes its file.", name, ContainerErrorCategory.PermissionDenied);
        }
        File.Delete(network.Path);
        Folders.Sync(folder.Path);
        if (!ours) { return; }
        if (network.Plugins[0] is { Type: "bridge" } bridge && ContainerNetwork.Text(bridge.Content["bridge"]) == NetworkWriter.BridgeName(name)) { BridgeInterface.Remove(NetworkWriter.BridgeName(name)); }
        Folders.RemoveTree(Path.Combine(engine.Paths.NetworkAddresses, name));
        Folders.RemoveIfEmpty(engine.Paths.NetworkAddresses);
    }

    // The folder's own lock: whoever makes networks from another store takes it too.
    FileLock HoldFolder()
    {
        if (Libc.geteuid() != 0) { throw new ContainerException(ErrorIds.NetworkNotSupported, "Networks are made and removed by root alone.", folder.Path, ContainerErrorCategory.PermissionDenied); }
        Folders.Make(folder.Path);
        return FileLock.TakeFolder(folder.Path) ?? throw Folders.Unavailable(folder.Path, null);
    }

    async Task<ContainerNetwork> AddFileAsync(JsonObject written, string name, CancellationToken cancel)
    {
        var path = Path.Combine(folder.Path, FilePrefix + name + (written.ContainsKey("plugins") ? ".conflist" : ".conf"));
        var (networks, _) = folder.Load();
        if (networks.Find(one => one.Name == name) is { } there) { throw Exists(name, there.Path); }
        if (File.Exists(path)) { throw Exists(name, path); }
        var content = Encoding.UTF8.GetBytes(written.ToJsonString(new JsonSerializerOptions { WriteIndented = true }) + "\n");
        var network = CniConfiguration.Parse(content, path);
        await client.ValidateAsync(network, cancel).ConfigureAwait(false);
        Folders.Replace(path, content);
        return ContainerNetwork.Of(network);
    }

    static ContainerException Exists(string name, string path) => new(ErrorIds.NetworkExists, $"There is a network '{name}' already: '{path}'. Choose another name, or remove that one with Remove-ContainerNetwork.", name, ContainerErrorCategory.ResourceExists);

    List<(IPNetwork Subnet, string Owner)> Taken()
    {
        var taken = Subnets.OfHost().ConvertAll(subnet => (subnet, "a route of this host"));
        foreach (var network in folder.Load().Networks)
        {
            foreach (var text in ContainerNetwork.Of(network).Subnets)
            {
                if (IPNetwork.TryParse(text, out var subnet)) { taken.Add((subnet, $"of network '{network.Name}'")); }
            }
        }
        return taken;
    }

    List<string> UsersOf(string name)
    {
        var users = new List<string>();
        foreach (var ns in engine.Containers.ListNamespaces())
        {
            users.AddRange(engine.Containers.ListIds(ns).Where(id => engine.Containers.TryLoadAny(ns, id)?.Networks.Exists(one => one.Network == name) == true).Select(id => $"{ns}/{id}"));
        }
        foreach (var networkId in records.ListContainers().Where(Names.IsValid))
        {
            foreach (var one in records.Interfaces(networkId).Select(entry => records.Load(networkId, entry)).OfType<CniRecord>().Where(one => one.Network.Name == name)) { users.Add($"{one.ContainerNamespace}/{one.Container}"); }
        }
        return [.. users.Distinct()];
    }

    static bool IsOurs(CniConfiguration network) =>
        Folders.ReadOfUser(network.Path, CniConfiguration.LongestFile) is { } content && CniConfiguration.ParseObject(content, network.Path).ContainsKey(NetworkWriter.Mark);

    bool HasPlugin(string type) => client.Plugins.SearchPath.Any(one => File.Exists(Path.Combine(one, type)));

    // The plugins for addresses and ports call it, at a time when half of the network would be up.
    static void RefuseWithoutIptables(string name)
    {
        var path = $"{Environment.GetEnvironmentVariable("PATH")}:{Defaults.Path}";
        if (!path.Split(':').Any(one => one.StartsWith('/') && File.Exists(Path.Combine(one, "iptables"))))
        {
            throw new ContainerException(ErrorIds.NotSupported, $"The network '{name}' needs iptables to let its containers out, and it is not on PATH. Install it (Debian: iptables), or make an -Internal network.", name, ContainerErrorCategory.NotInstalled);
        }
    }
}
