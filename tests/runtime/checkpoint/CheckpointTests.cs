using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>checkpoint as CRIU sees it: what it is asked and told, and what becomes of the container. RealCheckpointTests has CRIU itself.</summary>
public sealed class CheckpointTests : RuntimeTest
{
    const string Psruns = "about psrun's words with CRIU";

    string Images => Path.Combine(Folder, "images");

    Result Checkpoint(FakeCriu criu, string id, params string[] flags) =>
        Runtime.Do(criu.Options, ["--criu", FakeCriu.Program, "checkpoint", .. flags.Contains("--image-path") ? (string[])[] : ["--image-path", Images], .. flags, id]);

    void AssertRunsOn(string id, Result refused, string word)
    {
        Assert.Contains(word, refused.Ends(1).Stderr);
        Assert.Single(refused.Stderr.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.Equal("running", Runtime.Status(id));
        Assert.Equal("alive\n", Runtime.Exec(id, "echo", "alive").Ends(0).Stdout);
    }

    [RuntimeFact(NotUnderRunc = Psruns, NotUnderCrun = Psruns)]
    public void Without_criu_nothing_is_touched()
    {
        var (id, _) = Start(Sleeper());
        var nowhere = new SpawnOptions { Environment = new() { ["PATH"] = "/nowhere" } };
        AssertRunsOn(id, Runtime.Do(nowhere, "checkpoint", "--image-path", Images, id), "CRIU is not installed");
        AssertRunsOn(id, Runtime.Do("--criu", "/nowhere/criu", "checkpoint", "--image-path", Images, id), "/nowhere/criu");
        Assert.False(Directory.Exists(Images));
    }

    [RuntimeTheory(NotUnderRunc = Psruns, NotUnderCrun = Psruns)]
    [InlineData("ask\nversion 3 14 0\n", "3.15")]
    [InlineData("ask\nversion 3 17 1\nask\nsay Error (criu/vdso.c:381): vdso: Unexpected bounds\nfail 9 no\n", "vdso: Unexpected bounds")]
    [InlineData("die\n", "criu")]
    [InlineData("ask\ndie\n", "without an answer")]
    public void A_criu_that_cannot_work_is_told_and_nothing_is_touched(string plan, string word)
    {
        var (id, _) = Start(Sleeper());
        AssertRunsOn(id, Checkpoint(new FakeCriu(Folder, null, plan), id), word);
        Assert.False(Directory.Exists(Images));
    }

    [RuntimeFact(NotUnderRunc = Psruns, NotUnderCrun = Psruns)]
    public void A_dump_is_asked_for_and_the_container_is_gone()
    {
        var bundle = Sleeper();
        var (id, pid) = Start(bundle);
        var criu = new FakeCriu(Folder, "ask\nnotice pre-dump\nnotice network-lock\nnotice post-dump\ndone 1\n");
        Checkpoint(criu, id).Ends(0);
        var request = criu.Message(0);
        Assert.Equal("1=1", request[0]);
        Assert.Contains($"2.2={pid}", request);
        Assert.Contains("2.10=dump.log", request);
        Assert.Contains("2.12=1", request);
        Assert.Contains($"2.13={bundle.RootfsPath}", request);
        Assert.Contains("2.34=6", request);
        Assert.Contains($"2.38={0x40000000}", request);
        Assert.Contains("2.50=1", request);
        Assert.Contains(request, field => field.StartsWith("2.44=/sys/fs/cgroup", StringComparison.Ordinal) && field.Contains(Tag));
        Assert.Contains("2.51=/etc/criu/runc.conf", request.Select(field => field.Replace("psrun.conf", "runc.conf")));
        // None of the options that were not given.
        Assert.DoesNotContain(request, field => field.Split('=')[0] is "2.3" or "2.4" or "2.5" or "2.7" or "2.8" or "2.11" or "2.14" or "2.15" or "2.16" or "2.18" or "2.46" or "2.48");
        for (var notice = 1; notice <= 3; notice++)
            Assert.Equal(["1=6", "3=1"], criu.Message(notice));
        Assert.Equal(4, criu.MessageCount);
        // Who made the folder may read the memory of programs in it; nobody else.
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(Images));
        Assert.Contains("does not exist", Runtime.Do("state", id).Ends(1).Stderr);
        Assert.Null(HostState.ProcessState(pid) is "Z" ? null : HostState.ProcessState(pid));
    }

