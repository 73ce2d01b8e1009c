namespace Containers;

/// <summary>One control group, as its processes see it: the same path in every hierarchy of the host that has it.</summary>
public sealed class Cgroup
{
    /// <summary>From the root of the hierarchy, such as <c>/pscontainers/default/web</c>.</summary>
    public required string Path { get; init; }

    /// <summary>The hierarchy's mount point.</summary>
    public required string Hierarchy { get; init; }

    /// <summary>1 or 2.</summary>
    public required int Version { get; init; }

    public required IReadOnlyList<string> Controllers { get; init; }
    public int ProcessCount { get; init; }
    public bool? Frozen { get; init; }

    /// <summary>The id of the container that it belongs to.</summary>
    public string? Container { get; init; }

    public override string ToString() => Path;
}

/// <summary>The limits of one cgroup. Amounts are bytes; null means no limit, or no such controller.</summary>
public sealed class CgroupLimit
{
    public required string Path { get; init; }
    public long? Memory { get; init; }

    /// <summary>Memory and swap together.</summary>
    public long? MemorySwap { get; init; }

    public long? MemoryReservation { get; init; }

    /// <summary>Processors, such as 0.5.</summary>
    public double? Cpu { get; init; }

    /// <summary>1–10000 as in cgroup v2; 100 is the kernel's default.</summary>
    public long? CpuWeight { get; init; }

    public string? CpuSet { get; init; }
    public string? MemorySet { get; init; }
    public long? ProcessLimit { get; init; }

    /// <summary>The id of the container that it belongs to.</summary>
    public string? Container { get; init; }

    public override string ToString() => Path;
}
