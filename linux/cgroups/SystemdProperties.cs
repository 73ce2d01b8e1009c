using System.Globalization;
using Containers.Linux.Oci;

namespace Containers.Linux.Cgroups;

/// <summary>A property of a unit (org.freedesktop.systemd1(5)).</summary>
/// <param name="Type">Its D-Bus type: <c>t</c>, <c>s</c>, <c>b</c>, <c>as</c>, <c>au</c>, <c>ay</c>, <c>a(ss)</c>, <c>a(st)</c>.</param>
/// <param name="Value"><see cref="ulong"/>, <see cref="string"/>, <see cref="bool"/>, or an array of string, uint, byte, pairs of strings, or pairs of string and ulong.</param>
public sealed record SystemdProperty(string Name, string Type, object Value);

/// <summary>
/// Limits as systemd has them. It writes them again whenever it reloads, so what it is not told would be lost then; what it has no word for stays as we write it, for the
/// unit is delegated.
/// </summary>
public static class SystemdProperties
{
    // systemd keeps whole hundredths of a processor. Upwards, so that the exact quota, which is written after it, fits.
    const ulong QuotaStep = 10_000;

    /// <param name="v2">Whether the host has the v2 tree alone.</param>
    /// <param name="groupsOf">What /proc/devices says, for rules about whole majors.</param>
    /// <param name="devices">Also where the spec has no rules: for a new container.</param>
    /// <exception cref="CgroupException"><c>CgroupLimitRefused</c>.</exception>
    public static List<SystemdProperty> Of(LinuxResources? resources, bool v2, bool devices, string groupsOf)
    {
        var list = new List<SystemdProperty>();
        if (devices || resources?.Devices is not null) { Devices(list, resources?.Devices, groupsOf); }
        if (resources?.Memory is { } memory) { Memory(list, memory, v2); }
        if (resources?.Cpu is { } cpu) { Cpu(list, cpu, v2); }
        if (ResourceValues.Given(resources?.Pids?.Limit) is { } pids) { list.Add(Number("TasksMax", pids)); }
        if (!v2 && ResourceValues.Given(resources?.BlockIo?.Weight) is { } weight) { list.Add(new("BlockIOWeight", "t", (ulong)weight)); }
        if (v2 && ResourceValues.Given(resources?.BlockIo?.Weight) is { } ioWeight) { list.Add(new("IOWeight", "t", ResourceValues.BlkioToIoWeight((ushort)ioWeight))); }
        foreach (var (file, value) in resources?.Unified ?? []) { Unified(list, file, value); }
        return list;
    }

    static void Memory(List<SystemdProperty> list, LinuxMemory memory, bool v2)
    {
        if (ResourceValues.Given(memory.Limit) is { } limit) { list.Add(Number(v2 ? "MemoryMax" : "MemoryLimit", limit)); }
        if (!v2) { return; }
        if (ResourceValues.Given(memory.Reservation) is { } low) { list.Add(Number("MemoryLow", low)); }
        if (memory.Limit is not null && ResourceValues.SwapAlone(memory.Swap, memory.Limit) is { } swap) { list.Add(Number("MemorySwapMax", swap)); }
    }

    static void Cpu(List<SystemdProperty> list, LinuxCpu cpu, bool v2)
    {
        if (ResourceValues.Given(cpu.Shares) is { } shares && cpu.Idle != 1) { list.Add(v2 ? new("CPUWeight", "t", ResourceValues.SharesToWeight(shares)) : new("CPUShares", "t", shares)); }
        var period = ResourceValues.Given(cpu.Period);
        if (period is not null) { list.Add(new("CPUQuotaPeriodUSec", "t", period.Value)); }
        if (ResourceValues.Given(cpu.Quota) is { } quota)
        {
            // As with runc: of a period that is given alone, systemd keeps the quota that it has.
            var perSecond = quota < 0 ? ulong.MaxValue : (ulong)((UInt128)(ulong)quota * 1_000_000 / (period ?? 100_000));
            if (perSecond != ulong.MaxValue && perSecond % QuotaStep != 0) { perSecond += QuotaStep - (perSecond % QuotaStep); }
            list.Add(new("CPUQuotaPerSecUSec", "t", perSecond));
        }
        if (!v2) { return; }
        if (!string.IsNullOrEmpty(cpu.Cpus)) { list.Add(new("AllowedCPUs", "ay", Bits("cpu.cpus", cpu.Cpus))); }
        if (!string.IsNullOrEmpty(cpu.Mems)) { list.Add(new("AllowedMemoryNodes", "ay", Bits("cpu.mems", cpu.Mems))); }
    }

