using System.Text.Json.Nodes;

namespace Containers;

/// <summary>One interface of one container: what every call of a plugin for it has in common (libcni's RuntimeConf).</summary>
sealed class CniAttachment
{
    const int LongestInterface = 15; // IFNAMSIZ without its zero

    /// <summary>As the plugins know it: <c>[A-Za-z0-9][A-Za-z0-9_.-]*</c>, of one container and one making of its network alone.</summary>
    internal required string ContainerId { get; init; }

    /// <summary>The path of the network namespace.</summary>
    internal required string NetworkNamespace { get; init; }

    /// <summary>The interface inside, such as <c>eth0</c>.</summary>
    internal required string Interface { get; init; }

    /// <summary><c>CNI_ARGS</c>, in this order.</summary>
    internal IReadOnlyList<KeyValuePair<string, string>> Arguments { get; init; } = [];

    /// <summary>Capability name → value; a plugin gets those that it declares.</summary>
    internal JsonObject Capabilities { get; init; } = [];

    /// <exception cref="ContainerException"><c>InvalidArgument</c>.</exception>
    internal void Check()
    {
        if (ContainerId.Length is 0 or > 255 || !char.IsAsciiLetterOrDigit(ContainerId[0]) || ContainerId.Any(c => !char.IsAsciiLetterOrDigit(c) && c is not ('_' or '.' or '-'))) { throw Bad(ContainerId, "a container id of CNI"); }
        if (!NetworkNamespace.StartsWith('/') || NetworkNamespace.Any(char.IsControl)) { throw Bad(NetworkNamespace, "the path of a network namespace"); }
        if (Interface.Length is 0 or > LongestInterface || Interface is "." or ".." || Interface.Any(c => c is '/' or ':' || char.IsWhiteSpace(c) || char.IsControl(c))) { throw Bad(Interface, $"the name of an interface, which has 1 to {LongestInterface} characters without '/', ':' and white space"); }
        foreach (var (name, value) in Arguments)
        {
            if (name.Length == 0 || $"{name}{value}".Any(c => c is ';' || char.IsControl(c)) || name.Contains('=')) { throw Bad($"{name}={value}", "an argument of CNI"); }
        }
    }

    internal string ArgumentText => string.Join(';', Arguments.Select(one => $"{one.Key}={one.Value}"));

    static ContainerException Bad(string value, string what) => new(ErrorIds.InvalidArgument, $"'{ShimErrors.Printable(value)}' is not {what}.", value, ContainerErrorCategory.InvalidArgument);
}
