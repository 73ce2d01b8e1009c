using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>restore as CRIU sees it: the processes that it makes are a sleeping one here. RealCheckpointTests has CRIU itself.</summary>
public sealed class RestoreTests : RuntimeTest
{
    const string Psruns = "about psrun's words with CRIU";
    const string Good = "ask\nspawn\nnotice setup-namespaces\nnotice post-restore\nnotice pre-resume\ndone 2\n";

    string Images { get; }

    public RestoreTests()
    {
        Images = Directory.CreateDirectory(Path.Combine(Folder, "images")).FullName;
        Streams("""["/dev/null","pipe:[11]","pipe:[12]"]""");
    }

    void Streams(string text) => File.WriteAllText(Path.Combine(Images, "descriptors.json"), text);

    string[] Command(Bundle bundle, string id, params string[] flags) => ["--criu", FakeCriu.Program, "restore", "--image-path", Images, "--bundle", bundle.Folder, .. flags, id];

    string Restore(FakeCriu criu, Bundle bundle, params string[] flags)
    {
        var id = NewId();
        Runtime.Do(criu.Options, Command(bundle, id, ["--detach", .. flags])).Ends(0);
        Watch(Runtime.Pid(id));
        return id;
    }

    /// <summary>Nothing of it may be left.</summary>
    void AssertRefused(FakeCriu criu, Bundle bundle, string word, params string[] flags)
    {
        var id = NewId();
        Assert.Contains(word, Runtime.Do(criu.Options, Command(bundle, id, flags)).Ends(1).Stderr);
        Assert.False(Directory.Exists(Path.Combine(Runtime.Root, id)));
        AssertNothingLeft();
    }

    [RuntimeFact(NotUnderRunc = Psruns, NotUnderCrun = Psruns)]
    public void A_restored_container_is_as_any_other()
    {
        var criu = new FakeCriu(Folder, Good);
        var file = Path.Combine(Folder, "pid");
        var id = Restore(criu, NewBundle(), "--pid-file", file);
        var pid = Runtime.Pid(id);
        Assert.Equal(pid.ToString(), File.ReadAllText(file));
        Assert.Equal("running", Runtime.Status(id));
        Assert.Contains(id, Runtime.Do("list", "-q").Ends(0).Stdout);
        Assert.Contains(Tag, File.ReadAllText($"/proc/{pid}/cgroup"));
        Runtime.Do("pause", id).Ends(0);
        Assert.Equal("paused", Runtime.Status(id));
        Runtime.Do("resume", id).Ends(0);
        // Its network namespace, which CRIU leaves empty, has a loopback that is up.
        Assert.Contains("LOOPBACK,UP", Runtime.Exec(id, "/bin/busybox", "ip", "link", "show", "lo").Ends(0).Stdout);
        // CRIU before 4.2 forgets that the root is read-only. This one shows the host's, in a mount namespace of its own.
        Assert.Contains("Read-only", Runtime.Exec(id, "/bin/busybox", "touch", Path.Combine(Folder, "made")).Ends(1).Stderr);
        Runtime.Do("kill", id, "KILL").Ends(0);
        Runtime.WaitForEnd(pid);
        Assert.Equal("stopped", Runtime.Status(id));
        Runtime.Do("delete", id).Ends(0);
    }

    [RuntimeFact(NotUnderRunc = Psruns, NotUnderCrun = Psruns)]
    public void A_restore_is_asked_for()
    {
        var criu = new FakeCriu(Folder, Good);
        var shared = Directory.CreateDirectory(Path.Combine(Folder, "shared")).FullName;
        Streams("""["file[1a:2b]","pipe:[11]","pipe:[11]"]""");
        var bundle = NewBundle().Mount("/data/below", "bind", shared, "bind");
        var id = Restore(criu, bundle, "--tcp-established", "--ext-unix-sk", "--shell-job", "--file-locks", "--manage-cgroups-mode", "ignore", "--empty-ns", "network", "--auto-dedup", "--lazy-pages",
            "--lsm-profile", "apparmor:mine", "--lsm-mount-context", "mine", "--no-subreaper", "--work-path", Path.Combine(Folder, "work"));
        var request = criu.Message(0);
        Assert.Equal("1=2", request[0]);
        Assert.All(["2.4=1", "2.5=1", "2.6=1", "2.7=1", "2.8=1", "2.10=restore.log", "2.12=1", "2.16=1", "2.26=1", "2.34=0", $"2.38={0x40000000}", "2.48=1", "2.50=1", "2.53=apparmor:mine", "2.63=mine"],
            field => Assert.Contains(field, request));
        // The root as a mount that covers nothing, in a mount namespace of CRIU's own.
        Assert.Contains($"2.13={Path.Combine(Runtime.Root, id, "criu-root")}", request);
        Assert.Contains($"2.23=/data/below={shared}", request);
        Assert.Contains("2.23=/dev/null=/dev/null", request);
        Assert.Equal(["2.27=file[1a:2b]=0", "2.27=pipe:[11]=1"], request.Where(field => field.StartsWith("2.27=", StringComparison.Ordinal)));
        Assert.Contains(request, field => field.StartsWith("2.25=", StringComparison.Ordinal) && field.Contains(Tag));
        Assert.DoesNotContain(request, field => field.StartsWith("2.2=", StringComparison.Ordinal));
        // A root that lacks the mounts' places gets them.
        Assert.True(Directory.Exists(bundle.InRootfs("data/below")));
        Assert.DoesNotContain(Tag, File.ReadAllText("/proc/self/mountinfo"));
        Assert.False(Directory.Exists(Path.Combine(Runtime.Root, id, "criu-root")));
    }

