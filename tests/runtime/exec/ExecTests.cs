using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>exec: a further process in a running container.</summary>
public sealed class ExecTests : RuntimeTest
{
    [RuntimeTheory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(42)]
    [InlineData(254)]
    public void Exec_ends_with_the_programs_exit_status(int code)
    {
        var (id, _) = Start(Sleeper());
        Runtime.Do("exec", id, "sh", "-c", $"exit {code}").Ends(code);
    }

    [RuntimeTheory]
    [InlineData("KILL", 137)]
    [InlineData("TERM", 143)]
    public void Exec_ends_with_128_and_the_signal(string signal, int status)
    {
        var (id, _) = Start(Sleeper());
        Runtime.Do("exec", id, "sh", "-c", $"kill -{signal} $$").Ends(status);
    }

    [RuntimeFact]
    public void Arguments_arrive_as_they_are()
    {
        var (id, _) = Start(Sleeper());
        string[] arguments = ["a b", "", "\"q\"", "$HOME", "naïve ☃", "--user", "-e", "--"];
        Assert.Equal(string.Concat(arguments.Select(argument => $"<{argument}>\n")),
            Runtime.Do(["exec", id, "printf", "<%s>\\n", .. arguments]).Ends(0).Stdout);
    }

    [RuntimeFact]
    public void Standard_input_output_and_error_are_handed_over()
    {
        var (id, _) = Start(Sleeper());
        var result = Runtime.Do(new SpawnOptions { Input = "line\n" }, "exec", id, "sh", "-c", "cat; echo err >&2").Ends(0);
        Assert.Equal(("line\n", "err\n"), (result.Stdout, result.Stderr));
    }

