using Mono.Unix.Native;

namespace Containers;

/// <summary>Finds OCI runtimes and refuses a program that somebody else could change before root runs it.</summary>
static class RuntimeLookup
{
    /// <summary>Fixed, not PATH: what runs as root is not for a caller's environment to choose.</summary>
    static readonly string[] Places = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

    static readonly string[] Known = ["runc", "crun", "youki", "runsc", "kata-runtime"];

    const FilePermissions Executable = FilePermissions.S_IXUSR | FilePermissions.S_IXGRP | FilePermissions.S_IXOTH;

    /// <summary>The absolute path of a runtime by its name, or by its absolute path.</summary>
    /// <exception cref="ContainerException"><c>RuntimeNotFound</c>, <c>HelperNotFound</c>, <c>HelperNotTrusted</c>.</exception>
    internal static string Find(string runtime, ContainerHostOptions options)
    {
        if (runtime == "psrun") { return Helper(options); }
        if (runtime.StartsWith('/'))
        {
            return IsProgram(runtime) ? Trusted(runtime) : throw Missing(runtime, $"there is no program '{runtime}'", "Install it there, or give the name of one that is installed.");
        }
        if (runtime.Length == 0 || runtime.Contains('/') || runtime.Contains('\0'))
        {
            throw Missing(runtime, "that is neither a name nor an absolute path", "Say psrun, runc, crun, or an absolute path.");
        }
        foreach (var place in Places)
        {
            var path = Path.Combine(place, runtime);
            if (IsProgram(path)) { return Trusted(path); }
        }
        throw Missing(runtime, $"it is in none of {string.Join(", ", Places)}", Known.Contains(runtime)
            ? $"Install the package '{runtime}' of your distribution, give an absolute path, or use the built-in runtime psrun."
            : "Check the name, give an absolute path, or use the built-in runtime psrun.");
    }

    /// <summary>The psrun program of the module, or the one that CONTAINERS_PSRUN names.</summary>
    internal static string Helper(ContainerHostOptions options)
    {
        var path = options.HelperPath;
        if (path is not null && path.StartsWith('/') && IsProgram(path)) { return Trusted(path); }
        throw new ContainerException(ErrorIds.HelperNotFound, path is null
            ? "The psrun program was not found: no module folder is known and CONTAINERS_PSRUN is not set. Import the built module, or set CONTAINERS_PSRUN to the absolute path of psrun."
            : $"There is no psrun program at '{path}'. Build the module for this machine, or set CONTAINERS_PSRUN to the absolute path of psrun.",
            path, ContainerErrorCategory.NotInstalled);
    }

    internal static IReadOnlyList<string> Installed(ContainerHostOptions options)
    {
        var found = new List<string>();
        if (options.HelperPath is { } helper && IsProgram(helper)) { found.Add("psrun"); }
        foreach (var name in Known)
        {
            if (Places.Any(place => IsProgram(Path.Combine(place, name)))) { found.Add(name); }
        }
        return found;
    }

    /// <summary>The path without links, when nobody but root and the caller can change the program or put another in its place.</summary>
    /// <exception cref="ContainerException"><c>HelperNotTrusted</c>.</exception>
    internal static string Trusted(string path)
    {
        var real = Mono.Unix.UnixPath.GetRealPath(path);
        real = Mono.Unix.UnixPath.GetCompleteRealPath(real);
        var self = Syscall.geteuid();
        for (var part = real; part is not null; part = Path.GetDirectoryName(part))
        {
            if (Syscall.lstat(part, out var stat) != 0) { throw NotTrusted(path, part, "it cannot be looked at"); }
            if (stat.st_uid != 0 && stat.st_uid != self) { throw NotTrusted(path, part, $"it belongs to user {stat.st_uid}"); }
            // In a sticky folder such as /tmp only owners replace files.
            var sticky = (stat.st_mode & FilePermissions.S_ISVTX) != 0 && part != real;
            if ((stat.st_mode & FilePermissions.S_IWOTH) != 0 && !sticky) { throw NotTrusted(path, part, "everybody may write it"); }
            // Distributions let a staff group write /usr/local: further up that is theirs to decide.
            var near = part == real || part == Path.GetDirectoryName(real);
            if (near && (stat.st_mode & FilePermissions.S_IWGRP) != 0 && stat.st_gid != 0 && !sticky) { throw NotTrusted(path, part, $"group {stat.st_gid} may write it"); }
        }
        return real;
    }

    static bool IsProgram(string path) => Syscall.stat(path, out var stat) == 0
        && (stat.st_mode & FilePermissions.S_IFMT) == FilePermissions.S_IFREG && (stat.st_mode & Executable) != 0;

    static ContainerException Missing(string runtime, string why, string next) => new(ErrorIds.RuntimeNotFound,
        $"The runtime '{runtime}' was not found: {why}. {next}", runtime, ContainerErrorCategory.NotInstalled);

    static ContainerException NotTrusted(string path, string part, string why) => new(ErrorIds.HelperNotTrusted,
        $"'{path}' will not be run: '{part}' is not safe, {why}. Make it belong to root and take the right to write from others: chown root, chmod go-w.",
        path, ContainerErrorCategory.SecurityError);
}
