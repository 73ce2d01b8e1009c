using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>
/// CVE-2024-21626: no descriptor of the host may be open while paths of the container are walked, and none but the intended ones when its program starts.
/// </summary>
public sealed class DescriptorTests : RuntimeTest
{
    /// <summary>A static program that the test can tell from the container's own: only on the host is it where the links lead.</summary>
    const string HostProgram = "/bin/busybox";

    static IEnumerable<string> WaysOut(string state)
    {
        for (var fd = 3; fd < 24; fd++)
        {
            // As many levels up as the state folder may be deep, and from a folder that is the root itself.
            yield return $"/proc/self/fd/{fd}/" + string.Concat(Enumerable.Repeat("../", state.Count(c => c == '/') + 2));
            yield return $"/proc/self/fd/{fd}";
        }
    }

    [RuntimeFact(NotUnderRunc = "1.1.5 is open to it")]
    public void A_working_directory_that_is_a_descriptor_of_the_host_is_refused_or_inside()
    {
        var (id, _) = Start(Sleeper());
        foreach (var way in WaysOut(Runtime.Root))
        {
            var bundle = NewBundle().Args("/bin/sh", "-c", "pwd -P; ls -a /proc/self/cwd");
            bundle.Process["cwd"] = way;
            AssertInside(Run(bundle.Save()));
            AssertInside(Runtime.Do("exec", "--cwd", way, id, "/bin/sh", "-c", "pwd -P; ls -a /proc/self/cwd"));
        }
    }

    static void AssertInside(Result result)
    {
        if (result.ExitCode != 0)
            return;
        Assert.DoesNotContain("unreachable", result.Stdout);
        Assert.Contains("work", result.Stdout);
    }

    [RuntimeFact(NotUnderRunc = "1.1.5 is open to it")]
    public void A_program_cannot_be_named_through_a_descriptor_of_the_host()
    {
        Assert.True(File.Exists(HostProgram));
        var (id, _) = Start(Sleeper());
        foreach (var way in WaysOut(Runtime.Root))
        {
            // The container has no such path: whoever finds the program found the host's.
            var path = way.TrimEnd('/') + "/usr" + HostProgram;
            AssertNotFound(Run(NewBundle().Args(path, "echo", "out")));
            AssertNotFound(Runtime.Do("exec", id, path, "echo", "out"));
            AssertNotFound(Runtime.Do("exec", "--preserve-fds", "20", id, path, "echo", "out"));
        }
    }

    [RuntimeFact(NotUnderRunc = "1.1.5 is open to it")]
    public void A_link_of_the_image_cannot_lead_to_a_program_of_the_host()
    {
        var bundle = Sleeper();
        var ways = WaysOut(Runtime.Root).ToArray();
        for (var i = 0; i < ways.Length; i++)
            File.CreateSymbolicLink(bundle.InRootfs($"/bin/way{i}"), ways[i].TrimEnd('/') + "/usr" + HostProgram);
        var (id, _) = Start(bundle);
        for (var i = 0; i < ways.Length; i++)
        {
            AssertNotFound(Runtime.Do("exec", id, $"way{i}", "echo", "out"));
            var other = NewBundle().Args($"way{i}", "echo", "out");
            File.CreateSymbolicLink(other.InRootfs($"/bin/way{i}"), ways[i].TrimEnd('/') + "/usr" + HostProgram);
            AssertNotFound(Run(other));
        }
    }

    static void AssertNotFound(Result result)
    {
        Assert.NotEqual(0, result.ExitCode);
        Assert.DoesNotContain("out\n", result.Stdout);
        Assert.Contains("no such file or directory", result.Stderr.Replace("executable file not found in $PATH", "no such file or directory"));
    }

