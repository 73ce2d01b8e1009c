using System.Globalization;
using Containers.Linux.Cgroups;
using Containers.Linux.Oci;

namespace Containers;

/// <summary>Words that users write for limits, made into what the kernel's files take.</summary>
public static class CgroupWords
{
    /// <summary>A block device as <c>major:minor</c>, of that or of a device file.</summary>
    /// <exception cref="ContainerException"><c>InvalidArgument</c>.</exception>
    public static string Device(string device)
    {
        var (major, minor) = ResourceSpec.Device(device);
        return string.Create(CultureInfo.InvariantCulture, $"{major}:{minor}");
    }

    /// <exception cref="ContainerException"><c>InvalidArgument</c>.</exception>
    public static CgroupIoLimit Io(ContainerIoLimit limit) => new(Device(limit.Device), limit.ReadBytes, limit.WriteBytes, limit.ReadOperations, limit.WriteOperations);

    /// <summary>A mark of packets: tc's class <c>10:1</c> (both hexadecimal), or a number, <c>0x100001</c> or decimal.</summary>
    /// <exception cref="ContainerException"><c>InvalidArgument</c>.</exception>
    public static uint NetClass(string text)
    {
        var parts = text.Split(':');
        if (parts.Length == 2 && ushort.TryParse(parts[0], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var major)
            && ushort.TryParse(parts[1], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var minor))
        {
            return ((uint)major << 16) | minor;
        }
        if (text.StartsWith("0x", StringComparison.OrdinalIgnoreCase) ? uint.TryParse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var mark)
            : uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out mark))
        {
            return mark;
        }
        throw ResourceSpec.Bad("NetClass", text, "it is a class of tc such as 10:1, or a number such as 0x100001");
    }

    /// <summary>A rule such as <c>allow c 1:3 rwm</c>, <c>deny b 8:* w</c>, <c>a</c>; without a first word it allows.</summary>
    /// <exception cref="ContainerException"><c>InvalidArgument</c>.</exception>
    public static LinuxDeviceCgroup DeviceRule(string text)
    {
        var words = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var at = words.Length > 0 && words[0] is "allow" or "deny" ? 1 : 0;
        var allow = at == 0 || words[0] == "allow";
        var left = words.Length - at;
        if (left is not (1 or 3) || words[at] is not ("a" or "b" or "c") || (left == 1 && words[at] != "a")) { throw Bad(); }
        if (left == 1) { return new LinuxDeviceCgroup { Allow = allow, Type = "a", Access = "rwm" }; }
        var numbers = words[at + 1].Split(':');
        if (numbers.Length != 2 || words[at + 2].Length == 0 || words[at + 2].AsSpan().ContainsAnyExcept("rwm")) { throw Bad(); }
        return new LinuxDeviceCgroup { Allow = allow, Type = words[at], Major = Number(numbers[0]), Minor = Number(numbers[1]), Access = words[at + 2] };

        long? Number(string number) => number == "*" ? null : uint.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value : throw Bad();

        ContainerException Bad() => ResourceSpec.Bad("DeviceRule", text, "it is like \"allow c 1:3 rwm\", \"deny b 8:* w\" or \"allow a\"");
    }
}