    [RuntimeTheory(NotUnderRunc = Psruns, NotUnderCrun = Psruns)]
    [InlineData("--leave-running", "1=1", "2.3=1")]
    [InlineData("--pre-dump", "1=4", "2.38=1073741824")]
    public void A_container_that_is_to_run_on_does(string flag, string type, string field)
    {
        var (id, _) = Start(Sleeper());
        var criu = new FakeCriu(Folder, $"ask\nnotice post-dump\ndone {type[2..]}\n");
        Checkpoint(criu, id, flag).Ends(0);
        Assert.Contains(type, criu.Message(0));
        Assert.Contains(field, criu.Message(0));
        Assert.Equal("running", Runtime.Status(id));
    }

    [RuntimeFact(NotUnderRunc = Psruns, NotUnderCrun = Psruns)]
    public void Every_option_reaches_criu()
    {
        var (id, _) = Start(Sleeper());
        Directory.CreateDirectory(Path.Combine(Folder, "earlier"));
        var criu = new FakeCriu(Folder, "ask\ndone 1\n");
        Checkpoint(criu, id, "--leave-running", "--work-path", Path.Combine(Folder, "work/below"), "--parent-path", "../earlier", "--tcp-established", "--tcp-skip-in-flight", "--link-remap",
            "--ext-unix-sk", "--shell-job", "--file-locks", "--page-server", "[::1]:4000", "--manage-cgroups-mode", "strict", "--empty-ns", "network", "--auto-dedup", "--lazy-pages").Ends(0);
        var request = criu.Message(0);
        Assert.All(["2.3=1", "2.4=1", "2.5=1", "2.7=1", "2.8=1", "2.11=::1=4000", "2.14=../earlier", "2.15=1", "2.16=1", "2.18=1", "2.34=5", "2.46=1", "2.48=1"], field => Assert.Contains(field, request));
        Assert.Contains(request, field => field.StartsWith("2.17=", StringComparison.Ordinal));
        Assert.True(Directory.Exists(Path.Combine(Folder, "work/below")));
    }

    [RuntimeFact(NotUnderRunc = Psruns, NotUnderCrun = Psruns)]
    public void The_annotation_names_criu_s_own_configuration()
    {
        var (id, _) = Start(Sleeper().Change(b => b.Config["annotations"] = new JsonObject { ["org.criu.config"] = "/etc/mine.conf" }));
        var criu = new FakeCriu(Folder, "ask\ndone 1\n");
        Checkpoint(criu, id, "--leave-running").Ends(0);
        Assert.Contains("2.51=/etc/mine.conf", criu.Message(0));
    }

    [RuntimeFact(NotUnderRunc = Psruns, NotUnderCrun = Psruns)]
    public void Who_waits_for_lazy_pages_is_told_when_they_are_ready()
    {
        var (id, _) = Start(Sleeper());
        using var pipe = new Pipe();
        var criu = new FakeCriu(Folder, "ask\nnotice status-ready\ndone 1\n");
        Runtime.Do(criu.Options with { Descriptors = new() { [9] = pipe.Writer } }, "--criu", FakeCriu.Program, "checkpoint", "--image-path", Images, "--leave-running", "--lazy-pages", "--status-fd", "9", id).Ends(0);
        Span<byte> told = [1];
        Assert.Equal(1, Native.read(pipe.Reader, told, 1));
        Assert.Equal(0, told[0]);
    }

