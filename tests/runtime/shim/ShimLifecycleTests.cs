using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

public sealed class ShimLifecycleTests : ShimTest
{
    [RuntimeFact]
    public void A_task_goes_from_created_over_running_to_stopped()
    {
        var task = Created("sleep 1000");
        using var client = task.Connect();
        var created = client.Call("state");
        Assert.Equal(("created", task.Pid, task.ShimPid), ((string)created["state"]!, (int)created["pid"]!, (int)created["shimPid"]!));
        Assert.Null(created["startedAt"]);
        Assert.Equal("created", (string)task.Record("task.json")["state"]!);

        client.Call("start");
        Assert.Equal("running", (string)client.Call("state")["state"]!);
        Assert.Equal(HostState.StartTime(task.Pid), (ulong)task.Record("task.json")["pidStartTime"]!);
        Assert.Equal(HostState.StartTime(task.ShimPid), (ulong)task.Record("task.json")["shimStartTime"]!);

        var waiting = client.Ask("wait");
        client.Call("signal", ("signal", 9));
        var exit = client.AnswerTo(waiting);
        Assert.Equal((137, 9), ((int)exit["exitCode"]!, (int)exit["signal"]!));
        task.WaitForShim();
        Assert.Equal("stopped", (string)task.Record("task.json")["state"]!);
        Assert.True(JsonNode.DeepEquals(Without(exit, "seq"), task.Record("exit.json")));
    }

    static JsonObject Without(JsonObject json, string name)
    {
        json.Remove(name);
        return json;
    }

    [RuntimeTheory]
    [InlineData("exit 0", 0, null)]
    [InlineData("exit 3", 3, null)]
    [InlineData("exit 255", 255, null)]
    public void Exit_codes_are_recorded_as_they_are(string script, int code, int? signal)
    {
        var exit = Running("cat >/dev/null; " + script).Wait();
        Assert.Equal((code, signal), ((int)exit["exitCode"]!, (int?)exit["signal"]));
        Assert.Equal("Exited", (string)exit["reason"]!);
        Assert.False((bool)exit["oomKilled"]!);
        var started = DateTimeOffset.Parse((string)exit["startedAt"]!);
        Assert.InRange(DateTimeOffset.Parse((string)exit["finishedAt"]!), started, started.AddSeconds(30));
    }

    [RuntimeFact]
    public void A_signal_that_the_program_handles_is_its_own_affair()
    {
        var task = Created("trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done");
        using var client = task.Connect();
        client.Call("attach");
        client.Call("start");
        client.ReadUntil("ready");
        client.Call("signal", ("signal", 15));
        var exit = client.ReadToEnd()!;
        Assert.Equal(("exit", 7), ((string)exit["event"]!, (int)exit["exitCode"]!));
        Assert.Null(exit["signal"]);
    }

