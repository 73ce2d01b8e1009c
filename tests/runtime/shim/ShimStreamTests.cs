using System.Text;
using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

public sealed class ShimStreamTests : ShimTest
{
    static byte[] Ascii(string text) => Encoding.ASCII.GetBytes(text);

    [RuntimeFact]
    public void Attached_before_start_a_client_gets_every_byte()
    {
        var task = Created("for i in 1 2 3 4 5; do echo out$i; echo err$i >&2; done; printf end");
        using var client = task.Connect();
        Assert.Equal(0, (long)client.Call("attach")["offset"]!);
        client.Call("start");
        var exit = client.ReadToEnd()!;
        Assert.Equal("exit", (string)exit["event"]!);
        Assert.Equal("out1\nout2\nout3\nout4\nout5\nend", client.Out);
        Assert.Equal("err1\nerr2\nerr3\nerr4\nerr5\n", client.Error);
        Assert.Equal(client.Stdout.ToArray(), task.Logged("stdout"));
        Assert.Equal(client.Stderr.ToArray(), task.Logged("stderr"));
    }

    [RuntimeFact]
    public void Log_up_to_the_offset_and_what_an_attached_client_gets_are_the_whole()
    {
        var task = Running("echo first; printf par; sleep 1; printf 'tial\\n'; echo last");
        Until(() => File.ReadAllText(task.LogPath).Contains(" P par"));
        var log = File.ReadAllBytes(task.LogPath);
        using var client = task.Connect();
        Assert.Equal(log.Length, (long)client.Call("attach")["offset"]!);
        client.ReadToEnd();
        Assert.Equal("tial\nlast\n", client.Out);
        Assert.Equal("first\npartial\nlast\n", Encoding.ASCII.GetString(task.Logged("stdout")));
    }

    [RuntimeFact]
    public void Binary_output_is_logged_and_sent_as_it_is()
    {
        var task = Created("i=0; while [ $i -lt 256 ]; do printf \"\\\\$(printf %o $i)\"; i=$((i+1)); done; printf '\\377\\376\\n\\n\\n\\000'");
        using var client = task.Connect();
        client.Call("attach");
        client.Call("start");
        client.ReadToEnd();
        byte[] expected = [.. Enumerable.Range(0, 256).Select(i => (byte)i), 0xff, 0xfe, (byte)'\n', (byte)'\n', (byte)'\n', 0];
        Assert.Equal(expected, client.Stdout.ToArray());
        Assert.Equal(expected, task.Logged("stdout"));
    }

    [RuntimeFact]
    public void A_megabyte_without_newline_is_cut_into_partial_records()
    {
        var task = Running("dd if=/dev/zero bs=1024 count=1024 2>/dev/null | tr '\\0' x; echo");
        task.WaitForShim();
        var expected = Ascii(new string('x', 1 << 20) + "\n");
        Assert.Equal(expected, task.Logged("stdout"));
    }

    [RuntimeFact]
    public void Much_output_ends_complete_in_log_and_client()
    {
        var task = Created("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done");
        using var client = task.Connect();
        client.Call("attach");
        client.Call("start");
        client.ReadToEnd();
        var expected = string.Concat(Enumerable.Range(0, 20000).Select(i => $"line {i}\n"));
        Assert.Equal(expected, client.Out);
        Assert.Equal(expected, Encoding.ASCII.GetString(task.Logged("stdout")));
    }

    [RuntimeFact]
    public void Without_a_log_nothing_is_kept_and_attach_has_no_offset()
    {
        var task = Created("echo gone", o => o["log"] = null);
        using var client = task.Connect();
        var answer = client.Call("attach");
        Assert.True(answer.ContainsKey("offset") && answer["offset"] is null);
        client.Call("start");
        client.ReadToEnd();
        Assert.Equal("gone\n", client.Out);
        Assert.False(File.Exists(task.LogPath));
    }

    [RuntimeFact]
    public void Input_reaches_the_program_and_ends_with_an_empty_frame()
    {
        var task = Created("cat; echo end", o => o["stdin"] = true);
        using var client = task.Connect();
        client.Call("attach", ("stdin", true));
        client.Call("start");
        client.Input("one\n");
        client.ReadUntil("one\n");
        client.Input("two");
        client.EndInput();
        client.ReadToEnd();
        Assert.Equal("one\ntwoend\n", client.Out);
    }

