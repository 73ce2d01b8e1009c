using System.Globalization;

namespace Containers.Linux.Cgroups;

/// <summary>The limit of one block device; <c>null</c> is no limit. A second, in bytes and operations.</summary>
public sealed record CgroupIoLimit(string Device, long? ReadBytes, long? WriteBytes, long? ReadOperations, long? WriteOperations);

/// <summary>The limits that are set. <c>null</c> is no limit, or a controller that this host does not have.</summary>
public sealed record CgroupLimits
{
    // v1 counts pages in a signed word: what it shows for "none" is the last whole page, and a huge page can have 16 GB.
    const long V1NoLimit = long.MaxValue - (1L << 35);

    /// <summary>Bytes.</summary>
    public long? Memory { get; init; }

    /// <summary>Bytes of memory and swap together.</summary>
    public long? MemorySwap { get; init; }

    /// <summary>Bytes.</summary>
    public long? MemoryReservation { get; init; }

    /// <summary>Bytes (v2).</summary>
    public long? MemoryHigh { get; init; }

    /// <summary>Bytes (v2).</summary>
    public long? MemoryLow { get; init; }

    /// <summary>Bytes (v2).</summary>
    public long? MemoryMinimum { get; init; }

    /// <summary>v1 alone.</summary>
    public long? Swappiness { get; init; }

    /// <summary>v2 alone.</summary>
    public bool? OomGroup { get; init; }

    /// <summary>v1 alone.</summary>
    public bool? OomKillDisable { get; init; }

    /// <summary>2 … 262144; on v2 the fewest shares that make the group's weight.</summary>
    public long? CpuShares { get; init; }

    /// <summary>1 … 10000; on v1 the weight that the shares make.</summary>
    public long? CpuWeight { get; init; }

    /// <summary>CPU time in each <see cref="CpuPeriod"/>.</summary>
    public TimeSpan? CpuQuota { get; init; }

    public TimeSpan? CpuPeriod { get; init; }

    public TimeSpan? CpuBurst { get; init; }

    public bool? CpuIdle { get; init; }

    /// <summary>A list such as <c>0-3,7</c>; empty means all.</summary>
    public string? Cpus { get; init; }

    public string? MemoryNodes { get; init; }

    /// <summary>As the kernel has it, <c>member</c>, <c>root</c>, <c>isolated</c>, with the reason behind it where it is invalid (v2).</summary>
    public string? CpuSetPartition { get; init; }

    public long? Pids { get; init; }

    public IReadOnlyList<CgroupIoLimit> Io { get; init; } = [];

    /// <summary>1 … 10000 with 100 as the default, or BFQ's 1 … 1000; on v1 without BFQ the old scheduler's own number.</summary>
    public long? IoWeight { get; init; }

    /// <summary>By <c>major:minor</c> (v2).</summary>
    public IReadOnlyDictionary<string, TimeSpan> IoLatency { get; init; } = new Dictionary<string, TimeSpan>();

    /// <summary>By device, <c>hca_handle=2 hca_object=max</c>.</summary>
    public IReadOnlyDictionary<string, string> Rdma { get; init; } = new Dictionary<string, string>();

    /// <summary>v1 alone; null for none.</summary>
    public uint? NetClass { get; init; }

    /// <summary>By interface, those that are not 0 (v1).</summary>
    public IReadOnlyDictionary<string, uint> NetPriority { get; init; } = new Dictionary<string, uint>();

    /// <summary>As v1 lists them; null where everything is allowed, and on v2, which does not tell.</summary>
    public IReadOnlyList<string>? DeviceRules { get; init; }

    /// <summary>Bytes by page size, such as <c>2MB</c>; sizes without a limit are not listed.</summary>
    public IReadOnlyDictionary<string, long> HugePages { get; init; } = new Dictionary<string, long>();

    internal static long? Bounded(long? value) => value >= V1NoLimit ? null : value;

