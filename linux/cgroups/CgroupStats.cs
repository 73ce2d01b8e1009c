namespace Containers.Linux.Cgroups;

/// <summary>What a group uses. <c>null</c> is what this host does not tell, and for limits "no limit".</summary>
public sealed record CgroupStats
{
    /// <summary>Bytes, caches included.</summary>
    public long? MemoryUsage { get; init; }

    /// <summary>Bytes of file cache that nobody has used for a while: what tools take off <see cref="MemoryUsage"/> before they show it.</summary>
    public long? MemoryInactiveFile { get; init; }

    public long? MemoryLimit { get; init; }

    /// <summary>The most bytes that were ever in use.</summary>
    public long? MemoryMaxUsage { get; init; }

    /// <summary>Bytes of swap alone.</summary>
    public long? SwapUsage { get; init; }

    public TimeSpan? CpuUsage { get; init; }

    public TimeSpan? CpuUser { get; init; }

    public TimeSpan? CpuSystem { get; init; }

    /// <summary>Periods in which a quota was in force, and in how many of them it was used up.</summary>
    public long? CpuPeriods { get; init; }

    public long? CpuThrottledPeriods { get; init; }

    public TimeSpan? CpuThrottledTime { get; init; }

    /// <summary>Tasks, which are threads.</summary>
    public long? Pids { get; init; }

    public long? PidsLimit { get; init; }

    /// <summary>Bytes on all block devices, and operations below.</summary>
    public long? IoReadBytes { get; init; }

    public long? IoWriteBytes { get; init; }

    public long? IoReadOperations { get; init; }

    public long? IoWriteOperations { get; init; }

    /// <summary>Processes that the kernel killed because the group's memory had run out.</summary>
    public long? OomKills { get; init; }

    /// <summary>How often the memory limit was met: v2's <c>max</c>, v1's <c>memory.failcnt</c>.</summary>
    public long? MemoryLimitHits { get; init; }

    /// <summary>How often the group was slowed down above <c>memory.high</c> (v2).</summary>
    public long? MemoryHighHits { get; init; }

    /// <summary>How often there was no memory to be had; not each ends in a kill (v2).</summary>
    public long? OutOfMemory { get; init; }

    /// <summary>How often a fork was refused because of the limit.</summary>
    public long? PidsLimitHits { get; init; }

    public CgroupPressure? CpuPressure { get; init; }

    public CgroupPressure? MemoryPressure { get; init; }

    public CgroupPressure? IoPressure { get; init; }

    internal static CgroupStats Read(CgroupHost host, string path)
    {
        var stats = new CgroupStats();
        if (host.Find("memory") is { } memory) { stats = memory.Version == 1 ? MemoryV1(stats, memory.Folder(path)) : MemoryV2(stats, memory.Folder(path)); }
        stats = Cpu(stats, host, path);
        if (host.Find("pids") is { } pids)
        {
            stats = stats with
            {
                Pids = CgroupFiles.ReadNumber(pids.Folder(path), "pids.current"),
                PidsLimit = CgroupFiles.ReadNumber(pids.Folder(path), "pids.max"),
                PidsLimitHits = CgroupFiles.Keyed(CgroupFiles.Read(pids.Folder(path), "pids.events"), "max"u8),
            };
        }
        if (host.Find("io") is { } io) { stats = IoStat(stats, CgroupFiles.Read(io.Folder(path), "io.stat")); }
        else if (host.Find("blkio") is { } blkio) { stats = BlkioStat(stats, blkio.Folder(path)); }
        if (host.Unified is { } unified)
        {
            var folder = unified.Folder(path);
            stats = stats with
            {
                CpuPressure = CgroupPressure.Parse(CgroupFiles.Read(folder, "cpu.pressure")),
                MemoryPressure = CgroupPressure.Parse(CgroupFiles.Read(folder, "memory.pressure")),
                IoPressure = CgroupPressure.Parse(CgroupFiles.Read(folder, "io.pressure")),
            };
        }
        return stats;
    }