    [RuntimeFact]
    public void Input_of_several_megabytes_is_neither_lost_nor_reordered()
    {
        var task = Created("sleep 0.3; wc -c; ", o => o["stdin"] = true);
        using var client = task.Connect();
        client.Call("attach", ("stdin", true));
        client.Call("start");
        var block = new byte[1 << 20 - 4];
        for (var i = 0; i < 100; i++)
            client.SendFrame(1, block);
        client.EndInput();
        client.ReadToEnd();
        Assert.Equal(100L * block.Length, long.Parse(client.Out));
    }

    [RuntimeFact]
    public void Input_that_was_sent_is_given_though_its_giver_went_before_it_was_taken()
    {
        var task = Created("sleep 0.5; head -c 5000000 | wc -c", o => o["stdin"] = true);
        using var reader = task.Connect();
        reader.Call("attach");
        reader.Call("start");
        var sender = task.Connect();
        sender.Call("attach", ("stdin", true));
        var gone = System.Threading.Tasks.Task.Run(() =>
        {
            for (var i = 0; i < 5; i++)
                sender.SendFrame(1, new byte[1_000_000]);
            sender.Dispose();
        });
        reader.ReadToEnd();
        Assert.True(gone.Wait(TimeSpan.FromSeconds(10)));
        Assert.Equal(5_000_000, int.Parse(reader.Out));
    }

    [RuntimeFact]
    public void A_log_is_continued_on_a_line_of_its_own_also_after_half_a_record()
    {
        const string Before = "2026-01-01T00:00:00.000000000Z stdout F of an earlier task\n2026-01-01T00:00:01.000000000Z stdout P cut o";
        var task = NewTask("echo new");
        File.WriteAllText(task.LogPath, Before);
        task.Launch();
        using var client = task.Connect();
        // The half record gets its end, and its line a record that is empty.
        Assert.Equal(Before.Length + 1 + "2026-01-01T00:00:01.000000000Z stdout F \n".Length, (long)client.Call("attach")["offset"]!);
        client.Call("start");
        task.WaitForShim();
        Assert.Equal("of an earlier task\ncut o\nnew\n", Encoding.ASCII.GetString(task.Logged("stdout")));
    }

    [RuntimeFact]
    public void The_inits_input_stays_open_when_its_giver_goes_and_close_stdin_ends_it()
    {
        var task = Created("cat; echo end", o => o["stdin"] = true);
        using (var first = task.Connect())
        {
            first.Call("attach", ("stdin", true));
            first.Call("start");
            first.Input("from the first\n");
            first.ReadUntil("first\n");
        }
        using var second = task.Connect();
        second.Call("attach", ("stdin", true));
        second.Input("from the second\n");
        second.ReadUntil("second\n");
        second.Call("close-stdin");
        second.ReadToEnd();
        Assert.Equal("from the second\nend\n", second.Out);
    }

    [RuntimeFact]
    public void Without_input_there_is_none_to_give()
    {
        var task = Created("cat; echo at its end");
        using var client = task.Connect();
        Assert.Equal("NoStandardInput", client.Refused("attach", ("stdin", true)));
        Assert.Equal("NoStandardInput", client.Refused("close-stdin"));
        client.Call("attach");
        client.Call("start");
        client.ReadToEnd();
        Assert.Equal("at its end\n", client.Out);
    }

    [RuntimeFact]
    public void Redirections_replace_the_pipes()
    {
        var input = Path.Combine(Folder, "input");
        var output = Path.Combine(Folder, "output");
        File.WriteAllText(input, "what is read\n");
        File.WriteAllText(output, "what was there before and goes");
        var task = Running("cat; echo problem >&2", o => (o["stdinPath"], o["stdout"], o["stderr"]) = (input, output, output));
        task.WaitForShim();
        Assert.Equal("what is read\nproblem\n", File.ReadAllText(output));
        Assert.Empty(task.Logged("stdout"));
    }

    [RuntimeFact]
    public void A_terminal_has_the_size_it_is_given_and_both_streams()
    {
        var task = NewTask(b =>
        {
            WithTerminal(b);
            b.Shell("trap 'stty size; exit 3' WINCH; tty; echo error >&2; echo ready; while :; do sleep 0.02; done");
        }, o => o["terminal"] = true).Launch();
        using var client = task.Connect();
        client.Call("attach", ("stdin", true));
        client.Call("start");
        client.ReadUntil("ready");
        client.Call("resize", ("width", 123), ("height", 45));
        var exit = client.ReadToEnd()!;
        Assert.Equal("/dev/pts/0\r\nerror\r\nready\r\n45 123\r\n", client.Out);
        Assert.Equal(3, (int)exit["exitCode"]!);
        Assert.Empty(client.Error);
    }

