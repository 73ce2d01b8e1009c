namespace Containers;

/// <summary>A range of ids of a user namespace: user_namespaces(7).</summary>
/// <param name="Inside">The first id in the new namespace.</param>
/// <param name="Outside">The first id in the caller's.</param>
/// <param name="Count">How many, at least 1.</param>
public sealed record NamespaceIdMap(uint Inside, uint Outside, uint Count)
{
    /// <summary><c>INSIDE:OUTSIDE:COUNT</c>.</summary>
    /// <exception cref="ContainerException"><c>InvalidArgument</c>.</exception>
    public static NamespaceIdMap Parse(string text)
    {
        var parts = text.Split(':');
        return parts.Length == 3 && uint.TryParse(parts[0], Style, Culture, out var inside) && uint.TryParse(parts[1], Style, Culture, out var outside) && uint.TryParse(parts[2], Style, Culture, out var count) && count > 0
            ? new NamespaceIdMap(inside, outside, count)
            : throw new ContainerException(ErrorIds.InvalidArgument, $"'{text}' is no map of ids: say INSIDE:OUTSIDE:COUNT, such as 0:100000:65536.", text, ContainerErrorCategory.InvalidArgument);
    }

    public override string ToString() => string.Create(Culture, $"{Inside}:{Outside}:{Count}");

    const System.Globalization.NumberStyles Style = System.Globalization.NumberStyles.None;
    static readonly System.Globalization.CultureInfo Culture = System.Globalization.CultureInfo.InvariantCulture;
}

/// <summary>Which namespaces to make, and where to keep them.</summary>
public sealed class NamespaceCreateOptions
{
    /// <summary>At least one, each once.</summary>
    public required IReadOnlyList<LinuxNamespaceType> Types { get; set; }

    /// <summary>As <c>ip netns</c> names them; or <see cref="Folder"/>.</summary>
    public string? Name { get; set; }

    /// <summary>An absolute folder, made where it is missing: each namespace is kept by the file of its type in it.</summary>
    public string? Folder { get; set; }

    /// <summary>Of a user namespace; without any, the caller is its root.</summary>
    public IReadOnlyList<NamespaceIdMap>? UidMap { get; set; }

    public IReadOnlyList<NamespaceIdMap>? GidMap { get; set; }

    /// <summary>Of a time namespace: what its monotonic clock is ahead.</summary>
    public TimeSpan? MonotonicOffset { get; set; }

    /// <summary>Of a time namespace: what its time since boot is ahead.</summary>
    public TimeSpan? BootTimeOffset { get; set; }

    /// <summary>Of a uts namespace, at most 64 bytes; without one, the host's.</summary>
    public string? HostName { get; set; }

    /// <summary>Leaves a first process in a pid namespace, without which nothing can be started in it.</summary>
    public bool KeepInit { get; set; }
}
