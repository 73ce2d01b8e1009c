using System.Globalization;
using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>A test with the CRIU of this host, where there is one and it works with this kernel.</summary>
sealed class CriuFactAttribute : FactAttribute
{
    static readonly Lazy<string?> Reason = new(() =>
    {
        if (Native.geteuid() != 0)
            return "needs root";
        if (UnderTest.IsCrun)
            return "crun brings its own way to CRIU";
        if (UnderTest.InPath("criu") is not { } criu)
            return "criu is not installed";
        var (works, words) = Check();
        return works ? null : "criu does not work on this kernel: " + words;
    });

    static (bool Works, string Words) Check(params string[] more)
    {
        using var check = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo(UnderTest.InPath("criu")!, ["check", .. more]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var words = check.StandardError.ReadToEndAsync();
        check.StandardOutput.ReadToEnd();
        check.WaitForExit();
        return (check.ExitCode == 0, words.Result.Trim().Split('\n')[^1]);
    }

    /// <summary>What <c>criu check --feature</c> has to find.</summary>
    public string? Feature
    {
        get;
        set => Skip ??= (field = value) is not null && !Check("--feature", value!).Works ? "criu has no " + value + " on this kernel" : null;
    }

    public bool Systemd
    {
        get;
        set => Skip ??= (field = value) && !Directory.Exists("/run/systemd/system") ? "systemd does not run here" : null;
    }

    /// <summary>Why runc 1.1 cannot take psrun's place in this test.</summary>
    public string? NotUnderRunc
    {
        get;
        set => Skip ??= UnderTest.IsRunc ? "runc: " + (field = value) : null;
    }

    public CriuFactAttribute() => Skip = Reason.Value;
}

/// <summary>checkpoint and restore with CRIU itself. The same holds for runc (CONTAINERS_TEST_RUNTIME).</summary>
public sealed class RealCheckpointTests : RuntimeTest
{
    string Images => Path.Combine(Folder, "images");

    string Work => Directory.CreateDirectory(Path.Combine(Folder, "work")).FullName;

    /// <summary>Counts in a file of the host's, ten times a second.</summary>
    Bundle Counter() => NewBundle().Shell("i=0; while :; do i=$((i + 1)); echo $i >/work/next; mv /work/next /work/count; sleep 0.1; done").Mount("/work", "bind", Work, "bind", "rw");

    int Count => File.Exists(Path.Combine(Work, "count")) ? int.Parse(File.ReadAllText(Path.Combine(Work, "count")), CultureInfo.InvariantCulture) : 0;

    void AwaitCount(int more)
    {
        var now = Count;
        Until(() => Count >= now + more);
    }

    /// <summary>With pipes for what it says: CRIU finds files that are in no mount of the container only where it is told of them, which runc does not.</summary>
    (string Id, int Pid) StartPiped(Bundle bundle, Pipe output, params string[] global)
    {
        var id = NewId();
        Runtime.Do(Piped(output), [.. global, "run", "--detach", "--bundle", bundle.Folder, id]).Ends(0);
        var pid = Runtime.Pid(id);
        Watch(pid);
        return (id, pid);
    }

    static SpawnOptions Piped(Pipe output) => new() { Descriptors = new() { [1] = output.Writer, [2] = output.Writer } };

    Result Checkpoint(string id, params string[] flags) => Runtime.Do(["checkpoint", "--image-path", Images, .. flags, id]);

    string Restore(Bundle bundle, Pipe output, string[]? global = null, params string[] flags)
    {
        var id = NewId();
        var restored = Runtime.Do(Piped(output), [.. global ?? [], "restore", "--detach", "--image-path", Images, "--bundle", bundle.Folder, .. flags, id]);
        Assert.True(restored.ExitCode == 0, restored + Said("restore.log"));
        Watch(Runtime.Pid(id));
        return id;
    }

    void Dump(string id, params string[] flags)
    {
        var dumped = Checkpoint(id, flags);
        Assert.True(dumped.ExitCode == 0, dumped + Said("dump.log"));
    }

    string Said(string log) => File.Exists(Path.Combine(Images, log)) ? string.Join('\n', File.ReadLines(Path.Combine(Images, log)).Where(line => line.Contains("Error"))) : $"no {log}";

    [CriuFact]
    public void A_program_goes_on_where_it_was()
    {
        using Pipe first = new(), second = new();
        var bundle = Counter();
        var (id, pid) = StartPiped(bundle, first);
        AwaitCount(3);
        Dump(id);
        Native.WaitForEnd(pid, TimeSpan.FromSeconds(30));
        Assert.Contains("does not exist", Runtime.Do("state", id).Ends(1).Stderr);
        var count = Count;
        Assert.True(count >= 3);
        var restored = Restore(bundle, second);
        Assert.Equal("running", Runtime.Status(restored));
        AwaitCount(3);
        Assert.True(Count > count, "it began anew");
        Assert.Equal("boxed\n", Runtime.Exec(restored, "hostname").Ends(0).Stdout);
        Assert.Equal("1\n", Runtime.Exec(restored, "sh", "-c", "ls -d /proc/1 >/dev/null && echo 1").Ends(0).Stdout);
        Runtime.Do("pause", restored).Ends(0);
        Assert.Equal("paused", Runtime.Status(restored));
        Runtime.Do("resume", restored).Ends(0);
        AwaitCount(2);
        var now = Runtime.Pid(restored);
        Runtime.Do("kill", restored, "KILL").Ends(0);
        Runtime.WaitForEnd(now);
        Runtime.Do("delete", restored).Ends(0);
    }

