namespace Containers.Tests.Runtime;

/// <summary>A program with a terminal in the foreground, without a console socket: psrun's own terminal stands in front of it.</summary>
public sealed class TerminalRelayTests : RuntimeTest
{
    static Bundle WithTerminal(Bundle bundle) => bundle.Change(b => b.Process["terminal"] = true);

    Spawn BeginRun(PseudoTerminal terminal, Bundle bundle, out string id) =>
        Runtime.Begin(new SpawnOptions { Descriptors = terminal.Streams }, "run", "--bundle", bundle.Folder, id = NewId());

    [RuntimeFact]
    public void What_is_typed_goes_to_the_program_and_what_it_prints_comes_back()
    {
        using var terminal = new PseudoTerminal();
        using var run = BeginRun(terminal, WithTerminal(NewBundle().Shell("tty; read line; echo got $line; exit 7")), out _);
        terminal.Master.ReadUntil("/dev/pts/0");
        Until(() => terminal.IsRaw);
        terminal.Master.Type("hello\n");
        terminal.Master.ReadUntil("got hello");
        Assert.Equal(7, run.Wait().ExitCode);
        Assert.False(terminal.IsRaw);
        AssertNothingLeft();
    }

    [RuntimeFact]
    public void Control_keys_are_the_programs()
    {
        using var terminal = new PseudoTerminal();
        using var run = BeginRun(terminal, WithTerminal(NewBundle().Shell("trap 'echo interrupted; exit 3' INT; echo ready; while :; do sleep 0.05; done")), out _);
        terminal.Master.ReadUntil("ready");
        Until(() => terminal.IsRaw);
        terminal.Master.Type("\u0003");
        terminal.Master.ReadUntil("interrupted");
        Assert.Equal(3, run.Wait().ExitCode);
    }

    [RuntimeFact]
    public void The_programs_terminal_follows_the_size_of_ours()
    {
        using var terminal = new PseudoTerminal(33, 101);
        var script = "stty size; while [ \"$(stty size)\" = '33 101' ]; do sleep 0.05; done; stty size";
        using var run = BeginRun(terminal, WithTerminal(NewBundle().Shell(script)), out _);
        terminal.Master.ReadUntil("33 101");
        terminal.Resize(44, 122);
        Native.kill(run.Pid, Native.SIGWINCH); // the kernel's, were it the session's terminal
        terminal.Master.ReadUntil("44 122");
        Assert.Equal(0, run.Wait().ExitCode);
    }

    [RuntimeFact]
    public void An_exec_has_the_terminal_too()
    {
        using var terminal = new PseudoTerminal(31, 77);
        var (id, _) = Start(Sleeper());
        using var exec = Runtime.Begin(new SpawnOptions { Descriptors = terminal.Streams }, "exec", "--tty", id, "sh", "-c", "tty; stty size; read line; echo got $line; exit 5");
        terminal.Master.ReadUntil("31 77");
        Until(() => terminal.IsRaw);
        terminal.Master.Type("word\n");
        Assert.Contains("/dev/pts/", terminal.Master.ReadUntil("got word"));
        Assert.Equal(5, exec.Wait().ExitCode);
        Assert.False(terminal.IsRaw);
    }

    [RuntimeFact]
    public void Much_output_arrives_whole()
    {
        using var terminal = new PseudoTerminal();
        using var run = BeginRun(terminal, WithTerminal(NewBundle().Shell("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i + 1)); done; echo over")), out _);
        var lines = terminal.Master.ReadUntil("over").Split("\r\n");
        for (var i = 0; i < 20000; i++)
            Assert.Equal($"line {i}", lines[i]);
        Assert.Equal(0, run.Wait().ExitCode);
    }

    [RuntimeFact(NotUnderRunc = "it does not tell the program that the file has ended")]
    public void Input_from_a_file_ends_the_programs_input()
    {
        using var terminal = new PseudoTerminal();
        var id = NewId();
        var bundle = WithTerminal(NewBundle().Shell("while read line; do echo got $line; done; echo end; exit 4"));
        using var run = Runtime.Begin(new SpawnOptions { Input = "one\ntwo\n", Descriptors = new() { [1] = terminal.User, [2] = terminal.User } },
            "run", "--bundle", bundle.Folder, id);
        var text = terminal.Master.ReadUntil("end");
        Assert.Contains("got one", text);
        Assert.Contains("got two", text);
        Assert.Equal(4, run.Wait().ExitCode);
    }

    [RuntimeFact]
    public void Without_any_terminal_it_is_refused_by_name()
    {
        // A session of its own has no /dev/tty either.
        var id = NewId();
        var result = Spawn.Run(Folder, "/usr/bin/setsid", ["--wait", Runtime.Program, "--root", Runtime.Root, "run", "--bundle", WithTerminal(Sleeper()).Folder, id]).Ends(1);
        Assert.Contains(UnderTest.IsRunc ? "/dev/tty" : "console-socket", result.Stderr);
        AssertNothingLeft();
    }

    [RuntimeFact]
    public void A_program_that_is_killed_gives_the_terminal_back()
    {
        using var terminal = new PseudoTerminal();
        using var run = BeginRun(terminal, WithTerminal(NewBundle().Shell("echo ready; sleep 1000")), out var id);
        terminal.Master.ReadUntil("ready");
        Until(() => terminal.IsRaw);
        Runtime.Do("kill", id, "KILL").Ends(0);
        Assert.Equal(137, run.Wait().ExitCode);
        Assert.False(terminal.IsRaw);
    }
}
