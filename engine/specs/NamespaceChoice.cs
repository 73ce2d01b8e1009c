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
}

/// <summary>Which namespace of one type a container gets.</summary>
public sealed record NamespaceChoice
{
    NamespaceChoice(NamespaceChoiceKind kind, string? value = null)
    {
        Kind = kind;
        Value = value;
    }

    public static NamespaceChoice Private { get; } = new(NamespaceChoiceKind.Private);
    public static NamespaceChoice Host { get; } = new(NamespaceChoiceKind.Host);

    public NamespaceChoiceKind Kind { get; }

    /// <summary>The container's id, or the absolute path; null for the other kinds.</summary>
    public string? Value { get; }

    /// <summary><c>private</c>, <c>host</c>, <c>container:ID</c>, an absolute path or a <see cref="LinuxNamespace"/>.</summary>
    /// <exception cref="ContainerException"><c>InvalidArgument</c>, <c>InvalidId</c>.</exception>
    public static NamespaceChoice From(object choice, LinuxNamespaceType type)
    {
        return Known(choice, type, "private") ?? throw new ContainerException(ErrorIds.InvalidArgument,
            $"'{choice}' is no choice of a {type.ToString().ToLowerInvariant()} namespace: say private, host, container:ID, an absolute path, or give a LinuxNamespace.",
            choice, ContainerErrorCategory.InvalidArgument);
    }

    /// <summary><c>none</c>, <c>host</c>, <c>container:ID</c>, an absolute path or a <see cref="LinuxNamespace"/>.</summary>
    /// <exception cref="ContainerException"><c>NetworkNotSupported</c>, <c>InvalidId</c>, <c>InvalidArgument</c>.</exception>
    public static NamespaceChoice FromNetwork(object choice)
    {
        return Known(choice, LinuxNamespaceType.Net, "none") ?? throw new ContainerException(ErrorIds.NetworkNotSupported,
            $"There is no network '{choice}': networks with names do not exist yet. Use none, host, container:ID, the path of a network namespace, or a LinuxNamespace.",
            choice, ContainerErrorCategory.NotImplemented);
    }

    public override string ToString() => Kind switch
    {
        NamespaceChoiceKind.Container => "container:" + Value,
        NamespaceChoiceKind.Path => Value!,
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
