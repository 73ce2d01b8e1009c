using System.Globalization;

namespace Containers.Linux.Cgroups;

sealed partial class LimitPlan
{
    const long UsualPeriod = 100_000; // microseconds, the kernel's own default
    const long LeastQuota = 1000;

    void Cpu()
    {
        if (change is { Cpu: null, CpuWeight: null, CpuBurst: null, CpuIdle: null }) { return; }
        if (change.Cpu is { } cpu && cpu != -1 && !(cpu >= 0.01 && cpu <= 8192)) { throw Invalid(nameof(change.Cpu), cpu, "it is a number of processors from 0.01 to 8192, or -1 for no limit"); }
        if (change.CpuWeight is < 1 or > 10000) { throw Invalid(nameof(change.CpuWeight), change.CpuWeight, "it is from 1 to 10000; 100 is the default"); }
        if (change.CpuBurst is { } b && (b < TimeSpan.Zero || b > TimeSpan.FromHours(1))) { throw Invalid(nameof(change.CpuBurst), b, "it is a time of up to one period's quota, such as 20ms"); }
        if (change is { CpuIdle: true, CpuWeight: not null }) { throw Invalid(nameof(change.CpuWeight), change.CpuWeight, "an idle group has no weight: give one of CpuIdle and CpuWeight"); }
        var first = change.Cpu is not null ? nameof(change.Cpu) : change.CpuWeight is not null ? nameof(change.CpuWeight) : change.CpuBurst is not null ? nameof(change.CpuBurst) : nameof(change.CpuIdle);
        var folder = Folder(first, "cpu", out var version);
        Idle(folder, version == 1 ? "cpu.shares" : "cpu.weight");
        if (change.CpuWeight is { } weight)
        {
            if (change.CpuIdle is null && CgroupFiles.ReadNumber(folder, "cpu.idle") == 1) { throw Invalid(nameof(change.CpuWeight), weight, "the group is idle and has no weight; give -CpuIdle $false as well"); }
            if (version == 1) { Add(nameof(change.CpuWeight), folder, "cpu.shares", Text((long)ResourceValues.SharesOf(weight))); }
            else { Add(nameof(change.CpuWeight), folder, "cpu.weight", Text(weight)); }
        }
        if (version == 1) { QuotaV1(folder); }
        else { QuotaV2(folder); }
    }

    // A group that becomes idle loses its weight for ever: putting that back is two writes.
    void Idle(string folder, string weightFile)
    {
        if (change.CpuIdle is not { } idle) { return; }
        Need(nameof(change.CpuIdle), folder, "cpu.idle");
        var now = CgroupFiles.ReadNumber(folder, "cpu.idle");
        if (now == (idle ? 1 : 0)) { return; }
        List<(string, string)> undo = now is null ? [] : [("cpu.idle", Text(now.Value))];
        if (now == 0 && CgroupFiles.ReadText(folder, weightFile) is { } weight) { undo.Add((weightFile, weight)); }
        writes.Add(new(folder, "cpu.idle", idle ? "1" : "0", nameof(change.CpuIdle), now is null ? null : Text(now.Value)) { Undo = undo });
    }

    void QuotaV1(string folder)
    {
        var (period, now) = (CgroupFiles.ReadNumber(folder, "cpu.cfs_period_us") ?? UsualPeriod, CgroupFiles.ReadNumber(folder, "cpu.cfs_quota_us") ?? -1);
        var nowBurst = CgroupFiles.ReadNumber(folder, "cpu.cfs_burst_us") ?? 0;
        var (quota, newPeriod) = Quota(period);
        if (quota > 0) { RefuseAboveParent(quota.Value, newPeriod); }
        var burst = Burst(quota ?? now, nowBurst);

        // A burst is never above the quota: it goes down before the quota does, and up after it.
        if (burst < nowBurst) { Add(nameof(change.CpuBurst), folder, "cpu.cfs_burst_us", Text(burst.Value)); }
        if (newPeriod != period)
        {
            // With no quota between them, no pair of the old and the new is looked at.
            if (now > 0) { Add(nameof(change.Cpu), folder, "cpu.cfs_quota_us", "-1"); }
            Add(nameof(change.Cpu), folder, "cpu.cfs_period_us", Text(newPeriod));
        }
        if (quota is not null) { Add(nameof(change.Cpu), folder, "cpu.cfs_quota_us", Text(quota.Value)); }
        if (burst > nowBurst) { Add(nameof(change.CpuBurst), folder, "cpu.cfs_burst_us", Text(burst.Value)); }
    }

    void QuotaV2(string folder)
    {
        var max = (CgroupFiles.ReadText(folder, "cpu.max") ?? "max " + UsualPeriod).Split(' ');
        var period = max.Length > 1 && long.TryParse(max[1], NumberStyles.None, CultureInfo.InvariantCulture, out var p) ? p : UsualPeriod;
        var now = long.TryParse(max[0], NumberStyles.None, CultureInfo.InvariantCulture, out var q) ? q : -1;
        var nowBurst = CgroupFiles.ReadNumber(folder, "cpu.max.burst") ?? 0;
        var (quota, newPeriod) = Quota(period);
        var burst = Burst(quota ?? now, nowBurst);
        if (burst < nowBurst) { Add(nameof(change.CpuBurst), folder, "cpu.max.burst", Text(burst.Value)); }
        if (quota is not null) { Add(nameof(change.Cpu), folder, "cpu.max", $"{Max(quota.Value)} {Text(newPeriod)}"); }
        if (burst > nowBurst) { Add(nameof(change.CpuBurst), folder, "cpu.max.burst", Text(burst.Value)); }
    }

