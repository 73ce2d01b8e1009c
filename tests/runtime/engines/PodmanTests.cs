namespace Containers.Tests.Runtime;

/// <summary>podman with the runtime under test: <c>podman --runtime</c>.</summary>
public sealed class PodmanTests : EngineTest
{
    readonly Dictionary<string, string> environment = [];

    public PodmanTests()
    {
        var configuration = Path.Combine(Folder, "containers.conf");
        // Hard limits of podman's own choice are above the host's where root may not raise them.
        File.WriteAllText(configuration, """
            [containers]
            default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
            [engine]
            lock_type = "file"
            """);
        environment["CONTAINERS_CONF"] = configuration;
    }

    string[] Engine(params string[] arguments) =>
    [
        "--root", Path.Combine(Folder, "root"), "--runroot", Path.Combine(Folder, "run"), "--tmpdir", Path.Combine(Folder, "tmp"),
        "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "file", "--runtime", UnderTest.Program, .. arguments,
    ];

    Result Podman(params string[] arguments) => Do("podman", environment, Engine(arguments));

    Result Run(params string[] arguments) => Podman(["run", .. Options, .. arguments]);

    string[] Options => ["--network", "none", "--cgroup-parent", "/" + Tag];

    string Start(string name, params string[] flags)
    {
        Run(["--detach", "--name", name, .. flags, Image, "sleep", "1000"]).Ends(0);
        Watch(int.Parse(Inspect(name, "{{.State.Pid}}")));
        return name;
    }

    string Inspect(string name, string format) => Podman("inspect", "--format", format, name).Ends(0).Stdout.Trim();

    void Import() => Podman("import", "--quiet", RootfsArchive(), Image).Ends(0);

    protected override void CleanUp()
    {
        Podman("rm", "--all", "--force", "--time", "0");
        Podman("pod", "rm", "--all", "--force", "--time", "0");
        base.CleanUp();
    }

    [EngineFact("podman", "conmon")]
    public void Runs_execs_and_stops()
    {
        Import();
        Assert.Equal("hello\n", Run("--rm", Image, "echo", "hello").Ends(0).Stdout);
        Run("--rm", Image, "sh", "-c", "exit 7").Ends(7);
        var name = Start("web");
        Assert.Equal("inside 1000\n", Podman("exec", "--user", "1000:1000", name, "sh", "-c", "echo inside $(id -u)").Ends(0).Stdout);
        Podman("exec", name, "sh", "-c", "exit 5").Ends(5);
        Podman("stop", "--time", "0", name).Ends(0);
        Assert.Equal("exited 137", Inspect(name, "{{.State.Status}} {{.State.ExitCode}}"));
        Podman("rm", name).Ends(0);
    }

    [EngineFact("podman", "conmon", Long = true)]
    public void Knows_a_missing_program_from_one_that_may_not_be_run()
    {
        Import();
        Run("--rm", Image, "no-such-program").Ends(127);
        Run("--rm", Image, "/etc").Ends(126);
        var name = Start("web");
        Podman("exec", name, "no-such-program").Ends(127);
        Podman("exec", name, "/etc").Ends(126);
    }

    [EngineFact("podman", "conmon", "script", Long = true)]
    public void Gives_a_terminal()
    {
        Import();
        var said = DoInTerminal("podman", environment, Engine(["run", "--rm", "-it", .. Options, Image, "sh", "-c", TellTerminal])).Ends(0);
        Assert.Contains("/dev/pts/0", said.Stdout);
        Assert.Contains("31 97", said.Stdout);
        Start("web");
        Assert.Contains("/dev/pts/", DoInTerminal("podman", environment, Engine("exec", "-it", "web", "tty")).Ends(0).Stdout);
    }

    [EngineFact("podman", "conmon", Long = true)]
    public void Keeps_logs_and_counts()
    {
        Import();
        Run("--detach", "--name", "talker", Image, "sh", "-c", "echo out; echo err >&2; exec sleep 1000").Ends(0);
        Until(() => Podman("logs", "talker").Stdout.Contains("out"));
        Assert.Contains("err", Podman("logs", "talker").Ends(0).Stderr);
        var counted = Podman("stats", "--no-stream", "--format", "{{.PIDs}}", "talker").Ends(0);
        Assert.Equal("1", counted.Stdout.Trim());
        Assert.Contains("sleep 1000", Podman("top", "talker", "args").Ends(0).Stdout);
    }

