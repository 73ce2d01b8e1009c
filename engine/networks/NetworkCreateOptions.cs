namespace Containers;

/// <summary>What a new network is to be.</summary>
public sealed class NetworkCreateOptions
{
    /// <summary>Letters, digits, <c>_</c>, <c>.</c> and <c>-</c>, the first a letter or digit; 128 at most.</summary>
    public required string Name { get; init; }

    /// <summary><c>bridge</c>, <c>macvlan</c>, <c>ipvlan</c>, <c>ptp</c> or <c>host-device</c>.</summary>
    public string Driver { get; init; } = "bridge";

    /// <summary>One of IPv4, one of IPv6, or one of each; for bridge and ptp a free one of IPv4 where there is none.</summary>
    public IReadOnlyList<string> Subnet { get; init; } = [];

    /// <summary>Each in one of the subnets; the first address where there is none.</summary>
    public IReadOnlyList<string> Gateway { get; init; } = [];

    /// <summary>Each a part of one of the subnets, as <c>ADDRESS/LENGTH</c>, that addresses are given from.</summary>
    public IReadOnlyList<string> IPRange { get; init; } = [];

    /// <summary>Bytes, from 68; null for the interface's own.</summary>
    public int? Mtu { get; init; }

    /// <summary>Of a bridge: no gateway, no route and no way out.</summary>
    public bool Internal { get; init; }

    /// <summary>Of a bridge: the tag of its ports, 1 to 4094.</summary>
    public int? Vlan { get; init; }

    /// <summary>Of a driver: <c>parent</c> (macvlan, ipvlan, host-device), <c>mode</c> (macvlan, ipvlan), <c>bridge</c> (the name of a bridge's interface).</summary>
    public IReadOnlyDictionary<string, string> Option { get; init; } = new Dictionary<string, string>();
}
