using System.Text;
using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>What the shim is apart from, what is left when it is killed, and what a launch that fails leaves.</summary>
public sealed class ShimSurvivalTests : ShimTest
{
    [RuntimeFact]
    public void It_has_a_session_a_cgroup_and_a_mount_namespace_of_its_own()
    {
        var task = Created("sleep 1000");
        var stat = File.ReadAllText($"/proc/{task.ShimPid}/stat");
        var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        Assert.Equal(task.ShimPid.ToString(), fields[3]);
        Assert.All(HostState.Groups(File.ReadLines($"/proc/{task.ShimPid}/cgroup")), line => Assert.EndsWith(":" + task.ShimCgroup, line));
        Assert.NotEqual(HostState.Link("/proc/self/ns/mnt"), HostState.Link($"/proc/{task.ShimPid}/ns/mnt"));
        Assert.Equal("/dev/null", HostState.Link($"/proc/{task.ShimPid}/fd/0"));
        Assert.Equal("/dev/null", HostState.Link($"/proc/{task.ShimPid}/fd/1"));
        Assert.Equal(task.RunDir, HostState.Link($"/proc/{task.ShimPid}/cwd"));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(task.RunDir, "shim.sock")));
    }

    [RuntimeFact]
    public void It_outlives_its_callers_session_and_cgroup()
    {
        var task = NewTask("echo before; sleep 1; echo after; exit 8");
        task.WriteOrders();
        var group = $"/sys/fs/cgroup/unified/{Tag}-caller";
        Directory.CreateDirectory(group);
        var answer = Path.Combine(Folder, "answer");
        var script = $"echo $$ > {group}/cgroup.procs; {Under.Way} {ShimTask.Psrun} shim --run-dir {task.RunDir} > {answer}.new; mv {answer}.new {answer}; sleep 1000";
        using (Spawn.Start(Folder, "/usr/bin/setsid", ["--wait", "/bin/sh", "-c", script]))
        {
            Until(() => File.Exists(answer));
            File.WriteAllText(group + "/cgroup.kill", "1");
            Until(() => File.ReadAllText(group + "/cgroup.procs").Length == 0);
        }
        Directory.Delete(group);
        var shim = (int)JsonNode.Parse(File.ReadAllText(answer))!["pid"]!;
        Assert.NotNull(HostState.StartTime(shim));
        task.Start();
        Assert.True(Native.WaitForEnd(shim, TimeSpan.FromSeconds(30)));
        Assert.Equal(8, (int)task.Record("exit.json")["exitCode"]!);
        Assert.Equal("before\nafter\n", Encoding.ASCII.GetString(task.Logged("stdout")));
    }

    [RuntimeFact]
    public void Ordinary_signals_do_not_end_it()
    {
        var task = Running("sleep 1000");
        foreach (var signal in new[] { 1, 2, 3, 10, 12, 13, 14, 15 })
            Assert.Equal(0, Native.kill(task.ShimPid, signal));
        using var client = task.Connect();
        Assert.Equal("running", (string)client.Call("state")["state"]!);
        Until(() => task.ShimLog.Contains("signal 15 ignored"));
    }

    [RuntimeFact]
    public void Killed_it_leaves_the_truth_on_disk_and_no_mount()
    {
        var task = NewTask("echo kept; sleep 1000");
        task.Orders["mounts"] = new JsonArray(new JsonObject
        {
            ["type"] = "tmpfs", ["source"] = "tmpfs", ["target"] = Directory.CreateDirectory(Path.Combine(Folder, "extra")).FullName,
            ["options"] = Bundle.Strings("nosuid", "size=64k", "mode=700"),
        });
        task.Launch().Start();
        Until(() => File.ReadAllText(task.LogPath).Contains("kept"));
        Native.kill(task.ShimPid, Native.SIGKILL);
        task.WaitForShim();
        var record = task.Record("task.json");
        Assert.Equal("running", (string)record["state"]!);
        Assert.Equal(HostState.StartTime(task.Pid), (ulong)record["pidStartTime"]!);
        // Dead, reaped by the host's pid 1 or not yet.
        Assert.False(task.ShimAlive);
        Assert.False(task.Has("exit.json"));
        Assert.Equal("kept\n", Encoding.ASCII.GetString(task.Logged("stdout")));
        Assert.DoesNotContain(File.ReadLines("/proc/self/mountinfo"), line => line.Contains(Tag));
    }

    [RuntimeFact]
    public void A_second_launch_for_the_same_task_is_refused_and_harms_nothing()
    {
        var task = Created("sleep 1000");
        var shim = task.ShimPid;
        var result = Under.Run(ShimTask.Psrun, "shim", "--run-dir", task.RunDir).Ends(1);
        Assert.Equal("TaskExists", (string)JsonNode.Parse(result.Stdout)!["error"]!["id"]!);
        using var client = task.Connect();
        Assert.Equal(shim, (int)client.Call("hello", ("version", 1))["pid"]!);
    }

    [RuntimeFact]
    public void A_program_that_is_not_there_is_the_runtimes_word_and_nothing_stays()
    {
        var task = NewTask(b => b.Args("/no/such/program"));
        var (status, line) = task.TryLaunch();
        Assert.Equal((1, "RuntimeFailed"), (status, (string)line["error"]!["id"]!));
        Assert.Contains("no such file", (string)line["error"]!["message"]!, StringComparison.OrdinalIgnoreCase);
        Assert.Equal(["shim.json"], Directory.GetFileSystemEntries(task.RunDir).Select(p => Path.GetFileName(p)!));
        Assert.False(File.Exists(task.LogPath));
        AssertNothingLeft();
    }

    /// <summary>A runtime of ours in the place of the real one.</summary>
    string FakeRuntime(string script)
    {
        var path = Path.Combine(Folder, "fake-runtime");
        File.WriteAllText(path, "#!/bin/sh\n" + script + "\n");
        File.SetUnixFileMode(path, Permission.Program);
        return path;
    }

    [RuntimeFact]
    public void A_shim_that_dies_before_it_answers_is_reported_and_cleaned_up()
    {
        var deleted = Path.Combine(Folder, "deleted");
        var task = NewTask("true");
        var state = Path.Combine(task.RuntimeRoot, task.Id);
        task.Orders["runtime"] = FakeRuntime($"case \"$*\" in *delete*) echo \"$@\" > {deleted}; rmdir {state};; *) mkdir -p {state}; echo last words >> {task.RunDir}/shim.log; kill -9 $PPID; sleep 1000;; esac");
        var (status, line) = task.TryLaunch();
        Assert.Equal((1, "ShimFailed"), (status, (string)line["error"]!["id"]!));
        Assert.Contains("signal 9", (string)line["error"]!["message"]!);
        Assert.Contains("last words", (string)line["error"]!["message"]!);
        Assert.Contains($"delete --force {task.Id}", File.ReadAllText(deleted));
        Assert.Equal(["shim.json"], Directory.GetFileSystemEntries(task.RunDir).Select(p => Path.GetFileName(p)!));
        AssertNothingLeft();
    }

    [RuntimeFact]
    public void A_launcher_that_is_killed_takes_the_unfinished_task_with_it()
    {
        var task = NewTask("true", o => o["runtime"] = FakeRuntime("exec sleep 1000"));
        task.WriteOrders();
        using (var launcher = Spawn.Start(Folder, ShimTask.Psrun, ["shim", "--run-dir", task.RunDir]))
        {
            Until(() => File.Exists(Path.Combine(task.RunDir, "shim.sock")) && HostState.Cgroups(Tag + "-shim").Count > 0);
            launcher.Kill();
        }
        Until(() => Directory.GetFileSystemEntries(task.RunDir).Length == 1);
        AssertNothingLeft();
    }

    [RuntimeFact]
    public void The_runtimes_own_words_are_passed_on_from_its_standard_error_too()
    {
        var task = NewTask("true", o => o["runtime"] = FakeRuntime("echo a warning >&2; echo the cause of it >&2; exit 1"));
        var (_, line) = task.TryLaunch();
        Assert.Equal(("RuntimeFailed", "the cause of it"), ((string)line["error"]!["id"]!, (string)line["error"]!["message"]!));
    }

    [RuntimeFact]
    public void A_runtime_that_knows_the_id_already_is_not_asked_again()
    {
        var task = NewTask("true");
        var kept = Path.Combine(Directory.CreateDirectory(Path.Combine(task.RuntimeRoot, task.Id)).FullName, "kept");
        File.WriteAllText(kept, "");
        Assert.Equal("TaskExists", (string)task.TryLaunch().Line["error"]!["id"]!);
        Assert.True(File.Exists(kept));
        Directory.Delete(task.RuntimeRoot, recursive: true);
    }

    [RuntimeFact]
    public void An_idle_shim_does_not_wake_up()
    {
        var task = Running("sleep 1000");
        using (var client = task.Connect())
            client.Call("state");
        long Switches() => Directory.GetDirectories($"/proc/{task.ShimPid}/task").Sum(t =>
            File.ReadLines(t + "/status").Where(l => l.Contains("ctxt_switches")).Sum(l => long.Parse(l.Split('\t')[1])));
        using var pause = new ManualResetEventSlim();
        pause.Wait(300);
        var before = Switches();
        pause.Wait(2000);
        Assert.Equal(before, Switches());
    }

    public static TheoryData<string, string?, string> BadOrders => new()
    {
        { "version", "2", "BadOrders" }, { "id", "\"../x\"", "BadOrders" }, { "id", "7", "BadOrders" }, { "namespace", "\"\"", "BadOrders" },
        { "runtime", "\"runc\"", "BadOrders" }, { "bundle", "\"/a/../b\"", "BadOrders" }, { "cgroup", "\"/\"", "BadOrders" },
        { "surprise", "1", "BadOrders" }, { "mounts", "[{\"type\":\"proc\",\"target\":\"/x\"}]", "BadOrders" },
        { "mounts", "[{\"type\":\"bind\",\"source\":\"/no/such\",\"target\":\"/no/such\"}]", "MountFailed" },
        { "runtime", "\"/no/such/runtime\"", "RuntimeFailed" }, { "bundle", "\"/no/such/bundle\"", "RuntimeFailed" },
        { "stdout", "\"/no/such/folder/file\"", "FileFailed" }, { "log", "\"/no/such/folder/log\"", "FileFailed" },
        { "log", "\"/dev/null\"", "FileFailed" }, { "stdinPath", "\"/no/such/input\"", "FileFailed" }, { "terminal", "\"yes\"", "BadOrders" },
    };

    [RuntimeTheory]
    [MemberData(nameof(BadOrders))]
    public void Bad_orders_are_refused_by_name_and_leave_nothing(string member, string? value, string id)
    {
        var task = NewTask("true", o => o[member] = JsonNode.Parse(value!));
        var (status, line) = task.TryLaunch();
        Assert.Equal((1, id), (status, (string?)line["error"]?["id"]));
        Assert.Equal(["shim.json"], Directory.GetFileSystemEntries(task.RunDir).Select(p => Path.GetFileName(p)!));
        AssertNothingLeft();
    }

    [RuntimeFact]
    public void Orders_that_are_no_JSON_or_not_there_are_refused()
    {
        var task = NewTask("true");
        var missing = Under.Run(ShimTask.Psrun, "shim", "--run-dir", task.RunDir).Ends(1);
        Assert.Equal("BadOrders", (string)JsonNode.Parse(missing.Stdout)!["error"]!["id"]!);
        File.WriteAllText(Path.Combine(task.RunDir, "shim.json"), "{\"version\":1,");
        var broken = Under.Run(ShimTask.Psrun, "shim", "--run-dir", task.RunDir).Ends(1);
        Assert.Equal("BadOrders", (string)JsonNode.Parse(broken.Stdout)!["error"]!["id"]!);
        Spawn.Run(Folder, ShimTask.Psrun, ["shim", "--what"]).Ends(2);
    }

    [RuntimeFact]
    public void The_container_gets_a_clean_start_from_the_shim()
    {
        var task = Running("grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status; umask; ls /proc/self/fd | wc -l");
        task.WaitForShim();
        var said = Encoding.ASCII.GetString(task.Logged("stdout")).Split('\n');
        Assert.Equal(["SigBlk:\t0000000000000000", "SigIgn:\t0000000000000000", "SigCgt:\t0000000000000000", "0022"], said[..4]);
        // 0, 1, 2 and the one that ls reads the folder with.
        Assert.Equal("4", said[4].Trim());
    }
}
