namespace Containers.Tests.Runtime;

/// <summary>Docker's daemon with the runtime under test: <c>dockerd --add-runtime</c>. It makes no network and leaves the host's firewall alone.</summary>
public sealed class DockerTests : EngineTest
{
    Daemon? daemon;

    string Host => "unix://" + Path.Combine(Folder, "docker.sock");

    string[] Options => ["--network", "none", "--cgroup-parent", "/" + Tag];

    Result Docker(params string[] arguments) => Do("docker", Environment, ["--host", Host, .. arguments]);

    /// <summary>The client's own settings stay out of it.</summary>
    Dictionary<string, string> Environment => new() { ["DOCKER_CONFIG"] = Path.Combine(Folder, "client") };

    Result Run(params string[] arguments) => Docker(["run", .. Options, .. arguments]);

    string Begin(string name, params string[] flags)
    {
        Run(["--detach", "--name", name, .. flags, Image, "sleep", "1000"]).Ends(0);
        Watch(Pid(name));
        return name;
    }

    string Inspect(string name, string format) => Docker("inspect", "--format", format, name).Ends(0).Stdout.Trim();

    int Pid(string name) => int.Parse(Inspect(name, "{{.State.Pid}}"));

    void StartWithImage(params string[] flags)
    {
        var configuration = Path.Combine(Folder, "daemon.json");
        File.WriteAllText(configuration, "{}");
        daemon = new Daemon(Folder, "dockerd",
        [
            "--config-file", configuration, "--data-root", Path.Combine(Folder, "data"), "--exec-root", Path.Combine(Folder, "exec"), "--pidfile", Path.Combine(Folder, "pid"),
            "--host", Host, "--bridge", "none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false", "--storage-driver", "vfs",
            "--add-runtime", "tested=" + UnderTest.Program, "--default-runtime", "tested", "--shutdown-timeout", "1", .. flags,
        ], () => File.Exists(Path.Combine(Folder, "docker.sock")) && Docker("version").ExitCode == 0);
        daemon.Start();
        Docker("import", RootfsArchive(), Image).Ends(0);
    }

    protected override void CleanUp()
    {
        if (daemon is not null)
        {
            if (Docker("ps", "--all", "--quiet").Lines is { Length: > 0 } ids)
                Docker(["rm", "--force", .. ids]);
            daemon.Dispose();
        }
        // A daemon whose containers would outlive it leaves its folders mounted.
        foreach (var mount in File.ReadLines("/proc/self/mountinfo").Select(line => line.Split(' ')[4]).Where(path => path.StartsWith(Folder + "/")).Reverse())
            Do("umount", mount);
        base.CleanUp();
    }

    [EngineFact("dockerd", "docker", "containerd", Long = true)]
    public void Runs_execs_and_stops()
    {
        StartWithImage();
        Assert.Equal("hello\n", Run("--rm", Image, "echo", "hello").Ends(0).Stdout);
        Run("--rm", Image, "sh", "-c", "exit 7").Ends(7);
        Run("--rm", Image, "no-such-program").Ends(127);
        Run("--rm", Image, "/etc").Ends(126);
        Begin("web");
        Assert.Equal("tested", Inspect("web", "{{.HostConfig.Runtime}}"));
        Assert.Equal("inside 1000\n", Docker("exec", "--user", "1000:1000", "web", "sh", "-c", "echo inside $(id -u)").Ends(0).Stdout);
        Docker("exec", "web", "sh", "-c", "exit 5").Ends(5);
        Docker("stop", "--time", "0", "web").Ends(0);
        Assert.Equal("exited 137", Inspect("web", "{{.State.Status}} {{.State.ExitCode}}"));
        Docker("rm", "web").Ends(0);
    }

