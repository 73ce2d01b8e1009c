namespace Containers;

/// <summary>How much of a stranger's data is too much.</summary>
public sealed class ContainerLimits
{
    /// <summary>The most bytes of one layer, uncompressed. <c>$CONTAINERS_LAYER_BYTES</c>, else 128 GiB.</summary>
    public long LayerBytes { get; init; } = 128L << 30;

    /// <summary>The most headers of one layer. <c>$CONTAINERS_LAYER_ENTRIES</c>, else 10 million.</summary>
    public long LayerEntries { get; init; } = 10_000_000;

    /// <summary>How many times its stored size a layer may grow to, beyond 1 GiB. <c>$CONTAINERS_LAYER_RATIO</c>, else 200.</summary>
    public long LayerRatio { get; init; } = 200;

    internal static ContainerLimits FromEnvironment(Func<string, string?> variable)
    {
        var defaults = new ContainerLimits();
        return new ContainerLimits
        {
            LayerBytes = Number("CONTAINERS_LAYER_BYTES", defaults.LayerBytes),
            LayerEntries = Number("CONTAINERS_LAYER_ENTRIES", defaults.LayerEntries),
            LayerRatio = Number("CONTAINERS_LAYER_RATIO", defaults.LayerRatio),
        };

        long Number(string name, long otherwise) => variable(name) is not { } text ? otherwise
            : long.TryParse(text, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out var value) && value > 0 ? value
            : throw new ContainerException(ErrorIds.InvalidArgument, $"{name} is '{text}', which is no number above 0. Set it to one, or unset it.", text, ContainerErrorCategory.InvalidArgument);
    }
}
