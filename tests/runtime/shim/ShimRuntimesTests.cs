using System.Text;
using System.Text.Json.Nodes;
using Xunit.Abstractions;

namespace Containers.Tests.Runtime;

/// <summary>
/// What a task is, whatever runtime makes it: psrun, runc and crun where they are installed. All of the shim's tests go over runc and crun in
/// <c>test --long</c>, by <c>SHIM_RUNTIME</c>.
/// </summary>
public sealed class ShimRuntimesTests(ITestOutputHelper output) : ShimTest
{
    public static TheoryData<string> Runtimes => [.. ShimRuntime.Installed];

    /// <summary>False, and told, for a crun that cannot work here: that is known only when it is tried.</summary>
    bool CanUse(string runtime)
    {
        var can = Use(runtime);
        if (!can)
            output.WriteLine(ShimRuntime.CrunRefuses);
        return can;
    }

    static (string, JsonNode?)[] Program(string id, string script) => [("exec", id), ("process", ShimClient.Process("/bin/sh", "-c", script)), ("attach", true)];

    [RuntimeTheory]
    [MemberData(nameof(Runtimes))]
    public void Streams_log_exit_code_and_nothing_left(string runtime)
    {
        if (!CanUse(runtime))
            return;
        var task = Created("cat; echo problem >&2; exit 7", o => o["stdin"] = true);
        using var client = task.Connect();
        client.Call("attach", ("stdin", true));
        client.Call("start");
        byte[] sent = [.. Enumerable.Range(0, 300_000).Select(i => (byte)i)];
        client.SendFrame(1, sent);
        client.EndInput();
        var exit = client.ReadToEnd()!;
        Assert.Equal(("exit", 7, "Exited"), ((string)exit["event"]!, (int)exit["exitCode"]!, (string)exit["reason"]!));
        Assert.Equal(sent, client.Stdout.ToArray());
        Assert.Equal("problem\n", client.Error);
        task.WaitForShim();
        Assert.Equal(sent, task.Logged("stdout"));
        Assert.Equal("problem\n", Encoding.ASCII.GetString(task.Logged("stderr")));
        Assert.Equal(7, (int)task.Record("exit.json")["exitCode"]!);
        Assert.Equal(["exit.json", "shim.json", "task.json"], Directory.GetFileSystemEntries(task.RunDir).Select(p => Path.GetFileName(p)!).Order());
        Assert.Empty(Directory.GetFileSystemEntries(task.RuntimeRoot));
        AssertNothingLeft();
    }

    [RuntimeTheory]
    [MemberData(nameof(Runtimes))]
    public void Further_programs_have_streams_terminals_codes_and_the_runtimes_words(string runtime)
    {
        if (!CanUse(runtime))
            return;
        var task = Running("sleep 1000");
        using (var client = task.Connect())
        {
            client.Call("exec", Program("plain", "cat; echo out; echo err >&2; exit 6"));
            var exit = client.ReadToEnd()!;
            Assert.Equal(("plain", 6), ((string)exit["exec"]!, (int)exit["exitCode"]!));
            Assert.Equal(("out\n", "err\n"), (client.Out, client.Error));
        }
        using (var client = task.Connect())
        {
            var process = ShimClient.Process("/bin/sh", "-c", "tty; while [ \"$(stty size)\" != '31 77' ]; do sleep 0.05; done; echo sized; exit 4");
            process["terminal"] = true;
            client.Call("exec", ("exec", "terminal"), ("process", process), ("attach", true));
            client.Call("resize", ("exec", "terminal"), ("width", 77), ("height", 31));
            Assert.Equal(4, (int)client.ReadToEnd()!["exitCode"]!);
            Assert.StartsWith("/dev/pts/", client.Out);
            Assert.EndsWith("sized\r\n", client.Out);
        }
        using (var client = task.Connect())
        {
            var answer = client.Try("exec", ("exec", "none"), ("process", ShimClient.Process("/no/such/program")), ("attach", true));
            Assert.Equal("RuntimeFailed", (string)answer["error"]!["id"]!);
            Assert.Contains("no such file", (string)answer["error"]!["message"]!, StringComparison.OrdinalIgnoreCase);
            client.Call("exec", ("exec", "signalled"), ("process", ShimClient.Process("sleep", "1000")));
            client.Call("signal", ("exec", "signalled"), ("signal", 15));
            var exit = client.Call("wait", ("exec", "signalled"));
            Assert.Equal((143, 15), ((int)exit["exitCode"]!, (int)exit["signal"]!));
        }
    }

