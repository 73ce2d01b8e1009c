namespace Containers;

public enum ContainerLogStream
{
    Stdout,
    Stderr,
}

/// <summary>One entry of a container's log.</summary>
public sealed class ContainerLogEntry
{
    public required DateTimeOffset Time { get; init; }
    public required ContainerLogStream Stream { get; init; }

    /// <summary>The text without its end of line; bytes that are not UTF-8 are replaced.</summary>
    public required string Line { get; init; }

    /// <summary>The line goes on in the next entry of the same stream.</summary>
    public bool Partial { get; init; }

    public override string ToString() => Line;
}
