using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace Containers;

/// <summary>From what the user says to a list of plugins in the words of CNI's own plugins, which any engine can use.</summary>
static class NetworkWriter
{
    internal const string Version = "1.0.0";

    /// <summary>The member by which a file is known to be ours.</summary>
    internal const string Mark = "pscontainers";

    static readonly Dictionary<string, string[]> options = new(StringComparer.Ordinal)
    {
        ["bridge"] = ["bridge"], ["ptp"] = [], ["macvlan"] = ["parent", "mode"], ["ipvlan"] = ["parent", "mode"], ["host-device"] = ["parent"],
    };

    static readonly Dictionary<string, string[]> modes = new(StringComparer.Ordinal)
    {
        ["macvlan"] = ["bridge", "private", "vepa", "passthru"], ["ipvlan"] = ["l2", "l3", "l3s"],
    };

    internal static IReadOnlyCollection<string> Drivers => options.Keys;

    /// <param name="subnets">Those of the options, or a free one.</param>
    /// <param name="addresses">The folder in which host-local writes down what it has given.</param>
    /// <param name="hasFirewall">The firewall plugin is there.</param>
    /// <exception cref="ContainerException"><c>InvalidArgument</c>, <c>NotSupported</c>.</exception>
    internal static JsonObject Write(NetworkCreateOptions o, IReadOnlyList<IPNetwork> subnets, string addresses, bool hasFirewall)
    {
        var first = o.Driver switch
        {
            "bridge" => Bridge(o),
            "ptp" => new JsonObject { ["type"] = "ptp", ["ipMasq"] = true },
            "macvlan" or "ipvlan" => Over(o),
            _ => new JsonObject { ["type"] = "host-device", ["device"] = o.Option.GetValueOrDefault("parent") ?? throw Subnets.Bad("Option", "parent", "a host-device network needs it: the interface that its container gets") },
        };
        if (o.Mtu is { } mtu) { first["mtu"] = mtu; }
        first["capabilities"] = new JsonObject { ["ips"] = true, ["mac"] = true };
        if (subnets.Count > 0) { first["ipam"] = Addresses(o, subnets, addresses); }
        var plugins = new JsonArray(first);
        if (o.Driver is "bridge" or "ptp" && !o.Internal) { plugins.Add(new JsonObject { ["type"] = "portmap", ["snat"] = true, ["capabilities"] = new JsonObject { ["portMappings"] = true } }); }
        // Lets forwarding hosts with a policy of DROP, such as docker's, forward for it, and keeps bridges apart.
        if (o.Driver == "bridge" && hasFirewall) { plugins.Add(new JsonObject { ["type"] = "firewall", ["ingressPolicy"] = "same-bridge" }); }
        return new JsonObject { ["cniVersion"] = Version, ["name"] = o.Name, ["plugins"] = plugins, [Mark] = new JsonObject { ["createdAt"] = DateTimeOffset.UtcNow.ToString("O") } };
    }

    /// <exception cref="ContainerException"><c>InvalidArgument</c>, <c>NotSupported</c>.</exception>
    internal static void Check(NetworkCreateOptions o)
    {
        if (!CniConfiguration.IsName(o.Name) || o.Name is "none" or "host") { throw Subnets.Bad("Name", o.Name, $"it begins with a letter or digit, goes on with letters, digits, '_', '.' or '-', has at most {CniConfiguration.LongestName} characters, and is neither none nor host"); }
        if (!options.TryGetValue(o.Driver, out var known))
        {
            throw new ContainerException(ErrorIds.NotSupported, $"There is no driver '{ShimErrors.Printable(o.Driver)}'. Known are {string.Join(", ", Drivers)}; any other CNI plugin is used with -FromFile.", o.Driver, ContainerErrorCategory.NotImplemented);
        }
        foreach (var (name, value) in o.Option)
        {
            if (!known.Contains(name)) { throw Subnets.Bad("Option", name, known.Length > 0 ? $"the driver {o.Driver} knows {string.Join(", ", known)}" : $"the driver {o.Driver} knows none"); }
            if (name == "mode" ? !modes[o.Driver].Contains(value) : !IsInterface(value)) { throw Subnets.Bad("Option", $"{name}={value}", name == "mode" ? $"the modes are {string.Join(", ", modes[o.Driver])}" : "that is no name of an interface"); }
        }
        if (o.Mtu is < 68 or > 65535) { throw Subnets.Bad("Mtu", o.Mtu.Value.ToString(), "it is from 68 to 65535 bytes"); }
        if (o.Vlan is < 1 or > 4094) { throw Subnets.Bad("Vlan", o.Vlan.Value.ToString(), "it is from 1 to 4094"); }
        if (o.Driver != "bridge" && (o.Internal || o.Vlan is not null)) { throw Subnets.Bad(o.Internal ? "Internal" : "Vlan", o.Driver, "it is of the driver bridge alone"); }
        if (o.Driver == "host-device" && o.Mtu is not null) { throw Subnets.Bad("Mtu", o.Driver, "an interface of the host keeps its own"); }
        if (o.Driver is "macvlan" or "ipvlan" && o.Subnet.Count == 0) { throw Subnets.Bad("Subnet", o.Driver, "the subnet of the network that its parent is on has to be named"); }
    }

