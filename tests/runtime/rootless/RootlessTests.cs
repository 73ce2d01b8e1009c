using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>psrun as a real plain user, made for the test and removed with it.</summary>
public sealed class RootlessTests : EngineTest
{
    readonly string name;
    readonly string home;
    readonly string program;
    readonly uint uid;

    public RootlessTests()
    {
        name = Tag;
        home = Path.Combine(Folder, "home");
        ChangeUsers("useradd", "--home-dir", home, "--create-home", "--shell", "/bin/sh");
        uid = uint.Parse(Do("id", "-u", name).Ends(0).Stdout);
        File.SetUnixFileMode(home, Permission.Program);
        program = Path.Combine(home, "psrun");
        File.Copy(UnderTest.Program, program);
        File.SetUnixFileMode(program, Permission.Program);
        Rootfs.Make(Path.Combine(Bundle, "rootfs"));
        Directory.CreateDirectory(Path.Combine(home, "run"));
        // Not the program: it is root's, as an installed one would be.
        foreach (var path in (string[])[Path.Combine(home, "run"), Bundle, Path.Combine(Bundle, "rootfs")])
            Do("chown", name + ":", path).Ends(0);
        foreach (var folder in Directory.EnumerateDirectories(Path.Combine(Bundle, "rootfs")))
            Do("chown", name + ":", folder).Ends(0);
        File.SetUnixFileMode(Path.Combine(home, "run"), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    string Bundle => Path.Combine(home, "bundle");

    string State => Path.Combine(home, "run/psrun");

    string[] AsUser(params string[] words) =>
        ["--reuid", name, "--regid", name, "--init-groups", "--inh-caps=-all", "env", "-i", "HOME=" + home, "USER=" + name, "PATH=/usr/bin:/bin", .. words];

    Result Psrun(params string[] arguments) =>
        Spawn.Run(Folder, UnderTest.InPath("setpriv")!, AsUser(["XDG_RUNTIME_DIR=" + Path.Combine(home, "run"), program, .. arguments]), new SpawnOptions { WorkingDirectory = Bundle });

    /// <summary>The password file has one lock, and who finds it taken is sent away.</summary>
    void ChangeUsers(string program, params string[] arguments) => Until(() => Do(program, [.. arguments, name]).ExitCode == 0);

    /// <summary>What <c>spec --rootless</c> wrote, changed.</summary>
    void Write(Action<JsonObject> change, params string[] args)
    {
        var path = Path.Combine(Bundle, "config.json");
        File.Delete(path);
        Psrun("spec", "--rootless").Ends(0);
        var spec = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        spec["process"]!["terminal"] = false;
        spec["process"]!["args"] = new JsonArray([.. args.Select(a => (JsonNode)a)]);
        spec["process"]!["env"] = new JsonArray("PATH=/bin");
        change(spec);
        File.WriteAllText(path, spec.ToJsonString());
    }

    protected override void CleanUp()
    {
        if (Directory.Exists(State))
        {
            foreach (var id in Directory.EnumerateDirectories(State).Select(Path.GetFileName))
                Psrun("delete", "--force", id!);
        }
        ChangeUsers("userdel");
        base.CleanUp();
    }

    [EngineFact("useradd", "setpriv")]
    public void A_plain_user_is_root_inside_and_nobody_outside()
    {
        Write(_ => { }, "sh", "-c", "id -u; cat /proc/self/uid_map; cat /proc/self/setgroups; echo x > /dev/null; head -c 4 /dev/zero | wc -c");
        var said = Psrun("run", Tag + "-run").Ends(0).Lines;
        Assert.Equal("0", said[0]);
        Assert.Equal(["0", uid.ToString(), "1"], said[1].Split(' ', StringSplitOptions.RemoveEmptyEntries));
        Assert.Equal("deny", said[2]);
        Assert.Equal("4", said[3].Trim());
        Assert.Empty(Directory.EnumerateFileSystemEntries(State));
    }

    [EngineFact("useradd", "setpriv")]
    public void A_plain_user_creates_execs_kills_and_deletes()
    {
        Write(_ => { }, "sleep", "1000");
        var id = Tag + "-life";
        Psrun("run", "--detach", id).Ends(0);
        var state = JsonNode.Parse(Psrun("state", id).Ends(0).Stdout)!;
        Assert.Equal("running", (string)state["status"]!);
        Assert.Equal(name, (string)state["owner"]!);
        Watch((int)state["pid"]!);
        Assert.True(Directory.Exists(Path.Combine(State, id)));
        Assert.Equal("0 2\n", Psrun("exec", id, "sh", "-c", "echo $(id -u) $$").Ends(0).Stdout);
        Psrun("exec", id, "sh", "-c", "exit 5").Ends(5);
        Psrun("exec", "--detach", id, "sleep", "1001").Ends(0);
        Assert.Equal(2, JsonNode.Parse(Psrun("ps", "--format", "json", id).Ends(0).Stdout)!.AsArray().Count);
        // Without a control group there is nothing to freeze: it is said, not ignored.
        Psrun("pause", id).Ends(1);
        Psrun("delete", id).Ends(1);
        Psrun("kill", id, "KILL").Ends(0);
        Runtime.WaitForEnd((int)state["pid"]!);
        Psrun("delete", id).Ends(0);
        Assert.Empty(Directory.EnumerateFileSystemEntries(State));
    }

    [EngineFact("useradd", "setpriv", "newuidmap")]
    public void Further_ids_are_mapped_by_newuidmap()
    {
        // A range that no other user of this host is given.
        var first = 1_000_000_000 + (long)(uid % 10_000) * 65536;
        ChangeUsers("usermod", "--add-subuids", $"{first}-{first + 999}", "--add-subgids", $"{first}-{first + 999}");
        void Map(JsonObject spec, string kind) => spec["linux"]![kind] = new JsonArray(
            new JsonObject { ["containerID"] = 0, ["hostID"] = uid, ["size"] = 1 }, new JsonObject { ["containerID"] = 1, ["hostID"] = first, ["size"] = 1000 });
        Write(spec =>
        {
            Map(spec, "uidMappings");
            Map(spec, "gidMappings");
            spec["process"]!["user"] = new JsonObject { ["uid"] = 7, ["gid"] = 8, ["additionalGids"] = new JsonArray(9) };
        }, "sh", "-c", "echo $(id -u) $(id -g) $(id -G)");
        Assert.Equal("7 8 8 9\n", Psrun("run", Tag + "-range").Ends(0).Stdout);
        Write(spec =>
        {
            Map(spec, "uidMappings");
            Map(spec, "gidMappings");
            spec["linux"]!["uidMappings"]![1]!["hostID"] = 0;
        }, "true");
        Assert.Contains("linux.uidMappings", Psrun("run", Tag + "-others").Ends(1).Stderr);
    }

    [EngineFact("useradd", "setpriv")]
    public void Limits_that_cannot_be_are_refused_by_name()
    {
        Write(spec => spec["linux"]!["resources"] = new JsonObject { ["pids"] = new JsonObject { ["limit"] = 5 } }, "true");
        Assert.Contains("linux.resources", Psrun("run", Tag + "-limit").Ends(1).Stderr);
        Write(spec => spec["linux"]!["cgroupsPath"] = "/" + Tag, "true");
        Assert.Contains("linux.cgroupsPath", Psrun("run", Tag + "-group").Ends(1).Stderr);
        Write(spec => spec["linux"]!["namespaces"] = new JsonArray(spec["linux"]!["namespaces"]!.AsArray().Where(n => (string)n!["type"]! != "pid").Select(n => n!.DeepClone()).ToArray()), "true");
        Assert.Contains("linux.namespaces", Psrun("run", Tag + "-pid").Ends(1).Stderr);
        Assert.Empty(Directory.EnumerateFileSystemEntries(State));
    }

    [EngineFact("useradd", "setpriv")]
    public void The_option_takes_auto_true_and_false()
    {
        Write(_ => { }, "true");
        Psrun("--rootless", "true", "run", Tag + "-true").Ends(0);
        Psrun("--rootless", "auto", "run", Tag + "-auto").Ends(0);
        Psrun("--rootless", "maybe", "list").Ends(1);
        // Then the host's folder is meant, which is not the user's.
        Psrun("--rootless", "false", "run", Tag + "-false").Ends(1);
        var bare = Spawn.Run(Folder, UnderTest.InPath("setpriv")!, AsUser(program, "list"));
        Assert.Contains("XDG_RUNTIME_DIR", bare.Ends(1).Stderr);
    }

    [EngineFact("useradd", "setpriv", "podman", "conmon", "newuidmap", Long = true)]
    public void Podman_of_a_plain_user_runs_containers()
    {
        var first = 1_500_000_000 + (long)(uid % 5_000) * 65536;
        ChangeUsers("usermod", "--add-subuids", $"{first}-{first + 65535}", "--add-subgids", $"{first}-{first + 65535}");
        var archive = RootfsArchive();
        File.SetUnixFileMode(archive, Permission.Plain);
        var configuration = Path.Combine(home, "containers.conf");
        File.WriteAllText(configuration, """
            [containers]
            default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
            [engine]
            lock_type = "file"
            """);
        Do("chown", "-R", name + ":", home).Ends(0);
        Result Podman(params string[] arguments) => Do("setpriv", AsUser(["XDG_RUNTIME_DIR=" + Path.Combine(home, "run"), "CONTAINERS_CONF=" + configuration, "podman",
            "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "file", "--runtime", program, .. arguments]));
        try
        {
            Podman("import", "--quiet", archive, Image).Ends(0);
            Assert.Equal("0\n", Podman("run", "--rm", "--network", "none", Image, "id", "-u").Ends(0).Stdout);
            Podman("run", "--detach", "--name", "web", "--network", "none", Image, "sleep", "1000").Ends(0);
            Podman("exec", "web", "sh", "-c", "exit 5").Ends(5);
            Podman("rm", "--force", "--time", "0", "web").Ends(0);
        }
        finally
        {
            Podman("rm", "--all", "--force", "--time", "0");
            // The process that holds podman's user namespace.
            if (HostState.Text(Path.Combine(home, "run/libpod/tmp/pause.pid")) is { Length: > 0 } pid)
                Native.kill(int.Parse(pid), Native.SIGKILL);
        }
    }
}