    [RuntimeFact]
    public void The_process_is_in_every_namespace_of_the_init()
    {
        var (id, pid) = Start(Sleeper());
        string[] names = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];
        var links = Runtime.Do("exec", id, "sh", "-c", $"for n in {string.Join(' ', names)}; do readlink /proc/self/ns/$n; done").Ends(0).Lines;
        Assert.Equal(names.Select(name => HostState.Link($"/proc/{pid}/ns/{name}")!), links);
    }

    [RuntimeFact]
    public void The_process_is_in_the_user_namespace_of_the_init()
    {
        var (id, pid) = Start(Sleeper().UserNamespace());
        var lines = Runtime.Do("exec", id, "sh", "-c", "readlink /proc/self/ns/user; id -u").Ends(0).Lines;
        Assert.Equal([HostState.Link($"/proc/{pid}/ns/user")!, "0"], lines);
    }

    [RuntimeFact(NotUnderRunc = "time namespaces came with 1.2")]
    public void The_process_is_in_the_time_namespace_of_the_init()
    {
        var (id, pid) = Start(Sleeper().Namespace("time"));
        Assert.Equal(HostState.Link($"/proc/{pid}/ns/time") + "\n", Runtime.Do("exec", id, "readlink", "/proc/self/ns/time").Ends(0).Stdout);
    }

    [RuntimeFact]
    public void The_process_is_in_every_cgroup_of_the_init()
    {
        var (id, pid) = Start(Sleeper());
        var file = Path.Combine(Folder, "exec.pid");
        Runtime.Do("exec", "-d", "--pid-file", file, id, "sleep", "1001").Ends(0);
        var child = int.Parse(File.ReadAllText(file));
        Assert.Equal(File.ReadAllText($"/proc/{pid}/cgroup"), File.ReadAllText($"/proc/{child}/cgroup"));
        Assert.Contains(Tag, File.ReadAllText($"/proc/{child}/cgroup"));
    }

    [RuntimeFact]
    public void A_detached_exec_returns_while_the_program_runs()
    {
        var (id, _) = Start(Sleeper());
        var file = Path.Combine(Folder, "exec.pid");
        Runtime.Do("exec", "--detach", "--pid-file", file, id, "sleep", "1001").Ends(0);
        var child = int.Parse(File.ReadAllText(file));
        Until(() => File.ReadAllText($"/proc/{child}/cmdline") == "sleep\01001\0");
    }

    [RuntimeFact]
    public void A_program_that_is_absent_fails_a_detached_exec_too()
    {
        var (id, _) = Start(Sleeper());
        var result = Runtime.Do("exec", "--detach", id, "nosuchprogram").Ends(255);
        Assert.Contains("executable file not found in $PATH", result.Stderr);
    }

    [RuntimeTheory]
    [InlineData("nosuchprogram", "executable file not found in $PATH")]
    [InlineData("/nosuch/program", "no such file or directory")]
    [InlineData("/etc/passwd", "permission denied")]
    [InlineData("/etc", null)]
    public void A_program_that_cannot_be_run_is_refused_with_255_and_the_cause(string program, string? words)
    {
        var (id, _) = Start(Sleeper());
        var result = Runtime.Do("exec", id, program).Ends(255);
        Assert.Single(result.Stderr.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.Contains(program, result.Stderr);
        if (words is not null)
            Assert.Contains(words, result.Stderr);
        Assert.Equal("running", Runtime.Status(id));
    }

    [RuntimeTheory]
    [InlineData("1000:1001", "1000 1001")]
    [InlineData("1000", "1000 0")]
    [InlineData("0:5", "0 5")]
    public void The_user_is_the_callers_choice(string user, string seen)
    {
        var (id, _) = Start(Sleeper());
        Assert.Equal(seen + "\n", Runtime.Do("exec", "--user", user, id, "sh", "-c", "echo $(id -u) $(id -g)").Ends(0).Stdout);
    }

    [RuntimeTheory]
    [InlineData("name")]
    [InlineData("-1")]
    [InlineData("1000:x")]
    public void A_user_that_is_no_number_is_refused(string user)
    {
        var (id, _) = Start(Sleeper());
        Assert.NotEqual(0, Runtime.Do("exec", "--user", user, id, "true").ExitCode);
    }

    [RuntimeFact(NotUnderRunc = "it cuts the number to 32 bits")]
    public void A_user_beyond_32_bits_is_refused()
    {
        var (id, _) = Start(Sleeper());
        Assert.Contains("99999999999", Runtime.Do("exec", "--user", "99999999999", id, "true").Ends(255).Stderr);
    }

    [RuntimeFact]
    public void Additional_groups_are_the_callers_choice()
    {
        var (id, _) = Start(Sleeper());
        var line = Runtime.Do("exec", "-g", "2000", "-g", "2001", id, "grep", "Groups", "/proc/self/status").Ends(0).Stdout;
        Assert.Contains("2000", line);
        Assert.Contains("2001", line);
    }

    [RuntimeFact]
    public void The_working_folder_is_the_callers_choice()
    {
        var (id, _) = Start(Sleeper());
        Assert.Equal("/work\n", Runtime.Do("exec", "--cwd", "/work", id, "pwd").Ends(0).Stdout);
    }

    [RuntimeFact]
    public void The_environment_is_the_bundles_and_the_callers_additions()
    {
        var (id, _) = Start(Sleeper().Change(b => b.Process["env"] = Bundle.Strings("PATH=/bin", "HOME=/h", "FROM=bundle")));
        var lines = Runtime.Do("exec", "--env", "ADDED=a b=c", "--env", "EMPTY=", id, "env").Ends(0).Lines;
        Assert.Equal(["ADDED=a b=c", "EMPTY=", "FROM=bundle", "HOME=/h", "PATH=/bin"], lines.Order(StringComparer.Ordinal));
    }

    [RuntimeFact]
    public void An_addition_to_the_environment_wins()
    {
        var (id, _) = Start(Sleeper().Change(b => b.Process["env"]!.AsArray().Add((JsonNode)"WHO=bundle")));
        Assert.Equal("caller\n", Runtime.Do("exec", "--env", "WHO=caller", id, "sh", "-c", "echo $WHO").Ends(0).Stdout);
    }

    [RuntimeFact]
    public void The_process_is_read_from_a_file()
    {
        var (id, _) = Start(Sleeper());
        var file = Path.Combine(Folder, "process.json");
        File.WriteAllText(file, new JsonObject
        {
            ["args"] = Bundle.Strings("sh", "-c", "id -u; id -g; pwd; echo $WHO; grep CapEff /proc/self/status; ulimit -n; grep NoNew /proc/self/status"),
            ["env"] = Bundle.Strings("PATH=/bin", "WHO=file"),
            ["cwd"] = "/work",
            ["user"] = new JsonObject { ["uid"] = 0, ["gid"] = 7 },
            ["capabilities"] = new JsonObject { ["bounding"] = Bundle.Strings("CAP_KILL"), ["permitted"] = Bundle.Strings("CAP_KILL"), ["effective"] = Bundle.Strings("CAP_KILL") },
            ["rlimits"] = new JsonArray(new JsonObject { ["type"] = "RLIMIT_NOFILE", ["soft"] = 77, ["hard"] = 77 }),
            ["noNewPrivileges"] = true,
        }.ToJsonString());
        var lines = Runtime.Do("exec", "--process", file, id).Ends(0).Lines;
        Assert.Equal(["0", "7", "/work", "file", "CapEff:\t0000000000000020", "77", "NoNewPrivs:\t1"], lines);
    }

    [RuntimeTheory]
    [InlineData("{ broken")]
    [InlineData("{}")]
    [InlineData("""{ "args": "text", "cwd": "/" }""")]
    [InlineData("""{ "args": [], "cwd": "/", "user": { "uid": 0, "gid": 0 } }""")]
    [InlineData("""{ "args": [ "true" ], "cwd": "relative", "user": { "uid": 0, "gid": 0 } }""")]
    public void A_bad_process_file_is_refused_with_255(string text)
    {
        var (id, _) = Start(Sleeper());
        var file = Path.Combine(Folder, "process.json");
        File.WriteAllText(file, text);
        var result = Runtime.Do("exec", "--process", file, id).Ends(255);
        Assert.NotEmpty(result.Stderr);
        Assert.Equal("running", Runtime.Status(id));
    }

    [RuntimeFact]
    public void A_process_file_that_is_absent_is_named()
    {
        var (id, _) = Start(Sleeper());
        Assert.Contains("/absent.json", Runtime.Do("exec", "--process", "/absent.json", id).Ends(255).Stderr);
    }

    [RuntimeFact]
    public void Capabilities_limits_and_privileges_are_the_bundles_unless_said_otherwise()
    {
        var (id, _) = Start(Sleeper());
        var lines = Runtime.Do("exec", id, "grep", "-E", "^(Cap|NoNew)", "/proc/self/status").Ends(0).Lines;
        Assert.Equal(
        [
            "CapInh:\t0000000000000000", "CapPrm:\t0000000020000420", "CapEff:\t0000000020000420", "CapBnd:\t0000000020000420",
            "CapAmb:\t0000000000000000", "NoNewPrivs:\t1",
        ], lines);
        Assert.Equal("1024\n", Runtime.Do("exec", id, "sh", "-c", "ulimit -n").Ends(0).Stdout);
    }

    [RuntimeFact]
    public void A_capability_is_added()
    {
        var (id, _) = Start(Sleeper());
        var lines = Runtime.Do("exec", "--cap", "CAP_NET_ADMIN", id, "grep", "CapBnd", "/proc/self/status").Ends(0).Stdout;
        Assert.Equal("CapBnd:\t0000000020001420\n", lines);
    }

    [RuntimeFact]
    public void No_new_privileges_are_the_callers_choice()
    {
        var (id, _) = Start(Sleeper().Change(b => b.Process["noNewPrivileges"] = false));
        Assert.Equal("NoNewPrivs:\t0\n", Runtime.Do("exec", id, "grep", "NoNew", "/proc/self/status").Ends(0).Stdout);
        Assert.Equal("NoNewPrivs:\t1\n", Runtime.Do("exec", "--no-new-privs", id, "grep", "NoNew", "/proc/self/status").Ends(0).Stdout);
    }

    [RuntimeFact]
    public void Descriptors_signals_and_session_are_clean()
    {
        using var pipe = new Pipe();
        var (id, _) = Start(Sleeper());
        var script = "exec 2>&1; for f in /proc/self/fd/*; do echo ${f##*/}; done; exec grep -E '^(Sig[BIC]|NSsid|NSpid)' /proc/self/status";
        var lines = Runtime.Do(new SpawnOptions { Descriptors = { [7] = pipe.Reader } }, "exec", id, "sh", "-c", script).Ends(0).Lines;
        Assert.Equal(["0", "1", "2", "3"], lines[..4]);
        Assert.Equal(lines[4].Split('\t')[^1], lines[5].Split('\t')[^1]); // its own session
        Assert.All(lines[6..], line => Assert.EndsWith("\t0000000000000000", line));
    }

    [RuntimeFact]
    public void Preserved_descriptors_are_handed_over()
    {
        using var pipe = new Pipe();
        Native.write(pipe.Writer, "piped\n"u8, 6);
        var (id, _) = Start(Sleeper());
        var options = new SpawnOptions { Descriptors = { [3] = pipe.Reader } };
        Assert.Equal("piped\n", Runtime.Do(options, "exec", "--preserve-fds", "1", id, "sh", "-c", "head -n1 <&3").Ends(0).Stdout);
    }

    [RuntimeFact]
    public void A_stopped_container_is_refused_with_255()
    {
        var (id, pid) = Start(Sleeper());
        Runtime.Do("kill", id, "KILL").Ends(0);
        Runtime.WaitForEnd(pid);
        Assert.Contains("stopped", Runtime.Do("exec", id, "true").Ends(255).Stderr);
    }

    [RuntimeFact]
    public void An_unknown_container_is_refused_with_255() =>
        Assert.Contains("does not exist", Runtime.Do("exec", NewId(), "true").Ends(255).Stderr);

    [RuntimeFact]
    public void Exec_without_a_command_is_refused()
    {
        var (id, _) = Start(Sleeper());
        Assert.NotEqual(0, Runtime.Do("exec", id).ExitCode);
    }

    [RuntimeFact]
    public void The_root_of_the_process_is_the_containers()
    {
        var (id, _) = Start(Sleeper().WriteFile("/etc/motd", "inside\n"));
        Assert.Equal("inside\n", Runtime.Do("exec", id, "cat", "/etc/motd").Ends(0).Stdout);
        Assert.Contains("Read-only file system", Runtime.Do("exec", id, "touch", "/work/x").Ends(1).Stderr);
    }

    [RuntimeFact]
    public void Ten_at_once_do_not_disturb_each_other()
    {
        var (id, _) = Start(Sleeper());
        var execs = Enumerable.Range(0, 10).Select(n => Runtime.Begin(new SpawnOptions(), "exec", id, "sh", "-c", $"echo {n}; exit {n}")).ToArray();
        for (var n = 0; n < execs.Length; n++)
            Assert.Equal($"{n}\n", execs[n].Wait().Ends(n).Stdout);
    }

    [RuntimeFact]
    public void Exec_in_a_created_container_comes_before_its_program()
    {
        var bundle = NewBundle().Shell("cat /work/mark").Change(b => b.Config["root"]!["readonly"] = false);
        var (id, _) = Create(bundle);
        Runtime.Do("exec", id, "sh", "-c", "echo first >/work/mark").Ends(0);
        Assert.Equal("created", Runtime.Status(id));
        Assert.Equal("first\n", File.ReadAllText(bundle.InRootfs("/work/mark")));
    }

    [RuntimeFact(NotUnderRunc = "runc's exec fails")]
    public void A_hierarchy_that_was_mounted_since_is_no_hindrance()
    {
        var (id, pid) = Start(Sleeper());
        // Of the kernel, like every v1 hierarchy, and gone with its only mount.
        var exec = $"mkdir {Folder}/late && mount -t cgroup -o none,name={Tag} {Tag} {Folder}/late && {Runtime.Program} --root {Runtime.Root} exec {id} cat /proc/self/cgroup; echo status $?; umount {Folder}/late";
        var result = Spawn.Run(Folder, "/usr/bin/unshare", ["--mount", "/bin/sh", "-c", exec]).Ends(0);
        Assert.Contains("status 0", result.Stdout);
        Assert.Contains($"name={Tag}:/\n", result.Stdout);
        Assert.Contains(File.Exists("/sys/fs/cgroup/cgroup.controllers") ? "0::/" : "pids:", result.Stdout);
    }

    [RuntimeFact(NotUnderRunc = "personality came with 1.2", NotUnderCrun = "an exec does not get it")]
    public void It_has_the_containers_personality()
    {
        var (id, _) = Start(Sleeper().Change(b => b.Linux["personality"] = new JsonObject { ["domain"] = "LINUX32" }));
        Assert.Equal("i686\n", Runtime.Exec(id, "uname", "-m").Ends(0).Stdout);
    }

    [RuntimeTheory]
    [InlineData(false)]
    [InlineData(true)]
    public void It_has_the_callers_keyring_only_where_the_container_has(bool shared)
    {
        var bundle = Sleeper();
        Hostile.Install("keylabel", bundle, "/bin/keylabel");
        var ours = Spawn.Run(Folder, Hostile.Program("keylabel"), ["serial"]).Ends(0).Stdout;
        var (id, _) = Start(bundle, shared ? ["--no-new-keyring"] : []);
        Assert.Equal(shared, Runtime.Exec(id, "keylabel", "serial").Ends(0).Stdout == ours);
    }
}
