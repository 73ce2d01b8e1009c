using Containers.Linux;
using Psrun.Dance;

namespace Psrun.Rootfs;

/// <summary>
/// What may be mounted over /proc, or over something in it: a program in the container that writes to a file of /proc, psrun's exec among them, must
/// reach the kernel, and a mount there would also take the place of a masked path (CVE-2019-16884, CVE-2019-19921). The rule is runc's.
/// </summary>
static unsafe class ProcTargets
{
    /// <summary>Files that lxcfs and criu give a container of its own.</summary>
    static readonly string[] s_files =
        ["proc/cpuinfo", "proc/diskstats", "proc/loadavg", "proc/meminfo", "proc/net/dev", "proc/slabinfo", "proc/stat", "proc/swaps", "proc/uptime",
            "proc/sys/crypto/fips_enabled", "proc/sys/kernel/ns_last_pid"];

    /// <summary>
    /// The flag for <see cref="StepKind.OpenTarget"/>, or 0. This judges the words of the bundle; where links of the image lead is judged by the child, from the
    /// descriptor that it mounts on.
    /// </summary>
    public static int Check(string destination, string type, string? source, bool bind)
    {
        string inside = Mounts.Destination(destination);
        if (inside == "proc")
            return (bind ? IsProcfs(source!) : type == "proc")
                ? Child.TargetInProc
                : throw new PsrunException($"mounts: {destination}: cannot be mounted because it is not of type proc");
        if (!inside.StartsWith("proc/", StringComparison.Ordinal))
            return 0;
        return Array.IndexOf(s_files, inside) >= 0
            ? Child.TargetInProc
            : throw new PsrunException($"mounts: {destination}: cannot be mounted because it is inside /proc");
    }

    static bool IsProcfs(string source)
    {
        statfs found;
        return Libc.statfs(source, &found) == 0 && found.f_type == Libc.PROC_SUPER_MAGIC;
    }
}
