using Containers.Linux.Oci;

namespace Containers.Linux.Cgroups;

/// <summary>The limits that can be set, by one word each on v1 and v2.</summary>
public enum CgroupLimitName
{
    Memory,
    MemorySwap,
    MemoryHigh,
    MemoryLow,
    MemoryMinimum,
    MemoryReservation,
    Swappiness,
    Cpu,
    CpuWeight,
    CpuBurst,
    CpuIdle,
    CpuSet,
    MemorySet,
    CpuSetPartition,
    ProcessLimit,
    IoWeight,
    IoLimit,
    IoLatency,
    HugePageLimit,
    RdmaLimit,
    NetClass,
    NetPriority,
    DeviceRule,
    OomGroup,
    OomKillDisable,
}

/// <summary>What <c>cpuset.cpus.partition</c> takes.</summary>
public enum CgroupPartition
{
    /// <summary>An ordinary group.</summary>
    Member,

    /// <summary>Its processors are its own, balanced among themselves.</summary>
    Root,

    /// <summary>Its processors are its own, and nothing is balanced over them.</summary>
    Isolated,
}

/// <summary>What to change of a group's limits: null leaves one as it is, -1 is "no limit" where a number may be none.</summary>
public sealed class CgroupLimitChange
{
    /// <summary>Bytes.</summary>
    public long? Memory { get; set; }

    /// <summary>Bytes of memory and swap together.</summary>
    public long? MemorySwap { get; set; }

    /// <summary>Bytes above which the group is slowed down and reclaimed from (v2).</summary>
    public long? MemoryHigh { get; set; }

    /// <summary>Bytes that are taken last when others want memory (v2).</summary>
    public long? MemoryLow { get; set; }

    /// <summary>Bytes that are never taken (v2).</summary>
    public long? MemoryMinimum { get; set; }

    /// <summary>v1's soft limit; on v2 the same as <see cref="MemoryLow"/>.</summary>
    public long? MemoryReservation { get; set; }

    /// <summary>0–100 (v1).</summary>
    public long? Swappiness { get; set; }

    /// <summary>Processors, such as 0.5.</summary>
    public double? Cpu { get; set; }

    /// <summary>1–10000; 100 is the kernel's own.</summary>
    public long? CpuWeight { get; set; }

    /// <summary>Unused time of a quota that may be saved up, at most one period's quota.</summary>
    public TimeSpan? CpuBurst { get; set; }

    /// <summary>Runs only when nobody else wants to.</summary>
    public bool? CpuIdle { get; set; }

    /// <summary>A list such as <c>0-3,7</c>; empty for what the parent has.</summary>
    public string? CpuSet { get; set; }

    public string? MemorySet { get; set; }

    public CgroupPartition? CpuSetPartition { get; set; }

    /// <summary>Tasks, which are threads.</summary>
    public long? ProcessLimit { get; set; }

    /// <summary>1–10000; 100 is the kernel's own.</summary>
    public long? IoWeight { get; set; }

    /// <summary>By <c>major:minor</c>: what is null stays, -1 is no limit.</summary>
    public IReadOnlyList<CgroupIoLimit>? IoLimit { get; set; }

    /// <summary>By <c>major:minor</c>; zero takes it away (v2).</summary>
    public IReadOnlyDictionary<string, TimeSpan>? IoLatency { get; set; }

    /// <summary>Bytes by page size, such as <c>2MB</c>.</summary>
    public IReadOnlyDictionary<string, long>? HugePageLimit { get; set; }

    /// <summary>By device: <c>hca_handle=2 hca_object=max</c>.</summary>
    public IReadOnlyDictionary<string, string>? RdmaLimit { get; set; }

    /// <summary>The mark of outgoing packets, <c>0xMMMMmmmm</c> for tc's class M:m (v1).</summary>
    public uint? NetClass { get; set; }

    /// <summary>By interface (v1).</summary>
    public IReadOnlyDictionary<string, uint>? NetPriority { get; set; }

    /// <summary>Replaces all rules there are; what they do not allow is denied, but for the devices that every container has.</summary>
    public List<LinuxDeviceCgroup>? DeviceRule { get; set; }

    /// <summary>All processes of the group are killed together when its memory runs out (v2).</summary>
    public bool? OomGroup { get; set; }

    /// <summary>Who wants more memory than there is waits instead of being killed (v1).</summary>
    public bool? OomKillDisable { get; set; }

    /// <summary>Any other file of the group, by its name.</summary>
    public IReadOnlyDictionary<string, string>? Values { get; set; }
}
