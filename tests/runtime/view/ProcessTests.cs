using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>What the container's program is and has when it begins.</summary>
public sealed class ProcessTests : RuntimeTest
{
    Dictionary<string, string> Status(Bundle bundle)
    {
        Dictionary<string, string> fields = [];
        foreach (var line in Run(bundle.Args("cat", "/proc/self/status")).Ends(0).Lines)
        {
            var colon = line.IndexOf(':');
            fields[line[..colon]] = line[(colon + 1)..].Trim().Replace('\t', ' ');
        }
        return fields;
    }

    static JsonObject User(uint uid, uint gid, params uint[] groups)
    {
        var additional = new JsonArray();
        foreach (var group in groups)
            additional.Add((JsonNode)group);
        return new JsonObject { ["uid"] = uid, ["gid"] = gid, ["additionalGids"] = additional };
    }

    [RuntimeFact]
    public void User_group_and_additional_groups_are_the_bundles()
    {
        var status = Status(NewBundle().Change(b => b.Process["user"] = User(1000, 1001, 2000, 2001)));
        Assert.Equal("1000 1000 1000 1000", status["Uid"]);
        Assert.Equal("1001 1001 1001 1001", status["Gid"]);
        Assert.Contains("2000", status["Groups"]);
        Assert.Contains("2001", status["Groups"]);
    }

    [RuntimeFact]
    public void Without_additional_groups_there_are_none() => Assert.Equal("", Status(NewBundle())["Groups"]);

    [RuntimeFact]
    public void The_umask_is_the_bundles()
    {
        Assert.Equal("0027", Status(NewBundle().Change(b => b.Process["user"]!["umask"] = 0x17))["Umask"]);
        Assert.Equal("0022", Status(NewBundle())["Umask"]);
    }

    [RuntimeFact]
    public void The_five_capability_sets_are_the_bundles()
    {
        var status = Status(NewBundle().Change(b =>
        {
            b.Process["noNewPrivileges"] = false;
            b.Process["capabilities"] = new JsonObject
            {
                ["bounding"] = Bundle.Strings("CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SYS_CHROOT", "CAP_AUDIT_READ"),
                ["permitted"] = Bundle.Strings("CAP_CHOWN", "CAP_KILL", "CAP_SETUID"),
                ["effective"] = Bundle.Strings("CAP_CHOWN", "CAP_KILL"),
                ["inheritable"] = Bundle.Strings("CAP_KILL", "CAP_SETUID"),
                ["ambient"] = Bundle.Strings("CAP_SETUID"),
            };
            // Another user than root, whose sets execve would fill anew.
            b.Process["user"] = User(1000, 1000);
        }));
        // execve(2) of a user without root's rights: permitted and effective come from ambient.
        Assert.Equal(Mask(0, 5, 7, 18, 37), status["CapBnd"]);
        Assert.Equal(Mask(5, 7), status["CapInh"]);
        Assert.Equal(Mask(7), status["CapAmb"]);
        Assert.Equal(Mask(7), status["CapPrm"]);
        Assert.Equal(Mask(7), status["CapEff"]);

        static string Mask(params int[] bits) => bits.Aggregate(0UL, (mask, bit) => mask | 1UL << bit).ToString("x16");
    }

    [RuntimeFact]
    public void Roots_capabilities_are_bounded()
    {
        var status = Status(NewBundle());
        Assert.Equal("0000000020000420", status["CapBnd"]);
        Assert.Equal("0000000020000420", status["CapPrm"]);
        Assert.Equal("0000000020000420", status["CapEff"]);
        Assert.Equal("0000000000000000", status["CapInh"]);
        Assert.Equal("0000000000000000", status["CapAmb"]);
    }

    [RuntimeFact]
    public void Without_capabilities_there_are_none()
    {
        var status = Status(NewBundle().Change(b => b.Process["capabilities"] = new JsonObject()));
        foreach (var set in (string[])["CapBnd", "CapPrm", "CapEff", "CapInh", "CapAmb"])
            Assert.Equal("0000000000000000", status[set]);
    }

    [RuntimeTheory]
    [InlineData(true, "1")]
    [InlineData(false, "0")]
    public void No_new_privileges_is_the_bundles(bool value, string seen) =>
        Assert.Equal(seen, Status(NewBundle().Change(b => b.Process["noNewPrivileges"] = value))["NoNewPrivs"]);