    [RuntimeFact(NotUnderRunc = Psruns, NotUnderCrun = Psruns)]
    public void What_is_the_hosts_is_named()
    {
        var shared = Directory.CreateDirectory(Path.Combine(Folder, "shared")).FullName;
        File.WriteAllText(Path.Combine(shared, "file"), "");
        var bundle = Sleeper().Mount("/link/data", "bind", shared, "bind").Mount("/etc/one", "bind", Path.Combine(shared, "file"), "bind", "ro");
        bundle.Change(b => b.Linux["maskedPaths"]!.AsArray().Add((JsonNode)"/etc/group"));
        Directory.CreateDirectory(bundle.InRootfs("real"));
        File.CreateSymbolicLink(bundle.InRootfs("link"), "/real");
        var (id, _) = Start(bundle);
        var criu = new FakeCriu(Folder, "ask\ndone 1\n");
        Checkpoint(criu, id, "--leave-running").Ends(0);
        var request = criu.Message(0);
        // By the place where it is, under the name that the bundle has for it.
        Assert.Contains("2.23=/real/data=/link/data", request);
        Assert.Contains("2.23=/etc/one=/etc/one", request);
        Assert.Contains("2.23=/etc/group=/dev/null", request);
        Assert.Contains("2.23=/dev/tty=/dev/tty", request);
        Assert.DoesNotContain(request, field => field.StartsWith("2.23=/sys", StringComparison.Ordinal));
        // The test's runtime has files for its streams, which no mount of the container has.
        var streams = JsonNode.Parse(File.ReadAllText(Path.Combine(Images, "descriptors.json")))!.AsArray().Select(s => (string)s!).ToArray();
        Assert.Equal(3, streams.Length);
        Assert.All(streams, stream => Assert.Matches(@"^file\[[0-9a-f]+:[0-9a-f]+\]$", stream));
        Assert.All(streams, stream => Assert.Contains("2.37=" + stream, request));
    }

    [RuntimeFact(NotUnderRunc = Psruns, NotUnderCrun = Psruns)]
    public void Pipes_are_noted_by_their_numbers()
    {
        using Pipe output = new();
        var id = NewId();
        Runtime.Do(new SpawnOptions { Descriptors = new() { [1] = output.Writer, [2] = output.Writer } }, "run", "--detach", "--bundle", Sleeper().Folder, id).Ends(0);
        Watch(Runtime.Pid(id));
        var criu = new FakeCriu(Folder, "ask\ndone 1\n");
        Checkpoint(criu, id, "--leave-running").Ends(0);
        var streams = JsonNode.Parse(File.ReadAllText(Path.Combine(Images, "descriptors.json")))!.AsArray().Select(s => (string)s!).ToArray();
        Assert.Matches(@"^pipe:\[\d+\]$", streams[1]);
        Assert.Equal(streams[1], streams[2]);
        Assert.DoesNotContain(criu.Message(0), field => field.StartsWith("2.37=pipe", StringComparison.Ordinal));
    }

    [RuntimeFact(NotUnderRunc = Psruns, NotUnderCrun = Psruns)]
    public void A_network_namespace_that_was_joined_stays_outside()
    {
        var (_, other) = Start(Sleeper());
        var (id, _) = Start(Sleeper().Namespace("network", $"/proc/{other}/ns/net"));
        var inode = HostState.Link($"/proc/{other}/ns/net")![5..^1];
        var criu = new FakeCriu(Folder, "ask\ndone 1\n");
        Checkpoint(criu, id, "--leave-running").Ends(0);
        Assert.Contains($"2.37=net[{inode}]:extRootNetNS", criu.Message(0));
    }

    [RuntimeTheory(NotUnderRunc = Psruns, NotUnderCrun = Psruns)]
    [InlineData("ask\nnotice pre-dump\nfail 1 no such luck\n", "no such luck")]
    [InlineData("ask\nnotice pre-dump\ndie\n", "without an answer")]
    public void A_dump_that_fails_leaves_the_container_running(string plan, string word)
    {
        var (id, _) = Start(Sleeper());
        AssertRunsOn(id, Checkpoint(new FakeCriu(Folder, plan), id), word);
    }

