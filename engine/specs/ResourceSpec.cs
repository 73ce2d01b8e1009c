using System.Globalization;
using Containers.Linux;
using Containers.Linux.Cgroups;
using Containers.Linux.Oci;
using Mono.Unix.Native;

namespace Containers;

/// <summary>Limits as the OCI runtime-spec writes them (config-linux.md, Control groups).</summary>
static class ResourceSpec
{
    const ulong Period = 100_000; // microseconds, the kernel's own default

    internal static LinuxResources Build(ContainerCreateOptions o, List<LinuxDeviceCgroup> deviceRules)
    {
        return new LinuxResources
        {
            Devices = deviceRules,
            Memory = Memory(o),
            Cpu = Cpu(o),
            Pids = o.ProcessLimit is { } pids ? new LinuxPids { Limit = Limit("ProcessLimit", pids) } : null,
            BlockIo = Io(o.IoLimit),
            // The weight itself: of shares, each runtime makes another on v2.
            Unified = o.CpuWeight is { } weight && IsV2() ? new() { ["cpu.weight"] = weight.ToString(CultureInfo.InvariantCulture) } : null,
        };
    }

    static LinuxMemory? Memory(ContainerCreateOptions o)
    {
        if (o is { Memory: null, MemorySwap: null, MemoryReservation: null }) { return null; }
        var limit = o.Memory is { } memory ? Limit("Memory", memory) : (long?)null;
        var swap = o.MemorySwap is { } both ? Limit("MemorySwap", both) : (long?)null;
        var reservation = o.MemoryReservation is { } soft ? Limit("MemoryReservation", soft) : (long?)null;
        if (swap > 0 && limit is null or -1) { throw Bad("MemorySwap", swap, "it is memory and swap together, so it needs Memory too"); }
        if (swap > 0 && swap < limit) { throw Bad("MemorySwap", swap, "it is memory and swap together, so it is at least Memory"); }
        if (reservation > 0 && limit > 0 && reservation > limit) { throw Bad("MemoryReservation", reservation, "it is at most Memory"); }
        // Docker's rule: as much swap as memory. Without swap accounting there is nothing to write to.
        if (limit > 0 && swap is null && SwapIsCounted()) { swap = limit > long.MaxValue / 2 ? -1 : limit * 2; }
        return new LinuxMemory { Limit = limit, Swap = swap, Reservation = reservation };
    }

    static LinuxCpu? Cpu(ContainerCreateOptions o)
    {
        if (o is { Cpu: null, CpuWeight: null, CpuSet: null, MemorySet: null }) { return null; }
        if (o.Cpu is { } cpu && cpu != -1 && !(cpu >= 0.01 && cpu <= 8192)) { throw Bad("Cpu", cpu, "it is a number of processors from 0.01, or -1"); }
        if (o.CpuWeight is < 1 or > 10000) { throw Bad("CpuWeight", o.CpuWeight, "it is from 1 to 10000; 100 is the default"); }
        return new LinuxCpu
        {
            Quota = o.Cpu is null ? null : o.Cpu == -1 ? -1 : (long)Math.Round(o.Cpu.Value * Period),
            Period = o.Cpu is null or -1 ? null : Period,
            Shares = o.CpuWeight is { } weight && !IsV2() ? ResourceValues.SharesOf(weight) : null,
            Cpus = o.CpuSet is null ? null : List("CpuSet", o.CpuSet),
            Mems = o.MemorySet is null ? null : List("MemorySet", o.MemorySet),
        };
    }

    static LinuxBlockIo? Io(IReadOnlyList<ContainerIoLimit>? limits)
    {
        if (limits is not { Count: > 0 }) { return null; }
        var io = new LinuxBlockIo();
        foreach (var limit in limits)
        {
            var (major, minor) = Device(limit.Device);
            io.ThrottleReadBpsDevice = Throttle(io.ThrottleReadBpsDevice, limit.ReadBytes);
            io.ThrottleWriteBpsDevice = Throttle(io.ThrottleWriteBpsDevice, limit.WriteBytes);
            io.ThrottleReadIopsDevice = Throttle(io.ThrottleReadIopsDevice, limit.ReadOperations);
            io.ThrottleWriteIopsDevice = Throttle(io.ThrottleWriteIopsDevice, limit.WriteOperations);

            List<LinuxThrottleDevice>? Throttle(List<LinuxThrottleDevice>? list, long? rate)
            {
                if (rate is null) { return list; }
                if (rate <= 0) { throw Bad("IoLimit", rate, "a rate is above 0; leave it out for no limit"); }
                list ??= [];
                list.Add(new LinuxThrottleDevice { Major = major, Minor = minor, Rate = (ulong)rate });
                return list;
            }
        }
        return io;
    }

    internal static (long Major, long Minor) Device(string text)
    {
        if (text.StartsWith('/'))
        {
            if (Syscall.stat(text, out var stat) != 0 || (stat.st_mode & FilePermissions.S_IFMT) != FilePermissions.S_IFBLK)
            {
                throw Bad("IoLimit", text, "it is not a block device of this host");
            }
            return (Libc.major(stat.st_rdev), Libc.minor(stat.st_rdev));
        }
        var parts = text.Split(':');
        if (parts.Length == 2 && uint.TryParse(parts[0], NumberStyles.None, null, out var major) && uint.TryParse(parts[1], NumberStyles.None, null, out var minor))
        {
            return (major, minor);
        }
        throw Bad("IoLimit", text, "name a device file or major:minor");
    }

    static long Limit(string name, long value) => value is > 0 or -1 ? value : throw Bad(name, value, "it is above 0, or -1 for no limit");

    // Numbers and ranges such as 0-3,7: the kernel has the last word on which exist.
    static string List(string name, string text)
    {
        foreach (var part in text.Split(','))
        {
            var ends = part.Split('-');
            var good = ends.Length <= 2;
            foreach (var end in ends) { good = good && ushort.TryParse(end, NumberStyles.None, null, out _); }
            if (!good) { throw Bad(name, text, "it is a list such as 0-3,7"); }
        }
        return text;
    }

    static bool IsV2() => File.Exists("/sys/fs/cgroup/cgroup.controllers");

    static bool SwapIsCounted()
    {
        if (File.Exists("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes")) { return true; }
        // On a pure v2 host the root group has no memory files; swap that is there is counted.
        return IsV2() && File.ReadAllLines("/proc/swaps").Length > 1;
    }

    internal static ContainerException Bad(string name, object? value, string why) => new(ErrorIds.InvalidArgument,
        string.Create(CultureInfo.InvariantCulture, $"{name} is {value}: {why}."), value, ContainerErrorCategory.InvalidArgument);
}
