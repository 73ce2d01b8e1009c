namespace Containers.Tests.Runtime;

/// <summary>
/// Runs crun, which refuses a hybrid host until every v1 controller is mounted somewhere. hugetlb is then mounted for crun alone, in a
/// mount namespace of its own, so that nobody else makes groups in it; but the hierarchy itself is the whole kernel's: one lock for
/// all who do this, and an unmount by hand once its last group is gone, or it stays bound.
/// </summary>
static class Crun
{
    const string Lock = "/run/lock/containers-hugetlb";
    const int LockExclusive = 2;

    const string Script = """
        mount -t cgroup -o hugetlb hugetlb /sys/fs/cgroup/hugetlb 2>/dev/null || exit 125
        "$@"; status=$?
        tries=0
        while [ "$(awk '$1 == "hugetlb" { print $3 }' /proc/cgroups)" -gt 1 ] && [ $tries -lt 100 ]; do tries=$((tries + 1)); sleep 0.05; done
        umount /sys/fs/cgroup/hugetlb
        exit $status
        """;

    /// <summary>Never /dev/null for standard input: crun gives it to the container's user, and it is the host's.</summary>
    static readonly SpawnOptions WithoutNull = new() { Input = "" };

    static bool NeedsHierarchy { get; } =
        !File.Exists("/sys/fs/cgroup/cgroup.controllers") && File.ReadLines("/proc/cgroups").Any(line => line.StartsWith("hugetlb\t"));

    /// <summary>Runs crun; null where the hierarchy cannot be had, because a group of the unified tree holds the controller, be it a dying one.</summary>
    public static Result? Run(string scratch, string program, params string[] arguments)
    {
        if (!NeedsHierarchy)
            return Spawn.Run(scratch, program, arguments, WithoutNull);
        Directory.CreateDirectory("/run/lock");
        var held = Native.open(Lock, Native.O_RDWR | Native.O_CREAT | Native.O_CLOEXEC, 0x1a4);
        try
        {
            if (held < 0 || Native.flock(held, LockExclusive) != 0)
                throw Native.Failure(Lock);
            const string folder = "/sys/fs/cgroup/hugetlb";
            if (File.ReadLines("/proc/self/mountinfo").Any(line => line.Contains($" {folder} ")))
                return Spawn.Run(scratch, program, arguments, WithoutNull); // the host's own
            // A plain folder that was left there would be taken for the hierarchy by runtimes that go by names.
            if (Directory.Exists(folder))
                Directory.Delete(folder, recursive: true);
            Directory.CreateDirectory(folder);
            try
            {
                var result = Spawn.Run(scratch, "/usr/bin/unshare", ["--mount", "/bin/sh", "-c", Script, "sh", program, .. arguments], WithoutNull);
                return result.ExitCode == 125 ? null : result;
            }
            finally
            {
                Directory.Delete(folder, recursive: true);
            }
        }
        finally
        {
            Native.close(held);
        }
    }
}
