using System.Globalization;
using Containers.Linux.Oci;

namespace Containers.Linux.Cgroups;

/// <summary>One rule of a spec's <c>linux.resources.devices</c>, read and found good.</summary>
/// <param name="Type"><c>b</c>, <c>c</c>, or <c>a</c> for both.</param>
/// <param name="Major">Null for any, as in <paramref name="Minor"/>.</param>
/// <param name="Access">BPF_DEVCG_ACC_* of what it is about; never none.</param>
readonly record struct DeviceRule(bool Allow, char Type, uint? Major, uint? Minor, int Access)
{
    internal const int All = Libc.BPF_DEVCG_ACC_READ | Libc.BPF_DEVCG_ACC_WRITE | Libc.BPF_DEVCG_ACC_MKNOD;

    /// <summary>Whether it is about all devices and all access, so that those before it are void.</summary>
    internal bool IsWhole => Type == 'a' && Major is null && Minor is null && Access == All;

    /// <summary>As the files of v1 have it.</summary>
    public override string ToString() => IsWhole ? "a" : $"{Type} {Number(Major)}:{Number(Minor)} {Letters}";

    static string Number(uint? number) => number?.ToString(CultureInfo.InvariantCulture) ?? "*";

    /// <summary>The accesses as <c>rwm</c>.</summary>
    internal string Letters =>
        ((Access & Libc.BPF_DEVCG_ACC_READ) != 0 ? "r" : "") + ((Access & Libc.BPF_DEVCG_ACC_WRITE) != 0 ? "w" : "") + ((Access & Libc.BPF_DEVCG_ACC_MKNOD) != 0 ? "m" : "");
}

/// <summary>
/// Device rules as v1 and v2 both mean them. A container begins with everything denied, then come the spec's rules in their order, then the
/// devices that every container has (config-linux.md, Default Devices).
/// </summary>
static class DeviceRules
{
    // Making any node is harmless: what opens it is checked again.
    static readonly DeviceRule[] Defaults =
    [
        new(true, 'c', null, null, Libc.BPF_DEVCG_ACC_MKNOD), new(true, 'b', null, null, Libc.BPF_DEVCG_ACC_MKNOD),
        Char(1, 3), Char(1, 5), Char(1, 7), Char(1, 8), Char(1, 9), // null, zero, full, random, urandom
        Char(5, 0), Char(5, 2), Char(136, null), // tty, ptmx, pts
    ];

    static DeviceRule Char(uint major, uint? minor) => new(true, 'c', major, minor, DeviceRule.All);

    /// <returns>What holds where no rule does, and the rules from there on.</returns>
    /// <exception cref="CgroupException"><c>CgroupLimitRefused</c>: a rule that makes no sense.</exception>
    internal static (bool Everything, List<DeviceRule> Rules) Read(List<LinuxDeviceCgroup>? spec)
    {
        var everything = false;
        var rules = new List<DeviceRule>();
        foreach (var line in spec ?? [])
        {
            var rule = Read(line);
            if (!rule.IsWhole)
            {
                rules.Add(rule);
                continue;
            }
            rules.Clear();
            everything = rule.Allow;
        }
        // Where all is allowed but for some, the defaults must not bring back what a rule has just taken away.
        if (!everything) { rules.AddRange(Defaults); }
        return (everything, rules);
    }

    static DeviceRule Read(LinuxDeviceCgroup rule)
    {
        var type = string.IsNullOrEmpty(rule.Type) ? "a" : rule.Type;
        if (type is not ("a" or "b" or "c")) { throw ResourceValues.Refused($"devices.type: \"{CgroupPath.Printable(type)}\" is not a, b or c"); }
        var access = 0;
        foreach (var c in rule.Access ?? "")
        {
            access |= c switch
            {
                'r' => Libc.BPF_DEVCG_ACC_READ,
                'w' => Libc.BPF_DEVCG_ACC_WRITE,
                'm' => Libc.BPF_DEVCG_ACC_MKNOD,
                _ => throw ResourceValues.Refused($"devices.access: \"{CgroupPath.Printable(rule.Access!)}\" is not made of r, w and m"),
            };
        }
        if (access == 0) { access = type == "a" ? DeviceRule.All : throw ResourceValues.Refused("devices.access: is missing"); }
        return new(rule.Allow ?? false, type[0], Number(rule.Major), Number(rule.Minor), access);
    }

    static uint? Number(long? number) => number switch
    {
        null or -1 => null,
        >= 0 and <= uint.MaxValue => (uint)number.Value,
        _ => throw ResourceValues.Refused($"devices: {number} is no device number"),
    };

    /// <summary>The lines for the files of v1, in their order, the first for everything.</summary>
    internal static List<(string File, string Line)> Lines(List<LinuxDeviceCgroup> spec)
    {
        var (everything, rules) = Read(spec);
        RefuseWhatV1ReadsOtherwise(everything, rules);
        var lines = new List<(string, string)> { (File(everything), "a") };
        foreach (var rule in rules) { lines.Add((File(rule.Allow), rule.ToString())); }
        return lines;

        static string File(bool allow) => allow ? "devices.allow" : "devices.deny";
    }

    /// <summary>Sets them in the devices controller of v1 (kernel: admin-guide/cgroup-v1/devices).</summary>
    internal static void Apply(string folder, List<LinuxDeviceCgroup>? spec)
    {
        var (everything, rules) = Read(spec);
        RefuseWhatV1ReadsOtherwise(everything, rules);
        int allow = -1, deny = -1;
        try
        {
            Write(everything, "a");
            foreach (var rule in rules) { Write(rule.Allow, rule.ToString()); }
        }
        finally
        {
            if (allow >= 0) { Libc.close(allow); }
            if (deny >= 0) { Libc.close(deny); }
        }

        void Write(bool isAllow, string line)
        {
            ref var fd = ref isAllow ? ref allow : ref deny;
            var file = isAllow ? "devices.allow" : "devices.deny";
            if (fd < 0) { fd = Libc.open(folder + "/" + file, Libc.O_WRONLY | Libc.O_CLOEXEC); }
            var errno = fd < 0 ? Libc.errno : CgroupFiles.WriteTo(fd, line + "\n");
            if (errno != 0) { throw CgroupFiles.Refused(folder, file, line, errno); }
        }
    }

    // The kernel keeps one list of exceptions, from "nothing" or from "everything". A rule that takes an exception back has an
    // effect on a line with the very same numbers alone: cutting a hole into a wider line would silently do nothing.
    static void RefuseWhatV1ReadsOtherwise(bool everything, List<DeviceRule> rules)
    {
        for (var i = 0; i < rules.Count; i++)
        {
            var rule = rules[i];
            // It reads no further than the "a": anything narrower would silently become everything.
            if (rule.Type == 'a') { throw ResourceValues.Refused("devices: on v1, a rule of type a is for all devices and all access"); }
            if (rule.Allow != everything) { continue; }
            for (var j = 0; j < i; j++)
            {
                var exception = rules[j];
                if (exception.Allow == everything || (exception.Major == rule.Major && exception.Minor == rule.Minor)) { continue; }
                if (exception.Type == rule.Type && Meet(exception.Major, rule.Major) && Meet(exception.Minor, rule.Minor) && (exception.Access & rule.Access) != 0)
                {
                    throw new CgroupNotSupportedException("linux.resources.devices", $"v1 cannot except \"{rule}\" from \"{exception}\"");
                }
            }
        }
    }

    static bool Meet(uint? a, uint? b) => a is null || b is null || a == b;
}
