using System.Globalization;

namespace Containers.Linux.Cgroups;

/// <summary>
/// A change of limits in the words of systemd, for a unit whose group it alone writes: assignments such as <c>MemoryMax=67108864</c> of systemd.resource-control(5), with the
/// names that its bus has for them (org.freedesktop.systemd1(5)). Amounts are bytes, microseconds or numbers; <c>infinity</c> is no limit.
/// </summary>
public static class UnitLimits
{
    const string None = "infinity";
    const string NoProperty = "systemd has no property for it";
    const string V2Alone = "systemd has it on the v2 tree alone";

    /// <param name="now">What the unit's group has.</param>
    /// <param name="v2">Whether the host has the v2 tree alone.</param>
    /// <param name="deviceGroups">What /proc/devices says, for rules about whole majors.</param>
    /// <returns>In the order in which systemd is to take them; empty when all is as it was asked for.</returns>
    /// <exception cref="CgroupNotSupportedException">Something that systemd has no property for.</exception>
    /// <exception cref="CgroupException"><c>InvalidLimit</c>.</exception>
    public static List<string> Of(CgroupLimitChange change, CgroupLimits now, bool v2, string deviceGroups)
    {
        RefuseWithoutProperty(change);
        if (!v2) { RefuseOnV1(change); }
        var list = new List<string>();
        Memory(list, change, now, v2);
        Cpu(list, change, now);
        if (change.ProcessLimit is { } tasks) { list.Add("TasksMax=" + Amount(tasks)); }
        Io(list, change);
        if (change.DeviceRule is not null) { Devices(list, change, deviceGroups); }
        return list;
    }

    static void RefuseWithoutProperty(CgroupLimitChange change)
    {
        Refuse(NoProperty, (change.Swappiness, CgroupLimitName.Swappiness), (change.CpuBurst, CgroupLimitName.CpuBurst), (change.CpuSetPartition, CgroupLimitName.CpuSetPartition),
            (change.HugePageLimit, CgroupLimitName.HugePageLimit), (change.RdmaLimit, CgroupLimitName.RdmaLimit), (change.NetClass, CgroupLimitName.NetClass), (change.NetPriority, CgroupLimitName.NetPriority),
            (change.OomKillDisable, CgroupLimitName.OomKillDisable));
        Refuse("systemd changes it with the unit's file alone: OOMPolicy=kill", (change.OomGroup, CgroupLimitName.OomGroup));
        if (change.Values is not null) { throw new CgroupNotSupportedException("Value", "the files of a unit's group are systemd's to write"); }
    }

    static void RefuseOnV1(CgroupLimitChange change)
    {
        Refuse(V2Alone, (change.MemorySwap, CgroupLimitName.MemorySwap), (change.MemoryHigh, CgroupLimitName.MemoryHigh), (change.MemoryLow, CgroupLimitName.MemoryLow),
            (change.MemoryMinimum, CgroupLimitName.MemoryMinimum), (change.MemoryReservation, CgroupLimitName.MemoryReservation), (change.CpuIdle, CgroupLimitName.CpuIdle), (change.CpuSet, CgroupLimitName.CpuSet),
            (change.MemorySet, CgroupLimitName.MemorySet), (change.IoLatency, CgroupLimitName.IoLatency));
        foreach (var limit in change.IoLimit ?? []) { Refuse("operations: " + V2Alone, (limit.ReadOperations ?? limit.WriteOperations, CgroupLimitName.IoLimit)); }
    }