    [RuntimeTheory]
    [MemberData(nameof(Runtimes))]
    public void Signals_pause_and_resume(string runtime)
    {
        if (!CanUse(runtime))
            return;
        var task = Created("trap 'echo asked' TERM; echo ready; while :; do sleep 0.02; done");
        using var client = task.Connect();
        client.Call("attach");
        client.Call("start");
        client.ReadUntil("ready");
        using var other = task.Connect();
        other.Call("pause");
        Assert.Equal("paused", (string)task.Record("task.json")["state"]!);
        Assert.Equal("TaskPaused", other.Refused("exec", ("exec", "e"), ("process", ShimClient.Process("true"))));
        other.Call("signal", ("signal", 15));
        other.Call("resume");
        client.ReadUntil("asked");
        Assert.Equal("running", (string)other.Call("state")["state"]!);
        other.Call("pause");
        other.Call("signal", ("signal", 9), ("all", true));
        var exit = client.ReadToEnd()!;
        Assert.Equal((137, 9), ((int)exit["exitCode"]!, (int)exit["signal"]!));
    }

    [RuntimeTheory]
    [MemberData(nameof(Runtimes))]
    public void A_restart_policy_makes_new_runs_in_the_same_log(string runtime)
    {
        if (!CanUse(runtime))
            return;
        var task = Running("n=$(cat /tmp/n || echo 0); n=$((n+1)); echo $n >/tmp/n; echo run $n; [ $n -ge 3 ]", o => o["restartPolicy"] = "on-failure");
        task.WaitForShim();
        Assert.Equal(0, (int)task.Record("exit.json")["exitCode"]!);
        Assert.Equal(2, (int)task.Record("task.json")["restartCount"]!);
        Assert.Equal("run 1\nrun 2\nrun 3\n", Encoding.ASCII.GetString(task.Logged("stdout")));
    }

    [RuntimeTheory]
    [MemberData(nameof(Runtimes))]
    public void Health_is_asked_for_and_acted_on(string runtime)
    {
        if (!CanUse(runtime))
            return;
        var task = NewTask("sleep 1000", o => o["health"] = new JsonObject
        {
            ["process"] = ShimClient.Process("/bin/sh", "-c", "echo looked; test -e /tmp/well"), ["interval"] = 50, ["timeout"] = 10_000, ["startPeriod"] = 0,
            ["retries"] = 2, ["onFailure"] = "kill", ["stopSignal"] = 15, ["stopTimeout"] = 1000,
        });
        task.Bundle.WriteFile("/tmp/well", "");
        task.Launch().Start();
        string Status() => (string)task.Record("task.json")["health"]!["status"]!;
        Until(() => Status() == "healthy");
        Assert.Equal("looked\n", (string)task.Record("task.json")["health"]!["log"]![0]!["output"]!);
        File.Delete(task.Bundle.InRootfs("/tmp/well"));
        var exit = task.Wait();
        Assert.Equal((137, 9), ((int)exit["exitCode"]!, (int)exit["signal"]!));
        Assert.Equal("unhealthy", Status());
    }

    [RuntimeTheory]
    [MemberData(nameof(Runtimes))]
    public void A_terminal_is_the_programs_and_so_are_its_keys(string runtime)
    {
        if (!CanUse(runtime))
            return;
        var task = NewTask(b =>
        {
            WithTerminal(b);
            b.Shell("trap 'echo interrupted; exit 3' INT; tty; echo ready; while read line; do echo got $line; done");
        }, o => o["terminal"] = true).Launch();
        using var client = task.Connect();
        client.Call("attach", ("stdin", true));
        client.Call("start");
        client.ReadUntil("ready");
        Assert.StartsWith("/dev/pts/", client.Out);
        client.Input("typed\n");
        client.ReadUntil("got typed");
        client.Input("\u0003");
        Assert.Equal(3, (int)client.ReadToEnd()!["exitCode"]!);
        Assert.Contains("interrupted", client.Out);
    }

    [RuntimeTheory]
    [MemberData(nameof(Runtimes))]
    public void A_program_of_another_user_does_not_get_the_hosts_null(string runtime)
    {
        if (!CanUse(runtime))
            return;
        var task = NewTask(b =>
        {
            b.Process["user"] = new JsonObject { ["uid"] = 1000, ["gid"] = 1000 };
            b.Shell("cat; readlink /proc/self/fd/0; id -u");
        }).Launch();
        task.Start();
        task.WaitForShim();
        // crun gives what it starts a program with to the program's user; psrun leaves the host's alone.
        Assert.Matches(runtime == "psrun" ? @"^/dev/null\n1000\n$" : @"^pipe:\[\d+\]\n1000\n$", Encoding.ASCII.GetString(task.Logged("stdout")));
    }
}
