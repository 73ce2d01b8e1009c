namespace Containers.Tests.Runtime;

/// <summary>A state file that ends at any byte, or was garbled: every verb says so in one line, other containers are not touched by it, and a forced delete takes all away.</summary>
public sealed class TornStateTests : FuzzTest
{
    [RuntimeFact(NotUnderRunc = "its states are another matter")]
    public void A_state_that_is_torn_anywhere_is_told_and_cleaned()
    {
        var random = new Random(Seed);
        var (other, _) = Start(Sleeper());
        var length = 1;
        for (var cut = 0; cut < length; cut += Rounds.Of(length / 8 + 1, 1))
        {
            var (id, pid) = cut % 2 == 0 ? Start(Sleeper()) : Create(Sleeper());
            var file = Path.Combine(Runtime.Root, id, "state.json");
            var whole = File.ReadAllBytes(file);
            length = whole.Length;
            Check(id, pid, file, whole[..cut], other);
        }
        foreach (var member in new[] { "id", "bundle", "rootfs", "cgroupPath", "ociVersion" })
        {
            var (id, pid) = Start(Sleeper());
            var file = Path.Combine(Runtime.Root, id, "state.json");
            Check(id, pid, file, System.Text.Encoding.UTF8.GetBytes(File.ReadAllText(file).Replace($"\"{member}\":\"", $"\"{member}\":\"/\\u0000")), other);
        }
        for (var i = 0; i < Rounds.Of(8, 500); i++)
        {
            var (id, pid) = Start(Sleeper());
            var file = Path.Combine(Runtime.Root, id, "state.json");
            Check(id, pid, file, Garble(random, File.ReadAllBytes(file)), other);
        }
        Runtime.Do("delete", "--force", other).Ends(0);
        AssertNothingLeft();
    }

    [RuntimeFact(NotUnderRunc = "its states are another matter", NotUnderCrun = "its states are another matter")]
    public void Mounts_in_the_callers_namespace_go_whatever_is_left_of_the_state()
    {
        var length = 1;
        for (var cut = -1; cut < length; cut += Rounds.Of(length / 4 + 1, 1))
        {
            var bundle = SharedMountsTests.Without(Sleeper());
            var (id, pid) = Start(bundle);
            Assert.Contains(bundle.RootfsPath, File.ReadAllText("/proc/self/mountinfo"));
            var file = Path.Combine(Runtime.Root, id, "state.json");
            var whole = File.ReadAllBytes(file);
            length = whole.Length;
            if (cut < 0)
                File.Delete(file);
            else
                File.WriteAllBytes(file, whole[..cut]);
            Assert.Contains("exists already", Runtime.Do(Limited, "create", "--bundle", bundle.Folder, id).Ends(1).Stderr);
            Runtime.Do(Limited, "delete", "--force", id).Ends(0);
            Assert.DoesNotContain(bundle.RootfsPath, File.ReadAllText("/proc/self/mountinfo"));
            Assert.True(Native.WaitForEnd(pid, TimeSpan.FromSeconds(10)), $"cut at {cut}: the init still lives");
            AssertNoState(() => $"cut at {cut}");
        }
        AssertNothingLeft();
    }

    void Check(string id, int pid, string file, byte[] torn, string other)
    {
        File.WriteAllBytes(file, torn);
        string Input() => System.Text.Encoding.UTF8.GetString(torn);
        foreach (var line in (string[][])[["state", id], ["kill", id, "0"], ["exec", id, "true"], ["start", id], ["ps", id], ["pause", id], ["resume", id], ["update", "--pids-limit", "50", id], ["delete", id]])
            AssertDecent(Runtime.Do(Limited, line), Input);
        Assert.Contains(other, Runtime.Do(Limited, "list", "-q").Ends(0).Lines);
        Assert.Contains(other, Runtime.Do(Limited, "list", "-f", "json").Ends(0).Stdout);
        var known = HostState.Text(file) is { } left && left.Contains("\"pid\":" + pid);
        Runtime.Do(Limited, "delete", "--force", id).Ends(0);
        Assert.False(Directory.Exists(Path.GetDirectoryName(file)), Input());
        // A garbled text that still is JSON is believed: then the wrong number in it is nobody's.
        Assert.True(Native.WaitForEnd(pid, TimeSpan.FromSeconds(10)), $"seed {Seed}: {known} the init still lives\n{Input()}");
    }
}
