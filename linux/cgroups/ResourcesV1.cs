using System.Globalization;
using Containers.Linux.Oci;

namespace Containers.Linux.Cgroups;

/// <summary>OCI limits as files of v1 controllers (kernel: admin-guide/cgroup-v1).</summary>
static class ResourcesV1
{
    internal static void Memory(string folder, LinuxMemory memory)
    {
        var limit = ResourceValues.Given(memory.Limit);
        var swap = ResourceValues.Given(memory.Swap);
        // "No limit" for memory alone has always meant swap as well.
        if (limit == -1 && swap is null && CgroupFiles.Exists(folder, "memory.memsw.limit_in_bytes")) { swap = -1; }
        if (limit > 0 && memory.CheckBeforeUpdate == true) { RefuseBelowUsage(folder, limit.Value); }

        // memory may never be above memory+swap, not even between two writes: whichever grows goes first.
        var now = limit is not null && swap is not null ? CgroupFiles.ReadNumber(folder, "memory.limit_in_bytes") : null;
        var swapFirst = swap is -1 || swap > now;
        if (swap is not null && swapFirst) { CgroupFiles.Set(folder, "memory.memsw.limit_in_bytes", swap.Value); }
        if (limit is not null) { MemoryLimit(folder, limit.Value); }
        if (swap is not null && !swapFirst) { CgroupFiles.Set(folder, "memory.memsw.limit_in_bytes", swap.Value); }

        if (ResourceValues.Given(memory.Reservation) is { } soft) { CgroupFiles.Set(folder, "memory.soft_limit_in_bytes", soft); }
        if (ResourceValues.Given(memory.Kernel) is { } kernel) { CgroupFiles.Set(folder, "memory.kmem.limit_in_bytes", kernel); }
        if (ResourceValues.Given(memory.KernelTcp) is { } tcp) { CgroupFiles.Set(folder, "memory.kmem.tcp.limit_in_bytes", tcp); }
        if (memory.UseHierarchy is { } hierarchy) { CgroupFiles.Set(folder, "memory.use_hierarchy", hierarchy ? 1 : 0); }
        if (memory.DisableOomKiller is { } off && (off || Keyed(folder, "memory.oom_control", "oom_kill_disable"u8) == 1))
        {
            CgroupFiles.Set(folder, "memory.oom_control", off ? 1 : 0);
        }
        if (memory.Swappiness is { } swappiness)
        {
            if (swappiness > 100) { throw ResourceValues.Refused($"memory.swappiness: {swappiness} is above 100"); }
            CgroupFiles.Set(folder, "memory.swappiness", swappiness);
        }
    }

    static void MemoryLimit(string folder, long limit)
    {
        var errno = CgroupFiles.TryWrite(folder, "memory.limit_in_bytes", limit.ToString(CultureInfo.InvariantCulture));
        if (errno == Libc.EBUSY) { RefuseBelowUsage(folder, limit); }
        if (errno != 0) { throw CgroupFiles.Refused(folder, "memory.limit_in_bytes", limit.ToString(CultureInfo.InvariantCulture), errno); }
    }

    static void RefuseBelowUsage(string folder, long limit)
    {
        if (CgroupFiles.ReadNumber(folder, "memory.usage_in_bytes") is { } usage && usage >= limit)
        {
            throw ResourceValues.Refused($"memory.limit: {limit} bytes are refused, because {usage} are in use in {folder}");
        }
    }