    [RuntimeFact(NotUnderRunc = Psruns, NotUnderCrun = Psruns)]
    public void A_checkpoint_that_is_killed_leaves_the_container_running()
    {
        var (id, _) = Start(Sleeper());
        // It waits for an answer that does not come.
        var criu = new FakeCriu(Folder, "ask\nnotice pre-dump\nask\ndone 1\n");
        using (var spawn = Runtime.Begin(criu.Options, "--criu", FakeCriu.Program, "checkpoint", "--image-path", Images, id))
        {
            Until(() => criu.MessageCount == 2);
            spawn.Kill();
        }
        Assert.Equal("running", Runtime.Status(id));
        Runtime.Do("delete", "--force", id).Ends(0);
    }

    [RuntimeFact(NotUnderRunc = Psruns, NotUnderCrun = Psruns)]
    public void A_paused_container_can_be_dumped_and_stays_paused()
    {
        var (id, _) = Start(Sleeper());
        Runtime.Do("pause", id).Ends(0);
        Checkpoint(new FakeCriu(Folder, "ask\nfail 1 no\n"), id).Ends(1);
        Assert.Equal("paused", Runtime.Status(id));
        Checkpoint(new FakeCriu(Folder, "ask\ndone 1\n"), id).Ends(0);
        Assert.Contains("does not exist", Runtime.Do("state", id).Ends(1).Stderr);
    }

    [RuntimeTheory(NotUnderRunc = Psruns, NotUnderCrun = Psruns)]
    [InlineData("--parent-path", "/absolute")]
    [InlineData("--parent-path", "not-there")]
    [InlineData("--page-server", "localhost")]
    [InlineData("--page-server", "::1:80")]
    [InlineData("--page-server", "localhost:66000")]
    [InlineData("--manage-cgroups-mode", "sometimes")]
    [InlineData("--empty-ns", "pid")]
    [InlineData("--status-fd", "7")]
    public void What_cannot_be_done_is_refused_by_name(string option, string value)
    {
        var (id, _) = Start(Sleeper());
        var criu = new FakeCriu(Folder, "ask\ndone 1\n");
        AssertRunsOn(id, Checkpoint(criu, id, option, value), option);
        Assert.False(criu.Worked);
    }

    [RuntimeTheory(NotUnderRunc = Psruns, NotUnderCrun = Psruns)]
    [InlineData("--pre-dump")]
    [InlineData("--lazy-pages")]
    public void What_this_kernel_has_not_is_refused_by_name(string option)
    {
        var (id, _) = Start(Sleeper());
        AssertRunsOn(id, Checkpoint(new FakeCriu(Folder, null, "ask\nversion 4 2 0\nask\nfeatures 0 0\n"), id, option), option);
    }

    [RuntimeFact(NotUnderRunc = Psruns, NotUnderCrun = Psruns)]
    public void A_container_that_does_not_run_is_refused()
    {
        var (created, _) = Create(Sleeper());
        Assert.Contains("created", Checkpoint(new FakeCriu(Folder, null), created).Ends(1).Stderr);
        var (stopped, pid) = Start(Sleeper());
        Runtime.Do("kill", stopped, "KILL").Ends(0);
        Runtime.WaitForEnd(pid);
        Assert.Contains("stopped", Checkpoint(new FakeCriu(Folder, null), stopped).Ends(1).Stderr);
        Assert.Contains("does not exist", Checkpoint(new FakeCriu(Folder, null), NewId()).Ends(1).Stderr);
    }

    [RuntimeFact(NotUnderRunc = Psruns, NotUnderCrun = Psruns)]
    public void A_container_without_a_mount_namespace_of_its_own_is_refused()
    {
        var (id, _) = Start(Sleeper().WithoutNamespace("mount").WithoutNamespace("cgroup").Change(b => b.Linux.Remove("maskedPaths")));
        AssertRunsOn(id, Checkpoint(new FakeCriu(Folder, null), id), "mount namespace");
    }
}
