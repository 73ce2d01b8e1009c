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

    /// <summary>Why it is stopped: <c>Exited</c>, <c>OomKilled</c>, <c>NotStarted</c>; <c>ShimLost</c> when the shim died and nobody saw the exit,
    /// <c>HostRestarted</c> when the machine went down under it.</summary>
    public string? StoppedReason { get; init; }

    public DateTimeOffset? CreatedAt { get; init; }
    public DateTimeOffset? StartedAt { get; init; }
    public DateTimeOffset? FinishedAt { get; init; }
    public IReadOnlyList<ContainerExec> Execs { get; init; } = [];

    /// <summary>How often the restart policy has started the program again.</summary>
    public int RestartCount { get; init; }

    /// <summary>When it will be started again (null when just that is being done), while the state is <see cref="ContainerTaskState.Restarting"/>; <see cref="ExitCode"/> and the like are those of the last run then.</summary>
    public DateTimeOffset? NextRestartAt { get; init; }

    /// <summary>Null for a task without a health check.</summary>
    public ContainerHealth? Health { get; init; }

    /// <summary>Bytes of output that the log could not take because its disk was full. The program was not held up.</summary>
    public long DroppedLogBytes { get; init; }

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

    /// <summary><c>Exited</c>, <c>OomKilled</c>, <c>NotStarted</c>; <c>ShimLost</c> or <c>HostRestarted</c> when the exit code is unknown.</summary>
    public string? StoppedReason { get; init; }

    /// <summary>From start to end; null when the program never started or the end is unknown.</summary>
    public TimeSpan? Duration { get; init; }

    /// <summary>What it printed, where the caller asked to keep it.</summary>
    public string? StandardOutput { get; set; }

    public string? StandardError { get; set; }
}