    [RuntimeFact]
    public void Signal_mask_and_dispositions_are_the_kernels_defaults()
    {
        var status = Status(NewBundle());
        foreach (var set in (string[])["SigBlk", "SigIgn", "SigCgt", "SigPnd", "ShdPnd"])
            Assert.Equal("0000000000000000", status[set]);
    }

    [RuntimeFact(NotUnderRunc = "what its caller blocked or ignored stays so")]
    public void Signals_that_the_caller_blocked_or_ignored_are_default_again()
    {
        var bundle = NewBundle().Args("grep", "^Sig[BIC]", "/proc/self/status");
        var script = "trap '' PIPE HUP INT USR1 CHLD; exec \"$0\" \"$@\"";
        var result = Spawn.Run(Folder, "/bin/sh",
            ["-c", script, Runtime.Program, "--root", Runtime.Root, "run", "--bundle", bundle.Folder, NewId()],
            new SpawnOptions { BlockSignals = true }).Ends(0);
        Assert.Equal(3, result.Lines.Length);
        Assert.All(result.Lines, line => Assert.EndsWith("\t0000000000000000", line));
    }

    [RuntimeFact]
    public void The_program_leads_its_session()
    {
        var status = Status(NewBundle());
        Assert.Equal(("1", "1", "1"), (status["NSpid"], status["NSsid"], status["NSpgid"]));
    }

    [RuntimeFact]
    public void Limits_are_the_bundles()
    {
        static JsonObject Limit(string type, ulong soft, ulong hard) => new() { ["type"] = type, ["soft"] = soft, ["hard"] = hard };
        var bundle = NewBundle().Args("cat", "/proc/self/limits").Change(b => b.Process["rlimits"] = new JsonArray(
            Limit("RLIMIT_NOFILE", 100, 200), Limit("RLIMIT_CORE", 0, 0), Limit("RLIMIT_NPROC", 3000, 4000), Limit("RLIMIT_STACK", 1 << 20, 1 << 23),
            Limit("RLIMIT_CPU", 100, ulong.MaxValue), Limit("RLIMIT_MEMLOCK", 65536, 65536)));
        var limits = Run(bundle).Ends(0).Lines.ToDictionary(line => line[..26].Trim(), line => line[26..68].Split(' ', StringSplitOptions.RemoveEmptyEntries));
        Assert.Equal(["100", "200"], limits["Max open files"]);
        Assert.Equal(["0", "0"], limits["Max core file size"]);
        Assert.Equal(["3000", "4000"], limits["Max processes"]);
        Assert.Equal(["1048576", "8388608"], limits["Max stack size"]);
        Assert.Equal(["100", "unlimited"], limits["Max cpu time"]);
        Assert.Equal(["65536", "65536"], limits["Max locked memory"]);
    }

    [RuntimeTheory]
    [InlineData("RLIMIT_NOSUCH", 10, 10, "RLIMIT_NOSUCH")]
    [InlineData("RLIMIT_NOFILE", 20, 10, null)]
    public void A_wrong_limit_is_refused(string type, int soft, int hard, string? word)
    {
        var bundle = NewBundle().Args("true").Change(b => b.Process["rlimits"] = new JsonArray(new JsonObject { ["type"] = type, ["soft"] = soft, ["hard"] = hard }));
        var result = Run(bundle).Ends(1);
        if (word is not null)
            Assert.Contains(word, result.Stderr);
        AssertNothingLeft();
    }

    [RuntimeFact]
    public void The_oom_score_is_the_bundles()
    {
        var bundle = NewBundle().Args("cat", "/proc/self/oom_score_adj").Change(b => b.Process["oomScoreAdj"] = 500);
        Assert.Equal("500\n", Run(bundle).Ends(0).Stdout);
    }

    [RuntimeFact]
    public void The_working_folder_is_the_bundles() =>
        Assert.Equal("/work\n", Run(NewBundle().Args("pwd").Change(b => b.Process["cwd"] = "/work")).Ends(0).Stdout);

    [RuntimeFact]
    public void A_missing_working_folder_is_made()
    {
        var bundle = NewBundle().Args("pwd").Change(b =>
        {
            b.Config["root"]!["readonly"] = false;
            b.Process["cwd"] = "/new/place";
        });
        Assert.Equal("/new/place\n", Run(bundle).Ends(0).Stdout);
        Assert.True(Directory.Exists(bundle.InRootfs("/new/place")));
    }

