using Containers.Linux.Oci;
using Psrun.Dance;

namespace Psrun.Processes;

/// <summary>process.apparmorProfile: the profile under which the next execve(2) puts the process (kernel: security/apparmor).</summary>
static class AppArmor
{
    const string Unconfined = "unconfined";

    /// <summary>Whether this kernel enforces profiles.</summary>
    public static bool Enabled => Shim.Files.ReadText("/sys/module/apparmor/parameters/enabled") is ['Y', ..];

    public static void Check(string? profile, string member)
    {
        if (string.IsNullOrEmpty(profile) || profile == Unconfined)
            return;
        if (profile.Contains('\n') || profile.Contains('\0'))
            throw new PsrunException($"{member}: a profile's name is one line");
        if (!Enabled)
            throw new PsrunException($"{member}: \"{profile}\": AppArmor is not enabled on this host");
    }

    /// <summary>Through the host's /proc, so before the change of root; programs that run in between would be put under the profile in the container's place.</summary>
    public static void Add(Plan plan, Process process)
    {
        if (process.ApparmorProfile is { Length: > 0 } profile && (profile != Unconfined || Enabled))
            plan.WriteProc($"process.apparmorProfile: \"{profile}\" cannot be entered (is it loaded?)", "self/attr/apparmor/exec", $"exec {profile}");
    }
}