    internal static CgroupLimits Read(CgroupHost host, string path)
    {
        var limits = new CgroupLimits();
        if (host.Find("memory") is { } memory) { limits = memory.Version == 1 ? MemoryV1(limits, memory.Folder(path)) : MemoryV2(limits, memory.Folder(path)); }
        if (host.Find("cpu") is { } cpu) { limits = cpu.Version == 1 ? CpuV1(limits, cpu.Folder(path)) : CpuV2(limits, cpu.Folder(path)); }
        if (host.Find("cpuset") is { } cpuset)
        {
            limits = limits with
            {
                Cpus = CgroupFiles.ReadText(cpuset.Folder(path), "cpuset.cpus"),
                MemoryNodes = CgroupFiles.ReadText(cpuset.Folder(path), "cpuset.mems"),
                CpuSetPartition = CgroupFiles.ReadText(cpuset.Folder(path), "cpuset.cpus.partition"),
            };
        }
        if (host.Find("pids") is { } pids) { limits = limits with { Pids = CgroupFiles.ReadNumber(pids.Folder(path), "pids.max") }; }
        if (host.Find("io") is { } io) { limits = IoV2(limits, io.Folder(path)); }
        else if (host.Find("blkio") is { } blkio)
        {
            var folder = blkio.Folder(path);
            limits = limits with { Io = Throttle(folder), IoWeight = Weight(CgroupFiles.ReadText(folder, "blkio.bfq.weight") ?? CgroupFiles.ReadText(folder, "blkio.weight")) };
        }
        if (host.Find("hugetlb") is { } hugetlb) { limits = limits with { HugePages = ReadHugePages(hugetlb, path) }; }
        if (host.Find("rdma") is { } rdma) { limits = limits with { Rdma = Words(CgroupFiles.ReadText(rdma.Folder(path), "rdma.max"), "hca_handle=max hca_object=max") }; }
        if (host.Find("net_cls") is { } netClass && CgroupFiles.ReadNumber(netClass.Folder(path), "net_cls.classid") is > 0 and var mark) { limits = limits with { NetClass = (uint)mark }; }
        if (host.Find("net_prio") is { } netPriority) { limits = limits with { NetPriority = Priorities(CgroupFiles.ReadText(netPriority.Folder(path), "net_prio.ifpriomap")) }; }
        if (host.Find("devices") is { Version: 1 } devices && CgroupFiles.ReadText(devices.Folder(path), "devices.list") is { } rules and not "a *:* rwm")
        {
            limits = limits with { DeviceRules = rules.Split('\n', StringSplitOptions.RemoveEmptyEntries) };
        }
        return limits;
    }

    static CgroupLimits MemoryV1(CgroupLimits limits, string folder) => limits with
    {
        Memory = Bounded(CgroupFiles.ReadNumber(folder, "memory.limit_in_bytes")),
        MemorySwap = Bounded(CgroupFiles.ReadNumber(folder, "memory.memsw.limit_in_bytes")),
        MemoryReservation = Bounded(CgroupFiles.ReadNumber(folder, "memory.soft_limit_in_bytes")),
        Swappiness = CgroupFiles.ReadNumber(folder, "memory.swappiness"),
        OomKillDisable = CgroupFiles.Keyed(CgroupFiles.Read(folder, "memory.oom_control"), "oom_kill_disable"u8) is { } off ? off == 1 : null,
    };

    static CgroupLimits MemoryV2(CgroupLimits limits, string folder)
    {
        var memory = CgroupFiles.ReadNumber(folder, "memory.max");
        var swap = CgroupFiles.ReadNumber(folder, "memory.swap.max");
        var low = CgroupFiles.ReadNumber(folder, "memory.low");
        var minimum = CgroupFiles.ReadNumber(folder, "memory.min");
        return limits with
        {
            Memory = memory,
            MemorySwap = memory + swap,
            MemoryReservation = low == 0 ? null : low,
            MemoryHigh = CgroupFiles.ReadNumber(folder, "memory.high"),
            MemoryLow = low == 0 ? null : low,
            MemoryMinimum = minimum == 0 ? null : minimum,
            OomGroup = CgroupFiles.ReadNumber(folder, "memory.oom.group") is { } together ? together == 1 : null,
        };
    }

    static CgroupLimits CpuV1(CgroupLimits limits, string folder)
    {
        var shares = CgroupFiles.ReadNumber(folder, "cpu.shares");
        var quota = CgroupFiles.ReadNumber(folder, "cpu.cfs_quota_us");
        return limits with
        {
            CpuShares = shares,
            CpuWeight = shares is null ? null : ResourceValues.WeightOf(shares.Value),
            CpuQuota = quota < 0 ? null : Microseconds(quota),
            CpuPeriod = Microseconds(CgroupFiles.ReadNumber(folder, "cpu.cfs_period_us")),
            CpuBurst = Microseconds(CgroupFiles.ReadNumber(folder, "cpu.cfs_burst_us")),
            CpuIdle = CgroupFiles.ReadNumber(folder, "cpu.idle") is { } idle ? idle == 1 : null,
        };
    }

    static CgroupLimits CpuV2(CgroupLimits limits, string folder)
    {
        var weight = CgroupFiles.ReadNumber(folder, "cpu.weight");
        var max = (CgroupFiles.ReadText(folder, "cpu.max") ?? "").Split(' ');
        return limits with
        {
            CpuWeight = weight,
            CpuShares = weight is null ? null : (long)ResourceValues.WeightToShares((ulong)weight),
            CpuQuota = Microseconds(Parse(max[0])),
            CpuPeriod = max.Length > 1 ? Microseconds(Parse(max[1])) : null,
            CpuBurst = Microseconds(CgroupFiles.ReadNumber(folder, "cpu.max.burst")),
            CpuIdle = CgroupFiles.ReadNumber(folder, "cpu.idle") is { } idle ? idle == 1 : null,
        };
    }

