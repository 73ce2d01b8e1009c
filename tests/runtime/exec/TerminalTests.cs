using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>Terminals: the master goes over the console socket, the program gets the other end as /dev/console.</summary>
public sealed class TerminalTests : RuntimeTest
{
    static Bundle WithTerminal(Bundle bundle) => bundle.Change(b => b.Process["terminal"] = true);

    [RuntimeFact]
    public void A_program_with_a_terminal_talks_through_the_console_socket()
    {
        using var console = new ConsoleSocket(Folder);
        var script = "tty; stat -c %F /dev/console; test -t 0 && test -t 1 && test -t 2 && echo all; read line; echo got $line; sleep 1000";
        var (id, _) = Create(WithTerminal(NewBundle().Shell(script)), "--console-socket", console.Path);
        console.Receive();
        Runtime.Do("start", id).Ends(0);
        var text = console.ReadUntil("all");
        Assert.Contains("/dev/pts/0", text);
        Assert.Contains("character special file", text);
        console.Type("hello\n");
        console.ReadUntil("got hello");
    }

    [RuntimeFact]
    public void The_terminal_is_the_controlling_one()
    {
        using var console = new ConsoleSocket(Folder);
        var (id, pid) = Create(WithTerminal(NewBundle().Shell("trap 'echo interrupted; exit 3' INT; echo ready; while :; do sleep 0.05; done")),
            "--console-socket", console.Path);
        console.Receive();
        Runtime.Do("start", id).Ends(0);
        console.ReadUntil("ready");
        console.Type("\u0003"); // Ctrl+C
        console.ReadUntil("interrupted");
        Runtime.WaitForEnd(pid);
    }

    [RuntimeFact]
    public void The_terminal_has_the_bundles_size()
    {
        using var console = new ConsoleSocket(Folder);
        var bundle = WithTerminal(NewBundle().Shell("stty size; sleep 1000"))
            .Change(b => b.Process["consoleSize"] = new JsonObject { ["height"] = 41, ["width"] = 101 });
        var (id, _) = Create(bundle, "--console-socket", console.Path);
        console.Receive();
        Runtime.Do("start", id).Ends(0);
        console.ReadUntil("41 101");
    }

    [RuntimeFact]
    public void The_terminal_belongs_to_the_programs_user()
    {
        using var console = new ConsoleSocket(Folder);
        var bundle = WithTerminal(NewBundle().Shell("stat -c 'owner %u' /dev/pts/0; sleep 1000"))
            .Change(b => b.Process["user"] = new JsonObject { ["uid"] = 1000, ["gid"] = 1000 });
        var (id, _) = Create(bundle, "--console-socket", console.Path);
        console.Receive();
        Runtime.Do("start", id).Ends(0);
        console.ReadUntil("owner 1000");
    }

    [RuntimeFact]
    public void A_program_with_a_terminal_holds_the_standard_descriptors_alone()
    {
        using var console = new ConsoleSocket(Folder);
        var (_, pid) = Start(WithTerminal(Sleeper()), "--console-socket", console.Path);
        console.Receive();
        Until(() => File.ReadAllText($"/proc/{pid}/cmdline").StartsWith("sleep"));
        Assert.Equal(["0", "1", "2"], Directory.GetFileSystemEntries($"/proc/{pid}/fd").Select(path => Path.GetFileName(path)!).Order());
        Assert.All(Enumerable.Range(0, 3), fd => Assert.StartsWith("/dev/pts/", HostState.Link($"/proc/{pid}/fd/{fd}")));
    }

    [RuntimeFact]
    public void A_detached_terminal_without_a_console_socket_is_refused_by_name()
    {
        var result = Runtime.Create(NewId(), WithTerminal(Sleeper())).Ends(1);
        Assert.Contains("console socket", result.Stderr.Replace('-', ' '));
        AssertNothingLeft();
    }

    [RuntimeFact]
    public void A_console_socket_without_a_terminal_is_refused_by_name()
    {
        using var console = new ConsoleSocket(Folder);
        var result = Runtime.Create(NewId(), Sleeper(), "--console-socket", console.Path).Ends(1);
        Assert.Contains("console socket", result.Stderr.Replace('-', ' '));
        AssertNothingLeft();
    }

    [RuntimeFact]
    public void A_console_socket_that_is_absent_is_refused()
    {
        Runtime.Create(NewId(), WithTerminal(Sleeper()), "--console-socket", Path.Combine(Folder, "absent.sock")).Ends(1);
        AssertNothingLeft();
    }

    [RuntimeFact]
    public void An_exec_gets_a_terminal_of_its_own()
    {
        using var console = new ConsoleSocket(Folder);
        var (id, _) = Start(Sleeper());
        Runtime.Do("exec", "--tty", "--detach", "--console-socket", console.Path, id, "sh", "-c", "tty; read line; echo got $line").Ends(0);
        console.Receive();
        console.ReadUntil("/dev/pts/");
        console.Type("hello\n");
        console.ReadUntil("got hello");
    }

    [RuntimeFact]
    public void In_a_user_namespace_a_terminal_works()
    {
        using var console = new ConsoleSocket(Folder);
        var (id, _) = Create(WithTerminal(NewBundle().Shell("tty; sleep 1000").UserNamespace()), "--console-socket", console.Path);
        console.Receive();
        Runtime.Do("start", id).Ends(0);
        console.ReadUntil("/dev/pts/0");
    }
}