    [RuntimeFact]
    public void A_run_folder_longer_than_a_sockets_address_serves_clients_and_terminals()
    {
        var task = NewTask(b =>
        {
            WithTerminal(b);
            b.Shell("tty");
        }, o => o["terminal"] = true);
        var near = task.RunDir;
        task.RunDir = Directory.CreateDirectory(Path.Combine(near, new string('n', 76), new string('i', 76))).FullName;
        task.Launch();
        // The tests' way there: a link, for they have no descriptor of the folder.
        var link = Path.Combine(Folder, "link");
        Directory.CreateSymbolicLink(link, task.RunDir);
        using var client = new ShimClient(link + "/shim.sock");
        client.Call("attach");
        client.Call("start");
        client.ReadToEnd();
        Assert.Equal("/dev/pts/0\r\n", client.Out);
        task.WaitForShim();
        Assert.Equal(["exit.json", "shim.json", "task.json"], Directory.GetFileSystemEntries(task.RunDir).Select(p => Path.GetFileName(p)!).Order());
    }

    [RuntimeFact]
    public void A_terminal_takes_typed_lines_and_end_of_file()
    {
        var task = NewTask(b =>
        {
            WithTerminal(b);
            b.Shell("stty -echo; cat; echo end");
        }, o => o["terminal"] = true).Launch();
        using var client = task.Connect();
        client.Call("attach", ("stdin", true));
        client.Call("start");
        client.Input("typed\n");
        client.ReadUntil("typed");
        client.EndInput();
        client.ReadToEnd();
        Assert.EndsWith("end\r\n", client.Out);
    }

    [RuntimeFact]
    public void Resize_is_refused_without_a_terminal()
    {
        using var client = Created("true").Connect();
        Assert.Equal("NotATerminal", client.Refused("resize", ("width", 80), ("height", 24)));
        Assert.Equal("BadRequest", client.Refused("resize", ("width", 0), ("height", 24)));
    }

    [RuntimeFact]
    public void A_client_that_does_not_read_is_told_where_to_read_on_and_holds_nobody_up()
    {
        var task = Created("dd if=/dev/zero bs=65536 count=320 2>/dev/null | tr '\\0' y; echo; echo over");
        using var lagging = task.Connect();
        lagging.Call("attach");
        using var waiting = task.Connect();
        task.Start();
        Assert.Equal(0, (int)waiting.Call("wait")["exitCode"]!);

        var lagged = lagging.ReadToEnd()!;
        Assert.Equal("lagged", (string)lagged["event"]!);
        Assert.InRange(lagging.Stdout.Length, 2 << 20, 8 << 20);
        // What it got and what the log has from that offset on are everything.
        task.WaitForShim();
        var whole = task.Logged("stdout");
        Assert.Equal(320 * 65536 + 1 + 5, whole.Length);
        var rest = File.ReadAllBytes(task.LogPath)[(int)(long)lagged["offset"]!..];
        File.WriteAllBytes(task.LogPath, rest);
        Assert.Equal(whole.Length, lagging.Stdout.Length + task.Logged("stdout").Length);
    }

    [RuntimeFact]
    public void A_log_that_cannot_be_written_stops_nothing_and_is_told()
    {
        var small = Directory.CreateDirectory(Path.Combine(Folder, "small")).FullName;
        Assert.Equal(0, Native.mount("tmpfs", small, "tmpfs", 0, "size=64k"));
        try
        {
            var task = Created("dd if=/dev/zero bs=1024 count=1024 2>/dev/null | tr '\\0' 'z'; echo; sleep 1000", o => o["log"] = small + "/log");
            using var client = task.Connect();
            client.Call("attach");
            client.Call("start");
            client.ReadUntil("z\n");
            using var other = task.Connect();
            // Of a write that is larger than the disk nothing stays.
            Assert.InRange((long)other.Call("state")["droppedLogBytes"]!, (1 << 20) - 65536, (1 << 20) + 1);
            Assert.Contains("No space left", task.ShimLog);
            other.Call("shutdown", ("kill", true));
            client.ReadToEnd();
            Assert.Equal((1 << 20) + 1, client.Stdout.Length);
            task.WaitForShim();
        }
        finally
        {
            Assert.Equal(0, Native.umount2(small, 0));
        }
    }
}