    static void Unified(List<SystemdProperty> list, string file, string value)
    {
        var name = file switch
        {
            "memory.max" => "MemoryMax",
            "memory.high" => "MemoryHigh",
            "memory.low" => "MemoryLow",
            "memory.min" => "MemoryMin",
            "memory.swap.max" => "MemorySwapMax",
            "pids.max" => "TasksMax",
            "cpu.weight" => "CPUWeight",
            "io.weight" => "IOWeight",
            _ => null,
        };
        // Whatever is not a plain number is the kernel's to judge, in its own file.
        if (name is null) { return; }
        if (value == "max") { list.Add(new(name, "t", ulong.MaxValue)); }
        else if (ulong.TryParse(value.StartsWith("default ", StringComparison.Ordinal) ? value[8..] : value, NumberStyles.None, CultureInfo.InvariantCulture, out var number)) { list.Add(new(name, "t", number)); }
    }

    /// <summary>systemd can only add to nothing: the rules that allow. What a rule in between takes away, our own rules of the group do, which hold as well.</summary>
    static void Devices(List<SystemdProperty> list, List<LinuxDeviceCgroup>? spec, string groupsOf)
    {
        var (everything, allowed) = Allowed(spec, groupsOf);
        list.Add(new("DevicePolicy", "s", everything ? "auto" : "strict"));
        list.Add(new("DeviceAllow", "a(ss)", allowed.ToArray()));
    }

    /// <returns>Whether everything is allowed, and what else is: devices by systemd's names, with their accesses.</returns>
    internal static (bool Everything, List<(string Device, string Access)> Devices) Allowed(List<LinuxDeviceCgroup>? spec, string groupsOf)
    {
        var (everything, rules) = DeviceRules.Read(spec);
        var allowed = new List<(string, string)>();
        foreach (var rule in rules)
        {
            if (everything || !rule.Allow) { continue; }
            foreach (var kind in rule.Type == 'a' ? "bc" : rule.Type.ToString())
            {
                var word = kind == 'b' ? "block" : "char";
                if (rule.Major is null) { allowed.Add((word + "-*", rule.Letters)); }
                else if (rule.Minor is not null) { allowed.Add(($"/dev/{word}/{rule.Major}:{rule.Minor}", rule.Letters)); }
                // A major that no driver has taken has no devices either.
                else if (GroupName(groupsOf, kind, rule.Major.Value) is { } name) { allowed.Add(($"{word}-{name}", rule.Letters)); }
            }
        }
        return (everything, allowed);
    }

    static string? GroupName(string groups, char kind, uint major)
    {
        var section = ' ';
        foreach (var line in groups.Split('\n'))
        {
            if (line.StartsWith("Character devices", StringComparison.Ordinal)) { section = 'c'; }
            else if (line.StartsWith("Block devices", StringComparison.Ordinal)) { section = 'b'; }
            else if (section == kind && line.Trim().Split(' ', 2) is [var number, var name] && number == major.ToString(CultureInfo.InvariantCulture)) { return name; }
        }
        return null;
    }

    /// <summary>A list such as <c>0-3,7</c> as the bits that systemd takes.</summary>
    /// <exception cref="CgroupException"><c>CgroupLimitRefused</c>.</exception>
    public static byte[] Bits(string name, string list)
    {
        var bits = new byte[1];
        foreach (var part in list.Split(','))
        {
            var ends = part.Trim().Split('-');
            if (ends.Length > 2 || !ushort.TryParse(ends[0], NumberStyles.None, CultureInfo.InvariantCulture, out var first)
                || !ushort.TryParse(ends[^1], NumberStyles.None, CultureInfo.InvariantCulture, out var last) || last < first || last >= 8192)
            {
                throw ResourceValues.Refused($"{name}: \"{CgroupPath.Printable(list)}\" is not a list such as 0-3,7");
            }
            if (last / 8 >= bits.Length) { Array.Resize(ref bits, (last / 8) + 1); }
            for (var i = first; i <= last; i++) { bits[i / 8] |= (byte)(1 << (i % 8)); }
        }
        return bits;
    }

    static SystemdProperty Number(string name, long value) => new(name, "t", value < 0 ? ulong.MaxValue : (ulong)value);
}
