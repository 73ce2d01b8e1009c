namespace Containers.Tests.Runtime;

/// <summary>psrun namespace exec, on a terminal and for a plain user: what Enter-Namespace and Invoke-NamespaceCommand start.</summary>
public sealed class NamespaceVerbTests : RuntimeTest
{
    const string NotUnderRunc = "it has no such verb";

    string Kept()
    {
        var file = Path.Combine(Folder, "uts");
        File.WriteAllText(file, "");
        Spawn.Run(Folder, "/usr/bin/unshare", ["--uts=" + file, "hostname", "kept"]).Ends(0);
        return file;
    }

    protected override void CleanUp()
    {
        var file = Path.Combine(Folder, "uts");
        if (File.Exists(file))
            Spawn.Run(Folder, "/usr/bin/umount", [file]).Ends(0);
    }

    Spawn Begin(PseudoTerminal terminal, params string[] program) => Spawn.Start(Folder, Runtime.Program,
        ["namespace", "exec", "--join", "uts=" + Kept(), "--terminal", "--", .. program], new SpawnOptions { Descriptors = terminal.Streams });

    [RuntimeFact(NotUnderRunc = NotUnderRunc)]
    public void What_is_typed_goes_in_and_the_terminal_is_as_before_afterwards()
    {
        using var terminal = new PseudoTerminal(29, 91);
        using var run = Begin(terminal, "/bin/sh", "-c", "hostname; stty size; tty; read line; echo got $line; stty raw -echo; exit 7");
        terminal.Master.ReadUntil("29 91");
        Until(() => terminal.IsRaw);
        terminal.Master.Type("hello\n");
        var text = terminal.Master.ReadUntil("got hello");
        Assert.Contains("kept", text);
        Assert.Contains("/dev/pts/", text);
        Assert.Equal(7, run.Wait().ExitCode);
        Assert.False(terminal.IsRaw);
    }

    [RuntimeFact(NotUnderRunc = NotUnderRunc)]
    public void Control_keys_are_the_programs()
    {
        using var terminal = new PseudoTerminal();
        using var run = Begin(terminal, "/bin/sh", "-c", "trap 'echo interrupted; exit 3' INT; echo ready; while :; do sleep 0.05; done");
        terminal.Master.ReadUntil("ready");
        Until(() => terminal.IsRaw);
        terminal.Master.Type("\u0003");
        terminal.Master.ReadUntil("interrupted");
        Assert.Equal(3, run.Wait().ExitCode);
        Assert.False(terminal.IsRaw);
    }

    [RuntimeFact(NotUnderRunc = NotUnderRunc)]
    public void The_programs_terminal_follows_the_size_of_ours()
    {
        using var terminal = new PseudoTerminal(33, 101);
        using var run = Begin(terminal, "/bin/sh", "-c", "stty size; while [ \"$(stty size)\" = '33 101' ]; do sleep 0.05; done; stty size");
        terminal.Master.ReadUntil("33 101");
        terminal.Resize(44, 122);
        Native.kill(run.Pid, Native.SIGWINCH); // the kernel's, were it the session's terminal
        terminal.Master.ReadUntil("44 122");
        Assert.Equal(0, run.Wait().ExitCode);
    }

    [RuntimeFact(NotUnderRunc = NotUnderRunc)]
    public void A_program_that_is_killed_gives_the_terminal_back()
    {
        using var terminal = new PseudoTerminal();
        using var run = Begin(terminal, "/bin/sh", "-c", "echo ready; kill -9 $$");
        terminal.Master.ReadUntil("ready");
        Assert.Equal(137, run.Wait().ExitCode);
        Assert.False(terminal.IsRaw);
    }

    [RuntimeFact(NotUnderRunc = NotUnderRunc)]
    public void The_program_ends_with_psrun()
    {
        var file = Kept();
        using var run = Spawn.Start(Folder, Runtime.Program, ["namespace", "exec", "--join", "uts=" + file, "--", "/bin/sleep", "1000"]);
        var inside = 0;
        Until(() => (inside = ChildOf(run.Pid)) > 0 && File.ReadAllText($"/proc/{inside}/comm") == "sleep\n");
        Native.kill(run.Pid, Native.SIGKILL);
        Runtime.WaitForEnd(inside);
    }

    static int ChildOf(int pid) => int.TryParse(HostState.Text($"/proc/{pid}/task/{pid}/children")?.Trim(), out var child) ? child : 0;
}
