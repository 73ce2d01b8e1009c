namespace Containers.Linux.Cgroups;

/// <summary>
/// The unit that systemd keeps for a container: what <c>linux.cgroupsPath</c> means to a systemd driver, <c>slice:prefix:name</c> (runc: docs/systemd.md). The unit is
/// <c>prefix-name.scope</c> in the slice, or the slice <c>name</c> itself.
/// </summary>
/// <param name="Name">As systemd knows it.</param>
/// <param name="Slice">The slice that it lies in.</param>
public sealed record SystemdUnit(string Name, string Slice)
{
    const int LongestName = 255;

    public bool IsSlice => Name.EndsWith(".slice", StringComparison.Ordinal);

    /// <param name="user">For a user's own systemd: its containers lie in <c>user.slice</c> where the path names no slice.</param>
    /// <exception cref="CgroupException"><c>InvalidCgroupPath</c>.</exception>
    public static SystemdUnit Parse(string? cgroupsPath, string id, bool user)
    {
        var usual = user ? "user.slice" : "system.slice";
        if (string.IsNullOrEmpty(cgroupsPath)) { return new(Checked($"psrun-{id}.scope", id), usual); }
        var parts = cgroupsPath.Split(':');
        if (parts.Length != 3) { throw Invalid(cgroupsPath, "is not slice:prefix:name, which the systemd driver takes"); }
        var slice = parts[0].Length == 0 ? usual : parts[0];
        _ = SlicePath(slice);
        var name = parts[2].EndsWith(".slice", StringComparison.Ordinal) ? parts[2] : parts[1].Length == 0 ? parts[2] + ".scope" : $"{parts[1]}-{parts[2]}.scope";
        if (parts[2].Length == 0) { throw Invalid(cgroupsPath, "names no unit"); }
        if (name.EndsWith(".slice", StringComparison.Ordinal)) { _ = SlicePath(name); }
        return new(Checked(name, cgroupsPath), slice);
    }

    /// <summary>A unit's whole name as systemctl(1) takes it: without an ending it is a service's.</summary>
    /// <returns>Null for what is no name (systemd.unit(5)); a template needs an instance.</returns>
    public static string? FullName(string text)
    {
        ReadOnlySpan<string> kinds = [".service", ".scope", ".slice", ".socket", ".mount", ".swap", ".target", ".timer", ".path", ".device", ".automount"];
        var kind = "";
        foreach (var one in kinds)
        {
            if (text.EndsWith(one, StringComparison.Ordinal)) { kind = one; }
        }
        var name = kind.Length == 0 ? text + kinds[0] : text;
        var stem = name.AsSpan(0, name.Length - (kind.Length == 0 ? kinds[0] : kind).Length);
        return stem.Length > 0 && stem[0] != '@' && stem[^1] != '@' && name.Length <= LongestName && IsName(name) ? name : null;
    }

    /// <summary>The unit's group below that of the systemd that keeps it.</summary>
    public string Path => IsSlice ? SlicePath(Name) : (Slice == "-.slice" ? "" : SlicePath(Slice)) + "/" + Name;

    /// <summary>A slice's group: <c>a-b.slice</c> lies in <c>a.slice</c> (systemd.slice(5)).</summary>
    static string SlicePath(string slice)
    {
        const string suffix = ".slice";
        if (slice == "-.slice") { return "/"; }
        if (!slice.EndsWith(suffix, StringComparison.Ordinal) || slice.Length == suffix.Length || slice.Contains('/')) { throw Invalid(slice, "is not a slice"); }
        Checked(slice, slice);
        var path = new System.Text.StringBuilder();
        var prefix = "";
        foreach (var part in slice[..^suffix.Length].Split('-'))
        {
            if (part.Length == 0) { throw Invalid(slice, "is not a slice"); }
            prefix += (prefix.Length > 0 ? "-" : "") + part;
            path.Append('/').Append(prefix).Append(suffix);
        }
        return path.ToString();
    }

    // systemd.unit(5): letters, digits and these; a backslash begins an escape of systemd's own.
    static string Checked(string name, string from)
    {
        if (name.Length > LongestName) { throw Invalid(from, $"makes a unit's name of more than {LongestName} characters"); }
        return IsName(name) ? name : throw Invalid(from, "makes a unit's name with characters that systemd does not take");
    }

    static bool IsName(string name)
    {
        foreach (var c in name)
        {
            if (!char.IsAsciiLetterOrDigit(c) && c is not (':' or '-' or '_' or '.' or '\\' or '@')) { return false; }
        }
        return true;
    }

    static CgroupException Invalid(string path, string problem) => new("InvalidCgroupPath", $"\"{CgroupPath.Printable(path)}\" {problem}");
}
