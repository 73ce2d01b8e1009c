using System.Globalization;
using Containers.Linux;
using Containers.Linux.Oci;

namespace Psrun.Kept;

/// <summary>What the options of the namespace verbs have in common.</summary>
static class NamespaceWords
{
    /// <summary>TYPE=PATH, once for each type.</summary>
    public static List<(string Type, int Flag, string Path)> ReadTypes(Options options, string option)
    {
        var result = new List<(string Type, int Flag, string Path)>();
        foreach (string entry in options.Values(option))
        {
            (string type, string path) = Split(option, entry);
            int flag = NamespaceFile.FlagOf(type);
            if (flag == 0)
                throw new PsrunException($"--{option}: \"{type}\" is none of {string.Join(", ", NamespaceScan.Types)}");
            if (!path.StartsWith('/'))
                throw new PsrunException($"--{option}: path \"{path}\" is not absolute");
            if (result.Exists(one => one.Flag == flag))
                throw new PsrunException($"--{option}: {type} is given twice");
            result.Add((type, flag, path));
        }
        return result.Count > 0 ? result : throw new PsrunException($"--{option}: is needed");
    }

    /// <summary>CONTAINER:HOST:SIZE.</summary>
    public static List<LinuxIdMapping> ReadMaps(Options options, string option)
    {
        var maps = new List<LinuxIdMapping>();
        foreach (string entry in options.Values(option))
        {
            string[] parts = entry.Split(':');
            if (parts.Length != 3 || !TryId(parts[0], out uint inside) || !TryId(parts[1], out uint outside) || !TryId(parts[2], out uint size) || size == 0)
                throw new PsrunException($"--{option}: \"{entry}\" is not CONTAINER:HOST:SIZE");
            maps.Add(new LinuxIdMapping { ContainerId = inside, HostId = outside, Size = size });
        }
        return maps;
    }

    /// <summary>CLOCK=SECONDS:NANOSECONDS, as a line of /proc/PID/timens_offsets.</summary>
    public static List<string> ReadOffsets(Options options, string option)
    {
        var lines = new List<string>();
        foreach (string entry in options.Values(option))
        {
            (string clock, string value) = Split(option, entry);
            string[] parts = value.Split(':');
            if (clock is not ("monotonic" or "boottime"))
                throw new PsrunException($"--{option}: clock \"{clock}\" is none of monotonic, boottime");
            if (parts.Length != 2 || !long.TryParse(parts[0], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long seconds) || !TryId(parts[1], out uint nanoseconds) || nanoseconds > 999_999_999)
                throw new PsrunException($"--{option}: \"{value}\" is not SECONDS:NANOSECONDS");
            lines.Add(string.Create(CultureInfo.InvariantCulture, $"{clock} {seconds} {nanoseconds}\n"));
        }
        return lines;
    }

    /// <summary>The id of a failure; without an errno it is about the options.</summary>
    public static string ErrorId(int errno) => errno switch
    {
        0 => "BadRequest",
        Libc.EPERM or Libc.EACCES => "NotPermitted",
        Libc.EROFS => "ReadOnly",
        // user_namespaces(7): 32 levels, and the numbers in /proc/sys/user.
        Libc.ENOSPC or Libc.EUSERS => "LimitReached",
        _ => "HostRefused",
    };

    public static bool TryId(string text, out uint id) => uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out id);

    static (string Key, string Value) Split(string option, string entry)
    {
        int equals = entry.IndexOf('=');
        return equals > 0 ? (entry[..equals], entry[(equals + 1)..]) : throw new PsrunException($"--{option}: \"{entry}\" is not NAME=VALUE");
    }
}