    static CgroupLimits IoV2(CgroupLimits limits, string folder)
    {
        var latency = new Dictionary<string, TimeSpan>();
        foreach (var (device, words) in Words(CgroupFiles.ReadText(folder, "io.latency"), ""))
        {
            if (words.StartsWith("target=", StringComparison.Ordinal) && Microseconds(Parse(words[7..])) is { } target) { latency[device] = target; }
        }
        return limits with
        {
            Io = IoMax(CgroupFiles.ReadText(folder, "io.max")),
            IoWeight = Weight(CgroupFiles.ReadText(folder, "io.bfq.weight") ?? CgroupFiles.ReadText(folder, "io.weight")),
            IoLatency = latency,
        };
    }

    // "default 100", then a line for each device; some kernels say the number alone.
    static long? Weight(string? text) => text is null ? null : Parse(text.Split('\n')[0].Replace("default ", "", StringComparison.Ordinal));

    static Dictionary<string, string> Words(string? text, string none)
    {
        var words = new Dictionary<string, string>();
        foreach (var line in (text ?? "").Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            var space = line.IndexOf(' ');
            if (space > 0 && line[(space + 1)..] != none) { words[line[..space]] = line[(space + 1)..]; }
        }
        return words;
    }

    static Dictionary<string, uint> Priorities(string? text)
    {
        var priorities = new Dictionary<string, uint>();
        foreach (var (name, number) in Words(text, "0"))
        {
            if (uint.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var priority)) { priorities[name] = priority; }
        }
        return priorities;
    }

    // "8:16 rbps=2097152 wbps=max riops=max wiops=120"
    static List<CgroupIoLimit> IoMax(string? text)
    {
        var list = new List<CgroupIoLimit>();
        foreach (var line in (text ?? "").Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            var limit = new CgroupIoLimit(line.Split(' ')[0], null, null, null, null);
            foreach (var word in line.Split(' '))
            {
                var sign = word.IndexOf('=');
                if (sign < 0) { continue; }
                var value = Parse(word[(sign + 1)..]);
                limit = word[..sign] switch
                {
                    "rbps" => limit with { ReadBytes = value },
                    "wbps" => limit with { WriteBytes = value },
                    "riops" => limit with { ReadOperations = value },
                    "wiops" => limit with { WriteOperations = value },
                    _ => limit,
                };
            }
            list.Add(limit);
        }
        return list;
    }

    // One file for each kind, with a line "8:16 2097152" for each device.
    static List<CgroupIoLimit> Throttle(string folder)
    {
        var list = new List<CgroupIoLimit>();
        Collect("blkio.throttle.read_bps_device", (limit, value) => limit with { ReadBytes = value });
        Collect("blkio.throttle.write_bps_device", (limit, value) => limit with { WriteBytes = value });
        Collect("blkio.throttle.read_iops_device", (limit, value) => limit with { ReadOperations = value });
        Collect("blkio.throttle.write_iops_device", (limit, value) => limit with { WriteOperations = value });
        return list;

        void Collect(string file, Func<CgroupIoLimit, long?, CgroupIoLimit> set)
        {
            foreach (var line in (CgroupFiles.ReadText(folder, file) ?? "").Split('\n', StringSplitOptions.RemoveEmptyEntries))
            {
                var words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
                if (words.Length < 2) { continue; }
                var at = list.FindIndex(limit => limit.Device == words[0]);
                if (at < 0)
                {
                    list.Add(new(words[0], null, null, null, null));
                    at = list.Count - 1;
                }
                list[at] = set(list[at], Parse(words[1]));
            }
        }
    }

    static Dictionary<string, long> ReadHugePages(CgroupHierarchy hierarchy, string path)
    {
        var sizes = new Dictionary<string, long>();
        var suffix = hierarchy.Version == 1 ? ".limit_in_bytes" : ".max";
        foreach (var size in (ReadOnlySpan<string>)["64KB", "1MB", "2MB", "16MB", "32MB", "512MB", "1GB", "2GB", "16GB"])
        {
            if (Bounded(CgroupFiles.ReadNumber(hierarchy.Folder(path), "hugetlb." + size + suffix)) is { } limit) { sizes[size] = limit; }
        }
        return sizes;
    }

    static long? Parse(string text) => long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value : null;

    static TimeSpan? Microseconds(long? value) => value is null ? null : TimeSpan.FromTicks(Math.Min(value.Value, long.MaxValue / 10) * 10);
}
