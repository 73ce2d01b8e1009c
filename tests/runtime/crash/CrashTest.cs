using System.Text.RegularExpressions;

namespace Containers.Tests.Runtime;

/// <summary>
/// Runs one verb under strace, which kills it at a given system call, or makes that call fail: every boundary between two steps, of the runtime and of the child that it makes, without a runtime
/// that was built for it. What holds afterwards: state and list tell the truth, and a forced delete leaves nothing.
/// </summary>
public abstract class CrashTest : FuzzTest
{
    /// <summary>Calls that only the child between clone and execve makes: its steps.</summary>
    protected const string ChildsCalls = "fsopen,fsconfig,fsmount,move_mount,mount,pivot_root,umount2,setsid,mknodat,openat2,capset,setresuid,setgroups,sethostname,dup3,fchdir,keyctl,accept4,close_range,rt_sigaction,faccessat2";

    /// <summary>The verb's result; null when strace itself had no use for the moment (the number was beyond the last call).</summary>
    private protected Result Traced(string injection, params string[] arguments)
    {
        using var spawn = Spawn.Start(Folder, "/usr/bin/strace",
            ["-D", "-f", "-q", "-o", "/dev/null", "-e", "inject=" + injection, Runtime.Program, "--root", Runtime.Root, .. arguments], new SpawnOptions { Timeout = SpawnOptions.Limit(60) });
        try
        {
            return spawn.Wait();
        }
        finally
        {
            // It would stay with the container's init.
            EndTracers();
        }
    }

    void EndTracers()
    {
        foreach (var pid in HostState.Processes())
        {
            if (HostState.Text($"/proc/{pid}/comm") == "strace\n" && HostState.Text($"/proc/{pid}/cmdline") is { } line && line.Contains(Tag))
                Native.kill(pid, Native.SIGKILL);
        }
    }

    /// <summary>The names of the system calls that the runtime's own process makes, in order, from its first touch of the state on.</summary>
    private protected (int Before, List<string> All) Trace(params string[] arguments)
    {
        var file = Path.Combine(Folder, "trace-" + Guid.NewGuid().ToString("N")[..8]);
        using (var spawn = Spawn.Start(Folder, "/usr/bin/strace", ["-D", "-f", "-q", "-o", file, Runtime.Program, "--root", Runtime.Root, .. arguments], new SpawnOptions { Timeout = SpawnOptions.Limit(60) }))
            spawn.Wait().Ends(0);
        EndTracers();
        List<string> names = [];
        var before = -1;
        string? main = null;
        foreach (var line in File.ReadLines(file))
        {
            var match = Regex.Match(line, @"^(\d+) +([a-z0-9_]+)\(");
            main ??= match.Groups[1].Value;
            if (!match.Success || match.Groups[1].Value != main)
                continue;
            // The first mention is its own command line.
            if (before < 0 && names.Count > 0 && !match.Groups[2].Value.StartsWith("exec", StringComparison.Ordinal) && line.Contains(Path.GetFileName(Runtime.Root)) && line.Contains(Tag))
                before = names.Count;
            names.Add(match.Groups[2].Value);
        }
        Assert.True(before > 0 && names.Count > before, $"the trace shows no work: {names.Count} calls");
        return (before, names);
    }

    /// <summary>Some or all of the numbers from <paramref name="first"/> to <paramref name="last"/>.</summary>
    protected static IEnumerable<int> Moments(Random random, int first, int last, int few)
    {
        if (Rounds.Long)
            return Enumerable.Range(first, last - first + 1);
        return Enumerable.Range(0, few).Select(_ => random.Next(first, last + 1)).ToArray();
    }

    /// <summary>state and list agree, say nothing that is not so, and what they say can be done; then all is taken away.</summary>
    private protected void AssertTruthAndClean(string id, Func<string> what)
    {
        var status = "";
        // For as long as the child has not noticed that it is alone it still is being made.
        Until(() => (status = StatusOf(id)) != "creating");
        var list = Runtime.Do("list", "-f", "json").Ends(0).Stdout;
        Assert.True(status.Length > 0 == list.Contains($"\"id\":\"{id}\""), $"{what()}: state says '{status}', list {list}");
        if (status == "created")
            // A start that was killed may have let it go: then it is about to run.
            Assert.True(Runtime.Do("start", id) is { ExitCode: 0 } || StatusOf(id) is "running" or "stopped", $"{what()}: what is created cannot be started");
        else if (status is "running" or "paused")
            // It may be about to end: a delete that was killed had sent its signal.
            Assert.True(HostState.StartTime(Runtime.Pid(id)) is not null || StatusOf(id) == "stopped", $"{what()}: what runs has no process");
        else if (status == "stopped")
            Assert.NotEqual(0, Runtime.Do("kill", id, "0").ExitCode);
        if (status.Length > 0 && status != "stopped" && Runtime.Do("state", id) is { ExitCode: 0 } still && (int)System.Text.Json.Nodes.JsonNode.Parse(still.Stdout)!["pid"]! is > 0 and var pid)
            Watch(pid);
        var delete = Runtime.Do("delete", "--force", id);
        Assert.True(delete.ExitCode == 0, $"{what()}: {delete}");
        try
        {
            AssertNothingLeft();
        }
        catch (Xunit.Sdk.XunitException e)
        {
            Assert.Fail($"{what()} (status was '{status}'): {e.Message}");
        }
    }

    string StatusOf(string id)
    {
        var result = Runtime.Do("state", id);
        if (result.ExitCode == 0)
            return (string)System.Text.Json.Nodes.JsonNode.Parse(result.Stdout)!["status"]!;
        Assert.Contains("does not exist", result.Stderr);
        return "";
    }
}
