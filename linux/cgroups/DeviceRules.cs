using Containers.Linux.Oci;

namespace Containers.Linux.Cgroups;

/// <summary>
/// The devices controller of v1 (kernel: admin-guide/cgroup-v1/devices). A container begins with everything denied, then come the
/// spec's rules in their order, then the devices that every container has (config-linux.md, Default Devices).
/// </summary>
static class DeviceRules
{
    // Making any node is harmless: what opens it is checked again.
    static readonly string[] Defaults =
    [
        "c *:* m", "b *:* m",
        "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm", // null, zero, full, random, urandom
        "c 5:0 rwm", "c 5:2 rwm", "c 136:* rwm", // tty, ptmx, pts
    ];

    /// <summary>What to write, in order: <c>deny</c> or <c>allow</c> and the line.</summary>
    internal static List<(bool Allow, string Line)> Plan(List<LinuxDeviceCgroup>? rules)
    {
        var plan = new List<(bool Allow, string Line)> { (false, "a") };
        var exceptions = new List<string>();
        var everything = false;
        foreach (var rule in rules ?? [])
        {
            var allow = rule.Allow ?? false;
            var line = Line(rule);
            if (line == "a")
            {
                // One rule for all makes those before it void.
                plan.Clear();
                exceptions.Clear();
                plan.Add((allow, line));
                everything = allow;
                continue;
            }
            if (allow == everything) { RefuseHole(exceptions, line); }
            else { exceptions.Add(line); }
            plan.Add((allow, line));
        }
        // Where all is allowed but for some, the defaults must not bring back what a rule has just taken away.
        if (!everything)
        {
            foreach (var line in Defaults) { plan.Add((true, line)); }
        }
        return plan;
    }

    internal static unsafe void Apply(string folder, List<LinuxDeviceCgroup>? rules)
    {
        int allow = -1, deny = -1;
        try
        {
            foreach (var (isAllow, line) in Plan(rules))
            {
                ref var fd = ref isAllow ? ref allow : ref deny;
                var file = isAllow ? "devices.allow" : "devices.deny";
                if (fd < 0) { fd = Libc.open(folder + "/" + file, Libc.O_WRONLY | Libc.O_CLOEXEC); }
                var errno = fd < 0 ? Libc.errno : CgroupFiles.WriteTo(fd, line + "\n");
                if (errno != 0) { throw CgroupFiles.Refused(folder, file, line, errno); }
            }
        }
        finally
        {
            if (allow >= 0) { Libc.close(allow); }
            if (deny >= 0) { Libc.close(deny); }
        }
    }

    /// <summary>Whether the rules ask for no more than what a spec has that says nothing of its own: everything denied.</summary>
    internal static bool IsPlain(List<LinuxDeviceCgroup>? rules)
    {
        foreach (var rule in rules ?? [])
        {
            if (rule.Allow == true || Line(rule) != "a") { return false; }
        }
        return true;
    }

    static string Line(LinuxDeviceCgroup rule)
    {
        var type = string.IsNullOrEmpty(rule.Type) ? "a" : rule.Type;
        var access = rule.Access ?? "";
        foreach (var c in access)
        {
            if (c is not ('r' or 'w' or 'm')) { throw ResourceValues.Refused($"devices.access: \"{CgroupPath.Printable(access)}\" is not made of r, w and m"); }
        }
        var whole = rule.Major is null or -1 && rule.Minor is null or -1;
        switch (type)
        {
            case "a":
                // The kernel reads no further than the "a": anything narrower would silently become everything.
                if (!whole || access.Length is not (0 or 3)) { throw ResourceValues.Refused("devices: a rule of type a is for all devices and all access"); }
                return "a";
            case "c" or "b":
                if (access.Length == 0) { throw ResourceValues.Refused("devices.access: is missing"); }
                return $"{type} {Number(rule.Major)}:{Number(rule.Minor)} {access}";
            default:
                throw ResourceValues.Refused($"devices.type: \"{CgroupPath.Printable(type)}\" is not a, b or c");
        }
    }

    static string Number(long? number) => number switch
    {
        null or -1 => "*",
        >= 0 and <= uint.MaxValue => number.Value.ToString(System.Globalization.CultureInfo.InvariantCulture),
        _ => throw ResourceValues.Refused($"devices: {number} is no device number"),
    };

    // The kernel keeps one list of exceptions, from "nothing" or from "everything". A rule that takes an exception back has an
    // effect on a line with the very same numbers alone: cutting a hole into a wider line would silently do nothing.
    static void RefuseHole(List<string> exceptions, string line)
    {
        foreach (var exception in exceptions)
        {
            string[] a = exception.Split(' ', ':'), b = line.Split(' ', ':');
            var same = a[1] == b[1] && a[2] == b[2];
            var overlap = a[0] == b[0] && Meet(a[1], b[1]) && Meet(a[2], b[2]) && a[3].AsSpan().ContainsAny(b[3]);
            if (overlap && !same) { throw new CgroupNotSupportedException("devices", $"v1 cannot except \"{line}\" from \"{exception}\""); }
        }
    }

    static bool Meet(string a, string b) => a == "*" || b == "*" || a == b;
}
