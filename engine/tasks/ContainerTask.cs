namespace Containers;

/// <summary>The running side of a container: its init process, namespaces and cgroup, as they were when this object was made.</summary>
public sealed class ContainerTask
{
    public required string ContainerId { get; init; }
    public required string ContainerNamespace { get; init; }
    public ContainerTaskState State { get; init; }

    /// <summary>The init's pid on the host; null once it has ended.</summary>
    public int? ProcessId { get; init; }

    /// <summary>The shim's pid on the host; null once it has ended.</summary>
    public int? ShimProcessId { get; init; }

    /// <summary>0–255, 128+N for a program ended by signal N; null while it runs or when nobody could tell.</summary>
    public int? ExitCode { get; init; }

    /// <summary>The signal that ended the program; null when it exited.</summary>
    public int? Signal { get; init; }

    public bool OomKilled { get; init; }

    /// <summary>Why it is stopped: <c>Exited</c>, or <c>ShimLost</c> when the shim died and nobody saw the exit.</summary>
    public string? StoppedReason { get; init; }

    public DateTimeOffset? CreatedAt { get; init; }
    public DateTimeOffset? StartedAt { get; init; }
    public DateTimeOffset? FinishedAt { get; init; }
    public IReadOnlyList<ContainerExec> Execs { get; init; } = [];

    public override string ToString() => ContainerId;
}

/// <summary>A further process inside a running task.</summary>
public sealed class ContainerExec
{
    public required string Id { get; init; }
    public required string ContainerId { get; init; }
    public required string ContainerNamespace { get; init; }

    /// <summary>Its pid on the host; null once it has ended.</summary>
    public int? ProcessId { get; init; }

    public ContainerTaskState State { get; init; }
    public int? ExitCode { get; init; }
    public int? Signal { get; init; }

    public override string ToString() => Id;
}

/// <summary>How a program in a container ended. Its exit code is data, never an error.</summary>
public sealed class ContainerRunResult
{
    /// <summary>Null for a program that ran in namespaces and in no container.</summary>
    public required string? ContainerId { get; init; }

    public required string? ContainerNamespace { get; init; }

    /// <summary>0–255, 128+N after signal N; null when the shim was lost and nobody saw the exit.</summary>
    public int? ExitCode { get; init; }

    public int? Signal { get; init; }
    public bool OomKilled { get; init; }

    /// <summary><c>Exited</c>, or <c>ShimLost</c> when the exit code is unknown.</summary>
    public string? StoppedReason { get; init; }

    /// <summary>From start to end; null when the program never started or the end is unknown.</summary>
    public TimeSpan? Duration { get; init; }

    /// <summary>What it printed, where the caller asked to keep it.</summary>
    public string? StandardOutput { get; set; }

    public string? StandardError { get; set; }
}
