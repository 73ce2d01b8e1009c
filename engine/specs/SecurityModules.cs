using Containers.Linux;

namespace Containers;

/// <summary>The profile or label of a kernel's security module: what this host cannot enforce is refused, and never left out.</summary>
static class SecurityModules
{
    internal static string? AppArmorProfile(string? name)
    {
        if (name is null) { return null; }
        if (name.Length == 0 || name.Any(char.IsControl)) { throw ResourceSpec.Bad("AppArmorProfile", name, "it is the name of a loaded profile, or unconfined"); }
        if (Text("/sys/module/apparmor/parameters/enabled") is ['Y', ..]) { return name; }
        // What nothing confines is unconfined.
        return name == "unconfined" ? null : throw Missing("AppArmor", name);
    }

    internal static string? SelinuxLabel(string? label)
    {
        if (label is null) { return null; }
        if (Linux.Selinux.SelinuxLabel.Problem(label) is { } problem) { throw ResourceSpec.Bad("SELinuxLabel", label, problem); }
        return Linux.Selinux.SelinuxLabel.IsEnabled(MountInfo.ReadSelf(), Text("/proc/thread-self/attr/current")) ? label : throw Missing("SELinux", label);
    }

    static string? Text(string file)
    {
        try { return File.ReadAllText(file); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return null; }
    }

    static ContainerException Missing(string module, string value) => new(ErrorIds.NotSupported,
        $"{module} does not run on this host, so that nothing would enforce '{value}'. Leave it out, or start the kernel with {module}.", value, ContainerErrorCategory.NotImplemented);
}
