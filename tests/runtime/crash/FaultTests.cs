namespace Containers.Tests.Runtime;

/// <summary>System calls that fail: no space, no descriptor left, a read-only or broken file system, a /proc that lacks things.</summary>
public sealed class FaultTests : CrashTest
{
    const string NotRunc = "its words and its clean-up are its own";

    [RuntimeTheory(NotUnderRunc = NotRunc)]
    [InlineData("mkdir", "ENOSPC")]
    [InlineData("mkdir", "EROFS")]
    [InlineData("openat", "EMFILE")]
    [InlineData("openat", "EIO")]
    [InlineData("openat", "ENOENT")]
    [InlineData("openat", "EROFS")]
    [InlineData("write", "ENOSPC")]
    [InlineData("write", "EIO")]
    [InlineData("read", "EIO")]
    [InlineData("renameat2", "ENOSPC")]
    [InlineData("symlinkat", "ENOSPC")]
    [InlineData("pipe2", "EMFILE")]
    [InlineData("socket", "EMFILE")]
    [InlineData("bind", "EROFS")]
    [InlineData("clone3", "ENOMEM")]
    [InlineData("fsopen", "EMFILE")]
    [InlineData("fsmount", "ENOMEM")]
    [InlineData("open_tree", "EMFILE")]
    [InlineData("move_mount", "ENOMEM")]
    [InlineData("openat2", "EIO")]
    [InlineData("mknodat", "ENOSPC")]
    public void A_creation_that_meets_an_error_anywhere_says_so_and_leaves_nothing(string call, string error)
    {
        var random = new Random(Seed);
        var bundle = Sleeper();
        var probe = NewId();
        var (before, all) = Trace("create", "--bundle", bundle.Folder, probe);
        Runtime.Do("delete", "--force", probe).Ends(0);
        // What .NET does before the program begins is not ours to mend. The child counts from its own first call.
        var first = Math.Max(1, all.Take(before).Count(c => c == call));
        // Its own thread's clone is one of these: without it no program begins.
        if (call == "clone3" && all.Take(before).Contains(call))
            first++;
        var last = Math.Max(all.Count(c => c == call), first + 25);
        foreach (var moment in Moments(random, first, last, 3))
        {
            var id = NewId();
            string What() => $"seed {Seed}: {call} number {moment} fails with {error}";
            var result = Traced($"{call}:error={error}:when={moment}", "create", "--bundle", bundle.Folder, id);
            AssertDecent(result, What);
            if (result.ExitCode != 0 && Directory.Exists(Path.Combine(Runtime.Root, id)))
                // Only when the clean-up met the error itself: then there is a state, and it says what is left.
                Assert.True(File.Exists(Path.Combine(Runtime.Root, id, "state.json")) || Directory.GetFileSystemEntries(Path.Combine(Runtime.Root, id)).Length <= 2, What());
            AssertTruthAndClean(id, What);
        }
    }

    [RuntimeTheory(NotUnderRunc = NotRunc)]
    [InlineData("state", "openat", "EMFILE")]
    [InlineData("state", "openat", "EIO")]
    [InlineData("state", "read", "EIO")]
    [InlineData("delete", "unlinkat", "EROFS")]
    [InlineData("delete", "unlinkat", "EIO")]
    [InlineData("delete", "rmdir", "EROFS")]
    [InlineData("delete", "rmdir", "EBUSY")]
    [InlineData("delete", "openat", "EMFILE")]
    [InlineData("delete", "openat", "EIO")]
    [InlineData("kill", "pidfd_open", "EMFILE")]
    [InlineData("start", "socket", "EMFILE")]
    [InlineData("start", "connect", "EAGAIN")]
    [InlineData("start", "unlinkat", "EROFS")]
    [InlineData("exec", "openat", "EMFILE")]
    [InlineData("exec", "pipe2", "EMFILE")]
    [InlineData("exec", "clone3", "EAGAIN")]
    [InlineData("update", "write", "EIO")]
    [InlineData("list", "openat", "EMFILE")]
    public void A_verb_that_meets_an_error_anywhere_does_not_lie(string verb, string call, string error)
    {
        var random = new Random(Seed);
        string[] Line(string id) => verb switch
        {
            "exec" => ["exec", id, "true"],
            "update" => ["update", "--pids-limit", "50", id],
            "delete" => ["delete", "--force", id],
            "kill" => ["kill", id, "KILL"],
            "list" => ["list"],
            _ => [verb, id],
        };
        string Made() => verb == "start" ? Create(Sleeper()).Id : Start(Sleeper()).Id;
        var probe = Made();
        var (before, all) = Trace(Line(probe));
        Runtime.Do("delete", "--force", probe).Ends(0);
        // The calls after the first touch of the state; "before" may be the last before it, or that touch itself.
        var first = all.Take(before).Count(c => c == call) + 1;
        var last = all.Count(c => c == call);
        foreach (var moment in Moments(random, first, Math.Max(first, last), 3))
        {
            var id = Made();
            string What() => $"seed {Seed}: {verb}: {call} number {moment} of {last} fails with {error}";
            var result = Traced($"{call}:error={error}:when={moment}", Line(id));
            AssertDecent(result, What);
            // Nothing tells that it is away, or has stopped, only because it could not be looked at.
            Assert.DoesNotContain("does not exist", result.Stderr);
            if (verb == "state" && result.ExitCode == 0)
                Assert.Contains("\"running\"", result.Stdout);
            if (verb == "list" && result.ExitCode == 0 && result.Stderr.Length == 0)
                Assert.Matches($"{id} .* running", result.Stdout);
            if (verb == "delete" && result.ExitCode == 0)
                Assert.False(Directory.Exists(Path.Combine(Runtime.Root, id)), What());
            AssertTruthAndClean(id, What);
        }
    }

