namespace Containers;

public enum ContainerLogStream
{
    Stdout,
    Stderr,
}

/// <summary>One line of a container's log.</summary>
public sealed class ContainerLogEntry
{
    /// <summary>When its first part came to the shim.</summary>
    public required DateTimeOffset Time { get; init; }
    public required ContainerLogStream Stream { get; init; }

    /// <summary>The text without its end of line; bytes that are not UTF-8 are replaced.</summary>
    public required string Text { get; init; }

    public required string ContainerId { get; init; }

    /// <summary>The line was not ended: the program has not done so yet, or it is longer than 1 MiB and goes on in the next entry of the stream.</summary>
    public bool Partial { get; init; }

    public override string ToString() => Text;
}
