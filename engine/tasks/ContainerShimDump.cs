namespace Containers;

/// <summary>What a shim and the processes of its task are doing at one moment.</summary>
public sealed class ContainerShimDump
{
    public required string ContainerId { get; init; }
    public required string ContainerNamespace { get; init; }
    public required DateTimeOffset Time { get; init; }

    /// <summary>What the files say of the task.</summary>
    public required ContainerTaskState State { get; init; }

    /// <summary>Null when the shim is gone.</summary>
    public int? ShimProcessId { get; init; }

    /// <summary>What the shim says of itself; null when it did not answer in time, is gone, or is of a version without this question.</summary>
    public ContainerShimInside? Inside { get; init; }

    /// <summary>Why <see cref="Inside"/> is null.</summary>
    public string? Unanswered { get; init; }

    /// <summary>The shim's threads.</summary>
    public IReadOnlyList<ContainerThreadDump> Threads { get; init; } = [];

    /// <summary>The shim's descriptors: number and what it is.</summary>
    public IReadOnlyDictionary<int, string> Descriptors { get; init; } = new Dictionary<int, string>();

    /// <summary>Every thread of the container's control group.</summary>
    public IReadOnlyList<ContainerThreadDump> Processes { get; init; } = [];

    /// <summary>The end of what the shim complained about, 16 KiB at most.</summary>
    public string? ShimLog { get; init; }

    public override string ToString() => ContainerId;
}

/// <summary>A shim's own words.</summary>
public sealed class ContainerShimInside
{
    public string? State { get; set; }

    /// <summary>The runtime's <c>start</c> is under way.</summary>
    public bool Starting { get; set; }

    /// <summary>The program has ended, and the shim is on its way out.</summary>
    public bool Ending { get; set; }

    /// <summary>A start, suspension or resumption is under way.</summary>
    public bool Changing { get; set; }

    public int QueuedChanges { get; set; }
    public int Deadlines { get; set; }
    public long ManagedBytes { get; set; }

    /// <summary>The size of the log.</summary>
    public long LogOffset { get; set; }

    /// <summary>Runs of the runtime that have not ended: their pids.</summary>
    public IReadOnlyList<int> RuntimeCalls { get; set; } = [];

    public IReadOnlyList<ContainerShimClient> Connections { get; set; } = [];
    public IReadOnlyList<ContainerShimProcess> Processes { get; set; } = [];
}

/// <summary>A client of a shim.</summary>
public sealed class ContainerShimClient
{
    /// <summary><c>init</c>, an exec id, or null.</summary>
    public string? Attached { get; set; }

    /// <summary>Bytes that it has not taken yet.</summary>
    public long WaitingBytes { get; set; }
}

/// <summary>A process whose streams a shim holds.</summary>
public sealed class ContainerShimProcess
{
    public string? Id { get; set; }
    public int Pid { get; set; }
    public bool Ended { get; set; }

    /// <summary>Clients that wait for its end.</summary>
    public int Waiters { get; set; }

    /// <summary>Input that it has not taken yet.</summary>
    public long InputBytes { get; set; }

    /// <summary>Its output is read; false when a slow client holds it up, or both streams have ended.</summary>
    public bool ReadsOutput { get; set; }
}

/// <summary>A thread, as the kernel shows it.</summary>
public sealed class ContainerThreadDump
{
    public required int ProcessId { get; init; }
    public required int ThreadId { get; init; }
    public string? Name { get; init; }

    /// <summary>The letter of proc_pid_stat(5): R runs, S sleeps, D waits and cannot be killed, Z has ended, T is stopped.</summary>
    public char State { get; init; }

    /// <summary>The kernel's function in which it sleeps; null when it does not, or may not be seen.</summary>
    public string? WaitChannel { get; init; }

    /// <summary>The number of the system call it is in, and its arguments, as proc_pid_syscall(5) has them.</summary>
    public string? SystemCall { get; init; }

    /// <summary>The kernel's stack, innermost first; empty where it may not be seen.</summary>
    public IReadOnlyList<string> Stack { get; init; } = [];

    public override string ToString() => $"{ProcessId}/{ThreadId} {State} {WaitChannel}";
}
