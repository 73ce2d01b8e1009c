namespace Containers;

/// <summary>What can happen to a container and its task.</summary>
public enum ContainerEventType
{
    /// <summary>A container was made.</summary>
    Created,

    /// <summary>Its record was changed.</summary>
    Updated,

    /// <summary>It has another id from now on: <see cref="ContainerEvent.NewId"/>.</summary>
    Renamed,

    Removed,

    /// <summary>A task was made; its program does not run yet.</summary>
    TaskCreated,

    TaskRemoved,
    Started,

    /// <summary>The task was stopped to be started again; <see cref="Started"/> follows.</summary>
    Restarted,

    Paused,
    Resumed,

    /// <summary>Its processes were kept in files; <see cref="Died"/> follows, unless it runs on.</summary>
    Checkpointed,

    /// <summary>Its processes go on from files.</summary>
    Restored,
    ExecStarted,
    ExecDied,

    /// <summary>The kernel killed the program for want of memory; <see cref="Died"/> follows.</summary>
    OomKilled,

    /// <summary>The program has ended.</summary>
    Died,

    /// <summary>Its health has changed: <see cref="ContainerEvent.Health"/>.</summary>
    Health,
}

/// <summary>One thing that happened.</summary>
public sealed class ContainerEvent
{
    public required DateTimeOffset Time { get; init; }
    public required ContainerEventType Type { get; init; }
    public required string ContainerId { get; init; }
    public required string ContainerNamespace { get; init; }

    /// <summary>The exec process that it is about; null for the container's program.</summary>
    public string? ExecId { get; init; }

    /// <summary>Of <c>Died</c> and <c>ExecDied</c>; null when nobody saw how.</summary>
    public int? ExitCode { get; init; }

    public int? Signal { get; init; }

    /// <summary>Of <c>Renamed</c>.</summary>
    public string? NewId { get; init; }

    /// <summary>Of <c>Created</c>, for a container from an image.</summary>
    public string? Image { get; init; }

    /// <summary>Of <c>Health</c>.</summary>
    public ContainerHealthStatus? Health { get; init; }

    /// <summary>The container's labels at that time, as far as the journal goes back; otherwise those of now.</summary>
    public required IReadOnlyDictionary<string, string> Labels { get; init; }

    public override string ToString() => $"{Type} {ContainerId}";
}