    [EngineFact("dockerd", "docker", "containerd", "script", Long = true)]
    public void Gives_a_terminal()
    {
        StartWithImage();
        var said = DoInTerminal("docker", Environment, ["--host", Host, "run", "--rm", "-it", .. Options, Image, "sh", "-c", TellTerminal]).Ends(0);
        Assert.Contains("/dev/pts/0", said.Stdout);
        Assert.Contains("31 97", said.Stdout);
        Begin("web");
        Assert.Contains("/dev/pts/", DoInTerminal("docker", Environment, "--host", Host, "exec", "-it", "web", "tty").Ends(0).Stdout);
    }

    [EngineFact("dockerd", "docker", "containerd", Long = true)]
    public void Pauses_counts_and_tells_events()
    {
        StartWithImage();
        Begin("web");
        Docker("pause", "web").Ends(0);
        Assert.Equal("paused", Inspect("web", "{{.State.Status}}"));
        Docker("unpause", "web").Ends(0);
        Assert.Equal("running", Inspect("web", "{{.State.Status}}"));
        Assert.Equal("1", Docker("stats", "--no-stream", "--format", "{{.PIDs}}", "web").Ends(0).Stdout.Trim());
        Assert.Contains("sleep 1000", Docker("top", "web").Ends(0).Stdout);
        var before = Pid("web");
        Docker("restart", "--time", "0", "web").Ends(0);
        Assert.NotEqual(before, Pid("web"));
        Docker("kill", "web").Ends(0);
        Assert.Equal("137", Docker("wait", "web").Ends(0).Stdout.Trim());
        // What happened in the current second is told once it is over.
        var until = DateTimeOffset.UtcNow.ToUnixTimeSeconds() + 2;
        var events = Docker("events", "--since", "10m", "--until", until.ToString(), "--format", "{{.Action}}").Ends(0).Lines;
        foreach (var action in (string[])["create", "start", "pause", "unpause", "restart", "kill", "die"])
            Assert.True(events.Contains(action), $"{action} is not among {string.Join(' ', events)}");
    }

    [EngineFact("dockerd", "docker", "containerd", Long = true)]
    public void Restarts_what_fails()
    {
        StartWithImage();
        Run("--detach", "--name", "failing", "--restart", "on-failure:2", Image, "sh", "-c", "exit 3").Ends(0);
        Until(() => Inspect("failing", "{{.RestartCount}} {{.State.Status}}") == "2 exited");
        Assert.Equal("3", Inspect("failing", "{{.State.ExitCode}}"));
    }

    [EngineFact("dockerd", "docker", "containerd", Long = true)]
    public void Leaves_containers_running_while_the_daemon_is_away()
    {
        StartWithImage("--live-restore");
        Begin("web");
        var pid = Pid("web");
        daemon!.Stop();
        Assert.NotNull(HostState.ProcessState(pid));
        daemon.Start();
        Assert.Equal(pid, Pid("web"));
        Assert.Equal("back\n", Docker("exec", "web", "echo", "back").Ends(0).Stdout);
        Docker("rm", "--force", "web").Ends(0);
        Until(() => HostState.ProcessState(pid) is null or "Z");
    }

    [EngineFact("dockerd", "docker", "containerd", Long = true)]
    public void Hands_limits_over()
    {
        StartWithImage();
        Begin("small", "--memory", "64m", "--pids-limit", "50", "--cpus", "0.5", "--read-only");
        Assert.Equal(64L << 20, Cgroup.Limit(Pid("small"), "memory", "memory.limit_in_bytes", "memory.max"));
        Assert.Equal(50, Cgroup.Limit(Pid("small"), "pids", "pids.max", "pids.max"));
        Docker("exec", "small", "touch", "/x").Ends(1);
        Docker("update", "--memory", "80m", "--memory-swap", "90m", "--pids-limit", "60", "small").Ends(0);
        Assert.Equal(80L << 20, Cgroup.Limit(Pid("small"), "memory", "memory.limit_in_bytes", "memory.max"));
        Assert.Equal(60, Cgroup.Limit(Pid("small"), "pids", "pids.max", "pids.max"));
    }
}
