namespace Containers.Tests.Runtime;

/// <summary>containerd with the runtime under test: its own shim, told by <c>ctr run --runc-binary</c>.</summary>
public sealed class ContainerdTests : EngineTest
{
    Daemon? daemon;

    string Address => Path.Combine(Folder, "containerd.sock");

    Result Ctr(params string[] arguments) => Do("ctr", ["--address", Address, .. arguments]);

    string[] RunFlags => ["--runc-binary", UnderTest.Program, "--runc-root", Path.Combine(Folder, "runc"), "--fifo-dir", Path.Combine(Folder, "fifo"), "--snapshotter", "native"];

    string Imported => $"docker.io/library/{Image}:latest";

    /// <summary>ctr takes images in the OCI layout: one of a single layer is soon written.</summary>
    void StartWithImage()
    {
        var configuration = Path.Combine(Folder, "config.toml");
        File.WriteAllText(configuration, $"""
            version = 2
            root = "{Folder}/root"
            state = "{Folder}/run"
            disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
            [grpc]
              address = "{Address}"
            [ttrpc]
              address = "{Address}.ttrpc"
            """);
        daemon = new Daemon(Folder, "containerd", ["--config", configuration], () => File.Exists(Address) && Ctr("version").ExitCode == 0);
        daemon.Start();
        Ctr("images", "import", OciLayout.Pack(Path.Combine(Folder, "layout"), RootfsArchive(), Imported)).Ends(0);
    }

    Result Run(string id, params string[] arguments) => Ctr(["run", "--rm", .. RunFlags, Imported, id, .. arguments]);

    int Begin(string id, params string[] flags)
    {
        Ctr(["run", "--detach", "--cgroup", $"/{Tag}/{id}", .. RunFlags, .. flags, Imported, id, "sleep", "1000"]).Ends(0);
        var line = Task(id)!;
        Watch(int.Parse(line[1]));
        return int.Parse(line[1]);
    }

    /// <summary>id, pid and status of a task; null when there is none.</summary>
    string[]? Task(string id) => Ctr("tasks", "list").Ends(0).Lines.Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)).FirstOrDefault(words => words[0] == id);

    string? Status(string id) => Task(id)?[2];

    protected override void CleanUp()
    {
        if (daemon is not null)
        {
            foreach (var id in Ctr("tasks", "list", "--quiet").Lines)
                Ctr("tasks", "delete", "--force", id);
            foreach (var id in Ctr("containers", "list", "--quiet").Lines)
                Ctr("containers", "delete", id);
            daemon.Dispose();
        }
        base.CleanUp();
    }

    [EngineFact("containerd", "ctr", Long = true)]
    public void Runs_execs_and_deletes()
    {
        StartWithImage();
        Assert.Equal("hello\n", Run(Tag + "-run", "echo", "hello").Ends(0).Stdout);
        Run(Tag + "-exit", "sh", "-c", "exit 7").Ends(7);
        var id = Tag + "-web";
        Begin(id);
        Assert.Equal("inside\n", Ctr("tasks", "exec", "--fifo-dir", Path.Combine(Folder, "fifo"), "--exec-id", "one", id, "echo", "inside").Ends(0).Stdout);
        Ctr("tasks", "exec", "--fifo-dir", Path.Combine(Folder, "fifo"), "--exec-id", "two", id, "sh", "-c", "exit 5").Ends(5);
        Ctr("tasks", "kill", "--signal", "SIGKILL", id).Ends(0);
        Until(() => Status(id) == "STOPPED");
        Assert.Contains("137", Ctr("tasks", "delete", id).Ends(0).Stderr);
        Assert.Null(Task(id));
    }

    [EngineFact("containerd", "ctr", Long = true)]
    public void Pauses_counts_and_lists_processes()
    {
        StartWithImage();
        var id = Tag + "-web";
        var pid = Begin(id);
        Ctr("tasks", "pause", id).Ends(0);
        Assert.Equal("PAUSED", Status(id));
        Ctr("tasks", "resume", id).Ends(0);
        Assert.Equal("RUNNING", Status(id));
        Assert.Contains(pid.ToString(), Ctr("tasks", "ps", id).Ends(0).Stdout);
        Assert.Contains("pids.current", Ctr("tasks", "metrics", id).Ends(0).Stdout);
    }

    [EngineFact("containerd", "ctr", "script", Long = true)]
    public void Gives_a_terminal()
    {
        StartWithImage();
        var said = DoInTerminal("ctr", [], ["--address", Address, "run", "--rm", "--tty", .. RunFlags, Imported, Tag + "-tty", "sh", "-c", TellTerminal]).Ends(0);
        Assert.Contains("/dev/pts/0", said.Stdout);
        Assert.Contains("31 97", said.Stdout);
    }

    [EngineFact("containerd", "ctr", Long = true)]
    public void Is_told_what_cannot_be_run()
    {
        StartWithImage();
        var failed = Run(Tag + "-none", "no-such-program");
        Assert.NotEqual(0, failed.ExitCode);
        Assert.Contains("executable file not found in $PATH", failed.Stderr);
    }

    [EngineFact("containerd", "ctr", Long = true)]
    public void Keeps_running_while_its_daemon_is_away()
    {
        StartWithImage();
        var id = Tag + "-web";
        var pid = Begin(id);
        daemon!.Stop();
        Assert.NotNull(HostState.ProcessState(pid));
        daemon.Start();
        Assert.Equal("RUNNING", Status(id));
        Assert.Equal("back\n", Ctr("tasks", "exec", "--fifo-dir", Path.Combine(Folder, "fifo"), "--exec-id", "one", id, "echo", "back").Ends(0).Stdout);
    }
}