    /// <summary>Microseconds: the quota asked for (-1 for none, null for "stays"), and the period that it is in.</summary>
    (long? Quota, long Period) Quota(long period)
    {
        if (change.Cpu is not { } cpu) { return (null, period); }
        if (cpu == -1) { return (-1, period); }
        var quota = (long)Math.Round(cpu * period);
        return quota >= LeastQuota ? (quota, period) : ((long)Math.Round(cpu * UsualPeriod), UsualPeriod);
    }

    /// <summary>Microseconds; null for "stays".</summary>
    long? Burst(long quota, long now)
    {
        if (change.CpuBurst is not { } asked)
        {
            return quota <= 0 || now <= quota ? null : throw Invalid(nameof(change.Cpu), change.Cpu, $"its quota would be below the burst, which is {now} µs; give -CpuBurst as well");
        }
        var burst = asked.Ticks / TimeSpan.TicksPerMicrosecond;
        if (burst > 0 && quota <= 0) { throw Invalid(nameof(change.CpuBurst), asked, "a burst needs a limit: give -Cpu as well"); }
        return burst <= quota || burst == 0 ? burst : throw Invalid(nameof(change.CpuBurst), asked, $"it is at most one period's quota, {quota} µs");
    }

    // v2 cuts it down to what the parent has; v1 refuses it.
    void RefuseAboveParent(long quota, long period)
    {
        for (var path = CgroupPath.Parent(group.Path); path != "/"; path = CgroupPath.Parent(path))
        {
            var folder = Host.Require("cpu").Folder(path);
            if (CgroupFiles.ReadNumber(folder, "cpu.cfs_quota_us") is > 0 and var limit && CgroupFiles.ReadNumber(folder, "cpu.cfs_period_us") is > 0 and var of)
            {
                if ((double)quota / period > (double)limit / of) { throw Invalid(nameof(change.Cpu), change.Cpu, $"its parent {path} has {(double)limit / of} processors, and v1 lets no group have more than its parent"); }
                return;
            }
        }
    }

    void CpuSets()
    {
        if (change is { CpuSet: null, MemorySet: null, CpuSetPartition: null }) { return; }
        var folder = Folder(change.CpuSet is not null ? nameof(change.CpuSet) : change.MemorySet is not null ? nameof(change.MemorySet) : nameof(change.CpuSetPartition), "cpuset", out var version);
        var parent = Host.Require("cpuset").Folder(CgroupPath.Parent(group.Path));
        if (change.CpuSet is { } cpus) { Set(nameof(change.CpuSet), cpus, "cpuset.cpus", version == 1 ? "cpuset.effective_cpus" : "cpuset.cpus.effective"); }
        if (change.MemorySet is { } nodes) { Set(nameof(change.MemorySet), nodes, "cpuset.mems", version == 1 ? "cpuset.effective_mems" : "cpuset.mems.effective"); }
        if (change.CpuSetPartition is { } partition)
        {
            Refuse(version == 1, CgroupLimitName.CpuSetPartition, "partitions are v2's; on v1 set cpuset.cpu_exclusive by -Value");
            Add(nameof(change.CpuSetPartition), folder, "cpuset.cpus.partition", partition switch { CgroupPartition.Root => "root", CgroupPartition.Isolated => "isolated", _ => "member" },
                // What an invalid partition says has the reason behind it.
                CgroupFiles.ReadText(folder, "cpuset.cpus.partition")?.Split(' ')[0]);
        }

        void Set(string limit, string list, string file, string effective)
        {
            var offered = CpuList.Parse(CgroupFiles.ReadText(parent, effective) ?? "");
            if (list.Length == 0)
            {
                // On v1 a group without any takes no processes, so that "no limit" is what its parent has.
                Add(limit, folder, file, version == 1 ? CgroupFiles.ReadText(parent, file) ?? "" : "\n");
                return;
            }
            var asked = CpuList.Parse(list) ?? throw Invalid(limit, list, "it is a list such as 0-3,7");
            foreach (var one in asked)
            {
                if (offered is { Count: > 0 } && !offered.Contains(one)) { throw Invalid(limit, list, $"{one} is none of those that {CgroupPath.Parent(group.Path)} has, {CgroupFiles.ReadText(parent, effective)}"); }
            }
            Add(limit, folder, file, list);
        }
    }
}

/// <summary>Lists of processors and memory nodes, such as <c>0-3,7</c> (cpuset(7), List format).</summary>
static class CpuList
{
    const int Most = 1 << 16;

    /// <returns>In rising order; null for what is no list.</returns>
    internal static SortedSet<int>? Parse(string text)
    {
        var set = new SortedSet<int>();
        if (text.Length == 0) { return set; }
        foreach (var part in text.Split(','))
        {
            var dash = part.IndexOf('-');
            var from = dash < 0 ? part : part[..dash];
            var to = dash < 0 ? part : part[(dash + 1)..];
            if (!int.TryParse(from, NumberStyles.None, CultureInfo.InvariantCulture, out var a) || !int.TryParse(to, NumberStyles.None, CultureInfo.InvariantCulture, out var b) || a > b || b >= Most) { return null; }
            for (; a <= b; a++) { set.Add(a); }
        }
        return set;
    }
}
