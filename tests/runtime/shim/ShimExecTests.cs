using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

public sealed class ShimExecTests : ShimTest
{
    static (string, JsonNode?)[] Attached(string id, params string[] args) =>
        [("exec", id), ("process", ShimClient.Process(args)), ("attach", true)];

    [RuntimeFact]
    public void An_exec_process_has_output_exit_code_and_record()
    {
        var task = Running("sleep 1000");
        using var client = task.Connect();
        var pid = (int)client.Call("exec", Attached("e1", "/bin/sh", "-c", "echo out; echo err >&2; exit 6"))["pid"]!;
        var exit = client.ReadToEnd()!;
        Assert.Equal(("exit", "e1", 6), ((string)exit["event"]!, (string)exit["exec"]!, (int)exit["exitCode"]!));
        Assert.Equal(("out\n", "err\n"), (client.Out, client.Error));
        Assert.Equal(6, (int)task.Record("execs/e1/exit.json")["exitCode"]!);
        var listed = task.Record("task.json")["execs"]!.AsArray().Single()!;
        Assert.Equal(("e1", pid, "stopped"), ((string)listed["id"]!, (int)listed["pid"]!, (string)listed["state"]!));
        Assert.Empty(task.Logged("stdout"));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(task.RunDir, "execs/e1/process.json")));
    }

    [RuntimeFact]
    public void An_end_that_comes_at_once_is_not_lost()
    {
        var task = Running("sleep 1000");
        for (var i = 0; i < 20; i++)
        {
            using var client = task.Connect();
            client.Call("exec", Attached($"e{i}", "/bin/false"));
            Assert.Equal(1, (int)client.ReadToEnd()!["exitCode"]!);
        }
    }

    [RuntimeFact]
    public void Old_records_are_removed_and_their_ids_free_again()
    {
        var task = Running("sleep 1000");
        using var client = task.Connect();
        for (var i = 0; i < 70; i++)
        {
            client.Call("exec", ("exec", $"e{i}"), ("process", ShimClient.Process("true")));
            client.Call("wait", ("exec", $"e{i}"));
        }
        Assert.Equal(64, client.Call("state")["execs"]!.AsArray().Count);
        Assert.Equal(64, Directory.GetDirectories(Path.Combine(task.RunDir, "execs")).Length);
        Assert.Equal("ExecNotFound", client.Refused("wait", ("exec", "e0")));
        client.Call("exec", ("exec", "e0"), ("process", ShimClient.Process("true")));
        // Neither descriptors nor memory grow with what has been.
        Assert.InRange(Directory.GetFileSystemEntries($"/proc/{task.ShimPid}/fd").Length, 1, 24);
        Assert.InRange(Memory(task.ShimPid), 0, 12 << 10);
    }

    [RuntimeFact]
    public void Twenty_at_once_keep_apart()
    {
        var task = Running("sleep 1000");
        var clients = Enumerable.Range(0, 20).Select(i =>
        {
            var client = task.Connect();
            client.Ask("exec", Attached($"e{i}", "/bin/sh", "-c", $"echo {i}; exit {i}"));
            return client;
        }).ToList();
        for (var i = 0; i < clients.Count; i++)
        {
            Assert.Equal(i, (int)clients[i].ReadToEnd()!["exitCode"]!);
            Assert.Equal($"{i}\n", clients[i].Out);
            clients[i].Dispose();
        }
    }

    [RuntimeFact]
    public void A_program_that_is_not_there_is_the_runtimes_word()
    {
        var task = Running("sleep 1000");
        using var client = task.Connect();
        var answer = client.Try("exec", Attached("e1", "/no/such/program"));
        Assert.Equal("RuntimeFailed", (string)answer["error"]!["id"]!);
        Assert.Contains("no such file", (string)answer["error"]!["message"]!, StringComparison.OrdinalIgnoreCase);
        Assert.False(Directory.Exists(Path.Combine(task.RunDir, "execs/e1")));
        // The id and the connection are free again.
        client.Call("exec", Attached("e1", "/bin/true"));
        Assert.Equal(0, (int)client.ReadToEnd()!["exitCode"]!);
    }

    [RuntimeFact]
    public void Ids_are_checked_and_taken_once()
    {
        var task = Running("sleep 1000");
        using var client = task.Connect();
        foreach (var bad in new[] { "", ".", "..", "a/b", "../x", "-a", new string('a', 77), "a b" })
            Assert.Equal("BadRequest", client.Refused("exec", ("exec", bad), ("process", ShimClient.Process("true"))));
        client.Call("exec", ("exec", "taken"), ("process", ShimClient.Process("sleep", "1000")));
        Assert.Equal("ExecExists", client.Refused("exec", ("exec", "taken"), ("process", ShimClient.Process("true"))));
        Assert.Equal("ExecNotFound", client.Refused("wait", ("exec", "other")));
        Assert.Equal("BadRequest", client.Refused("exec", ("exec", "noprocess")));
    }

    [RuntimeFact]
    public void It_can_be_signalled_and_waited_for_by_another_client()
    {
        var task = Running("sleep 1000");
        using var client = task.Connect();
        client.Call("exec", ("exec", "e1"), ("process", ShimClient.Process("sleep", "1000")));
        client.Call("signal", ("exec", "e1"), ("signal", 15));
        var exit = client.Call("wait", ("exec", "e1"));
        Assert.Equal((143, 15), ((int)exit["exitCode"]!, (int)exit["signal"]!));
        Assert.Equal("TaskNotRunning", client.Refused("signal", ("exec", "e1"), ("signal", 15)));
        Assert.Equal("running", (string)client.Call("state")["state"]!);
    }

    [RuntimeFact]
    public void Its_input_ends_with_the_connection_that_gave_it()
    {
        var task = Running("sleep 1000");
        using var waiting = task.Connect();
        using (var giver = task.Connect())
        {
            giver.Call("exec", ("exec", "e1"), ("process", ShimClient.Process("/bin/sh", "-c", "cat >/tmp/got; exit 9")), ("stdin", true), ("attach", true));
            giver.Input("kept");
        }
        Assert.Equal(9, (int)waiting.Call("wait", ("exec", "e1"))["exitCode"]!);
        using var reader = task.Connect();
        reader.Call("exec", Attached("e2", "cat", "/tmp/got"));
        reader.ReadToEnd();
        Assert.Equal("kept", reader.Out);
    }

    [RuntimeFact]
    public void A_slow_client_holds_up_the_process_and_gets_everything()
    {
        var task = Running("sleep 1000");
        using var slow = task.Connect();
        slow.Call("exec", Attached("e1", "/bin/sh", "-c", "dd if=/dev/zero bs=65536 count=320 2>/dev/null; echo done >/tmp/done"));
        using var other = task.Connect();
        // More than pipe, socket and the shim's four megabytes take: the writer stands still.
        var before = Environment.TickCount64;
        Assert.Equal("running", (string)other.Call("state")["execs"]!.AsArray()[0]!["state"]!);
        Native.WaitReadable((int)other.Socket.Handle, TimeSpan.FromMilliseconds(500));
        Assert.Equal("running", (string)other.Call("state")["execs"]!.AsArray()[0]!["state"]!);
        Assert.InRange(Memory(task.ShimPid), 0, 16 << 10);
        var exit = slow.ReadToEnd()!;
        Assert.Equal(("exit", 0), ((string)exit["event"]!, (int)exit["exitCode"]!));
        Assert.Equal(320 * 65536, slow.Stdout.Length);
    }

    static int Memory(int pid) => int.Parse(File.ReadLines($"/proc/{pid}/status").Single(l => l.StartsWith("VmRSS:"))[6..].Replace("kB", "").Trim());

    [RuntimeFact]
    public void A_background_child_does_not_keep_the_end_from_being_told()
    {
        var task = Running("sleep 1000");
        using var client = task.Connect();
        var before = Environment.TickCount64;
        client.Call("exec", Attached("e1", "/bin/sh", "-c", "echo said; sleep 1000 & exit 2"));
        Assert.Equal(2, (int)client.ReadToEnd()!["exitCode"]!);
        Assert.InRange(Environment.TickCount64 - before, 0, 6000);
        Assert.Equal("said\n", client.Out);
    }

    [RuntimeFact]
    public void It_may_have_a_terminal()
    {
        var task = Running("sleep 1000");
        var process = ShimClient.Process("/bin/sh", "-c", "tty; read line; echo \"got $line\"");
        process["terminal"] = true;
        using var client = task.Connect();
        client.Call("exec", ("exec", "e1"), ("process", process), ("stdin", true), ("attach", true));
        client.ReadUntil("/dev/pts/");
        client.Call("resize", ("exec", "e1"), ("width", 100), ("height", 30));
        client.Input("hello\n");
        client.ReadToEnd();
        Assert.Contains("got hello\r\n", client.Out);
        Assert.DoesNotContain(Directory.GetFiles(task.RunDir), f => f.Contains("console"));
    }

    [RuntimeFact]
    public void The_end_of_the_init_ends_it_and_tells_its_clients()
    {
        var task = Running("sleep 1000");
        using var client = task.Connect();
        client.Call("exec", Attached("e1", "sleep", "1000"));
        using var other = task.Connect();
        other.Call("shutdown", ("kill", true));
        var exit = client.ReadToEnd()!;
        Assert.Equal(("e1", 137), ((string)exit["exec"]!, (int)exit["exitCode"]!));
        task.WaitForShim();
        Assert.Equal(137, (int)task.Record("execs/e1/exit.json")["exitCode"]!);
    }

    [RuntimeFact]
    public void It_is_refused_before_the_start()
    {
        using var client = Created("sleep 1000").Connect();
        Assert.Equal("TaskNotRunning", client.Refused("exec", ("exec", "e1"), ("process", ShimClient.Process("true"))));
    }
}