    [RuntimeFact]
    public void Nothing_but_the_records_stays_behind()
    {
        var task = Running("echo done");
        task.WaitForShim();
        Assert.Equal(["exit.json", "shim.json", "task.json"], Directory.GetFileSystemEntries(task.RunDir).Select(p => Path.GetFileName(p)!).Order());
        Assert.Empty(Directory.GetFileSystemEntries(task.RuntimeRoot));
        foreach (var file in new[] { "exit.json", "task.json" })
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(task.RunDir, file)));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(task.LogPath));
        AssertNothingLeft();
    }

    [RuntimeFact]
    public void The_shim_ends_though_nobody_ever_connects_again()
    {
        var task = Created("exit 4");
        task.Start();
        task.WaitForShim();
        Assert.Equal(4, (int)task.Record("exit.json")["exitCode"]!);
        Assert.False(task.Has("shim.sock"));
    }

    [RuntimeFact]
    public void Every_waiter_is_told()
    {
        var task = Created("sleep 0.3; exit 5");
        var clients = Enumerable.Range(0, 10).Select(_ => task.Connect()).ToList();
        var asked = clients.Select(c => c.Ask("wait")).ToList();
        task.Start();
        foreach (var client in clients)
        {
            Assert.Equal(5, (int)client.NextJson()!["exitCode"]!);
            client.Dispose();
        }
    }

    [RuntimeFact]
    public void Start_is_refused_the_second_time()
    {
        var task = Running("sleep 1000");
        using var client = task.Connect();
        Assert.Equal("TaskNotCreated", client.Refused("start"));
    }

    [RuntimeFact]
    public void Shutdown_needs_kill_while_the_init_lives_and_ends_a_created_task()
    {
        var task = Created("sleep 1000");
        using var client = task.Connect();
        Assert.Equal("TaskRunning", client.Refused("shutdown"));
        client.Call("shutdown", ("kill", true));
        task.WaitForShim();
        var exit = task.Record("exit.json");
        Assert.Equal((137, "NotStarted"), ((int)exit["exitCode"]!, (string)exit["reason"]!));
        Assert.Null(exit["startedAt"]);
    }

    [RuntimeFact]
    public void Pause_stops_the_task_and_a_kill_reaches_it_there()
    {
        var task = Running("while :; do sleep 0.01; done");
        using var client = task.Connect();
        Assert.Equal("TaskNotPaused", client.Refused("resume"));
        client.Call("pause");
        Assert.Equal("paused", (string)client.Call("state")["state"]!);
        Assert.Equal("TaskPaused", client.Refused("pause"));
        Assert.Equal("TaskPaused", client.Refused("exec", ("exec", "e"), ("process", ShimClient.Process("true"))));
        client.Call("resume");
        Assert.Equal("running", (string)task.Record("task.json")["state"]!);
        client.Call("pause");
        var waiting = client.Ask("wait");
        client.Call("signal", ("signal", 9));
        Assert.Equal(137, (int)client.AnswerTo(waiting)["exitCode"]!);
    }

    [RuntimeFact]
    public void Signal_to_all_reaches_children_too()
    {
        var task = Created("trap : TERM; sh -c 'trap \"echo child; exit\" TERM; echo ready; while :; do sleep 0.02; done' & while ! wait; do :; done; echo over");
        using var client = task.Connect();
        client.Call("attach");
        client.Call("start");
        client.ReadUntil("ready");
        client.Call("signal", ("signal", 15), ("all", true));
        client.ReadToEnd();
        Assert.Equal("ready\nchild\nover\n", client.Out);
    }

    [RuntimeFact]
    public void Want_of_memory_is_recorded()
    {
        var task = NewTask(b =>
        {
            b.Linux["resources"]!["memory"] = new JsonObject { ["limit"] = 16 << 20 };
            b.Shell("x=$(dd if=/dev/zero bs=1M count=64 2>/dev/null | tr '\\0' x); echo survived");
        }).Launch();
        task.Start();
        task.WaitForShim();
        var exit = task.Record("exit.json");
        Assert.True((bool)exit["oomKilled"]!, exit.ToJsonString());
        Assert.Equal("OomKilled", (string)exit["reason"]!);
    }

    [RuntimeTheory]
    [InlineData("signal", 137)]
    [InlineData("signal to all", 137)]
    [InlineData("shutdown", 137)]
    [InlineData("its own end", 3)]
    public void Want_of_memory_of_another_process_is_not_the_inits_reason(string end, int exitCode)
    {
        const string Hog = "x=$(dd if=/dev/zero bs=1M count=64 2>/dev/null | tr '\\0' x); echo survived";
        var task = NewTask(b =>
        {
            b.Linux["resources"]!["memory"] = new JsonObject { ["limit"] = 16 << 20 };
            b.Shell("read end; exit 3");
        }, orders => orders["stdin"] = true).Launch();
        task.Start();
        using var client = task.Connect();
        client.Call("exec", ("exec", "hog"), ("process", ShimClient.Process("/bin/sh", "-c", Hog)));
        var ended = client.Call("wait", ("exec", "hog"));
        Assert.Equal(("OomKilled", 137), ((string)ended["reason"]!, (int)ended["exitCode"]!));
        var waiting = client.Ask("wait");
        switch (end)
        {
            case "signal": client.Call("signal", ("signal", 9)); break;
            case "signal to all": client.Call("signal", ("signal", 9), ("all", true)); break;
            case "shutdown": client.Call("shutdown", ("kill", true)); break;
            default: client.Call("close-stdin"); break;
        }
        var exit = client.AnswerTo(waiting);
        Assert.Equal(exitCode, (int)exit["exitCode"]!);
        Assert.True((bool)exit["oomKilled"]!, exit.ToJsonString());
        Assert.Equal("Exited", (string)exit["reason"]!);
    }

    [RuntimeFact]
    public void Without_a_pid_namespace_the_rest_is_killed()
    {
        var task = NewTask(b => b.WithoutNamespace("pid").Shell("sleep 4711 & sleep 4712 & exit 3")).Launch();
        task.Start();
        var before = Environment.TickCount64;
        task.WaitForShim();
        Assert.True(Environment.TickCount64 - before < 5000, "the descendants' open pipes held the end up");
        Assert.Equal(3, (int)task.Record("exit.json")["exitCode"]!);
        AssertNothingLeft();
    }

    [RuntimeFact]
    public void The_root_that_the_orders_mount_is_seen_by_the_container_alone()
    {
        var upper = Directory.CreateDirectory(Path.Combine(Folder, "upper, a:b\\c")).FullName;
        var work = Directory.CreateDirectory(Path.Combine(Folder, "work")).FullName;
        var lower = Path.Combine(Folder, "lower:one,two");
        var task = NewTask("echo written > /new; cat /etc/marker; grep ' / ' /proc/self/mountinfo");
        Directory.Move(task.Bundle.RootfsPath, lower);
        Directory.CreateDirectory(task.Bundle.RootfsPath);
        File.WriteAllText(Path.Combine(lower, "etc/marker"), "the lower one\n");
        task.Orders["mounts"] = new JsonArray(new JsonObject
        {
            ["type"] = "overlay", ["source"] = "overlay", ["target"] = task.Bundle.RootfsPath,
            ["options"] = Bundle.Strings("lowerdir=" + lower.Replace(":", "\\:"), "upperdir=" + upper, "workdir=" + work),
        });
        task.Launch();
        Assert.Empty(Directory.GetFileSystemEntries(task.Bundle.RootfsPath));
        Assert.DoesNotContain(File.ReadLines("/proc/self/mountinfo"), line => line.Contains(Tag));
        task.Start();
        task.WaitForShim();
        var output = System.Text.Encoding.UTF8.GetString(task.Logged("stdout"));
        Assert.StartsWith("the lower one\n", output);
        Assert.Contains(" overlay ", output);
        Assert.Equal("written\n", File.ReadAllText(Path.Combine(upper, "new")));
    }
}
