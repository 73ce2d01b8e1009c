namespace Containers.Tests.Runtime;

/// <summary>run, in the foreground and detached; what a caller gets back.</summary>
public sealed class RunTests : RuntimeTest
{
    [RuntimeTheory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(126)]
    [InlineData(255)]
    public void Run_ends_with_the_programs_exit_status(int code) => Run(NewBundle().Shell($"exit {code}")).Ends(code);

    [RuntimeTheory]
    [InlineData("TERM", 143)]
    [InlineData("KILL", 137)]
    [InlineData("ABRT", 134)]
    public void Run_ends_with_128_and_the_signal(string signal, int status) =>
        // Without a pid namespace, because its first process is safe from its own signals.
        Run(NewBundle().Shell($"kill -{signal} $$").WithoutNamespace("pid")).Ends(status);

    [RuntimeFact]
    public void Run_deletes_the_container_at_the_end()
    {
        var id = NewId();
        Runtime.Run(id, NewBundle().Args("true")).Ends(0);
        Runtime.Do("state", id).Ends(1);
        AssertNothingLeft();
    }

    [RuntimeFact]
    public void Run_hands_standard_input_output_and_error_over()
    {
        var id = NewId();
        var bundle = NewBundle().Shell("read line; echo \"out $line\"; echo \"err $line\" >&2");
        var result = Runtime.Do(new SpawnOptions { Input = "hello\n" }, "run", "--bundle", bundle.Folder, id).Ends(0);
        Assert.Equal("out hello\n", result.Stdout);
        Assert.Equal("err hello\n", result.Stderr);
    }

    [RuntimeFact]
    public void Create_hands_its_own_standard_output_to_the_program()
    {
        var id = NewId();
        using var create = Runtime.Begin(new SpawnOptions(), "create", "--bundle", NewBundle().Shell("echo late").Folder, id);
        create.Wait().Ends(0);
        var pid = Runtime.Pid(id);
        Assert.Equal("", create.Stdout);
        Runtime.Do("start", id).Ends(0);
        Runtime.WaitForEnd(pid);
        Assert.Equal("late\n", create.Stdout);
    }

    [RuntimeFact]
    public void A_detached_run_returns_while_the_program_runs()
    {
        var (id, pid) = Start(Sleeper());
        Assert.Equal("running", Runtime.Status(id));
        // right after its start it may still be busy
        Until(() => HostState.ProcessState(pid) == "S");
    }

    [RuntimeTheory]
    [InlineData("create")]
    [InlineData("run")]
    public void The_pid_file_holds_the_inits_number_and_nothing_else(string verb)
    {
        var id = NewId();
        var file = Path.Combine(Folder, "init.pid");
        string[] detach = verb == "run" ? ["--detach"] : [];
        Runtime.Do([verb, .. detach, "--pid-file", file, "--bundle", Sleeper().Folder, id]).Ends(0);
        Assert.Equal(Runtime.Pid(id).ToString(), File.ReadAllText(file));
    }

    [RuntimeFact]
    public void A_pid_file_that_cannot_be_written_fails_the_create_and_leaves_nothing()
    {
        var id = NewId();
        Runtime.Create(id, Sleeper(), "--pid-file", Path.Combine(Folder, "absent/init.pid")).Ends(1);
        Runtime.Do("state", id).Ends(1);
        AssertNothingLeft();
    }

    [RuntimeFact]
    public void The_bundle_is_the_working_folder_when_none_is_named()
    {
        var id = NewId();
        var bundle = NewBundle().Args("echo", "here");
        var result = Runtime.Do(new SpawnOptions { WorkingDirectory = bundle.Folder }, "run", id).Ends(0);
        Assert.Equal("here\n", result.Stdout);
    }

    [RuntimeFact]
    public void The_bundle_may_be_a_relative_path()
    {
        var id = NewId();
        var bundle = Sleeper();
        Runtime.Do(new SpawnOptions { WorkingDirectory = Folder }, "create", "-b", Path.GetFileName(bundle.Folder), id).Ends(0);
        Assert.Equal(bundle.Folder, (string)Runtime.State(id)["bundle"]!);
    }

    [RuntimeFact]
    public void Run_passes_its_own_signals_on_to_the_program()
    {
        var id = NewId();
        var bundle = NewBundle().Shell("trap 'exit 42' TERM; echo ready; while :; do sleep 0.05; done");
        using var run = Runtime.Begin(new SpawnOptions(), "run", "--bundle", bundle.Folder, id);
        Until(() => run.Stdout.Contains("ready"));
        Native.kill(run.Pid, Native.SIGTERM);
        run.Wait().Ends(42);
        AssertNothingLeft();
    }

    [RuntimeFact]
    public void The_root_may_be_an_absolute_path_elsewhere()
    {
        var bundle = NewBundle().Args("cat", "/etc/motd");
        var elsewhere = Path.Combine(Folder, "elsewhere");
        Rootfs.Make(elsewhere);
        File.WriteAllText(Path.Combine(elsewhere, "etc/motd"), "elsewhere\n");
        Assert.Equal("elsewhere\n", Run(bundle.Change(b => b.Config["root"]!["path"] = elsewhere)).Ends(0).Stdout);
    }
}