    [RuntimeFact(NotUnderRunc = "1.1.5 is open to it")]
    public void What_the_caller_left_open_does_not_reach_the_program()
    {
        var host = Native.open(Folder, Native.O_RDONLY, 0);
        try
        {
            var options = new SpawnOptions { Descriptors = { [3] = host, [5] = host, [9] = host, [40] = host } };
            var bundle = NewBundle().Args("ls", "/proc/self/fd");
            // The last one is ls' own, of the folder.
            Assert.Equal(["0", "1", "2", "3"], Runtime.Do(options, "run", "--bundle", bundle.Folder, NewId()).Ends(0).Lines);
            var (id, _) = Start(Sleeper());
            Assert.Equal(["0", "1", "2", "3"], Runtime.Do(options, "exec", id, "ls", "/proc/self/fd").Ends(0).Lines);

            // Nor the program's path and working directory.
            foreach (var fd in (int[])[3, 5, 9, 40])
            {
                Assert.NotEqual(0, Runtime.Do(options, "exec", "--cwd", $"/proc/self/fd/{fd}", id, "true").ExitCode);
                AssertNotFound(Runtime.Do(options, "exec", id, $"/proc/self/fd/{fd}/../../usr{HostProgram}", "echo", "out"));
            }
        }
        finally
        {
            Native.close(host);
        }
    }

    [RuntimeFact(NotUnderRunc = "it wants every one of them to be open")]
    public void What_the_caller_preserves_arrives_and_the_runtimes_own_does_not()
    {
        var host = Native.open("/etc/passwd", Native.O_RDONLY, 0);
        try
        {
            var options = new SpawnOptions { Descriptors = { [4] = host, [6] = host } };
            var bundle = NewBundle().Args("ls", "/proc/self/fd");
            var (id, _) = Start(Sleeper());
            // The test's own parents may have left some open too.
            var expected = Spawn.Run(Folder, "/bin/busybox", ["ls", "/proc/self/fd"], options).Ends(0).Lines.Where(fd => int.Parse(fd) < 13).ToArray();
            Assert.Subset(expected.ToHashSet(), new HashSet<string> { "0", "1", "2", "4", "6" });
            foreach (var result in (Result[])[
                Runtime.Do(options, "run", "--preserve-fds", "10", "--bundle", bundle.Folder, NewId()),
                Runtime.Do(options, "exec", "--preserve-fds", "10", id, "ls", "/proc/self/fd")])
                Assert.Equal(expected, result.Ends(0).Lines);
        }
        finally
        {
            Native.close(host);
        }
    }

    [RuntimeFact]
    public void A_waiting_init_has_only_its_streams_and_what_it_waits_on()
    {
        var (id, pid) = Create(Sleeper());
        var open = Directory.GetFiles($"/proc/{pid}/fd").Select(f => (Fd: int.Parse(Path.GetFileName(f)), To: HostState.Link(f) ?? "")).Where(f => f.Fd > 2).ToArray();
        Assert.All(open, f => Assert.True(f.To.StartsWith("socket:", StringComparison.Ordinal) || f.To.StartsWith("pipe:", StringComparison.Ordinal) || UnderTest.IsRunc, $"{f.Fd} -> {f.To}"));
        Runtime.Do("start", id).Ends(0);
    }

    [RuntimeFact]
    public void Nothing_of_the_runtimes_call_shows_in_the_program()
    {
        var options = new SpawnOptions { Environment = { ["SECRET_OF_THE_CALLER"] = "1" } };
        var bundle = NewBundle().Shell("env; tr '\\0' ' ' </proc/1/cmdline; cat /proc/1/comm");
        var result = Runtime.Do(options, "run", "--bundle", bundle.Folder, NewId()).Ends(0);
        Assert.DoesNotContain("SECRET_OF_THE_CALLER", result.Stdout);
        Assert.DoesNotContain(Tag, result.Stdout);
        Assert.DoesNotContain("psrun", result.Stdout);
        var (id, pid) = Create(Sleeper());
        // Before its start the init still is the runtime: its arguments and environment are the host's business, and the container has nobody yet to read them.
        Assert.Equal(0, JsonNode.Parse(Runtime.Do("state", id).Stdout)!["pid"]!.GetValue<int>() - pid);
    }
}