    [RuntimeTheory(NotUnderRunc = NotRunc)]
    [InlineData("size=4k,nr_inodes=2")]
    [InlineData("size=4k,nr_inodes=4")]
    [InlineData("size=4k,nr_inodes=5")]
    [InlineData("size=4k,nr_inodes=6")]
    [InlineData("ro")]
    public void A_state_folder_that_is_full_or_read_only_is_told(string options)
    {
        var bundle = Sleeper();
        var id = NewId();
        Directory.CreateDirectory(Runtime.Root);
        var script = $"mount -t tmpfs -o {options} {Tag} {Runtime.Root} && {Runtime.Program} --root {Runtime.Root} create --bundle {bundle.Folder} {id}; echo status $?; ls -A {Runtime.Root}";
        var result = Spawn.Run(Folder, "/usr/bin/unshare", ["--mount", "/bin/sh", "-c", script]);
        Assert.Equal("status 1\n", result.Stdout);
        Assert.Single(result.Stderr.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.Contains(options == "ro" ? "read-only" : "no space", result.Stderr);
        AssertNothingLeft();
    }

    [RuntimeFact(NotUnderRunc = NotRunc)]
    public void Few_descriptors_are_told_or_enough()
    {
        var bundle = NewBundle().Args("true");
        for (var limit = 4; limit < 40; limit += Rounds.Of(3, 1))
        {
            var id = NewId();
            var result = Spawn.Run(Folder, "/bin/sh", ["-c", $"ulimit -n {limit}; exec {Runtime.Program} --root {Runtime.Root} run --bundle {bundle.Folder} {id}"], Limited);
            // The smallest are not enough for .NET to begin: what it says then is its own.
            if (result.ExitCode != 0 && result.Stderr.Contains("psrun: "))
                AssertDecent(result, () => $"ulimit -n {limit}");
            else
                Assert.True(result.ExitCode == 0 || limit < 8, $"ulimit -n {limit}: {result}");
            AssertTruthAndClean(id, () => $"ulimit -n {limit}");
        }
    }

    [RuntimeTheory(NotUnderRunc = NotRunc)]
    [InlineData("umount -l /proc")]
    [InlineData("mount -t tmpfs none /proc")]
    [InlineData("mount --bind /dev/null /proc/self/mountinfo")]
    [InlineData("mount -t tmpfs none /sys/fs/cgroup")]
    public void A_host_without_its_kernel_files_is_told(string damage)
    {
        var bundle = NewBundle().Args("true");
        var (other, _) = Start(Sleeper());
        var id = NewId();
        var root = $"{Runtime.Program} --root {Runtime.Root}";
        // exec: what psrun reads of itself must be damaged, not what a shell before it read.
        var result = Spawn.Run(Folder, "/usr/bin/unshare", ["--mount", "/bin/sh", "-c", $"{damage} && exec {root} run --bundle {bundle.Folder} {id}"], Limited);
        if (result.ExitCode != 0)
            Assert.True(result.Signal == 0 && result.Stderr.Trim().Split('\n').Length == 1 && result.Stderr.StartsWith("psrun: ", StringComparison.Ordinal), result.ToString());
        // A container that runs is not said to have stopped.
        result = Spawn.Run(Folder, "/usr/bin/unshare", ["--mount", "/bin/sh", "-c", $"{damage} && exec {root} state {other}"], Limited);
        Assert.DoesNotContain("stopped", result.Stdout);
        if (result.ExitCode != 0)
            Assert.True(result.Signal == 0 && result.Stderr.StartsWith("psrun: ", StringComparison.Ordinal), result.ToString());
        Assert.Equal("running", Runtime.Status(other));
        Runtime.Do("delete", "--force", other).Ends(0);
        AssertTruthAndClean(id, () => damage);
    }
}
