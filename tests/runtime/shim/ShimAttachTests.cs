using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary><c>psrun attach</c>: a terminal, or any streams, in front of a task's program.</summary>
public sealed class ShimAttachTests : ShimTest
{
    const string Keys = "1011"; // ctrl-p, ctrl-q

    ShimTask OnTerminal(string script) => NewTask(b =>
    {
        WithTerminal(b);
        b.Shell(script);
    }, o => o["terminal"] = true).Launch();

    string Report(int number) => Path.Combine(Folder, $"report{number}");

    int reports;

    Spawn Attach(ShimTask task, SpawnOptions options, params string[] more)
    {
        File.WriteAllText(Report(++reports), "");
        return Spawn.Start(Folder, ShimTask.Psrun, ["attach", "--run-dir", task.RunDir, "--report", Report(reports), .. more], options);
    }

    Spawn Attach(ShimTask task, PseudoTerminal terminal, params string[] more)
    {
        var attached = Attach(task, new SpawnOptions { Descriptors = terminal.Streams }, ["--input", "--terminal", "--detach-keys", Keys, .. more]);
        var report = Report(reports);
        Until(() => File.ReadAllText(report).Length > 0);
        Assert.Equal("{\"attached\":true}\n", File.ReadAllText(report));
        Assert.True(terminal.IsRaw);
        return attached;
    }

    string End => (string)JsonNode.Parse(File.ReadAllLines(Report(reports))[1])!["end"]!;

    [RuntimeFact]
    public void A_full_screen_program_gets_keys_and_size_and_the_terminal_is_afterwards_as_it_was()
    {
        using var terminal = new PseudoTerminal(30, 90);
        var before = terminal.Attributes;
        var task = OnTerminal("vi /dev/note; stty size; cat /dev/note; exit 3");
        using var attached = Attach(task, terminal);
        task.Start();
        // vi asks nobody for the size but the kernel: it draws as many lines as the terminal has.
        terminal.Master.ReadUntil("\u001b[30;1H");
        terminal.Master.Type("ihello from vi\u001b");
        // vi drops keys that wait when the size changes.
        terminal.Master.ReadUntil("- /dev/note [Modified]");
        terminal.Resize(40, 100);
        Native.kill(attached.Pid, Native.SIGWINCH); // the kernel's, were it the session's terminal
        terminal.Master.ReadUntil("\u001b[40;1H");
        terminal.Master.Type(":wq\r");
        terminal.Master.ReadUntil("40 100\r\nhello from vi");
        Assert.Equal(0, attached.Wait().ExitCode);
        Assert.Equal("exit", End);
        Assert.Equal(before, terminal.Attributes);
        Assert.Equal(3, (int)task.Wait()["exitCode"]!);
    }

    [RuntimeFact]
    public void Control_keys_are_the_programs_and_detach_keys_leave_it_running()
    {
        using var terminal = new PseudoTerminal();
        var before = terminal.Attributes;
        var task = OnTerminal("trap 'echo interrupted; exit 4' INT; while read line; do echo got $line; done");
        using (var attached = Attach(task, terminal))
        {
            task.Start();
            terminal.Master.Type("one\n");
            terminal.Master.ReadUntil("got one");
            // The first of the two keys alone goes to the program, with what follows it.
            terminal.Master.Type("\u0010x\n");
            terminal.Master.ReadUntil("got \u0010x");
            terminal.Master.Type("\u0010\u0011");
            Assert.Equal(0, attached.Wait().ExitCode);
            Assert.Equal("detached", End);
            Assert.Equal(before, terminal.Attributes);
        }
        using var again = Attach(task, terminal);
        terminal.Master.Type("two\n");
        terminal.Master.ReadUntil("got two");
        terminal.Master.Type("\u0003");
        terminal.Master.ReadUntil("interrupted");
        Assert.Equal(0, again.Wait().ExitCode);
        Assert.Equal("exit", End);
        Assert.Equal(4, (int)task.Wait()["exitCode"]!);
    }

