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

    static bool NeedsHierarchy { get; } =
        !File.Exists("/sys/fs/cgroup/cgroup.controllers") && File.ReadLines("/proc/cgroups").Any(line => line.StartsWith("hugetlb\t"));

    /// <summary>Runs crun; null where the hierarchy cannot be had, because a group of the unified tree holds the controller, be it a dying one.</summary>
    public static Result? Run(string scratch, string program, params string[] arguments)
    {
        using var view = Open(scratch);
        return view?.Run(program, arguments);
    }

    /// <summary>Control groups that crun takes, until this is closed; null where they cannot be had, as above.</summary>
    public static CrunView? Open(string scratch)
    {
        if (!NeedsHierarchy)
            return new CrunView(scratch);
        Directory.CreateDirectory("/run/lock");
        var held = Native.open(Lock, Native.O_RDWR | Native.O_CREAT | Native.O_CLOEXEC, 0x1a4);
        try
        {
            if (held < 0 || Native.flock(held, LockExclusive) != 0)
                throw Native.Failure(Lock);
            if (File.ReadLines("/proc/self/mountinfo").Any(line => line.Contains(" /sys/fs/cgroup/hugetlb ")))
                return new CrunView(scratch) { Held = Give(ref held) }; // the host's own
            var view = new CrunView(scratch);
            if (!view.Mount(Script))
                return null;
            view.Held = Give(ref held);
            return view;
        }
        finally
        {
            Native.close(held);
        }
    }

    static int Give(ref int descriptor)
    {
        var given = descriptor;
        descriptor = -1;
        return given;
    }
}

/// <summary>Where crun can run: the host itself, or a mount namespace that a program of ours holds until it is told, or we are gone.</summary>
sealed class CrunView(string scratch) : IDisposable
{
    /// <summary>Never /dev/null for standard input: crun gives it to the container's user, and it is the host's.</summary>
    static readonly SpawnOptions WithoutNull = new() { Input = "" };

    // Not in the test's folder: whoever counts what is left of the test would find the holder.
    string? folder;
    Pipe? pipe;
    Spawn? holder;

    public int Held { get; set; } = -1;

    public bool Mount(string script)
    {
        folder = Directory.CreateTempSubdirectory("crun-view-").FullName;
        pipe = new Pipe();
        string[] arguments = ["--mount", "/bin/sh", "-c", script, "sh", folder, "/bin/sh", "-c", "echo ready; read end; exit 0"];
        holder = Spawn.Start(scratch, "/usr/bin/unshare", arguments, new SpawnOptions { Descriptors = new() { [0] = pipe.Reader }, Timeout = SpawnOptions.Limit(60) });
        using var pause = new ManualResetEventSlim();
        while (!holder.Stdout.Contains("ready"))
        {
            if (HostState.ProcessState(holder.Pid) is null or "Z" or "X")
            {
                var result = holder.Wait();
                Dispose();
                return result.ExitCode == 125 ? false : throw new IOException(result.ToString());
            }
            pause.Wait(5);
        }
        return true;
    }

    /// <summary>The words before a command that is to run there.</summary>
    public string[] Way => holder is null ? [] : ["/usr/bin/nsenter", $"--mount=/proc/{holder.Pid}/ns/mnt", "--"];

    /// <summary>Runs a program there.</summary>
    public Result Run(string program, params string[] arguments)
    {
        string[] words = [.. Way, program, .. arguments];
        return Spawn.Run(scratch, words[0], words[1..], WithoutNull);
    }

    /// <summary>Removes the groups below hugetlb whose path holds the word: others see no such hierarchy.</summary>
    public void RemoveGroups(string word)
    {
        if (holder is not null)
            Run("/bin/sh", "-c", "find /sys/fs/cgroup/hugetlb -mindepth 1 -depth -type d -path \"*$1*\" -exec rmdir {} \\; 2>/dev/null", "sh", word);
    }

    public void Dispose()
    {
        if (pipe is not null)
            Native.close(pipe.Writer);
        holder?.Wait();
        if (pipe is not null)
            Native.close(pipe.Reader);
        pipe = null;
        holder = null;
        if (folder is not null)
            Directory.Delete(folder);
        folder = null;
        Native.close(Held);
        Held = -1;
    }
}