    [RuntimeFact]
    public void A_missing_working_folder_is_not_made_through_a_link_to_the_host()
    {
        var bundle = NewBundle().Args("pwd").Change(b =>
        {
            b.Config["root"]!["readonly"] = false;
            b.Process["cwd"] = $"/trap/{Tag}";
        });
        File.CreateSymbolicLink(bundle.InRootfs("/trap"), "/var");
        Run(bundle);
        Assert.False(Directory.Exists($"/var/{Tag}"));
    }

    [RuntimeFact]
    public void Arguments_arrive_as_they_are()
    {
        string[] arguments = ["a b", "", "\"quoted\"", "'single'", "$HOME", "*", "back\\slash", "naïve ☃ 日本", "-n", "tab\tnew\nline", "trailing "];
        var bundle = NewBundle().Args(["printf", "<%s>\\n", .. arguments]);
        Assert.Equal(string.Concat(arguments.Select(argument => $"<{argument}>\n")), Run(bundle).Ends(0).Stdout);
    }

    [RuntimeFact]
    public void The_first_argument_is_the_programs_own_name()
    {
        var bundle = NewBundle().Shell("tr '\\0' '\\n' </proc/$$/cmdline | head -n1");
        Assert.Equal("/bin/sh\n", Run(bundle).Ends(0).Stdout);
    }

    [RuntimeFact]
    public void The_environment_is_exactly_the_bundles()
    {
        string[] variables = ["PATH=/bin", "HOME=/elsewhere", "EMPTY=", "SPACES=a b  c", "EQUALS=a=b=c", "UNI=naïve ☃"];
        var bundle = NewBundle().Args("env").Change(b => b.Process["env"] = Bundle.Strings(variables));
        Assert.Equal(variables, Run(bundle).Ends(0).Lines);
    }

    [RuntimeTheory]
    [InlineData(0, "/root")]
    [InlineData(1000, "/work")]
    [InlineData(4321, "/")]
    public void A_home_that_the_bundle_does_not_name_is_the_users(uint uid, string home)
    {
        var bundle = NewBundle().Args("env").Change(b =>
        {
            b.Process["env"] = Bundle.Strings("PATH=/bin");
            b.Process["user"] = User(uid, 0);
        });
        Assert.Equal(["HOME=" + home, "PATH=/bin"], Run(bundle).Ends(0).Lines.Order());
    }

    [RuntimeFact]
    public void The_program_is_searched_along_the_bundles_path()
    {
        var bundle = NewBundle().WriteFile("/tools/mytool", "#!/bin/sh\necho found $0\n", Permission.Program)
            .Change(b => b.Process["env"] = Bundle.Strings("PATH=/absent:/tools:/bin")).Args("mytool");
        Assert.Equal("found /tools/mytool\n", Run(bundle).Ends(0).Stdout);
    }

    [RuntimeFact]
    public void A_program_with_a_slash_is_looked_for_from_the_working_folder()
    {
        var bundle = NewBundle().WriteFile("/tools/mytool", "#!/bin/sh\necho found\n", Permission.Program)
            .Change(b => b.Process["cwd"] = "/tools").Args("./mytool");
        Assert.Equal("found\n", Run(bundle).Ends(0).Stdout);
    }

    [RuntimeFact]
    public void The_programs_user_may_open_its_standard_streams_again()
    {
        var bundle = NewBundle().Shell("echo out >/dev/stdout; echo err >/dev/stderr").Change(b => b.Process["user"] = User(1000, 1000));
        var result = Run(bundle).Ends(0);
        Assert.Equal(("out\n", "err\n"), (result.Stdout, result.Stderr));
    }

    [RuntimeFact]
    public void A_null_device_given_as_standard_stream_keeps_its_owner()
    {
        // A node of this test's own: other runtimes beside it change the owner of the host's.
        var device = Path.Combine(Folder, "null");
        Spawn.Run(Folder, "/usr/bin/mknod", ["-m", "666", device, "c", "1", "3"]).Ends(0);
        foreach (var bundle in (Bundle[])[NewBundle().Args("true").Change(b => b.Process["user"] = User(1000, 1000)), NewBundle().Args("true").UserNamespace()])
        {
            var command = $"{Runtime.Program} --root {Runtime.Root} run --bundle {bundle.Folder} {NewId()} <{device} >{device} 2>&1";
            Spawn.Run(Folder, "/bin/sh", ["-c", command]).Ends(0);
            Assert.Equal("0 0\n", Spawn.Run(Folder, "/usr/bin/stat", ["-c", "%u %g", device]).Stdout);
        }
    }

