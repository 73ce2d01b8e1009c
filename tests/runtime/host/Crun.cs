namespace Containers.Tests.Runtime;

/// <summary>
/// Runs crun, which refuses a hybrid host until every v1 controller is mounted somewhere. hugetlb is then mounted for crun alone, in a
/// mount namespace of its own and in a /sys/fs/cgroup of its own: whoever sees as much as a folder of that name takes it for a hierarchy
/// and makes groups in it. But the hierarchy itself is the whole kernel's: one lock for all who do this, and an unmount by hand once its
/// last group is gone, or it stays bound.
/// </summary>
static class Crun
{
    const string Lock = "/run/lock/containers-hugetlb";
    const int LockExclusive = 2;

    const string Script = """
        view=$1; shift
        mount -t tmpfs -o mode=755 cgroup "$view" || exit 124
        for name in $(ls /sys/fs/cgroup); do
            mkdir "$view/$name" || exit 124
            [ "$name" = hugetlb ] || mount --bind "/sys/fs/cgroup/$name" "$view/$name" || exit 124
        done
        mkdir -p "$view/hugetlb" || exit 124
        mount -t cgroup -o hugetlb hugetlb "$view/hugetlb" 2>/dev/null || exit 125
        mount --move "$view" /sys/fs/cgroup || { umount "$view/hugetlb"; exit 124; }
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
            if (File.ReadLines("/proc/self/mountinfo").Any(line => line.Contains(" /sys/fs/cgroup/hugetlb ")))
                return Spawn.Run(scratch, program, arguments, WithoutNull); // the host's own
            var view = Directory.CreateDirectory(Path.Combine(scratch, "cgroup-view")).FullName;
            var result = Spawn.Run(scratch, "/usr/bin/unshare", ["--mount", "/bin/sh", "-c", Script, "sh", view, program, .. arguments], WithoutNull);
            Directory.Delete(view);
            return result.ExitCode == 125 ? null : result;
        }
        finally
        {
            Native.close(held);
        }
    }
}
