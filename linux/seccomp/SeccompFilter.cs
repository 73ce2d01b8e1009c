using Containers.Linux.Oci;

namespace Containers.Linux.Seccomp;

/// <summary>What seccomp(2) takes.</summary>
public sealed class SeccompFilter
{
    /// <summary>At most BPF_MAXINSNS instructions.</summary>
    public required sock_filter[] Program { get; init; }

    /// <summary>SECCOMP_FILTER_FLAG_*.</summary>
    public required uint Flags { get; init; }

    /// <summary>Some calls are handed to the listener.</summary>
    public required bool Notifies { get; init; }

    /// <summary>Names in the profile that no table here has; they have no effect, as with runc.</summary>
    public required List<string> UnknownNames { get; init; }

    /// <summary>Whether the profile asks for a filter: an empty object does not (runc).</summary>
    public static bool IsAskedFor(LinuxSeccomp? profile) => profile != null && !(string.IsNullOrEmpty(profile.DefaultAction) && profile.Syscalls is not { Count: > 0 });
}