    [RuntimeFact]
    public void Only_the_standard_descriptors_are_open()
    {
        using var pipe = new Pipe();
        var id = NewId();
        var bundle = NewBundle().Shell("exec 2>&1; for f in /proc/self/fd/*; do echo ${f##*/}; done");
        // Descriptors that a careless caller left open.
        var options = new SpawnOptions { Descriptors = { [5] = pipe.Reader, [17] = pipe.Writer } };
        var lines = Runtime.Do(options, "run", "--bundle", bundle.Folder, id).Ends(0).Lines;
        Assert.Equal(["0", "1", "2", "3"], lines); // 3 is the shell's own look into the folder
    }

    [RuntimeFact]
    public void A_running_program_holds_nothing_of_the_runtimes()
    {
        var (_, pid) = Start(Sleeper());
        var names = Directory.GetFileSystemEntries($"/proc/{pid}/fd").Select(path => Path.GetFileName(path)!).Order().ToArray();
        Assert.Equal(["0", "1", "2"], names);
    }

    [RuntimeFact]
    public void Preserved_descriptors_are_handed_over_and_no_more()
    {
        using var pipe = new Pipe();
        Native.write(pipe.Writer, "through the pipe\n"u8, 17);
        var bundle = NewBundle().Shell("for f in /proc/self/fd/*; do echo ${f##*/}; done; head -n1 <&3");
        var options = new SpawnOptions { Descriptors = { [3] = pipe.Reader, [4] = pipe.Writer, [5] = pipe.Reader } };
        var lines = Runtime.Do(options, "run", "--preserve-fds", "2", "--bundle", bundle.Folder, NewId()).Ends(0).Lines;
        Assert.Equal("through the pipe", lines[^1]);
        Assert.Equal(["0", "1", "2", "3", "4", "5"], lines[..^1]); // 5 is the shell's own look into the folder
    }

    [RuntimeFact]
    public void Sockets_of_the_caller_are_handed_over_with_their_variables()
    {
        using var pipe = new Pipe();
        var bundle = NewBundle().Shell("env | grep ^LISTEN_ | sort; for f in /proc/self/fd/*; do echo ${f##*/}; done");
        var options = new SpawnOptions { Descriptors = { [3] = pipe.Reader, [4] = pipe.Writer, [5] = pipe.Reader } };
        // The variables are for the process that has the number: the shell, which becomes the runtime.
        const string script = "export LISTEN_FDS=2 LISTEN_PID=$$; exec \"$0\" \"$@\"";
        var lines = Spawn.Run(Folder, "/bin/sh", ["-c", script, Runtime.Program, "--root", Runtime.Root, "run", "--bundle", bundle.Folder, NewId()], options).Ends(0).Lines;
        Assert.Equal(["LISTEN_FDS=2", "LISTEN_PID=1", "0", "1", "2", "3", "4", "5"], lines); // 5 is the shell's own look into the folder
        lines = Spawn.Run(Folder, "/bin/sh", ["-c", script, Runtime.Program, "--root", Runtime.Root, "run", "--preserve-fds", "1", "--bundle", bundle.Folder, NewId()], options)
            .Ends(0).Lines;
        Assert.Equal(["0", "1", "2", "3", "4", "5", "6"], lines[2..]);
    }

    [RuntimeFact]
    public void Variables_for_another_process_hand_nothing_over()
    {
        using var pipe = new Pipe();
        var bundle = NewBundle().Shell("env | grep ^LISTEN_; for f in /proc/self/fd/*; do echo ${f##*/}; done");
        var options = new SpawnOptions { Descriptors = { [3] = pipe.Reader }, Environment = { ["LISTEN_FDS"] = "1", ["LISTEN_PID"] = "1" } };
        Assert.Equal(["0", "1", "2", "3"], Runtime.Do(options, "run", "--bundle", bundle.Folder, NewId()).Ends(0).Lines);
    }

    [RuntimeFact(NotUnderRunc = "personality came with 1.2")]
    public void A_personality_is_set_or_refused_by_name()
    {
        var result = Run(NewBundle().Args("uname", "-m").Change(b => b.Linux["personality"] = new JsonObject { ["domain"] = "LINUX32" }));
        if (result.ExitCode == 0)
            Assert.Equal("i686\n", result.Stdout);
        else
            Assert.Contains("personality", result.Stderr);
    }
}