    /// <summary><see cref="CpuUsage"/> alone.</summary>
    internal static TimeSpan? ReadCpuUsage(CgroupHost host, string path)
    {
        if (host.Find("cpuacct") is { Version: 1 } acct) { return Nanoseconds(CgroupFiles.ReadNumber(acct.Folder(path), "cpuacct.usage")); }
        return host.Unified is { } unified ? Microseconds(CgroupFiles.Keyed(CgroupFiles.Read(unified.Folder(path), "cpu.stat"), "usage_usec"u8)) : null;
    }

    static CgroupStats MemoryV1(CgroupStats stats, string folder)
    {
        var usage = CgroupFiles.ReadNumber(folder, "memory.usage_in_bytes");
        var both = CgroupFiles.ReadNumber(folder, "memory.memsw.usage_in_bytes");
        return stats with
        {
            MemoryUsage = usage,
            MemoryInactiveFile = CgroupFiles.Keyed(CgroupFiles.Read(folder, "memory.stat"), "total_inactive_file"u8),
            MemoryLimit = CgroupLimits.Bounded(CgroupFiles.ReadNumber(folder, "memory.limit_in_bytes")),
            MemoryMaxUsage = CgroupFiles.ReadNumber(folder, "memory.max_usage_in_bytes"),
            // The two counters are read one after the other and may have moved.
            SwapUsage = both is null || usage is null ? null : Math.Max(0, both.Value - usage.Value),
            OomKills = CgroupFiles.Keyed(CgroupFiles.Read(folder, "memory.oom_control"), "oom_kill"u8),
            MemoryLimitHits = CgroupFiles.ReadNumber(folder, "memory.failcnt"),
        };
    }

    static CgroupStats MemoryV2(CgroupStats stats, string folder)
    {
        var events = CgroupFiles.Read(folder, "memory.events");
        return stats with
        {
            MemoryUsage = CgroupFiles.ReadNumber(folder, "memory.current"),
            MemoryInactiveFile = CgroupFiles.Keyed(CgroupFiles.Read(folder, "memory.stat"), "inactive_file"u8),
            MemoryLimit = CgroupFiles.ReadNumber(folder, "memory.max"),
            MemoryMaxUsage = CgroupFiles.ReadNumber(folder, "memory.peak"),
            SwapUsage = CgroupFiles.ReadNumber(folder, "memory.swap.current"),
            OomKills = CgroupFiles.Keyed(events, "oom_kill"u8),
            MemoryLimitHits = CgroupFiles.Keyed(events, "max"u8),
            MemoryHighHits = CgroupFiles.Keyed(events, "high"u8),
            OutOfMemory = CgroupFiles.Keyed(events, "oom"u8),
        };
    }

    static CgroupStats Cpu(CgroupStats stats, CgroupHost host, string path)
    {
        if (host.Find("cpu") is { } cpu)
        {
            var text = CgroupFiles.Read(cpu.Folder(path), "cpu.stat");
            stats = stats with
            {
                CpuPeriods = CgroupFiles.Keyed(text, "nr_periods"u8),
                CpuThrottledPeriods = CgroupFiles.Keyed(text, "nr_throttled"u8),
                CpuThrottledTime = Nanoseconds(CgroupFiles.Keyed(text, "throttled_time"u8)) ?? Microseconds(CgroupFiles.Keyed(text, "throttled_usec"u8)),
            };
        }
        if (host.Find("cpuacct") is { Version: 1 } acct)
        {
            var folder = acct.Folder(path);
            return stats with
            {
                CpuUsage = Nanoseconds(CgroupFiles.ReadNumber(folder, "cpuacct.usage")),
                CpuUser = Nanoseconds(CgroupFiles.ReadNumber(folder, "cpuacct.usage_user")),
                CpuSystem = Nanoseconds(CgroupFiles.ReadNumber(folder, "cpuacct.usage_sys")),
            };
        }
        // Times are told by the v2 tree even where the controller is not enabled.
        if (host.Unified is not { } unified) { return stats; }
        var usage = CgroupFiles.Read(unified.Folder(path), "cpu.stat");
        return stats with
        {
            CpuUsage = Microseconds(CgroupFiles.Keyed(usage, "usage_usec"u8)),
            CpuUser = Microseconds(CgroupFiles.Keyed(usage, "user_usec"u8)),
            CpuSystem = Microseconds(CgroupFiles.Keyed(usage, "system_usec"u8)),
        };
    }

