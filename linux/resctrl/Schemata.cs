using System.Globalization;

namespace Containers.Linux.Resctrl;

/// <summary>Lines of a group's <c>schemata</c> file (kernel: filesystems/resctrl): <c>RESOURCE:DOMAIN=VALUE;DOMAIN=VALUE</c>.</summary>
public static class Schemata
{
    /// <summary>Whether every value that <paramref name="asked"/> names is the group's already. Order, blanks and leading zeros do not count; what is not named may be anything.</summary>
    /// <param name="asked">Lines that a bundle gives.</param>
    /// <param name="present">What the kernel shows of the group.</param>
    public static bool Has(string present, string asked)
    {
        Dictionary<string, string>? have = TryParse(present), want = TryParse(asked);
        if (have is null || want is null) { return false; }
        foreach (var (place, value) in want)
        {
            if (!have.TryGetValue(place, out var found) || found != value) { return false; }
        }
        return true;
    }

    /// <summary>The line of one resource (<c>L3</c>, <c>MB</c>) without blanks around it; null where there is none.</summary>
    public static string? Line(string schemata, string resource)
    {
        foreach (var line in schemata.Split('\n'))
        {
            if (line.AsSpan().TrimStart().StartsWith(resource + ":", StringComparison.Ordinal)) { return line.Trim(); }
        }
        return null;
    }

    /// <summary>Values by "resource:domain"; null when that is no schemata.</summary>
    static Dictionary<string, string>? TryParse(string text)
    {
        var values = new Dictionary<string, string>();
        foreach (var line in text.Split('\n'))
        {
            if (line.Trim().Length == 0) { continue; }
            var colon = line.IndexOf(':');
            if (colon < 0) { return null; }
            var resource = line[..colon].Trim();
            foreach (var entry in line[(colon + 1)..].Split(';'))
            {
                var equals = entry.IndexOf('=');
                if (equals < 0 || !uint.TryParse(entry.AsSpan(0, equals).Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var domain)) { return null; }
                var value = entry[(equals + 1)..].Trim().TrimStart('0').ToLowerInvariant();
                values[$"{resource}:{domain}"] = value.Length == 0 ? "0" : value;
            }
        }
        return values;
    }
}
