using Containers.Linux.Cgroups;

namespace Containers;

/// <summary>One control group, as its processes see it: the same path in every hierarchy of the host that has it.</summary>
public sealed class Cgroup
{
    /// <summary>From the root of the hierarchy, such as <c>/pscontainers/default/web</c>.</summary>
    public required string Path { get; init; }

    /// <summary>The mount point of the first hierarchy that has it with controllers.</summary>
    public required string Hierarchy { get; init; }

    /// <summary>1 or 2.</summary>
    public required int Version { get; init; }

    public required IReadOnlyList<string> Controllers { get; init; }

    /// <summary>Processes in the group itself, those below it not counted.</summary>
    public int ProcessCount { get; init; }

    public bool? Frozen { get; init; }

    /// <summary>The id of the container that it belongs to.</summary>
    public string? Container { get; init; }

    /// <summary>Its folders, one in each hierarchy that has it.</summary>
    public required IReadOnlyList<string> Folders { get; init; }

    /// <summary><c>domain</c>, <c>threaded</c>, <c>domain threaded</c> or <c>domain invalid</c> in the v2 tree; null where that does not have it.</summary>
    public string? Type { get; init; }

    public override string ToString() => Path;
}

/// <summary>A process, or a thread, in a control group.</summary>
public sealed class CgroupProcess
{
    public required int ProcessId { get; init; }

    /// <summary>Null when whole processes were asked for.</summary>
    public int? ThreadId { get; init; }

    /// <summary>The name of its program, as <c>/proc/PID/comm</c> has it.</summary>
    public string? Command { get; init; }

    /// <summary>The path of its group.</summary>
    public required string Cgroup { get; init; }

    /// <summary>The id of the container that the group belongs to.</summary>
    public string? Container { get; init; }

    public override string ToString() => $"{ProcessId} {Command}";
}

/// <summary>The limits of one cgroup. Amounts are bytes; null means no limit, or no such controller.</summary>
public sealed class CgroupLimit
{
    public required string Path { get; init; }
    public long? Memory { get; init; }

    /// <summary>Memory and swap together.</summary>
    public long? MemorySwap { get; init; }

    /// <summary>Above it the group is slowed down (v2).</summary>
    public long? MemoryHigh { get; init; }

    /// <summary>What is taken last when others want memory (v2).</summary>
    public long? MemoryLow { get; init; }

    /// <summary>What is never taken (v2).</summary>
    public long? MemoryMinimum { get; init; }

    public long? MemoryReservation { get; init; }

    /// <summary>0–100 (v1).</summary>
    public long? Swappiness { get; init; }

    /// <summary>Processors, such as 0.5.</summary>
    public double? Cpu { get; init; }

    /// <summary>1–10000 as in cgroup v2; 100 is the kernel's default. Null for a group that is idle.</summary>
    public long? CpuWeight { get; init; }

    public TimeSpan? CpuBurst { get; init; }
    public bool? CpuIdle { get; init; }
    public string? CpuSet { get; init; }
    public string? MemorySet { get; init; }

    /// <summary><c>member</c>, <c>root</c>, <c>isolated</c>, with the kernel's reason behind it where it is invalid (v2).</summary>
    public string? CpuSetPartition { get; init; }

    public long? ProcessLimit { get; init; }
    public long? IoWeight { get; init; }

    /// <summary>By device.</summary>
    public IReadOnlyList<ContainerIoLimit> IoLimit { get; init; } = [];

    /// <summary>By device (v2).</summary>
    public IReadOnlyDictionary<string, TimeSpan> IoLatency { get; init; } = new Dictionary<string, TimeSpan>();

    /// <summary>Bytes by page size.</summary>
    public IReadOnlyDictionary<string, long> HugePageLimit { get; init; } = new Dictionary<string, long>();

    /// <summary>By device.</summary>
    public IReadOnlyDictionary<string, string> RdmaLimit { get; init; } = new Dictionary<string, string>();

