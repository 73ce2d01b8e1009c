using System.Globalization;
using Containers.Linux.Cgroups;
using Containers.Linux.Oci;

namespace Containers;

/// <summary>Limits of a running container on its record, so that its next task begins with them (config-linux.md, Control groups).</summary>
static class RecordedLimits
{
    internal static void Merge(ContainerRecord record, CgroupLimitChange change, CgroupHost host)
    {
        var r = (record.Spec.Linux ??= new LinuxConfig()).Resources ??= new LinuxResources();
        Memory(r, change);
        Cpu(r, change, host);
        if (change.ProcessLimit is { } pids) { r.Pids = pids == -1 ? null : new LinuxPids { Limit = pids }; }
        Io(r, change, host);
        foreach (var (size, bytes) in change.HugePageLimit ?? new Dictionary<string, long>())
        {
            r.HugepageLimits ??= [];
            r.HugepageLimits.RemoveAll(limit => limit.PageSize == size);
            if (bytes >= 0) { r.HugepageLimits.Add(new LinuxHugepageLimit { PageSize = size, Limit = (ulong)bytes }); }
        }
        Rdma(r, change);
        if (change.NetClass is { } mark) { (r.Network ??= new LinuxNetwork()).ClassId = mark == 0 ? null : mark; }
        foreach (var (name, priority) in change.NetPriority ?? new Dictionary<string, uint>())
        {
            var list = (r.Network ??= new LinuxNetwork()).Priorities ??= [];
            list.RemoveAll(one => one.Name == name);
            if (priority > 0) { list.Add(new LinuxInterfacePriority { Name = name, Priority = priority }); }
        }
        if (change.DeviceRule is { } rules) { r.Devices = rules; }
        Files(record, r, change, host);
    }

    static void Memory(LinuxResources r, CgroupLimitChange change)
    {
        if (change is { Memory: null, MemorySwap: null, MemoryReservation: null, Swappiness: null, OomKillDisable: null }) { return; }
        var memory = r.Memory ??= new LinuxMemory();
        if (change.Memory is { } limit)
        {
            memory.Limit = Given(limit);
            // "No limit" for memory means swap as well.
            if (limit == -1 && change.MemorySwap is null) { memory.Swap = null; }
        }
        if (change.MemorySwap is { } swap) { memory.Swap = Given(swap); }
        if (change.MemoryReservation is { } soft) { memory.Reservation = Given(soft); }
        if (change.Swappiness is { } swappiness) { memory.Swappiness = (ulong)swappiness; }
        if (change.OomKillDisable is { } off) { memory.DisableOomKiller = off ? true : null; }
    }

    static long? Given(long value) => value == -1 ? null : value;

    static void Cpu(LinuxResources r, CgroupLimitChange change, CgroupHost host)
    {
        const ulong Period = 100_000;
        if (change is { Cpu: null, CpuWeight: null, CpuBurst: null, CpuIdle: null, CpuSet: null, MemorySet: null }) { return; }
        var cpu = r.Cpu ??= new LinuxCpu();
        if (change.Cpu is { } processors)
        {
            cpu.Quota = processors == -1 ? null : (long)Math.Round(processors * Period);
            cpu.Period = processors == -1 ? null : Period;
        }
        if (change.CpuBurst is { } burst) { cpu.Burst = burst == TimeSpan.Zero ? null : (ulong)(burst.Ticks / TimeSpan.TicksPerMicrosecond); }
        if (cpu.Quota is null) { cpu.Burst = null; }
        if (change.CpuWeight is { } weight) { cpu.Shares = host.Kind == CgroupKind.V2 ? null : ResourceValues.SharesOf(weight); }
        if (change.CpuIdle is { } idle) { cpu.Idle = idle ? 1 : null; }
        if (change.CpuSet is { } cpus) { cpu.Cpus = cpus.Length == 0 ? null : cpus; }
        if (change.MemorySet is { } nodes) { cpu.Mems = nodes.Length == 0 ? null : nodes; }
    }

