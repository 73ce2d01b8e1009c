using System.Globalization;
using Containers.Linux.Oci;

namespace Containers.Linux.Cgroups;

/// <summary>OCI limits as files of the v2 tree (kernel: admin-guide/cgroup-v2).</summary>
static class ResourcesV2
{
    internal static void Memory(string folder, LinuxMemory memory)
    {
        Refuse(memory.Swappiness is not null, "memory.swappiness");
        Refuse(memory.DisableOomKiller == true, "memory.disableOOMKiller");
        Refuse(memory.UseHierarchy == false, "memory.useHierarchy");
        Refuse(ResourceValues.Given(memory.Kernel) is not null, "memory.kernel");
        Refuse(ResourceValues.Given(memory.KernelTcp) is not null, "memory.kernelTCP");

        var limit = ResourceValues.Given(memory.Limit);
        // The limit that swap is counted with may have been set before.
        var swap = ResourceValues.SwapAlone(memory.Swap, limit ?? (memory.Swap > 0 ? CgroupFiles.ReadNumber(folder, "memory.max") : null));
        if (memory.CheckBeforeUpdate == true && limit > 0 && CgroupFiles.ReadNumber(folder, "memory.current") is { } usage && usage >= limit)
        {
            throw ResourceValues.Refused($"memory.limit: {limit} bytes are refused, because {usage} are in use in {folder}");
        }
        // On a kernel that counts no swap, none and no limit are true already.
        if (swap is not null && (swap > 0 || CgroupFiles.Exists(folder, "memory.swap.max"))) { CgroupFiles.Set(folder, "memory.swap.max", ResourceValues.OrMax(swap.Value)); }
        if (limit is not null) { CgroupFiles.Set(folder, "memory.max", ResourceValues.OrMax(limit.Value)); }
        // Of all that v2 has, "low" is what a v1 soft limit promises: taken from others first while below it.
        if (ResourceValues.Given(memory.Reservation) is { } low) { CgroupFiles.Set(folder, "memory.low", ResourceValues.OrMax(low)); }
    }

    internal static void Cpu(string folder, LinuxCpu cpu)
    {
        Refuse(ResourceValues.Given(cpu.RealtimePeriod) is not null, "cpu.realtimePeriod");
        Refuse(ResourceValues.Given(cpu.RealtimeRuntime) is not null, "cpu.realtimeRuntime");
        if (cpu.Idle is { } idle) { CgroupFiles.Set(folder, "cpu.idle", idle); }
        // A group that is idle has no weight, and the kernel refuses to give it one.
        if (ResourceValues.Given(cpu.Shares) is { } shares && cpu.Idle != 1) { CgroupFiles.Set(folder, "cpu.weight", ResourceValues.SharesToWeight(shares)); }

        var quota = ResourceValues.Given(cpu.Quota);
        var period = ResourceValues.Given(cpu.Period);
        var laterBurst = cpu.Burst is not null && ResourcesV1.Deferred(folder, "cpu.max.burst", cpu.Burst.Value, quota is not null);
        if (quota is not null || period is not null)
        {
            // The kernel keeps the old period when none is given, but always wants a quota.
            var text = quota is not null ? ResourceValues.OrMax(quota.Value) : (CgroupFiles.ReadText(folder, "cpu.max") ?? "max").Split(' ')[0];
            if (period is not null) { text += " " + period.Value.ToString(CultureInfo.InvariantCulture); }
            CgroupFiles.Set(folder, "cpu.max", text);
        }
        if (laterBurst) { CgroupFiles.Set(folder, "cpu.max.burst", cpu.Burst!.Value); }
    }

    internal static void BlockIo(string folder, LinuxBlockIo io)
    {
        Refuse(ResourceValues.Given(io.LeafWeight) is not null, "blockIO.leafWeight");
        // BFQ's weight reaches to 1000 as the specification's does; io.weight belongs to iocost and reaches to 10000.
        var bfq = CgroupFiles.Exists(folder, "io.bfq.weight");
        if (ResourceValues.Given(io.Weight) is { } weight)
        {
            CgroupFiles.Set(folder, bfq ? "io.bfq.weight" : "io.weight", bfq ? weight : ResourceValues.BlkioToIoWeight((ushort)weight));
        }
        foreach (var device in io.WeightDevice ?? [])
        {
            Refuse(ResourceValues.Given(device.LeafWeight) is not null, "blockIO.weightDevice.leafWeight");
            if (device.Weight is { } own)
            {
                CgroupFiles.Set(folder, bfq ? "io.bfq.weight" : "io.weight", $"{Device(device.Major, device.Minor)} {(bfq ? own : ResourceValues.BlkioToIoWeight(own))}");
            }
        }
        Throttle(folder, "rbps", io.ThrottleReadBpsDevice);
        Throttle(folder, "wbps", io.ThrottleWriteBpsDevice);
        Throttle(folder, "riops", io.ThrottleReadIopsDevice);
        Throttle(folder, "wiops", io.ThrottleWriteIopsDevice);
    }

    static void Throttle(string folder, string key, List<LinuxThrottleDevice>? devices)
    {
        foreach (var device in devices ?? [])
        {
            // 0 takes a limit away on v1, where the specification has it from.
            var rate = device.Rate is null or 0 ? "max" : device.Rate.Value.ToString(CultureInfo.InvariantCulture);
            CgroupFiles.Set(folder, "io.max", $"{Device(device.Major, device.Minor)} {key}={rate}");
        }
    }

    /// <summary>Settings by the names of v2's own files; none of those that act on processes.</summary>
    internal static void Unified(string folder, Dictionary<string, string> settings)
    {
        foreach (var (file, value) in settings)
        {
            if (file.Contains('/') || !file.Contains('.') || file[0] == '.' || CgroupPath.Printable(file) != file)
            {
                throw ResourceValues.Refused($"unified: \"{CgroupPath.Printable(file)}\" is not the name of a file of a group");
            }
            if (file is "cgroup.procs" or "cgroup.threads" or "cgroup.kill" or "cgroup.freeze" or "cgroup.type" or "cgroup.subtree_control")
            {
                throw ResourceValues.Refused($"unified: {file} acts on processes or children and is no limit");
            }
            // Some files take one line for each device; write(2) takes one at a time.
            foreach (var line in value.Split('\n', StringSplitOptions.RemoveEmptyEntries)) { CgroupFiles.Set(folder, file, line); }
        }
    }

    internal static string Device(long? major, long? minor) =>
        major is >= 0 and <= uint.MaxValue && minor is >= 0 and <= uint.MaxValue ? $"{major}:{minor}"
            : throw ResourceValues.Refused($"blockIO: {major}:{minor} is no device number");

    static void Refuse(bool asked, string feature)
    {
        if (asked) { throw new CgroupNotSupportedException("linux.resources." + feature, "the v2 tree has nothing like it"); }
    }
}