    static void Memory(List<string> list, CgroupLimitChange change, CgroupLimits now, bool v2)
    {
        if (change.Memory is { } limit) { list.Add("MemoryMax=" + Amount(limit)); }
        if (!v2)
        {
            // Its older word counts where none of the others is set, of which "no limit" is none.
            if (change.Memory is { } same) { list.Add("MemoryLimit=" + Amount(same)); }
            return;
        }
        // Ours is memory and swap together, and stays what it was when memory alone is named; theirs is swap alone.
        var memory = change.Memory is null ? now.Memory : change.Memory == -1 ? null : change.Memory;
        var both = change.MemorySwap ?? (change.Memory == -1 ? -1 : change.Memory is not null && now.Memory is not null ? now.MemorySwap : null);
        if (both == -1) { list.Add("MemorySwapMax=" + None); }
        else if (both is not null && memory is not null) { list.Add("MemorySwapMax=" + Amount(both.Value - memory.Value)); }
        if (change.MemoryHigh is { } high) { list.Add("MemoryHigh=" + Amount(high)); }
        // A promise that is taken back is one of no bytes.
        if ((change.MemoryLow ?? change.MemoryReservation) is { } low) { list.Add("MemoryLow=" + Amount(Math.Max(low, 0))); }
        if (change.MemoryMinimum is { } minimum) { list.Add("MemoryMin=" + Amount(Math.Max(minimum, 0))); }
    }

    static void Cpu(List<string> list, CgroupLimitChange change, CgroupLimits now)
    {
        if (change.Cpu is { } cpu)
        {
            if (cpu != -1 && Math.Abs((cpu * 100) - Math.Round(cpu * 100)) > 1e-6)
            {
                throw new CgroupException("InvalidLimit", string.Create(CultureInfo.InvariantCulture, $"Cpu is {cpu}: systemd keeps whole hundredths of a processor"));
            }
            list.Add("CPUQuotaPerSecUSec=" + (cpu == -1 ? None : Amount((long)Math.Round(cpu * 100) * 10_000)));
        }
        if (change.CpuWeight is { } weight) { list.Add("CPUWeight=" + Amount(weight)); }
        else if (change.CpuIdle == true) { list.Add("CPUWeight=idle"); }
        else if (change.CpuIdle == false && now.CpuIdle == true) { list.Add("CPUWeight=100"); }
        if (change.CpuSet is { } cpus) { list.Add("AllowedCPUs=" + cpus); }
        if (change.MemorySet is { } nodes) { list.Add("AllowedMemoryNodes=" + nodes); }
    }

    static void Io(List<string> list, CgroupLimitChange change)
    {
        if (change.IoWeight is { } weight) { list.Add("IOWeight=" + Amount(weight)); }
        foreach (var limit in change.IoLimit ?? [])
        {
            Rate("IOReadBandwidthMax", limit.Device, limit.ReadBytes);
            Rate("IOWriteBandwidthMax", limit.Device, limit.WriteBytes);
            Rate("IOReadIOPSMax", limit.Device, limit.ReadOperations);
            Rate("IOWriteIOPSMax", limit.Device, limit.WriteOperations);
        }
        foreach (var (device, target) in change.IoLatency ?? new Dictionary<string, TimeSpan>())
        {
            Rate("IODeviceLatencyTargetUSec", device, target == TimeSpan.Zero ? -1 : target.Ticks / TimeSpan.TicksPerMicrosecond);
        }

        void Rate(string name, string device, long? rate)
        {
            if (rate is { } value) { list.Add($"{name}=/dev/block/{device} {Amount(value <= 0 ? -1 : value)}"); }
        }
    }

    static void Devices(List<string> list, CgroupLimitChange change, string deviceGroups)
    {
        foreach (var rule in DeviceRules.Read(change.DeviceRule).Rules)
        {
            if (!rule.Allow) { throw new CgroupNotSupportedException(nameof(CgroupLimitName.DeviceRule), $"systemd allows devices and denies the rest; it has nothing for \"deny {rule}\""); }
        }
        var (everything, allowed) = SystemdProperties.Allowed(change.DeviceRule, deviceGroups);
        list.Add("DevicePolicy=" + (everything ? "auto" : "strict"));
        // Nothing empties the list, and each that follows is added to it.
        list.Add("DeviceAllow=");
        foreach (var (device, access) in allowed) { list.Add($"DeviceAllow={device} {access}"); }
    }

    static string Amount(long value) => value < 0 ? None : value.ToString(CultureInfo.InvariantCulture);

    static void Refuse(string why, params ReadOnlySpan<(object? Asked, CgroupLimitName Limit)> all)
    {
        foreach (var (asked, limit) in all)
        {
            if (asked is not null) { throw new CgroupNotSupportedException(limit.ToString(), why); }
        }
    }
}
