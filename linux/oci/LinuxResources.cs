using System.Text.Json.Serialization;

namespace Containers.Linux.Oci;

/// <summary>Limits by control groups (config-linux.md, Control groups). In all of it, bytes are bytes and -1 means no limit.</summary>
[JsonConverter(typeof(SpecObjectConverter<LinuxResources>))]
public sealed class LinuxResources : SpecObject
{
    /// <summary>Applied in this order.</summary>
    public List<LinuxDeviceCgroup>? Devices { get; set; }

    public LinuxMemory? Memory { get; set; }
    public LinuxCpu? Cpu { get; set; }
    public LinuxPids? Pids { get; set; }
    public LinuxBlockIo? BlockIo { get; set; }
    public List<LinuxHugepageLimit>? HugepageLimits { get; set; }
    public LinuxNetwork? Network { get; set; }
    /// <summary>By device name.</summary>
    public Dictionary<string, LinuxRdma>? Rdma { get; set; }

    /// <summary>Files of a cgroup v2 group and what is written to them.</summary>
    public Dictionary<string, string>? Unified { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        Devices = f.Field("devices"u8, Devices);
        Memory = f.Field("memory"u8, Memory);
        Cpu = f.Field("cpu"u8, Cpu);
        Pids = f.Field("pids"u8, Pids);
        BlockIo = f.Field("blockIO"u8, BlockIo);
        HugepageLimits = f.Field("hugepageLimits"u8, HugepageLimits);
        Network = f.Field("network"u8, Network);
        Rdma = f.Field("rdma"u8, Rdma);
        Unified = f.Field("unified"u8, Unified);
    }
}

/// <summary>One rule on devices.</summary>
public sealed class LinuxDeviceCgroup : SpecObject
{
    public bool? Allow { get; set; }
    /// <summary><c>a</c> (all), <c>c</c> or <c>b</c>.</summary>
    public string? Type { get; set; }

    /// <summary>None means all, as does none below.</summary>
    public long? Major { get; set; }

    public long? Minor { get; set; }
    /// <summary>Letters of <c>rwm</c>: read, write, mknod.</summary>
    public string? Access { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        Allow = f.Field("allow"u8, Allow);
        Type = f.Field("type"u8, Type);
        Major = f.Field("major"u8, Major);
        Minor = f.Field("minor"u8, Minor);
        Access = f.Field("access"u8, Access);
    }
}

/// <summary>Memory, in bytes.</summary>
public sealed class LinuxMemory : SpecObject
{
    public long? Limit { get; set; }
    /// <summary>The soft limit.</summary>
    public long? Reservation { get; set; }

    /// <summary>Memory and swap together.</summary>
    public long? Swap { get; set; }

    /// <summary>Gone from current kernels.</summary>
    public long? Kernel { get; set; }

    public long? KernelTcp { get; set; }
    /// <summary>From 0 to 100; v1 alone.</summary>
    public ulong? Swappiness { get; set; }

    /// <summary>v1 alone.</summary>
    public bool? DisableOomKiller { get; set; }

    /// <summary>v1 alone.</summary>
    public bool? UseHierarchy { get; set; }

    /// <summary>Refuse a limit below what is in use.</summary>
    public bool? CheckBeforeUpdate { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        Limit = f.Field("limit"u8, Limit);
        Reservation = f.Field("reservation"u8, Reservation);
        Swap = f.Field("swap"u8, Swap);
        Kernel = f.Field("kernel"u8, Kernel);
        KernelTcp = f.Field("kernelTCP"u8, KernelTcp);
        Swappiness = f.Field("swappiness"u8, Swappiness);
        DisableOomKiller = f.Field("disableOOMKiller"u8, DisableOomKiller);
        UseHierarchy = f.Field("useHierarchy"u8, UseHierarchy);
        CheckBeforeUpdate = f.Field("checkBeforeUpdate"u8, CheckBeforeUpdate);
    }
}

/// <summary>CPU time and places.</summary>
public sealed class LinuxCpu : SpecObject
{
    /// <summary>From 2 to 262144, as v1 has it.</summary>
    public ulong? Shares { get; set; }

    /// <summary>Microseconds of CPU time in each period.</summary>
    public long? Quota { get; set; }

    /// <summary>Microseconds that may be saved up.</summary>
    public ulong? Burst { get; set; }

    /// <summary>Microseconds, from 1000 to 1000000.</summary>
    public ulong? Period { get; set; }

    /// <summary>Microseconds; v1 alone, as is the period.</summary>
    public long? RealtimeRuntime { get; set; }

    public ulong? RealtimePeriod { get; set; }
    /// <summary>A list such as <c>0-3,7</c>.</summary>
    public string? Cpus { get; set; }

    /// <summary>Memory nodes, as a list.</summary>
    public string? Mems { get; set; }

