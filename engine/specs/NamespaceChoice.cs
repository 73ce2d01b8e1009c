namespace Containers;

public enum NamespaceChoiceKind
{
    /// <summary>A new one.</summary>
    Private,

    /// <summary>The host's.</summary>
    Host,

    /// <summary>The one of another container's task.</summary>
    Container,

    /// <summary>The one that a path names.</summary>
    Path,

    /// <summary>Of networks alone: one that is kept for the container, attached to networks by their names.</summary>
    Networks,
}

/// <summary>Which namespace of one type a container gets.</summary>
public sealed record NamespaceChoice
{
    NamespaceChoice(NamespaceChoiceKind kind, string? value = null, IReadOnlyList<string>? networks = null)
    {
        Kind = kind;
        Value = value;
        Networks = networks ?? [];
    }

    public static NamespaceChoice Private { get; } = new(NamespaceChoiceKind.Private);
    public static NamespaceChoice Host { get; } = new(NamespaceChoiceKind.Host);

    public NamespaceChoiceKind Kind { get; }

    /// <summary>The container's id, or the absolute path; null for the other kinds.</summary>
    public string? Value { get; }

    /// <summary>Names of networks, each once; empty for the other kinds.</summary>
    public IReadOnlyList<string> Networks { get; }

    /// <summary><c>private</c>, <c>host</c>, <c>container:ID</c>, an absolute path or a <see cref="LinuxNamespace"/>.</summary>
    /// <exception cref="ContainerException"><c>InvalidArgument</c>, <c>InvalidId</c>.</exception>
    public static NamespaceChoice From(object choice, LinuxNamespaceType type)
    {
        return Known(choice, type, "private") ?? throw new ContainerException(ErrorIds.InvalidArgument,
            $"'{choice}' is no choice of a {type.ToString().ToLowerInvariant()} namespace: say private, host, container:ID, an absolute path, or give a LinuxNamespace.",
            choice, ContainerErrorCategory.InvalidArgument);
    }

    /// <summary><c>none</c>, <c>host</c>, <c>container:ID</c>, an absolute path, a <see cref="LinuxNamespace"/>; or networks by name: one, several with commas between, or a list.</summary>
    /// <exception cref="ContainerException"><c>NetworkNotSupported</c>, <c>InvalidId</c>, <c>InvalidArgument</c>.</exception>
    public static NamespaceChoice FromNetwork(object choice)
    {
        if (choice is System.Collections.IEnumerable list and not string)
        {
            var several = list.Cast<object?>().Select(one => one?.ToString() ?? "").ToList();
            return several.Count == 1 ? FromNetwork(several[0]) : OfNetworks(several, choice);
        }
        if (Known(choice, LinuxNamespaceType.Net, "none") is { } known) { return known; }
        return OfNetworks([.. (choice.ToString() ?? "").Split(',')], choice);
    }

    static NamespaceChoice OfNetworks(List<string> names, object choice)
    {
        foreach (var name in names)
        {
            if (!CniConfiguration.IsName(name) || name is "none" or "host")
            {
                throw new ContainerException(ErrorIds.NetworkNotSupported,
                    $"'{name}' is no name of a network that can be one of several. Use none, host, container:ID, the path of a network namespace or a LinuxNamespace by itself, or networks by name.", choice, ContainerErrorCategory.InvalidArgument);
            }
        }
        if (names.Distinct().Count() != names.Count) { throw new ContainerException(ErrorIds.InvalidArgument, $"A container is on a network once: '{string.Join(',', names)}' has one twice.", choice, ContainerErrorCategory.InvalidArgument); }
        return new NamespaceChoice(NamespaceChoiceKind.Networks, networks: names);
    }

    public override string ToString() => Kind switch
    {
        NamespaceChoiceKind.Container => "container:" + Value,
        NamespaceChoiceKind.Path => Value!,
        NamespaceChoiceKind.Networks => string.Join(',', Networks),
        _ => Kind.ToString().ToLowerInvariant(),
    };

    static NamespaceChoice? Known(object choice, LinuxNamespaceType type, string privateWord)
    {
        const string container = "container:";
        switch (choice)
        {
            case NamespaceChoice same:
                return same;
            case LinuxNamespace ns when ns.Type == type && ns.HolderPath is not null:
                return new NamespaceChoice(NamespaceChoiceKind.Path, ns.HolderPath);
            case LinuxNamespace ns:
                throw new ContainerException(ErrorIds.InvalidArgument, ns.Type == type ? $"No path leads to '{ns}': it is {LinuxNamespaces.Holders(ns)}."
                    : $"'{ns}' is a namespace of type {ns.Type}; one of type {type} is needed here.",
                    choice, ContainerErrorCategory.InvalidArgument);
            case string text when text.Equals(privateWord, StringComparison.OrdinalIgnoreCase):
                return Private;
            case string text when text.Equals("host", StringComparison.OrdinalIgnoreCase):
                return Host;
            case string text when text.StartsWith(container, StringComparison.OrdinalIgnoreCase):
                return new NamespaceChoice(NamespaceChoiceKind.Container, Names.Id(text[container.Length..]));
            case string text when text.StartsWith('/'):
                return new NamespaceChoice(NamespaceChoiceKind.Path, text);
            default:
                return null;
        }
    }
}
