using Containers.Linux.Cgroups;

namespace Containers;

/// <summary>One reading of what a control group uses. Counters are raw, since the group was made; rates lie between two readings. Null is what this
/// host does not tell, and for limits "no limit".</summary>
public sealed class CgroupMeasurement
{
    public required DateTimeOffset Time { get; init; }
    public required string Path { get; init; }

    /// <summary>The id of the container that the group belongs to.</summary>
    public string? Container { get; init; }

    public TimeSpan? CpuTime { get; init; }
    public TimeSpan? CpuUserTime { get; init; }
    public TimeSpan? CpuSystemTime { get; init; }

    /// <summary>100 is one processor fully used; null in a first reading.</summary>
    public double? CpuPercent { get; init; }

    /// <summary>Periods in which the limit was in force, and those in which it was used up.</summary>
    public long? CpuPeriods { get; init; }

    public long? ThrottledPeriods { get; init; }

    /// <summary>How long the processor limit made it wait.</summary>
    public TimeSpan? Throttled { get; init; }

    /// <summary>Per cent of the periods since the reading before in which the limit was used up.</summary>
    public double? ThrottledPercent { get; init; }

    /// <summary>Bytes, file cache included.</summary>
    public long? MemoryUsage { get; init; }

    /// <summary>Bytes without the file cache that nobody has used for a while.</summary>
    public long? MemoryWorkingSet { get; init; }

    public long? MemoryPeak { get; init; }
    public long? MemoryLimit { get; init; }

    /// <summary>The working set's part of the limit.</summary>
    public double? MemoryPercent { get; init; }

    public long? SwapUsage { get; init; }

    /// <summary>Tasks, which are threads.</summary>
    public long? ProcessCount { get; init; }

    public long? ProcessLimit { get; init; }
    public long? ReadBytes { get; init; }
    public long? WrittenBytes { get; init; }
    public long? ReadOperations { get; init; }
    public long? WriteOperations { get; init; }

    /// <summary>Bytes a second since the reading before.</summary>
    public double? ReadRate { get; init; }

    public double? WriteRate { get; init; }

    public CgroupEventCounts Events { get; init; } = new();

    public CgroupPressure? CpuPressure { get; init; }
    public CgroupPressure? MemoryPressure { get; init; }
    public CgroupPressure? IoPressure { get; init; }

    public override string ToString() => Path;
}

/// <summary>How often what happened; null where the host does not count it.</summary>
public sealed class CgroupEventCounts
{
    /// <summary>Processes that the kernel killed because memory had run out.</summary>
    public long? OomKill { get; init; }

    /// <summary>No memory was to be had (v2).</summary>
    public long? OutOfMemory { get; init; }

    /// <summary>The memory limit was met.</summary>
    public long? MemoryMax { get; init; }

    /// <summary>The group was slowed down above MemoryHigh (v2).</summary>
    public long? MemoryHigh { get; init; }

    /// <summary>A fork was refused.</summary>
    public long? ProcessMax { get; init; }

    public override string ToString() => $"OomKill {OomKill ?? 0}, MemoryMax {MemoryMax ?? 0}, ProcessMax {ProcessMax ?? 0}";
}
