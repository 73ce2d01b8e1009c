namespace Containers.Linux.Cgroups;

sealed partial class LimitPlan
{
    /// <summary>The change that takes these limits away, as far as they are set.</summary>
    /// <exception cref="CgroupNotSupportedException">A named one is of a controller that this host does not have.</exception>
    internal static CgroupLimitChange Cleared(ControlGroup group, CgroupLimits now, IReadOnlyCollection<CgroupLimitName>? names)
    {
        foreach (var name in names ?? [])
        {
            try { group.Host.Require(ControllerOf(name)); }
            catch (CgroupNotSupportedException e) when (name != CgroupLimitName.DeviceRule || group.Host.Unified is null) { throw new CgroupNotSupportedException(name.ToString(), e.Message); }
            catch (CgroupNotSupportedException) { }
        }
        bool Named(CgroupLimitName name) => names is null || names.Contains(name);
        long? None(CgroupLimitName name, long? value) => Named(name) && value is not null ? -1 : null;

        var parent = CgroupPath.Parent(group.Path);
        var cpuset = group.Host.Find("cpuset");
        string? Inherited(CgroupLimitName name, string? value, string file)
        {
            var without = cpuset is { Version: 1 } ? CgroupFiles.ReadText(cpuset.Folder(parent), file) : "";
            return Named(name) && value is not null && value != without ? "" : null;
        }
        var io = new List<CgroupIoLimit>();
        if (Named(CgroupLimitName.IoLimit))
        {
            foreach (var limit in now.Io)
            {
                io.Add(new(limit.Device, limit.ReadBytes is null ? null : -1, limit.WriteBytes is null ? null : -1, limit.ReadOperations is null ? null : -1, limit.WriteOperations is null ? null : -1));
            }
        }
        return new CgroupLimitChange
        {
            Memory = None(CgroupLimitName.Memory, now.Memory),
            MemorySwap = None(CgroupLimitName.MemorySwap, now.MemorySwap),
            MemoryHigh = None(CgroupLimitName.MemoryHigh, now.MemoryHigh),
            MemoryLow = None(CgroupLimitName.MemoryLow, now.MemoryLow),
            MemoryMinimum = None(CgroupLimitName.MemoryMinimum, now.MemoryMinimum),
            // On v2 it is another word for the one before, and goes with it.
            MemoryReservation = now.MemoryLow is not null && Named(CgroupLimitName.MemoryLow) ? null : None(CgroupLimitName.MemoryReservation, now.MemoryReservation),
            Swappiness = Named(CgroupLimitName.Swappiness) && now.Swappiness is not null ? Swappiness(group, parent, now.Swappiness.Value) : null,
            Cpu = Named(CgroupLimitName.Cpu) && now.CpuQuota is not null ? -1 : null,
            CpuBurst = (Named(CgroupLimitName.CpuBurst) || Named(CgroupLimitName.Cpu)) && now.CpuBurst > TimeSpan.Zero ? TimeSpan.Zero : null,
            CpuIdle = Named(CgroupLimitName.CpuIdle) && now.CpuIdle == true ? false : null,
            CpuWeight = Named(CgroupLimitName.CpuWeight) && now.CpuIdle != true && now.CpuShares is not (null or 1024) && now.CpuWeight is not 100 ? 100 : null,
            CpuSet = Inherited(CgroupLimitName.CpuSet, now.Cpus, "cpuset.cpus"),
            MemorySet = Inherited(CgroupLimitName.MemorySet, now.MemoryNodes, "cpuset.mems"),
            CpuSetPartition = Named(CgroupLimitName.CpuSetPartition) && now.CpuSetPartition is not (null or "member") ? CgroupPartition.Member : null,
            ProcessLimit = None(CgroupLimitName.ProcessLimit, now.Pids),
            IoWeight = Named(CgroupLimitName.IoWeight) && now.IoWeight is not (null or 100) ? 100 : null,
            IoLimit = io.Count > 0 ? io : null,
            IoLatency = Named(CgroupLimitName.IoLatency) && now.IoLatency.Count > 0 ? All(now.IoLatency, TimeSpan.Zero) : null,
            HugePageLimit = Named(CgroupLimitName.HugePageLimit) && now.HugePages.Count > 0 ? All(now.HugePages, -1L) : null,
            RdmaLimit = Named(CgroupLimitName.RdmaLimit) && now.Rdma.Count > 0 ? All(now.Rdma, "hca_handle=max hca_object=max") : null,
            NetClass = Named(CgroupLimitName.NetClass) && now.NetClass is not null ? 0 : null,
            NetPriority = Named(CgroupLimitName.NetPriority) && now.NetPriority.Count > 0 ? All(now.NetPriority, 0U) : null,
            // A program of the v2 tree is only replaced when asked for: nobody can see whether there is one.
            DeviceRule = (names is null ? now.DeviceRules is not null : names.Contains(CgroupLimitName.DeviceRule)) ? [new() { Allow = true, Type = "a", Access = "rwm" }] : null,
            OomGroup = Named(CgroupLimitName.OomGroup) && now.OomGroup == true ? false : null,
            OomKillDisable = Named(CgroupLimitName.OomKillDisable) && now.OomKillDisable == true ? false : null,
        };
    }

    // A new group has what its parent has.
    static long? Swappiness(ControlGroup group, string parent, long now) =>
        group.Host.Find("memory") is { } memory && CgroupFiles.ReadNumber(memory.Folder(parent), "memory.swappiness") is { } above && above != now ? above : null;

    static Dictionary<string, T> All<TOld, T>(IReadOnlyDictionary<string, TOld> now, T none)
    {
        var all = new Dictionary<string, T>();
        foreach (var (key, _) in now) { all[key] = none; }
        return all;
    }

    /// <summary>Whether that version of cgroups has it at all.</summary>
    internal static bool IsIn(CgroupLimitName name, int version) => name switch
    {
        CgroupLimitName.MemoryHigh or CgroupLimitName.MemoryLow or CgroupLimitName.MemoryMinimum or CgroupLimitName.OomGroup or CgroupLimitName.CpuSetPartition
            or CgroupLimitName.IoLatency => version == 2,
        CgroupLimitName.Swappiness or CgroupLimitName.OomKillDisable or CgroupLimitName.NetClass or CgroupLimitName.NetPriority => version == 1,
        _ => true,
    };

    /// <summary>By the name that v2 has for it, where both have it.</summary>
    internal static string ControllerOf(CgroupLimitName name) => name switch
    {
        CgroupLimitName.Cpu or CgroupLimitName.CpuWeight or CgroupLimitName.CpuBurst or CgroupLimitName.CpuIdle => "cpu",
        CgroupLimitName.CpuSet or CgroupLimitName.MemorySet or CgroupLimitName.CpuSetPartition => "cpuset",
        CgroupLimitName.ProcessLimit => "pids",
        CgroupLimitName.IoWeight or CgroupLimitName.IoLimit or CgroupLimitName.IoLatency => "io",
        CgroupLimitName.HugePageLimit => "hugetlb",
        CgroupLimitName.RdmaLimit => "rdma",
        CgroupLimitName.NetClass => "net_cls",
        CgroupLimitName.NetPriority => "net_prio",
        CgroupLimitName.DeviceRule => "devices",
        _ => "memory",
    };
}