    [RuntimeTheory]
    [InlineData(15)]
    [InlineData(1)]
    public void Ended_by_a_signal_it_gives_the_terminal_back_and_leaves_the_program(int signal)
    {
        using var terminal = new PseudoTerminal();
        var before = terminal.Attributes;
        var task = OnTerminal("echo ready; sleep 1000");
        using var attached = Attach(task, terminal);
        task.Start();
        terminal.Master.ReadUntil("ready");
        Native.kill(attached.Pid, signal);
        Assert.Equal(0, attached.Wait().ExitCode);
        Assert.Equal("interrupted", End);
        Assert.Equal(before, terminal.Attributes);
        using var client = task.Connect();
        Assert.Equal("running", (string)client.Call("state")["state"]!);
    }

    [RuntimeFact]
    public void A_further_program_on_the_terminal_is_left_by_keys_and_hung_up_by_a_signal()
    {
        using var terminal = new PseudoTerminal(31, 77);
        var task = Running("sleep 1000");
        Spawn Exec(string id, string script)
        {
            var process = ShimClient.Process("/bin/sh", "-c", script);
            process["terminal"] = true;
            var request = Path.Combine(Folder, id);
            File.WriteAllText(request, new JsonObject { ["op"] = "exec", ["seq"] = 2, ["exec"] = id, ["process"] = process, ["attach"] = true, ["stdin"] = true }.ToJsonString());
            return Attach(task, terminal, "--exec", id, "--request", request);
        }
        string State(ShimClient client, string id) => (string)client.Call("state")["execs"]!.AsArray().Single(e => (string)e!["id"]! == id)!["state"]!;

        using var client = task.Connect();
        using (var left = Exec("left", "while [ \"$(stty size)\" != '31 77' ]; do sleep 0.05; done; stty size; while read line; do echo got $line; done; echo at its end"))
        {
            terminal.Master.Type("one\n");
            Assert.Contains("31 77", terminal.Master.ReadUntil("got one"));
            terminal.Master.Type("\u0010\u0011");
            Assert.Equal(0, left.Wait().ExitCode);
            Assert.Equal("detached", End);
            Assert.Equal("running", State(client, "left"));
        }
        using var closed = Exec("closed", "echo ready; sleep 1000");
        terminal.Master.ReadUntil("ready");
        Native.kill(closed.Pid, 1);
        Assert.Equal(0, closed.Wait().ExitCode);
        Until(() => State(client, "closed") == "stopped");
        Assert.Equal("running", State(client, "left"));
        Assert.False(terminal.IsRaw);
    }

    [RuntimeFact]
    public void Without_a_terminal_streams_stay_apart_and_bytes_what_they_are()
    {
        var task = Created("cat; echo problem >&2", o => o["stdin"] = true);
        // A file that ends ends the program's input.
        using var attached = Attach(task, new SpawnOptions { Input = "one\ntwo\u0010\u0011" }, "--input");
        Until(() => File.ReadAllText(Report(1)).Length > 0);
        task.Start();
        var said = attached.Wait().Ends(0);
        Assert.Equal("one\ntwo\u0010\u0011", said.Stdout);
        Assert.Equal("problem\n", said.Stderr);
        Assert.Equal("exit", End);
    }

    [RuntimeFact]
    public void What_cannot_be_attached_to_is_told()
    {
        var task = Created("true");
        Assert.Equal(1, Attach(task, new SpawnOptions(), "--input").Wait().ExitCode);
        Assert.Equal("NoStandardInput", (string)JsonNode.Parse(File.ReadAllText(Report(1)))!["error"]!["id"]!);
        Assert.Equal(1, Attach(task, new SpawnOptions(), "--exec", "nobody").Wait().ExitCode);
        Assert.Equal("ExecNotFound", (string)JsonNode.Parse(File.ReadAllText(Report(2)))!["error"]!["id"]!);
        Assert.Equal(1, Attach(task, new SpawnOptions(), "--terminal").Wait().ExitCode);
        Assert.Equal("NotATerminal", (string)JsonNode.Parse(File.ReadAllText(Report(3)))!["error"]!["id"]!);
    }
}