    [RuntimeFact(NotUnderRunc = Psruns, NotUnderCrun = Psruns)]
    public void Namespaces_that_are_joined_are_handed_over()
    {
        var (_, other) = Start(Sleeper());
        var criu = new FakeCriu(Folder, Good);
        Restore(criu, NewBundle().Namespace("network", $"/proc/{other}/ns/net").Namespace("ipc", $"/proc/{other}/ns/ipc"));
        var request = criu.Message(0);
        Assert.Contains(request, field => field.StartsWith("2.27=extRootNetNS=", StringComparison.Ordinal));
        Assert.Contains($"2.39=ipc=/proc/{other}/ns/ipc", request);
    }

    [RuntimeFact(NotUnderRunc = Psruns, NotUnderCrun = Psruns)]
    public void Hooks_run_when_the_namespaces_are_there()
    {
        var said = Path.Combine(Folder, "said");
        JsonArray Hook(string name) => [new JsonObject { ["path"] = "/bin/sh", ["args"] = Bundle.Strings("sh", "-c", $"echo {name} $(cat) >>{said}") }];
        var bundle = NewBundle().Change(b => b.Config["hooks"] = new JsonObject { ["prestart"] = Hook("first"), ["createRuntime"] = Hook("second"), ["poststop"] = Hook("last") });
        var id = Restore(new FakeCriu(Folder, Good), bundle);
        var pid = Runtime.Pid(id);
        Runtime.Do("delete", "--force", id).Ends(0);
        var lines = File.ReadAllLines(said);
        Assert.Equal(["first", "second", "last"], lines.Select(line => line.Split(' ')[0]));
        Assert.Contains($"\"pid\":{pid}", lines[1]);
    }

    [RuntimeFact(NotUnderRunc = Psruns, NotUnderCrun = Psruns)]
    public void In_the_foreground_its_exit_status_is_psruns()
    {
        var id = NewId();
        var criu = new FakeCriu(Folder, Good);
        using var spawn = Runtime.Begin(criu.Options, Command(NewBundle(), id));
        Until(() => Directory.Exists(Path.Combine(Runtime.Root, id)) && Runtime.Do("state", id) is { ExitCode: 0 } state && state.Stdout.Contains("running"));
        Watch(Runtime.Pid(id));
        Runtime.Do("kill", id, "KILL").Ends(0);
        spawn.Wait().Ends(137);
        Assert.False(Directory.Exists(Path.Combine(Runtime.Root, id)));
    }

    [RuntimeFact(NotUnderRunc = Psruns, NotUnderCrun = Psruns)]
    public void The_master_of_its_terminal_goes_to_the_console_socket()
    {
        using var console = new ConsoleSocket(Folder);
        Restore(new FakeCriu(Folder, "ask\nspawn\nnotice setup-namespaces\nterminal\nnotice post-restore\ndone 2\n"), NewBundle().Change(b => b.Process["terminal"] = true), "--console-socket", console.Path);
        console.Receive();
    }

    [RuntimeTheory(NotUnderRunc = Psruns, NotUnderCrun = Psruns)]
    [InlineData("ask\nfail 2 no such luck\n", "no such luck")]
    [InlineData("ask\ndie\n", "without an answer")]
    [InlineData("ask\nspawn\nnotice setup-namespaces\ndie\n", "without an answer")]
    [InlineData("ask\nspawn\nnotice setup-namespaces\nnotice post-restore\nfail 2 at the end\n", "at the end")]
    [InlineData("ask\nspawn\ndone 2\n", "which process")]
    [InlineData("ask\nspawn\nterminal\ndone 2\n", "terminal")]
    public void A_restore_that_fails_leaves_nothing(string plan, string word) => AssertRefused(new FakeCriu(Folder, plan), NewBundle(), word);