    [EngineFact("podman", "conmon", Long = true)]
    public void Pauses_signals_and_restarts()
    {
        Import();
        Run("--detach", "--name", "web", Image, "sh", "-c", "trap 'exit 9' USR1; echo ready; while :; do sleep 0.1; done").Ends(0);
        Until(() => Podman("logs", "web").Stdout.Contains("ready"));
        Podman("pause", "web").Ends(0);
        Assert.Equal("paused", Inspect("web", "{{.State.Status}}"));
        Podman("unpause", "web").Ends(0);
        Assert.Equal("running", Inspect("web", "{{.State.Status}}"));
        Podman("kill", "--signal", "USR1", "web").Ends(0);
        Assert.Equal("9", Podman("wait", "web").Ends(0).Stdout.Trim());
        Podman("restart", "--time", "0", "web").Ends(0);
        Assert.Equal("running", Inspect("web", "{{.State.Status}}"));
        Podman("rm", "--force", "--time", "0", "web").Ends(0);
    }

    [EngineFact("podman", "conmon", Long = true)]
    public void Checks_health()
    {
        Import();
        // The timer would be systemd's: the check is run by hand.
        Start("well", "--health-cmd", "test -d /tmp", "--health-interval", "disable");
        Podman("healthcheck", "run", "well").Ends(0);
        Assert.Equal("healthy", Inspect("well", "{{.State.Health.Status}}"));
        Start("ill", "--health-cmd", "false", "--health-interval", "disable", "--health-retries", "1");
        Podman("healthcheck", "run", "ill").Ends(1);
    }

    [EngineFact("podman", "conmon", Long = true)]
    public void Shares_namespaces_in_a_pod()
    {
        Import();
        Podman("pod", "create", "--name", "pod", "--network", "none", "--infra-image", Image, "--infra-command", "sleep 1000", "--cgroup-parent", "/" + Tag).Ends(0);
        foreach (var name in (string[])["one", "two"])
            Podman("run", "--detach", "--pod", "pod", "--name", name, Image, "sleep", "1000").Ends(0);
        string Of(string name, string ns) => HostState.Link($"/proc/{Inspect(name, "{{.State.Pid}}")}/ns/{ns}")!;
        Assert.Equal(Of("one", "net"), Of("two", "net"));
        Assert.Equal(Of("one", "ipc"), Of("two", "ipc"));
        Assert.NotEqual(Of("one", "pid"), Of("two", "pid"));
        Podman("pod", "stop", "--time", "0", "pod").Ends(0);
        Podman("pod", "rm", "pod").Ends(0);
    }

    [EngineFact("podman", "conmon", Long = true)]
    public void Hands_limits_maps_and_devices_over()
    {
        Import();
        Start("small", "--memory", "64m", "--pids-limit", "50", "--cpus", "0.5");
        Assert.Equal(64L << 20, Cgroup.Limit(int.Parse(Inspect("small", "{{.State.Pid}}")), "memory", "memory.limit_in_bytes", "memory.max"));
        Assert.Equal(50, Cgroup.Limit(int.Parse(Inspect("small", "{{.State.Pid}}")), "pids", "pids.max", "pids.max"));
        Podman("update", "--memory", "80m", "--cpus", "0.7", "small").Ends(0);
        Assert.Equal(80L << 20, Cgroup.Limit(int.Parse(Inspect("small", "{{.State.Pid}}")), "memory", "memory.limit_in_bytes", "memory.max"));
        var maps = Run("--rm", "--uidmap", "0:100000:1000", "--gidmap", "0:100000:1000", Image, "cat", "/proc/self/uid_map").Ends(0);
        Assert.Equal(["0", "100000", "1000"], maps.Stdout.Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));
        Run("--rm", "--read-only", Image, "touch", "/x").Ends(1);
        Run("--rm", "--device", "/dev/zero:/dev/nought", Image, "dd", "if=/dev/nought", "of=/dev/null", "count=1").Ends(0);
        Run("--rm", "--tmpfs", "/work:size=1m", Image, "dd", "if=/dev/zero", "of=/work/x", "bs=1M", "count=2").Ends(1);
    }

    [EngineFact("podman", "conmon", Long = true)]
    public void Is_told_that_a_checkpoint_cannot_be()
    {
        Import();
        Start("web");
        Assert.NotEqual(0, Podman("container", "checkpoint", "web").ExitCode);
        Assert.Equal("running", Inspect("web", "{{.State.Status}}"));
    }
}

static class Cgroup
{
    /// <summary>A limit of the process's own group, whichever version has its controller.</summary>
    public static long Limit(int pid, string controller, string file1, string file2)
    {
        var groups = File.ReadAllLines($"/proc/{pid}/cgroup").Select(line => line.Split(':', 3)).ToList();
        var first = groups.Find(parts => parts[1].Split(',').Contains(controller));
        var path = first is not null ? $"/sys/fs/cgroup/{controller}{first[2]}/{file1}" : $"/sys/fs/cgroup{groups.Find(parts => parts[0] == "0")![2]}/{file2}";
        return long.Parse(File.ReadAllText(path));
    }
}
