namespace Containers;

/// <summary>One reading of what a container uses. Amounts are bytes; null where the host has no such counter or no limit is set.</summary>
public sealed class ContainerMeasurement
{
    public required string ContainerId { get; init; }
    public required string ContainerNamespace { get; init; }
    public required DateTimeOffset Time { get; init; }

    /// <summary>Processor time since the container began.</summary>
    public TimeSpan? CpuTime { get; init; }

    /// <summary>Processor use between two readings; 100 is one processor fully used.</summary>
    public double? CpuPercent { get; init; }

    public long? MemoryUsage { get; init; }
    public long? MemoryLimit { get; init; }
    public double? MemoryPercent { get; init; }
    public long? ProcessCount { get; init; }

    /// <summary>Read from block devices.</summary>
    public long? ReadBytes { get; init; }

    public long? WrittenBytes { get; init; }

    /// <summary>Of all interfaces in the container's network namespace but the loopback.</summary>
    public long? ReceivedBytes { get; init; }

    public long? SentBytes { get; init; }

    /// <summary>How long the processor limit made it wait.</summary>
    public TimeSpan? Throttled { get; init; }

    /// <summary>Pressure stall information, null where the host does not give it.</summary>
    public ContainerPressure? Pressure { get; init; }
}

/// <summary>Share of time, in percent over ten seconds, in which some tasks waited for a resource.</summary>
public sealed record ContainerPressure(double? Cpu, double? Memory, double? Io);