    static void Io(LinuxResources r, CgroupLimitChange change, CgroupHost host)
    {
        if (change.IoWeight is { } weight && host.Kind != CgroupKind.V2) { (r.BlockIo ??= new LinuxBlockIo()).Weight = (ushort)Math.Clamp(weight, 10, 1000); }
        foreach (var limit in change.IoLimit ?? [])
        {
            var io = r.BlockIo ??= new LinuxBlockIo();
            var numbers = limit.Device.Split(':');
            var (major, minor) = (long.Parse(numbers[0], CultureInfo.InvariantCulture), long.Parse(numbers[1], CultureInfo.InvariantCulture));
            io.ThrottleReadBpsDevice = With(io.ThrottleReadBpsDevice, limit.ReadBytes);
            io.ThrottleWriteBpsDevice = With(io.ThrottleWriteBpsDevice, limit.WriteBytes);
            io.ThrottleReadIopsDevice = With(io.ThrottleReadIopsDevice, limit.ReadOperations);
            io.ThrottleWriteIopsDevice = With(io.ThrottleWriteIopsDevice, limit.WriteOperations);

            List<LinuxThrottleDevice>? With(List<LinuxThrottleDevice>? list, long? rate)
            {
                if (rate is null) { return list; }
                list ??= [];
                list.RemoveAll(one => one.Major == major && one.Minor == minor);
                if (rate > 0) { list.Add(new LinuxThrottleDevice { Major = major, Minor = minor, Rate = (ulong)rate }); }
                return list.Count > 0 ? list : null;
            }
        }
    }

    static void Rdma(LinuxResources r, CgroupLimitChange change)
    {
        foreach (var (device, words) in change.RdmaLimit ?? new Dictionary<string, string>())
        {
            r.Rdma ??= [];
            r.Rdma.Remove(device);
            var limit = new LinuxRdma();
            foreach (var word in words.Split(' '))
            {
                if (!uint.TryParse(word[(word.IndexOf('=') + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out var count)) { continue; }
                if (word.StartsWith("hca_handle", StringComparison.Ordinal)) { limit.HcaHandles = count; }
                else { limit.HcaObjects = count; }
            }
            if ((limit.HcaHandles ?? limit.HcaObjects) is not null) { r.Rdma[device] = limit; }
        }
    }

    // What the spec has no member for is written by its file's name: by the runtime on v2, by the engine where the runtime may not.
    static void Files(ContainerRecord record, LinuxResources r, CgroupLimitChange change, CgroupHost host)
    {
        var files = new Dictionary<string, string?>();
        if (host.Kind == CgroupKind.V2)
        {
            if (change.MemoryHigh is { } high) { files["memory.high"] = high == -1 ? null : Text(high); }
            if (change.MemoryLow is { } low) { files["memory.low"] = low <= 0 ? null : Text(low); }
            if (change.MemoryMinimum is { } minimum) { files["memory.min"] = minimum <= 0 ? null : Text(minimum); }
            if (change.OomGroup is { } together) { files["memory.oom.group"] = together ? "1" : null; }
            if (change.CpuWeight is { } share) { files["cpu.weight"] = share == 100 ? null : Text(share); }
            if (change.IoWeight is { } weight) { files["io.weight"] = weight == 100 ? null : Text(weight); }
            if (change.CpuSetPartition is { } partition) { files["cpuset.cpus.partition"] = partition switch { CgroupPartition.Root => "root", CgroupPartition.Isolated => "isolated", _ => null }; }
            if (change.IoLatency is { Count: > 0 } latency)
            {
                // One file for all devices: what was recorded of others stays.
                var lines = (r.Unified is not null && r.Unified.TryGetValue("io.latency", out var old) ? old.Split('\n') : []).ToList();
                foreach (var (device, target) in latency)
                {
                    lines.RemoveAll(line => line.StartsWith(device + " ", StringComparison.Ordinal));
                    if (target > TimeSpan.Zero) { lines.Add($"{device} target={Text(target.Ticks / TimeSpan.TicksPerMicrosecond)}"); }
                }
                files["io.latency"] = lines.Count == 0 ? null : string.Join('\n', lines);
            }
            foreach (var (file, value) in change.Values ?? new Dictionary<string, string>()) { files[file] = value; }
            foreach (var (file, value) in files)
            {
                r.Unified ??= [];
                if (value is null) { r.Unified.Remove(file); }
                else { r.Unified[file] = value; }
            }
            if (r.Unified?.Count == 0) { r.Unified = null; }
            return;
        }
        foreach (var (file, value) in change.Values ?? new Dictionary<string, string>()) { record.CgroupValues[file] = value; }

        static string Text(long value) => value.ToString(CultureInfo.InvariantCulture);
    }
}