    // "8:0 rbytes=1 wbytes=2 rios=3 wios=4 …", one line for each device.
    static CgroupStats IoStat(CgroupStats stats, byte[]? text) => text is null ? stats : stats with
    {
        IoReadBytes = SumOf(text, "rbytes="u8),
        IoWriteBytes = SumOf(text, "wbytes="u8),
        IoReadOperations = SumOf(text, "rios="u8),
        IoWriteOperations = SumOf(text, "wios="u8),
    };

    // "8:0 Read 1", "8:0 Write 2" and others, one line for each device and kind.
    static CgroupStats BlkioStat(CgroupStats stats, string folder)
    {
        var bytes = CgroupFiles.Read(folder, "blkio.throttle.io_service_bytes_recursive") ?? CgroupFiles.Read(folder, "blkio.throttle.io_service_bytes");
        var operations = CgroupFiles.Read(folder, "blkio.throttle.io_serviced_recursive") ?? CgroupFiles.Read(folder, "blkio.throttle.io_serviced");
        return stats with
        {
            IoReadBytes = bytes is null ? null : SumOf(bytes, "Read "u8),
            IoWriteBytes = bytes is null ? null : SumOf(bytes, "Write "u8),
            IoReadOperations = operations is null ? null : SumOf(operations, "Read "u8),
            IoWriteOperations = operations is null ? null : SumOf(operations, "Write "u8),
        };
    }

    static long SumOf(ReadOnlySpan<byte> text, ReadOnlySpan<byte> key)
    {
        long sum = 0;
        for (int at; (at = text.IndexOf(key)) >= 0;)
        {
            var whole = at > 0 && text[at - 1] == ' ';
            text = text[(at + key.Length)..];
            if (whole && CgroupFiles.Number(text) is { } value) { sum += value; }
        }
        return sum;
    }

    static TimeSpan? Nanoseconds(long? value) => value is null ? null : TimeSpan.FromTicks(value.Value / 100);

    static TimeSpan? Microseconds(long? value) => value is null ? null : TimeSpan.FromTicks(checked(Math.Min(value.Value, long.MaxValue / 10) * 10));
}

/// <summary>Pressure stall information (kernel: accounting/psi): how much of the time tasks had to wait for a resource.</summary>
/// <param name="Some10">Per cent of the last 10 seconds in which at least one waited; of 60 and 300 seconds below.</param>
/// <param name="SomeTotal">In all.</param>
/// <param name="FullTotal">In which all waited at once; zero where that is not told.</param>
public sealed record CgroupPressure(double Some10, double Some60, double Some300, TimeSpan SomeTotal, double Full10, double Full60, double Full300, TimeSpan FullTotal)
{
    /// <returns>Null for a text without a <c>some</c> line.</returns>
    internal static CgroupPressure? Parse(ReadOnlySpan<byte> text)
    {
        var some = text.IndexOf("some "u8);
        if (some < 0) { return null; }
        text = text[some..];
        var full = text.IndexOf("full "u8);
        var a = full < 0 ? text : text[..full];
        var b = full < 0 ? default : text[full..];
        return new(Per(a, "avg10="u8), Per(a, "avg60="u8), Per(a, "avg300="u8), Total(a), Per(b, "avg10="u8), Per(b, "avg60="u8), Per(b, "avg300="u8), Total(b));
    }

    static double Per(ReadOnlySpan<byte> line, ReadOnlySpan<byte> key)
    {
        var at = line.IndexOf(key);
        return at >= 0 && System.Buffers.Text.Utf8Parser.TryParse(line[(at + key.Length)..], out double value, out _) ? value : 0;
    }

    static TimeSpan Total(ReadOnlySpan<byte> line)
    {
        var at = line.IndexOf("total="u8);
        return at >= 0 && CgroupFiles.Number(line[(at + 6)..]) is { } value ? TimeSpan.FromTicks(Math.Min(value, long.MaxValue / 10) * 10) : TimeSpan.Zero;
    }
}
