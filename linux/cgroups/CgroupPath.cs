namespace Containers.Linux.Cgroups;

/// <summary>Paths of groups: absolute, below the root of every hierarchy, written with single slashes and none at the end.</summary>
public static class CgroupPath
{
    const int LongestName = 255;
    const int LongestPath = 3500;

    /// <summary>The path in its one spelling. <c>/</c> alone is the root of the hierarchies.</summary>
    /// <exception cref="CgroupException"><c>InvalidCgroupPath</c>: relative, <c>.</c> or <c>..</c> inside, control characters, too long.</exception>
    public static string Normalize(string path)
    {
        if (path.Length == 0 || path[0] != '/') { throw Invalid(path, "is not absolute"); }
        if (path.Length > LongestPath) { throw Invalid(path[..64] + "…", $"is longer than {LongestPath} characters"); }
        foreach (var c in path)
        {
            // A line feed would make two entries of one in /proc/PID/cgroup; the others could reach a terminal.
            if (char.IsControl(c) || char.IsSurrogate(c)) { throw Invalid(path, "holds a control character"); }
        }

        var result = new System.Text.StringBuilder(path.Length);
        for (var rest = path.AsSpan(1); !rest.IsEmpty;)
        {
            var slash = rest.IndexOf('/');
            var name = slash < 0 ? rest : rest[..slash];
            rest = slash < 0 ? default : rest[(slash + 1)..];
            if (name.IsEmpty) { continue; }
            if (name is "." or "..") { throw Invalid(path, "has . or .. inside"); }
            if (name.Length > LongestName) { throw Invalid(path, $"has a name of more than {LongestName} characters"); }
            result.Append('/').Append(name);
        }
        return result.Length == 0 ? "/" : result.ToString();
    }

    /// <summary>Where a container lives: <c>cgroupsPath</c> of its spec (config-linux.md, Cgroups Path). Absolute: from the root of the
    /// hierarchies. Relative: below <paramref name="parent"/>. Not given: <c>/ID</c>.</summary>
    /// <exception cref="CgroupException"><c>InvalidCgroupPath</c>, also for the root itself.</exception>
    /// <exception cref="CgroupNotSupportedException">The <c>slice:prefix:name</c> that a systemd driver would take.</exception>
    public static string Resolve(string? cgroupsPath, string id, string parent = "/")
    {
        if (string.IsNullOrEmpty(cgroupsPath)) { return Group("/" + Name(id)); }
        if (cgroupsPath[0] == '/') { return Group(cgroupsPath); }
        if (cgroupsPath.AsSpan().Count(':') == 2)
        {
            throw new CgroupNotSupportedException("linux.cgroupsPath", $"\"{Printable(cgroupsPath)}\" is for a systemd cgroup driver; give a path such as /parent/name");
        }
        return Group(parent + "/" + cgroupsPath);
    }

    /// <summary>The parent's path, <c>/</c> for a group right below the root.</summary>
    internal static string Parent(string path)
    {
        var slash = path.LastIndexOf('/');
        return slash <= 0 ? "/" : path[..slash];
    }

    internal static string Printable(string text)
    {
        var shown = new char[Math.Min(text.Length, 256)];
        for (var i = 0; i < shown.Length; i++) { shown[i] = char.IsControl(text[i]) || char.IsSurrogate(text[i]) ? '?' : text[i]; }
        return new string(shown);
    }

    static string Group(string path)
    {
        var normal = Normalize(path);
        return normal == "/" ? throw Invalid(path, "is the root of the hierarchies, not a group") : normal;
    }

    static string Name(string id) => id.Contains('/') ? throw Invalid(id, "is not a single name") : id;

    static CgroupException Invalid(string path, string problem) => new("InvalidCgroupPath", $"cgroup path \"{Printable(path)}\" {problem}");
}