    /// <summary>1 makes it SCHED_IDLE, 0 takes that back.</summary>
    public long? Idle { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        Shares = f.Field("shares"u8, Shares);
        Quota = f.Field("quota"u8, Quota);
        Burst = f.Field("burst"u8, Burst);
        Period = f.Field("period"u8, Period);
        RealtimeRuntime = f.Field("realtimeRuntime"u8, RealtimeRuntime);
        RealtimePeriod = f.Field("realtimePeriod"u8, RealtimePeriod);
        Cpus = f.Field("cpus"u8, Cpus);
        Mems = f.Field("mems"u8, Mems);
        Idle = f.Field("idle"u8, Idle);
    }
}

/// <summary>The number of tasks.</summary>
public sealed class LinuxPids : SpecObject
{
    public long? Limit { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        Limit = f.Field("limit"u8, Limit);
    }
}

/// <summary>Block devices.</summary>
public sealed class LinuxBlockIo : SpecObject
{
    /// <summary>From 10 to 1000.</summary>
    public ushort? Weight { get; set; }

    public ushort? LeafWeight { get; set; }
    public List<LinuxWeightDevice>? WeightDevice { get; set; }
    /// <summary>Bytes a second.</summary>
    public List<LinuxThrottleDevice>? ThrottleReadBpsDevice { get; set; }

    /// <summary>Bytes a second.</summary>
    public List<LinuxThrottleDevice>? ThrottleWriteBpsDevice { get; set; }

    /// <summary>Operations a second.</summary>
    public List<LinuxThrottleDevice>? ThrottleReadIopsDevice { get; set; }

    /// <summary>Operations a second.</summary>
    public List<LinuxThrottleDevice>? ThrottleWriteIopsDevice { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        Weight = f.Field("weight"u8, Weight);
        LeafWeight = f.Field("leafWeight"u8, LeafWeight);
        WeightDevice = f.Field("weightDevice"u8, WeightDevice);
        ThrottleReadBpsDevice = f.Field("throttleReadBpsDevice"u8, ThrottleReadBpsDevice);
        ThrottleWriteBpsDevice = f.Field("throttleWriteBpsDevice"u8, ThrottleWriteBpsDevice);
        ThrottleReadIopsDevice = f.Field("throttleReadIOPSDevice"u8, ThrottleReadIopsDevice);
        ThrottleWriteIopsDevice = f.Field("throttleWriteIOPSDevice"u8, ThrottleWriteIopsDevice);
    }
}

/// <summary>The weight of one block device.</summary>
public sealed class LinuxWeightDevice : SpecObject
{
    public long? Major { get; set; }
    public long? Minor { get; set; }
    public ushort? Weight { get; set; }
    public ushort? LeafWeight { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        Major = f.Field("major"u8, Major);
        Minor = f.Field("minor"u8, Minor);
        Weight = f.Field("weight"u8, Weight);
        LeafWeight = f.Field("leafWeight"u8, LeafWeight);
    }
}

/// <summary>The limit of one block device.</summary>
public sealed class LinuxThrottleDevice : SpecObject
{
    public long? Major { get; set; }
    public long? Minor { get; set; }
    /// <summary>A second; 0 takes the limit away.</summary>
    public ulong? Rate { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        Major = f.Field("major"u8, Major);
        Minor = f.Field("minor"u8, Minor);
        Rate = f.Field("rate"u8, Rate);
    }
}

/// <summary>Huge pages of one size.</summary>
public sealed class LinuxHugepageLimit : SpecObject
{
    /// <summary>Such as <c>2MB</c>.</summary>
    public string? PageSize { get; set; }

    /// <summary>Bytes.</summary>
    public ulong? Limit { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        PageSize = f.Field("pageSize"u8, PageSize);
        Limit = f.Field("limit"u8, Limit);
    }
}

/// <summary>Marks on what the group sends; v1 alone.</summary>
public sealed class LinuxNetwork : SpecObject
{
    public uint? ClassId { get; set; }
    public List<LinuxInterfacePriority>? Priorities { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        ClassId = f.Field("classID"u8, ClassId);
        Priorities = f.Field("priorities"u8, Priorities);
    }
}

/// <summary>The priority on one interface.</summary>
public sealed class LinuxInterfacePriority : SpecObject
{
    public string? Name { get; set; }
    public uint? Priority { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        Name = f.Field("name"u8, Name);
        Priority = f.Field("priority"u8, Priority);
    }
}

/// <summary>Handles and objects of one RDMA device.</summary>
public sealed class LinuxRdma : SpecObject
{
    public uint? HcaHandles { get; set; }
    public uint? HcaObjects { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        HcaHandles = f.Field("hcaHandles"u8, HcaHandles);
        HcaObjects = f.Field("hcaObjects"u8, HcaObjects);
    }
}
