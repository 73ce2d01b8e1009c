namespace Containers.Tests.Runtime;

/// <summary>kill: names, numbers, whom it reaches.</summary>
public sealed class KillTests : RuntimeTest
{
    [RuntimeTheory]
    [InlineData("TERM")]
    [InlineData("SIGTERM")]
    [InlineData("15")]
    [InlineData(null)]
    public void A_signal_arrives_by_name_by_number_and_by_default(string? signal)
    {
        var bundle = NewBundle().Shell("trap 'exit 42' TERM; echo ready; while :; do sleep 0.05; done");
        var id = NewId();
        using var run = Runtime.Begin(new SpawnOptions(), "run", "--bundle", bundle.Folder, id);
        Until(() => run.Stdout.Contains("ready"));
        string[] named = signal is null ? [] : [signal];
        Runtime.Do(["kill", id, .. named]).Ends(0);
        run.Wait().Ends(42);
    }

    [RuntimeTheory]
    [InlineData("NOSUCH")]
    [InlineData("-1")]
    [InlineData("4096")]
    [InlineData("15x")]
    public void An_unknown_signal_is_refused_and_harms_nobody(string signal)
    {
        var (id, _) = Start(Sleeper());
        Assert.NotEqual(0, Runtime.Do("kill", id, signal).ExitCode);
        Assert.Equal("running", Runtime.Status(id));
    }

    [RuntimeFact]
    public void A_stopped_container_cannot_be_killed()
    {
        var (id, pid) = Start(Sleeper());
        Runtime.Do("kill", id, "KILL").Ends(0);
        Runtime.WaitForEnd(pid);
        Assert.Contains("not running", Runtime.Do("kill", id, "KILL").Ends(1).Stderr);
    }

    [RuntimeFact]
    public void Kill_all_reaches_every_process_of_a_container_without_a_pid_namespace()
    {
        var bundle = NewBundle().Shell("sleep 1001 & sleep 1002 & echo $! >/work/child; wait")
            .Change(b => b.Config["root"]!["readonly"] = false).WithoutNamespace("pid");
        var (id, pid) = Start(bundle);
        Until(() => File.Exists(bundle.InRootfs("/work/child")) && File.ReadAllText(bundle.InRootfs("/work/child")).EndsWith('\n'));
        var child = int.Parse(File.ReadAllText(bundle.InRootfs("/work/child")));

        Runtime.Do("kill", "--all", id, "KILL").Ends(0);
        Runtime.WaitForEnd(pid);
        Runtime.WaitForEnd(child);
        Assert.Equal("stopped", Runtime.Status(id));
    }

    [RuntimeFact]
    public void Forced_delete_reaches_every_process_of_a_container_without_a_pid_namespace()
    {
        var bundle = NewBundle().Shell("sleep 1001 & echo $! >/work/child; wait")
            .Change(b => b.Config["root"]!["readonly"] = false).WithoutNamespace("pid");
        var (id, _) = Start(bundle);
        Until(() => File.Exists(bundle.InRootfs("/work/child")) && File.ReadAllText(bundle.InRootfs("/work/child")).EndsWith('\n'));
        Runtime.Do("delete", "--force", id).Ends(0);
        AssertNothingLeft();
    }

    [RuntimeFact]
    public void The_end_of_the_init_ends_its_pid_namespace()
    {
        var (id, pid) = Start(Sleeper());
        var file = Path.Combine(Folder, "exec.pid");
        Runtime.Do("exec", "--detach", "--pid-file", file, id, "sleep", "1003").Ends(0);
        var child = int.Parse(File.ReadAllText(file));
        Runtime.Do("kill", id, "KILL").Ends(0);
        Runtime.WaitForEnd(pid);
        Runtime.WaitForEnd(child);
    }
}
