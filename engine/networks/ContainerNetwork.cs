using System.Text.Json.Nodes;

namespace Containers;

/// <summary>A network that containers can be attached to, as its file has it.</summary>
public sealed class ContainerNetwork
{
    public required string Name { get; init; }

    /// <summary>The type of its first plugin, such as <c>bridge</c>.</summary>
    public required string Driver { get; init; }

    /// <summary>The types of all its plugins, in the order in which they are called.</summary>
    public required IReadOnlyList<string> Plugins { get; init; }

    /// <summary>As host-local is told to give addresses from them, such as <c>10.90.0.0/24</c>; none where addresses come from elsewhere.</summary>
    public required IReadOnlyList<string> Subnets { get; init; }

    /// <summary>The version of the CNI specification that it is written in.</summary>
    public required string CniVersion { get; init; }

    /// <summary>Its file.</summary>
    public required string Path { get; init; }

    public override string ToString() => Name;

    internal static ContainerNetwork Of(CniConfiguration one) => new()
    {
        Name = one.Name,
        Driver = one.Plugins[0].Type,
        Plugins = [.. one.Plugins.Select(plugin => plugin.Type)],
        Subnets = [.. one.Plugins.SelectMany(plugin => SubnetsOf(plugin.Content["ipam"] as JsonObject))],
        CniVersion = one.Version,
        Path = one.Path,
    };

    // host-local: one subnet by itself, or "ranges", a list of lists.
    static IEnumerable<string> SubnetsOf(JsonObject? ipam)
    {
        if (ipam is null) { yield break; }
        if (Text(ipam["subnet"]) is { } single) { yield return single; }
        foreach (var set in ipam["ranges"] as JsonArray ?? [])
        {
            foreach (var range in set as JsonArray ?? [])
            {
                if (Text((range as JsonObject)?["subnet"]) is { } subnet) { yield return subnet; }
            }
        }
    }

    internal static string? Text(JsonNode? node) => node is JsonValue value && value.TryGetValue<string>(out var text) ? text : null;
}

/// <summary>One interface of one container on a network.</summary>
public sealed class ContainerNetworkAttachment
{
    public required string Network { get; init; }
    public required string ContainerId { get; init; }
    public required string ContainerNamespace { get; init; }
    public required string Interface { get; init; }

    /// <summary>With the length of their network's prefix, such as <c>10.90.0.2/24</c>; none while it is not whole.</summary>
    public required IReadOnlyList<string> Addresses { get; init; }

    internal string NetworkId { get; init; } = "";

    public override string ToString() => $"{Interface} of container '{ContainerId}' on network '{Network}'";

    internal static ContainerNetworkAttachment Of(CniRecord one) => new()
    {
        NetworkId = one.Attachment.ContainerId,
        Network = one.Network.Name,
        ContainerId = one.Container,
        ContainerNamespace = one.ContainerNamespace,
        Interface = one.Attachment.Interface,
        Addresses = [.. (one.Result?["ips"] as JsonArray ?? []).Select(ip => ContainerNetwork.Text((ip as JsonObject)?["address"])).OfType<string>()],
    };
}