    [CriuFact]
    public void Left_running_it_runs_on()
    {
        using Pipe output = new();
        var (id, pid) = StartPiped(Counter(), output);
        AwaitCount(2);
        Dump(id, "--leave-running");
        Assert.Equal(("running", pid), (Runtime.Status(id), Runtime.Pid(id)));
        AwaitCount(3);
    }

    [CriuFact(NotUnderRunc = "with CRIU before 4.2 it leaves a read-only root writable")]
    public void What_is_hidden_stays_hidden()
    {
        using Pipe first = new(), second = new();
        var bundle = Counter().WriteFile("/etc/secret", "known").Change(b => b.Linux["maskedPaths"]!.AsArray().Add((JsonNode)"/etc/secret"));
        var (id, _) = StartPiped(bundle, first);
        AwaitCount(1);
        Dump(id);
        var restored = Restore(bundle, second);
        Assert.Equal("", Runtime.Exec(restored, "cat", "/etc/secret").Ends(0).Stdout);
        Assert.Contains("Read-only", Runtime.Exec(restored, "touch", "/etc/new").Ends(1).Stderr);
        Assert.NotEqual(0, Runtime.Exec(restored, "sh", "-c", "echo 1 >/proc/sys/kernel/sysrq").ExitCode);
        Assert.Equal("", Runtime.Exec(restored, "ls", "/sys/firmware").Ends(0).Stdout);
    }

    [CriuFact]
    public void Its_pipes_are_replaced()
    {
        using Pipe first = new(), second = new();
        var bundle = NewBundle().Shell("i=0; while :; do i=$((i + 1)); echo tick $i; sleep 0.1; done");
        var (id, _) = StartPiped(bundle, first);
        Assert.Contains("tick", Read(first));
        Dump(id);
        Restore(bundle, second);
        Assert.Matches(@"tick \d", Read(second));
    }

    static string Read(Pipe pipe)
    {
        Assert.True(Native.WaitReadable(pipe.Reader, TimeSpan.FromSeconds(60)), "nothing was said");
        Span<byte> buffer = new byte[64];
        var length = Native.read(pipe.Reader, buffer, buffer.Length);
        return System.Text.Encoding.UTF8.GetString(buffer[..(int)length]);
    }

    [CriuFact]
    public void Its_terminal_comes_again()
    {
        using ConsoleSocket first = new(Folder), second = new(Folder);
        var bundle = NewBundle().Shell("while read line; do echo got-$line-$$; done").Change(b => b.Process["terminal"] = true);
        var id = NewId();
        Runtime.Do("run", "--detach", "--console-socket", first.Path, "--bundle", bundle.Folder, id).Ends(0);
        first.Receive();
        first.Type("one\n");
        first.ReadUntil("got-one-1");
        Dump(id);
        var restored = NewId();
        var result = Runtime.Do("restore", "--detach", "--console-socket", second.Path, "--image-path", Images, "--bundle", bundle.Folder, restored);
        Assert.True(result.ExitCode == 0, result + Said("restore.log"));
        Watch(Runtime.Pid(restored));
        second.Receive();
        second.Type("two\n");
        second.ReadUntil("got-two-1");
    }

    [CriuFact(Feature = "mem_dirty_track")]
    public void Memory_can_be_dumped_before()
    {
        using Pipe first = new(), second = new();
        var bundle = Counter();
        var (id, _) = StartPiped(bundle, first);
        AwaitCount(1);
        var before = Path.Combine(Folder, "before");
        Runtime.Do("checkpoint", "--pre-dump", "--image-path", before, id).Ends(0);
        Assert.Equal("running", Runtime.Status(id));
        AwaitCount(2);
        Dump(id, "--parent-path", "../before");
        var count = Count;
        Restore(bundle, second);
        AwaitCount(2);
        Assert.True(Count > count);
    }

    [CriuFact]
    public void A_joined_network_is_joined_again()
    {
        using Pipe first = new(), second = new(), third = new();
        var (_, other) = StartPiped(Sleeper(), first);
        var bundle = Counter().Namespace("network", $"/proc/{other}/ns/net");
        var (id, _) = StartPiped(bundle, second);
        AwaitCount(1);
        Dump(id);
        var restored = Restore(bundle, third);
        Assert.Equal(HostState.Link($"/proc/{other}/ns/net"), HostState.Link($"/proc/{Runtime.Pid(restored)}/ns/net"));
        AwaitCount(2);
    }

    [CriuFact]
    public void Without_a_cgroup_namespace_it_is_the_same()
    {
        using Pipe first = new(), second = new();
        var bundle = Counter().WithoutNamespace("cgroup");
        var (id, _) = StartPiped(bundle, first);
        AwaitCount(1);
        Dump(id);
        var restored = Restore(bundle, second);
        AwaitCount(2);
        Assert.Contains(Tag, File.ReadAllText($"/proc/{Runtime.Pid(restored)}/cgroup"));
    }

