namespace Containers;

public enum ContainerHostCheckStatus
{
    Pass,
    Warn,
    Fail,
    Skip,
}

/// <summary>The outcome of one check of this machine. A check really tries; it leaves nothing behind.</summary>
public sealed class ContainerHostCheck
{
    public required string Name { get; init; }
    public required string Category { get; init; }
    public required ContainerHostCheckStatus Status { get; init; }
    public required string Found { get; init; }
    public required string Needed { get; init; }

    /// <summary>What does not work without it.</summary>
    public required string Why { get; init; }

    /// <summary>What to do; null when nothing has to be done.</summary>
    public string? Remedy { get; init; }

    public string? Link { get; init; }
    public string ComputerName { get; init; } = Environment.MachineName;

    public override string ToString() => $"{Name}: {Status}";
}

/// <summary>This machine and how containers are kept on it.</summary>
public sealed class ContainerHostInfo
{
    public required string ComputerName { get; init; }
    public required string KernelVersion { get; init; }
    public required string OperatingSystem { get; init; }
    public required string Architecture { get; init; }
    public required int ProcessorCount { get; init; }
    public required long MemoryTotal { get; init; }

    /// <summary><c>v1</c>, <c>hybrid</c> or <c>v2</c>.</summary>
    public required string CgroupMode { get; init; }

    public required IReadOnlyList<string> CgroupControllers { get; init; }
    public required IReadOnlyList<string> SecurityModules { get; init; }
    public required string Root { get; init; }
    public required string RunRoot { get; init; }
    public required string ContainerNamespace { get; init; }
    public required string StoreFormat { get; init; }
    public required string DefaultRuntime { get; init; }
    public string? HelperPath { get; init; }
    public string? HelperVersion { get; init; }

    /// <summary>OCI runtimes found on this machine.</summary>
    public required IReadOnlyList<string> Runtimes { get; init; }

    public required int ContainerCount { get; init; }
    public required int RunningCount { get; init; }
    public required string ModuleVersion { get; init; }
}