    [RuntimeFact(NotUnderRunc = Psruns, NotUnderCrun = Psruns)]
    public void A_hook_that_fails_ends_the_restore()
    {
        var criu = new FakeCriu(Folder, Good);
        var hook = new JsonArray(new JsonObject { ["path"] = "/bin/false" });
        AssertRefused(criu, NewBundle().Change(b => b.Config["hooks"] = new JsonObject { ["createRuntime"] = hook }), "createRuntime");
        Assert.Equal(["1=6", "3=0"], criu.Message(1));
    }

    [RuntimeFact(NotUnderRunc = Psruns, NotUnderCrun = Psruns)]
    public void A_restore_that_is_killed_leaves_what_delete_finds()
    {
        var id = NewId();
        using (var spawn = Runtime.Begin(new FakeCriu(Folder, "ask\nspawn\nnotice setup-namespaces\nask\n").Options, Command(NewBundle(), id, "--detach")))
        {
            Until(() => Directory.Exists(Path.Combine(Runtime.Root, id)) && Runtime.Do("state", id) is { ExitCode: 0 } state && !state.Stdout.Contains("\"pid\": 0"));
            spawn.Kill();
        }
        Runtime.Do("delete", "--force", id).Ends(0);
        AssertNothingLeft();
    }

    [RuntimeFact(NotUnderRunc = Psruns, NotUnderCrun = Psruns)]
    public void What_cannot_be_done_is_refused_by_name()
    {
        FakeCriu criu = new(Folder, Good);
        AssertRefused(criu, NewBundle(), "--no-pivot", "--no-pivot");
        AssertRefused(criu, NewBundle(), "--lsm-profile", "--lsm-profile", "mine");
        AssertRefused(criu, NewBundle(), "--console-socket", "--console-socket", "/nowhere");
        AssertRefused(criu, NewBundle().WithoutNamespace("mount").Change(b => b.Linux.Remove("maskedPaths")), "mount namespace");
        var mapped = NewBundle().Mount("/data", "bind", Folder, "bind");
        mapped.Change(b => b.Mounts[^1]!["uidMappings"] = new JsonArray(new JsonObject { ["containerID"] = 0, ["hostID"] = 1000, ["size"] = 1 }));
        AssertRefused(criu, mapped, "/data");
        Assert.False(criu.Worked);
    }

    [RuntimeTheory(NotUnderRunc = Psruns, NotUnderCrun = Psruns)]
    [InlineData("{")]
    [InlineData("7")]
    [InlineData("[1,2,3]")]
    public void A_damaged_list_of_streams_is_told(string text)
    {
        Streams(text);
        AssertRefused(new FakeCriu(Folder, null), NewBundle(), "descriptors.json");
    }

    [RuntimeFact(NotUnderRunc = Psruns, NotUnderCrun = Psruns)]
    public void Without_criu_or_images_nothing_is_made()
    {
        var id = NewId();
        var nowhere = new SpawnOptions { Environment = new() { ["PATH"] = "/nowhere" } };
        Assert.Contains("CRIU is not installed", Runtime.Do(nowhere, "restore", "--image-path", Images, "--bundle", NewBundle().Folder, id).Ends(1).Stderr);
        Assert.Contains("--image-path", Runtime.Do("restore", "--image-path", Images + "/not-there", "--bundle", NewBundle().Folder, id).Ends(1).Stderr);
        Assert.False(Directory.Exists(Path.Combine(Runtime.Root, id)));
    }

    [RuntimeFact(NotUnderRunc = Psruns, NotUnderCrun = Psruns)]
    public void Who_ran_the_dumped_container_leaves_the_restored_one_alone()
    {
        var bundle = Sleeper();
        var id = NewId();
        using var first = Runtime.Begin(new SpawnOptions(), "run", "--bundle", bundle.Folder, id);
        Until(() => Directory.Exists(Path.Combine(Runtime.Root, id)) && Runtime.Do("state", id) is { ExitCode: 0 } state && state.Stdout.Contains("running"));
        // It must not see the end before the other has the id.
        Native.kill(first.Pid, Native.SIGSTOP);
        Runtime.Do("delete", "--force", id).Ends(0);
        Runtime.Do(new FakeCriu(Folder, Good).Options, Command(bundle, id, "--detach")).Ends(0);
        Watch(Runtime.Pid(id));
        Native.kill(first.Pid, 18);
        first.Wait().Ends(137);
        Assert.Equal("running", Runtime.Status(id));
    }
}