    /// <summary>0xMMMMmmmm for tc's class M:m (v1).</summary>
    public uint? NetClass { get; init; }

    /// <summary>By interface (v1).</summary>
    public IReadOnlyDictionary<string, uint> NetPriority { get; init; } = new Dictionary<string, uint>();

    /// <summary>What is allowed, as v1 lists it; null where everything is, and on v2, which does not tell.</summary>
    public IReadOnlyList<string>? DeviceRule { get; init; }

    /// <summary>v2 alone.</summary>
    public bool? OomGroup { get; init; }

    /// <summary>v1 alone.</summary>
    public bool? OomKillDisable { get; init; }

    /// <summary>The id of the container that it belongs to.</summary>
    public string? Container { get; init; }

    public override string ToString() => Path;
}

/// <summary>Where a controller is.</summary>
public enum CgroupControllerState
{
    /// <summary>In a v1 hierarchy that is mounted.</summary>
    V1,

    /// <summary>In the v2 tree.</summary>
    V2,

    /// <summary>In a v1 hierarchy that is not mounted here.</summary>
    NotMounted,

    /// <summary>Switched off on the kernel's command line.</summary>
    Disabled,

    /// <summary>This kernel was built without it.</summary>
    NotInKernel,
}

/// <summary>A controller of control groups, and where this host has it.</summary>
public sealed class CgroupControllerInfo
{
    public required string Name { get; init; }
    public required CgroupControllerState State { get; init; }

    /// <summary>1 or 2; null where it is in neither.</summary>
    public int? Version { get; init; }

    /// <summary>The number of its v1 hierarchy; 0 for the v2 tree, and for nowhere.</summary>
    public int HierarchyId { get; init; }

    /// <summary>Which controllers share its hierarchy, such as <c>cpu,cpuacct</c>.</summary>
    public string? Hierarchy { get; init; }

    public string? MountPoint { get; init; }

    /// <summary>Groups in its hierarchy.</summary>
    public int GroupCount { get; init; }

    /// <summary>The kernel has it switched on.</summary>
    public bool Enabled { get; init; }

    /// <summary>The groups below this process's own can be given it: by this user on v1, by what the group was given on v2.</summary>
    public bool Delegated { get; init; }

    /// <summary>The limits that it offers here, by the parameters of <c>Set-CgroupLimit</c>.</summary>
    public required IReadOnlyList<CgroupLimitName> Limits { get; init; }

    /// <summary>What the state means here.</summary>
    public required string Explanation { get; init; }

    public override string ToString() => Name;
}

/// <summary>A hierarchy that is mounted.</summary>
public sealed class CgroupHierarchyInfo
{
    public required string Path { get; init; }

    /// <summary>1 or 2.</summary>
    public required int Version { get; init; }

    /// <summary>As <c>/proc/PID/cgroup</c> has it: <c>cpu,cpuacct</c>, <c>name=systemd</c>; empty for the v2 tree.</summary>
    public required string Hierarchy { get; init; }

    public required IReadOnlyList<string> Controllers { get; init; }

    public override string ToString() => Path;
}

/// <summary>Something that happened to a control group.</summary>
public sealed class CgroupEvent
{
    public required DateTimeOffset Time { get; init; }
    public required string Path { get; init; }
    public required CgroupEventKind Event { get; init; }

    /// <summary>Populated and Frozen: whether it is so now.</summary>
    public bool? State { get; init; }

    /// <summary>OutOfMemory: how many processes the kernel has killed so far.</summary>
    public long? Count { get; init; }

    /// <summary>PressureStall: <c>cpu</c>, <c>memory</c> or <c>io</c>.</summary>
    public string? Resource { get; init; }

    /// <summary>The id of the container that the group belongs to.</summary>
    public string? Container { get; init; }

    public override string ToString() => $"{Event} {Path}";
}
