using Containers.Linux;
using Containers.Linux.Oci;

namespace Psrun.Processes;

/// <summary>
/// Whether psrun runs without the host's root: as a plain user, or as the root of a user namespace (where rootless engines start it). Then device nodes are the
/// host's bound in, a container may have no control group, and state is kept in the user's own runtime folder.
/// </summary>
static unsafe class Rootless
{
    static bool? s_asked;
    static bool? s_found;

    /// <summary>--rootless: true, false, or auto (null too).</summary>
    public static void Configure(string? value) => s_asked = value switch
    {
        null or "auto" => null,
        "true" => true,
        "false" => false,
        _ => throw new PsrunException($"--rootless: \"{value}\" is none of true, false, auto"),
    };

    public static bool Active => s_asked ?? (s_found ??= IsPlainUser || !InInitialUserNamespace());

    /// <summary>Without root's id there are no capabilities outside a user namespace of one's own.</summary>
    public static bool IsPlainUser => Libc.geteuid() != 0;

    static bool InInitialUserNamespace()
    {
        string[] words = Text("/proc/self/uid_map").Split([' ', '\n'], StringSplitOptions.RemoveEmptyEntries);
        return words is ["0", "0", "4294967295"];
    }

    /// <summary>Where state is kept when nobody says.</summary>
    public static string DefaultRoot()
    {
        if (!Active)
            return "/run/psrun";
        if (Environment.GetEnvironmentVariable("XDG_RUNTIME_DIR") is ['/', ..] folder)
            return folder + "/psrun";
        return IsPlainUser ? throw new PsrunException("XDG_RUNTIME_DIR is not set: --root names the folder for state") : "/run/psrun";
    }

    /// <summary>A user may map the own ids, one to one, without help (user_namespaces(7)); for the group that costs setgroups(2).</summary>
    public static bool IsOwnIdAlone(List<LinuxIdMapping> maps, uint own) => maps is [{ Size: 1 } one] && one.HostId == own;

    /// <summary>Whether setgroups(2) will be refused in the container's user namespace.</summary>
    public static bool DeniesSetGroups(Spec spec, bool newUserNamespace) => newUserNamespace
        ? Active && IsPlainUser && IsOwnIdAlone(spec.Linux!.GidMappings!, Libc.getegid())
        : DeniesSetGroups("self");

    /// <param name="process">A pid, or <c>self</c>.</param>
    public static bool DeniesSetGroups(string process) => Text($"/proc/{process}/setgroups").StartsWith("deny", StringComparison.Ordinal);

    static string Text(string path)
    {
        int fd = Libc.open(path, Libc.O_RDONLY | Libc.O_CLOEXEC);
        if (fd < 0)
            return "";
        byte[] bytes = State.StateFolder.ReadAll(fd, 1 << 16, path);
        Libc.close(fd);
        return System.Text.Encoding.ASCII.GetString(bytes);
    }
}
