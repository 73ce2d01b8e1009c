using Containers.Linux;
using Containers.Linux.Oci;

namespace Containers;

/// <summary>
/// What a container gets when nothing is said. docs/security.md says the same in words, with the reasons and with what docker and
/// podman do; a change here is a change there.
/// </summary>
static class Defaults
{
    /// <summary>Podman's eleven. Docker's three more (MKNOD, NET_RAW, AUDIT_WRITE) are rarely needed and reach further.</summary>
    internal static readonly string[] Capabilities =
    [
        "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_SETFCAP", "CAP_SETGID",
        "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
    ];

    /// <summary>What tells about, or reaches into, the host. A path that the kernel does not have is skipped by the runtime.</summary>
    static readonly string[] Masked =
    [
        "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug",
        "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/dev/block", "/sys/devices/virtual/powercap", "/sys/firmware",
        "/sys/fs/selinux",
    ];

    internal static readonly string[] ReadonlyPaths = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

    internal const string Path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    internal const long ShmSize = 64 << 20;
    internal const uint Umask = 0x12; // 0022
    internal const double StopTimeoutSec = 10;

    /// <summary>Podman's: open files and processes, as far as the host lets them go.</summary>
    const ulong OpenFiles = 1048576, Processes = 4194304;

    /// <summary>The masked paths, and the temperature events of each processor, which tell what others compute.</summary>
    internal static List<string> MaskedPaths()
    {
        var paths = new List<string>(Masked);
        try
        {
            foreach (var cpu in Directory.EnumerateDirectories("/sys/devices/system/cpu", "cpu*"))
            {
                var events = System.IO.Path.Combine(cpu, "thermal_throttle");
                if (Directory.Exists(events)) { paths.Add(events); }
            }
        }
        catch (IOException) { }
        paths.Sort(StringComparer.Ordinal);
        return paths;
    }

    internal static List<Mount> Mounts(bool privileged, long shmSize) =>
    [
        New("/proc", "proc", "proc", "nosuid", "noexec", "nodev"),
        New("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
        New("/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
        New("/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec", "nodev"),
        New("/dev/shm", "tmpfs", "shm", "nosuid", "noexec", "nodev", "mode=1777", $"size={shmSize}"),
        New("/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", privileged ? "rw" : "ro"),
        New("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev", "relatime", privileged ? "rw" : "ro"),
    ];

    /// <summary>Nodes may be made; only those that every container has may be opened.</summary>
    internal static List<LinuxDeviceCgroup> DeviceRules(bool privileged)
    {
        if (privileged) { return [new LinuxDeviceCgroup { Allow = true, Type = "a", Access = "rwm" }]; }
        return
        [
            new LinuxDeviceCgroup { Allow = false, Type = "a", Access = "rwm" },
            Rule('c', null, null, "m"), Rule('b', null, null, "m"),
            Rule('c', 1, 3), Rule('c', 1, 5), Rule('c', 1, 7), Rule('c', 1, 8), Rule('c', 1, 9), // null, zero, full, random, urandom
            Rule('c', 5, 0), Rule('c', 5, 1), Rule('c', 5, 2), Rule('c', 136, null), // tty, console, ptmx, pts/*
        ];
    }

    internal static LinuxDeviceCgroup Rule(char type, long? major, long? minor, string access = "rwm") =>
        new() { Allow = true, Type = type.ToString(), Major = major, Minor = minor, Access = access };

    /// <summary>The same whatever shell the caller has: its soft limits do not leak into containers.</summary>
    internal static List<PosixRlimit> Rlimits() =>
    [
        Limit("RLIMIT_NOFILE", Libc.RLIMIT_NOFILE, OpenFiles),
        Limit("RLIMIT_NPROC", Libc.RLIMIT_NPROC, Processes),
    ];

    static unsafe PosixRlimit Limit(string name, int resource, ulong wanted)
    {
        rlimit64 own;
        var known = Libc.prlimit64(0, resource, null, &own) == 0;
        var limit = known ? Math.Min(wanted, own.rlim_max) : wanted;
        return new PosixRlimit { Type = name, Soft = limit, Hard = limit };
    }

    static Mount New(string destination, string type, string source, params string[] options) =>
        new() { Destination = destination, Type = type, Source = source, Options = [.. options] };
}