    /// <summary>The name of a bridge's interface: the same for the same network, and short enough.</summary>
    internal static string BridgeName(string network) => "psc" + Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(network)))[..10].ToLowerInvariant();

    static JsonObject Bridge(NetworkCreateOptions o)
    {
        var bridge = new JsonObject { ["type"] = "bridge", ["bridge"] = o.Option.GetValueOrDefault("bridge") ?? BridgeName(o.Name), ["isGateway"] = !o.Internal, ["ipMasq"] = !o.Internal, ["hairpinMode"] = true };
        if (o.Vlan is { } vlan) { bridge["vlan"] = vlan; }
        return bridge;
    }

    static JsonObject Over(NetworkCreateOptions o)
    {
        var over = new JsonObject { ["type"] = o.Driver };
        // Without one the plugin takes the interface of the default route.
        if (o.Option.GetValueOrDefault("parent") is { } parent) { over["master"] = parent; }
        if (o.Option.GetValueOrDefault("mode") is { } mode) { over["mode"] = mode; }
        return over;
    }

    static JsonObject Addresses(NetworkCreateOptions o, IReadOnlyList<IPNetwork> subnets, string addresses)
    {
        var gateways = o.Gateway.Select(text => (Text: text, Address: Subnets.ParseAddress("Gateway", text))).ToList();
        var parts = o.IPRange.Select(text => (Text: text, Range: Subnets.ParseStrictly(text) ?? throw Subnets.Bad("IPRange", text, "it is written as ADDRESS/LENGTH, and ADDRESS is its first"))).ToList();
        foreach (var (text, address) in gateways)
        {
            if (!subnets.Any(subnet => subnet.Contains(address))) { throw Subnets.Bad("Gateway", text, "it is in none of the subnets"); }
        }
        foreach (var (text, range) in parts)
        {
            if (range.PrefixLength > (Subnets.Is4(range) ? 30 : 126)) { throw Subnets.Bad("IPRange", text, "it has room for four addresses at least"); }
            if (!subnets.Any(subnet => subnet.Contains(range.BaseAddress) && range.PrefixLength >= subnet.PrefixLength)) { throw Subnets.Bad("IPRange", text, "it is a part of none of the subnets"); }
        }
        var (ranges, routes) = (new JsonArray(), new JsonArray());
        foreach (var subnet in subnets)
        {
            var gateway = gateways.FindAll(one => subnet.Contains(one.Address));
            var part = parts.FindAll(one => subnet.Contains(one.Range.BaseAddress));
            if (gateway.Count > 1 || part.Count > 1) { throw Subnets.Bad(gateway.Count > 1 ? "Gateway" : "IPRange", subnet.ToString(), "a subnet has one"); }
            var range = new JsonObject { ["subnet"] = subnet.ToString(), ["gateway"] = (gateway.Count > 0 ? gateway[0].Address : Subnets.First(subnet)).ToString() };
            if (part.Count > 0)
            {
                var (start, end) = (part[0].Range.BaseAddress, Subnets.Last(part[0].Range));
                range["rangeStart"] = (start.Equals(subnet.BaseAddress) ? Subnets.First(subnet) : start).ToString();
                range["rangeEnd"] = end.ToString();
            }
            ranges.Add(new JsonArray(range));
            if (!o.Internal) { routes.Add(new JsonObject { ["dst"] = Subnets.Is4(subnet) ? "0.0.0.0/0" : "::/0" }); }
        }
        return new JsonObject { ["type"] = "host-local", ["dataDir"] = addresses, ["ranges"] = ranges, ["routes"] = routes };
    }

    static bool IsInterface(string name) => name is { Length: > 0 and <= 15 } and not ("." or "..") && !name.Any(c => c is '/' or ':' || char.IsWhiteSpace(c) || char.IsControl(c));
}