    internal static void Cpu(string folder, LinuxCpu cpu)
    {
        if (ResourceValues.Given(cpu.Shares) is { } shares)
        {
            CgroupFiles.Set(folder, "cpu.shares", shares);
            // The kernel moves a number beyond its range into it without a word.
            if (CgroupFiles.ReadNumber(folder, "cpu.shares") is { } now && (ulong)now != shares)
            {
                throw ResourceValues.Refused($"cpu.shares: {shares} is {(shares < (ulong)now ? "below the least" : "above the most")} that the kernel takes, {now}");
            }
        }
        if (cpu.Idle is { } idle) { CgroupFiles.Set(folder, "cpu.idle", idle); }

        // A period or burst that does not fit the old quota may fit the new one: such a refusal waits until the quota is there.
        var quota = ResourceValues.Given(cpu.Quota);
        var period = ResourceValues.Given(cpu.Period);
        var laterPeriod = period is not null && Deferred(folder, "cpu.cfs_period_us", period.Value, quota is not null);
        var laterBurst = cpu.Burst is not null && Deferred(folder, "cpu.cfs_burst_us", cpu.Burst.Value, quota is not null);
        if (quota is not null) { CgroupFiles.Set(folder, "cpu.cfs_quota_us", quota.Value); }
        if (laterPeriod) { CgroupFiles.Set(folder, "cpu.cfs_period_us", period!.Value); }
        if (laterBurst) { CgroupFiles.Set(folder, "cpu.cfs_burst_us", cpu.Burst!.Value); }

        if (ResourceValues.Given(cpu.RealtimePeriod) is { } realtimePeriod) { CgroupFiles.Set(folder, "cpu.rt_period_us", realtimePeriod); }
        if (ResourceValues.Given(cpu.RealtimeRuntime) is { } realtimeRuntime) { CgroupFiles.Set(folder, "cpu.rt_runtime_us", realtimeRuntime); }
    }

    /// <returns>Whether to write it again once the quota is there.</returns>
    internal static bool Deferred(string folder, string file, ulong value, bool quotaFollows)
    {
        var text = value.ToString(CultureInfo.InvariantCulture);
        var errno = CgroupFiles.TryWrite(folder, file, text);
        if (errno == Libc.EINVAL && quotaFollows) { return true; }
        return errno == 0 ? false : throw CgroupFiles.Refused(folder, file, text, errno);
    }

    internal static void Pids(string folder, long limit) => CgroupFiles.Set(folder, "pids.max", ResourceValues.OrMax(limit));

    internal static void BlockIo(string folder, LinuxBlockIo io)
    {
        if (ResourceValues.Given(io.Weight) is { } weight) { CgroupFiles.Set(folder, Scheduler(folder, "weight"), weight); }
        if (ResourceValues.Given(io.LeafWeight) is { } leaf) { CgroupFiles.Set(folder, "blkio.leaf_weight", leaf); }
        foreach (var device in io.WeightDevice ?? [])
        {
            var name = ResourcesV2.Device(device.Major, device.Minor);
            if (device.Weight is { } own) { CgroupFiles.Set(folder, Scheduler(folder, "weight_device"), $"{name} {own}"); }
            if (device.LeafWeight is { } ownLeaf) { CgroupFiles.Set(folder, "blkio.leaf_weight_device", $"{name} {ownLeaf}"); }
        }
        Throttle(folder, "blkio.throttle.read_bps_device", io.ThrottleReadBpsDevice);
        Throttle(folder, "blkio.throttle.write_bps_device", io.ThrottleWriteBpsDevice);
        Throttle(folder, "blkio.throttle.read_iops_device", io.ThrottleReadIopsDevice);
        Throttle(folder, "blkio.throttle.write_iops_device", io.ThrottleWriteIopsDevice);
    }

    // CFQ's file on old kernels, BFQ's on those of today.
    static string Scheduler(string folder, string file) => CgroupFiles.Exists(folder, "blkio." + file) ? "blkio." + file : "blkio.bfq." + file;

    static void Throttle(string folder, string file, List<LinuxThrottleDevice>? devices)
    {
        foreach (var device in devices ?? [])
        {
            CgroupFiles.Set(folder, file, $"{ResourcesV2.Device(device.Major, device.Minor)} {device.Rate ?? 0}");
        }
    }

    internal static void Network(CgroupHost host, string path, LinuxNetwork network)
    {
        if (network.ClassId is { } classId) { CgroupFiles.Set(host.Require("net_cls").Folder(path), "net_cls.classid", classId); }
        foreach (var priority in network.Priorities ?? [])
        {
            var name = priority.Name ?? "";
            if (name.Length is 0 or > 15 || name.AsSpan().ContainsAny(" \t\n/"))
            {
                throw ResourceValues.Refused($"network.priorities.name: \"{CgroupPath.Printable(name)}\" is no interface name");
            }
            CgroupFiles.Set(host.Require("net_prio").Folder(path), "net_prio.ifpriomap", $"{name} {priority.Priority ?? 0}");
        }
    }

    static long? Keyed(string folder, string file, ReadOnlySpan<byte> key) => CgroupFiles.Keyed(CgroupFiles.Read(folder, file), key);
}
