using Containers.Linux.Cgroups;

namespace Containers;

public sealed partial class ContainerCgroups
{
    /// <summary>The limits that are set.</summary>
    /// <exception cref="ContainerException"><c>CgroupNotFound</c>.</exception>
    public CgroupLimit GetLimit(string path) => Guard(path, () =>
    {
        var group = Find(path);
        var limits = group.ReadLimits();
        return new CgroupLimit
        {
            Path = group.Path,
            Memory = limits.Memory,
            MemorySwap = limits.MemorySwap,
            MemoryHigh = limits.MemoryHigh,
            MemoryLow = limits.MemoryLow,
            MemoryMinimum = limits.MemoryMinimum,
            MemoryReservation = limits.MemoryReservation,
            Swappiness = limits.Swappiness,
            Cpu = limits is { CpuQuota: { } quota, CpuPeriod: { } period } && period > TimeSpan.Zero ? quota / period : null,
            CpuWeight = limits.CpuIdle == true ? null : limits.CpuWeight,
            CpuBurst = limits.CpuBurst > TimeSpan.Zero ? limits.CpuBurst : null,
            CpuIdle = limits.CpuIdle,
            CpuSet = limits.Cpus,
            MemorySet = limits.MemoryNodes,
            CpuSetPartition = limits.CpuSetPartition,
            ProcessLimit = limits.Pids,
            IoWeight = limits.IoWeight,
            IoLimit = [.. limits.Io.Select(io => new ContainerIoLimit { Device = io.Device, ReadBytes = io.ReadBytes, WriteBytes = io.WriteBytes, ReadOperations = io.ReadOperations, WriteOperations = io.WriteOperations })],
            IoLatency = limits.IoLatency,
            HugePageLimit = limits.HugePages,
            RdmaLimit = limits.Rdma,
            NetClass = limits.NetClass,
            NetPriority = limits.NetPriority,
            DeviceRule = limits.DeviceRules,
            OomGroup = limits.OomGroup,
            OomKillDisable = limits.OomKillDisable,
            Container = OwnerOf(group.Path),
        };
    });

    /// <summary>Plans a change of limits: everything that can be known to fail is refused here, and nothing is written.</summary>
    /// <exception cref="ContainerException"><c>CgroupNotFound</c>; <c>InvalidArgument</c>: a range, or what the parent has; <c>CgroupLimitRefused</c>: below what is in
    /// use; <c>CgroupNotSupported</c>.</exception>
    public CgroupLimitPlan PlanLimit(string path, CgroupLimitChange change) => Guard(path, () => new CgroupLimitPlan(Find(path).PlanLimits(change), change));

    /// <summary>Plans to take limits away.</summary>
    /// <param name="names">Null for all that are set.</param>
    /// <exception cref="ContainerException"><c>CgroupNotFound</c>, <c>CgroupNotSupported</c>.</exception>
    public CgroupLimitPlan PlanClear(string path, IReadOnlyCollection<CgroupLimitName>? names = null) => Guard(path, () =>
    {
        var group = Find(path);
        var change = group.Clearing(names);
        return new CgroupLimitPlan(group.PlanLimits(change), change);
    });

    /// <summary>Carries a plan out: all of it, or nothing. Limits of a container's group go on its record too, so that its next task has them.</summary>
    /// <exception cref="ContainerException"><c>CgroupLimitRefused</c> with file, value, errno and what it means there; <c>CgroupNotSupported</c>,
    /// <c>CgroupNotPermitted</c>, <c>CgroupReadOnly</c>, <c>CgroupNotFound</c>; <c>StoreUnavailable</c>.</exception>
    public void Apply(CgroupLimitPlan plan, CancellationToken cancel = default)
    {
        if (Owners().TryGetValue(plan.Path, out var owner)) { ApplyToContainer(plan, owner.Namespace, owner.Id, cancel); }
        else { Write(plan); }
    }

    /// <summary>Plans a change, carries it out, and gives the limits as they are then.</summary>
    /// <exception cref="ContainerException">As <see cref="PlanLimit"/> and <see cref="Apply"/>.</exception>
    public CgroupLimit SetLimit(string path, CgroupLimitChange change)
    {
        var plan = PlanLimit(path, change);
        Apply(plan);
        return GetLimit(plan.Path);
    }

    static void Write(CgroupLimitPlan plan) => Guard(plan.Path, () =>
    {
        plan.Plan.Apply();
        return true;
    });

    void ApplyToContainer(CgroupLimitPlan plan, string ns, string id, CancellationToken cancel)
    {
        using var held = engine.Containers.LockAsync(ns, id, cancel).GetAwaiter().GetResult();
        var record = engine.Containers.Load(ns, id);
        RecordedLimits.Merge(record, plan.Change, Host);
        RefuseForRestarts(record);
        Write(plan);
        try
        {
            engine.Containers.Replace(record);
            engine.Tasks.ChangeResources(record);
        }
        catch
        {
            plan.Plan.RollBack();
            throw;
        }
    }

    /// <summary>The shim makes further runs from the bundle alone: values that only the engine writes would be missing from the second on.</summary>
    internal static void RefuseForRestarts(ContainerRecord record)
    {
        if (!record.MayRestart || record.CgroupValues.Count == 0) { return; }
        throw new ContainerException(ErrorIds.NotSupported, $"Container '{record.Id}' may be started again by its shim, and has values of control group files set by name ({string.Join(", ", record.CgroupValues.Keys)}), which a further run would not have on a host with v1 controllers. Use the other parameters of Set-CgroupLimit, or no restart policy.",
            record.Id, ContainerErrorCategory.NotImplemented);
    }

    /// <summary>Sets what a container's record has beyond its spec, once the group of a new task is there.</summary>
    internal void ApplyRecorded(ContainerRecord record)
    {
        if (record.CgroupValues.Count == 0 || PathOf(record) is not { } path) { return; }
        Write(PlanLimit(path, new CgroupLimitChange { Values = record.CgroupValues }));
    }
}