    [CriuFact(NotUnderRunc = "it makes images that everybody may read, in a folder that root alone may search")]
    public void In_a_user_namespace_it_is_the_same()
    {
        using Pipe first = new(), second = new();
        var bundle = Counter().UserNamespace();
        Native.lchown(Work, 100000, 100000);
        var (id, _) = StartPiped(bundle, first);
        AwaitCount(1);
        Dump(id);
        // CRIU reads its images from inside the user namespace, and nobody else may.
        foreach (var image in Directory.GetFiles(Images))
            Assert.Equal(UnixFileMode.None, File.GetUnixFileMode(image) & (UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute));
        var restored = Restore(bundle, second);
        AwaitCount(2);
        Assert.Contains("100000", File.ReadAllText($"/proc/{Runtime.Pid(restored)}/uid_map"));
    }

    [CriuFact]
    public void A_root_without_the_places_of_its_mounts_gets_them()
    {
        using Pipe first = new(), second = new();
        var bundle = Counter().Mount("/data/below", "bind", Work, "bind");
        var (id, _) = StartPiped(bundle, first);
        AwaitCount(1);
        Dump(id);
        Directory.Delete(bundle.InRootfs("data"), recursive: true);
        var restored = Restore(bundle, second);
        AwaitCount(2);
        Assert.Contains("count", Runtime.Exec(restored, "ls", "/data/below").Ends(0).Stdout);
    }

    [CriuFact]
    public void A_paused_container_is_restored_running()
    {
        using Pipe first = new(), second = new();
        var bundle = Counter();
        var (id, _) = StartPiped(bundle, first);
        AwaitCount(1);
        Runtime.Do("pause", id).Ends(0);
        Dump(id);
        Restore(bundle, second);
        AwaitCount(2);
    }

    [CriuFact]
    public void In_the_foreground_its_end_is_told()
    {
        using Pipe first = new(), second = new();
        var bundle = NewBundle().Shell("while [ ! -e /work/end ]; do sleep 0.1; done; exit 7").Mount("/work", "bind", Work, "bind");
        var (id, _) = StartPiped(bundle, first);
        Dump(id);
        var restored = NewId();
        using var spawn = Runtime.Begin(Piped(second), "restore", "--image-path", Images, "--bundle", bundle.Folder, restored);
        Until(() => Directory.Exists(Path.Combine(Runtime.Root, restored)) && Runtime.Do("state", restored) is { ExitCode: 0 } state && state.Stdout.Contains("running"));
        File.WriteAllText(Path.Combine(Work, "end"), "");
        spawn.Wait().Ends(7);
        Assert.False(Directory.Exists(Path.Combine(Runtime.Root, restored)));
    }

    [CriuFact]
    public void Damaged_images_are_refused_and_nothing_is_left()
    {
        using Pipe first = new(), second = new();
        var bundle = Counter();
        var (id, _) = StartPiped(bundle, first);
        AwaitCount(1);
        Dump(id);
        File.WriteAllText(Path.Combine(Images, "core-1.img"), "");
        var restored = NewId();
        var result = Runtime.Do(Piped(second), "restore", "--detach", "--image-path", Images, "--bundle", bundle.Folder, restored);
        Assert.NotEqual(0, result.ExitCode);
        Assert.False(Directory.Exists(Path.Combine(Runtime.Root, restored)));
        AssertNothingLeft();
    }

    [CriuFact]
    public void A_checkpoint_that_is_killed_tells_the_truth()
    {
        using Pipe output = new();
        foreach (var milliseconds in (int[])[0, 20, 60, 120, 250])
        {
            var (id, _) = StartPiped(Counter(), output);
            AwaitCount(1);
            using (var spawn = Runtime.Begin(new SpawnOptions(), "checkpoint", "--image-path", Images + milliseconds, id))
            {
                Native.WaitForEnd(spawn.Pid, TimeSpan.FromMilliseconds(milliseconds));
                spawn.Kill();
            }
            // What CRIU has begun it takes back, or brings to its end.
            if (Directory.Exists(Path.Combine(Runtime.Root, id)))
            {
                Assert.Contains(Runtime.Status(id), (string[])["running", "paused", "stopped"]);
                Runtime.Do("delete", "--force", id).Ends(0);
            }
        }
    }

    [CriuFact(Systemd = true)]
    public void Systemd_keeps_the_restored_container_too()
    {
        using Pipe first = new(), second = new();
        var bundle = Counter().Change(b => b.Linux["cgroupsPath"] = $"system.slice:psrt:{Tag}");
        var (id, _) = StartPiped(bundle, first, "--systemd-cgroup");
        AwaitCount(1);
        Dump(id);
        var restored = Restore(bundle, second, ["--systemd-cgroup"]);
        AwaitCount(2);
        Assert.Contains($"/system.slice/psrt-{Tag}.scope", File.ReadAllText($"/proc/{Runtime.Pid(restored)}/cgroup"));
    }
}
