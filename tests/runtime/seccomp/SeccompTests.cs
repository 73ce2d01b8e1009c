using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>linux.seccomp, each action and operator by what it does to a program.</summary>
public sealed class SeccompTests : RuntimeTest
{
    const string AllowMkdir = "mkdir /tmp/made && echo made; echo $?";

    static JsonObject Profile(string defaultAction, params JsonObject[] rules) => new()
    {
        ["defaultAction"] = defaultAction,
        ["architectures"] = Bundle.Strings("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"),
        ["syscalls"] = new JsonArray(rules),
    };

    static JsonObject Rule(string action, params string[] names) => new() { ["names"] = Bundle.Strings(names), ["action"] = action };

    Bundle Filtered(JsonObject profile, string script) => NewBundle().Mount("/tmp", "tmpfs", "tmpfs").Shell(script).Change(b => b.Linux["seccomp"] = profile);

    [RuntimeTheory]
    [InlineData("SCMP_ACT_ERRNO", 1, "Operation not permitted")]
    [InlineData("SCMP_ACT_KILL", 159, "Bad system call")]
    [InlineData("SCMP_ACT_KILL_THREAD", 159, "Bad system call")]
    [InlineData("SCMP_ACT_KILL_PROCESS", 159, "Bad system call")]
    [InlineData("SCMP_ACT_TRAP", 159, "Bad system call")]
    [InlineData("SCMP_ACT_TRACE", 1, "Function not implemented")] // nobody traces
    [InlineData("SCMP_ACT_LOG", 0, "made")]
    [InlineData("SCMP_ACT_ALLOW", 0, "made")]
    public void An_action_has_its_effect_on_the_calls_that_it_names(string action, int status, string words)
    {
        // A rule with the default action is none, so the default is another one.
        var usual = action == "SCMP_ACT_ALLOW" ? "SCMP_ACT_LOG" : "SCMP_ACT_ALLOW";
        var result = Run(Filtered(Profile(usual, Rule(action, "mkdir", "mkdirat")), "mkdir /tmp/made && echo made; echo $?; grep '^Seccomp:' /proc/self/status"));
        Assert.Equal("Seccomp:\t2", result.Ends(0).Lines[^1]);
        Assert.Equal($"{status}", result.Lines[^2]);
        Assert.Contains(words, result.Stdout + result.Stderr);
    }

    [RuntimeFact]
    public void An_error_number_is_the_rules()
    {
        var rule = Rule("SCMP_ACT_ERRNO", "mkdir", "mkdirat");
        rule["errnoRet"] = 28;
        Assert.Contains("No space left", Run(Filtered(Profile("SCMP_ACT_ALLOW", rule), AllowMkdir)).Ends(0).Stderr);
    }

    [RuntimeFact]
    public void The_default_is_for_what_no_rule_names()
    {
        var everything = Rule("SCMP_ACT_ALLOW", Common);
        var profile = Profile("SCMP_ACT_ERRNO", everything);
        profile["defaultErrnoRet"] = 30;
        Assert.Contains("Read-only file system", Run(Filtered(profile, AllowMkdir)).Ends(0).Stderr);
    }

    [RuntimeTheory]
    [InlineData("SCMP_CMP_EQ", 0x1c0, 0, 0x1c0, 0x1c1)]
    [InlineData("SCMP_CMP_NE", 0x1c0, 0, 0x1c1, 0x1c0)]
    [InlineData("SCMP_CMP_LT", 0x1c0, 0, 0x1bf, 0x1c0)]
    [InlineData("SCMP_CMP_LE", 0x1c0, 0, 0x1c0, 0x1c1)]
    [InlineData("SCMP_CMP_GT", 0x1c0, 0, 0x1c1, 0x1c0)]
    [InlineData("SCMP_CMP_GE", 0x1c0, 0, 0x1c0, 0x1bf)]
    [InlineData("SCMP_CMP_MASKED_EQ", 0x1c0, 0x1c0, 0x1ff, 0x17f)]
    public void An_operator_compares_an_argument(string op, int value, int second, int refused, int allowed)
    {
        // chmod's second argument is the mode.
        var rule = Rule("SCMP_ACT_ERRNO", "chmod");
        rule["args"] = new JsonArray(new JsonObject { ["index"] = 1, ["value"] = value, ["valueTwo"] = second, ["op"] = op });
        var script = $"touch /tmp/f; chmod {Convert.ToString(refused, 8)} /tmp/f; echo $?; chmod {Convert.ToString(allowed, 8)} /tmp/f; echo $?";
        Assert.Equal(["1", "0"], Run(Filtered(Profile("SCMP_ACT_ALLOW", rule), script)).Ends(0).Lines);
    }

    [RuntimeFact]
    public void Sixty_four_bits_are_compared()
    {
        // ftruncate's second argument is a size.
        var rule = Rule("SCMP_ACT_ERRNO", "ftruncate");
        rule["args"] = new JsonArray(new JsonObject { ["index"] = 1, ["value"] = 0x1_0000_0001, ["op"] = "SCMP_CMP_GE" });
        var script = "for n in 2 4294967295 4294967296 4294967297 8589934592; do dd if=/dev/null of=/tmp/f bs=1 seek=$n 2>/dev/null; echo $?; done";
        Assert.Equal(["0", "0", "0", "1", "1"], Run(Filtered(Profile("SCMP_ACT_ALLOW", rule), script)).Ends(0).Lines);
    }

    [RuntimeFact]
    public void Names_that_no_kernel_has_are_left_out() =>
        Assert.Contains("not permitted", Run(Filtered(Profile("SCMP_ACT_ALLOW", Rule("SCMP_ACT_ERRNO", "nosuchcall", "mkdir", "mkdirat")), AllowMkdir)).Ends(0).Stderr);

    [RuntimeTheory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_user_without_capabilities_is_filtered_with_and_without_no_new_privileges(bool noNewPrivileges)
    {
        var bundle = Filtered(Profile("SCMP_ACT_ALLOW", Rule("SCMP_ACT_ERRNO", "mkdir", "mkdirat")), "mkdir /tmp/made; grep -E '^(Seccomp|NoNewPrivs|CapEff|CapPrm):' /proc/self/status")
            .Change(b =>
            {
                b.Process["noNewPrivileges"] = noNewPrivileges;
                b.Process["user"] = new JsonObject { ["uid"] = 1000, ["gid"] = 1000 };
                b.Process["capabilities"] = new JsonObject { ["bounding"] = Bundle.Strings("CAP_KILL", "CAP_SYS_ADMIN") };
            });
        var result = Run(bundle).Ends(0);
        Assert.Contains("not permitted", result.Stderr);
        Assert.Equal(["CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", $"NoNewPrivs:\t{(noNewPrivileges ? 1 : 0)}", "Seccomp:\t2"], result.Lines);
    }

    [RuntimeFact]
    public void Root_without_no_new_privileges_has_the_bundles_capabilities_and_no_more()
    {
        var bundle = Filtered(Profile("SCMP_ACT_ALLOW", Rule("SCMP_ACT_ERRNO", "mkdir")), "grep -E '^(Seccomp|CapEff|CapPrm):' /proc/self/status")
            .Change(b => b.Process["noNewPrivileges"] = false);
        Assert.Equal(["CapPrm:\t0000000020000420", "CapEff:\t0000000020000420", "Seccomp:\t2"], Run(bundle).Ends(0).Lines);
    }

    [RuntimeFact]
    public void Created_and_started_is_filtered_as_well()
    {
        var bundle = Filtered(Profile("SCMP_ACT_ALLOW", Rule("SCMP_ACT_ERRNO", "mkdir", "mkdirat")), "mkdir /tmp/made; exec sleep 1000");
        var (id, pid) = Create(bundle);
        Runtime.Do("start", id).Ends(0);
        Until(() => File.ReadAllText($"/proc/{pid}/cmdline").StartsWith("sleep", StringComparison.Ordinal));
        Assert.Contains("Seccomp:\t2\n", File.ReadAllText($"/proc/{pid}/status"));
    }

    [RuntimeFact]
    public void What_exec_starts_is_filtered_whatever_has_become_of_the_bundle()
    {
        var bundle = Filtered(Profile("SCMP_ACT_ALLOW", Rule("SCMP_ACT_ERRNO", "mkdir", "mkdirat")), "exec sleep 1000");
        var (id, _) = Start(bundle);
        Assert.Contains("not permitted", Runtime.Exec(id, "mkdir", "/tmp/made").Ends(1).Stderr);
        if (!UnderTest.IsRunc)
        {
            bundle.Change(b => b.Linux.Remove("seccomp"));
            Assert.Contains("not permitted", Runtime.Exec(id, "mkdir", "/tmp/made").Ends(1).Stderr);
        }
        Assert.Equal("Seccomp:\t2\n", Runtime.Exec(id, "grep", "^Seccomp:", "/proc/self/status").Ends(0).Stdout);
    }

    [RuntimeFact]
    public void A_filter_that_lets_nothing_start_fails_the_run()
    {
        Assert.NotEqual(0, Run(Filtered(Profile("SCMP_ACT_ERRNO", Rule("SCMP_ACT_ALLOW", "read")), "true")).ExitCode);
        Assert.NotEqual(0, Run(Filtered(Profile("SCMP_ACT_KILL_PROCESS", Rule("SCMP_ACT_ALLOW", "read")), "true")).ExitCode);
        AssertNothingLeft();
    }

    [RuntimeFact(NotUnderRunc = "start succeeds there, and the init ends")]
    public void A_filter_that_lets_nothing_start_fails_the_start()
    {
        foreach (var action in (string[])["SCMP_ACT_ERRNO", "SCMP_ACT_KILL_PROCESS"])
        {
            var id = NewId();
            Runtime.Create(id, Filtered(Profile(action, Rule("SCMP_ACT_ALLOW", "read")), "true")).Ends(0);
            var started = Runtime.Do("start", id);
            Until(() => Runtime.Status(id) == "stopped");
            // That the init never came to its program shows only while somebody has its end still to collect, and systemd collects at once.
            if (!Directory.Exists("/run/systemd/system"))
                Assert.NotEmpty(started.Ends(1).Stderr);
        }
    }

    [RuntimeTheory]
    [InlineData("defaultAction", "\"SCMP_ACT_NOSUCH\"")]
    [InlineData("defaultAction", "\"SCMP_ACT_NOTIFY\"")]
    [InlineData("architectures", "[ \"SCMP_ARCH_NOSUCH\" ]")]
    [InlineData("flags", "[ \"SECCOMP_FILTER_FLAG_NOSUCH\" ]")]
    [InlineData("syscalls", "[ { \"names\": [ \"mkdir\" ], \"action\": \"SCMP_ACT_NOSUCH\" } ]")]
    [InlineData("syscalls", "[ { \"names\": [ \"mkdir\" ], \"action\": \"SCMP_ACT_ERRNO\", \"args\": [ { \"index\": 1, \"value\": 1, \"op\": \"SCMP_CMP_NOSUCH\" } ] } ]")]
    [InlineData("syscalls", "[ { \"names\": [ \"mkdir\" ], \"action\": \"SCMP_ACT_NOTIFY\" } ]")] // without a listener
    public void A_wrong_profile_is_refused_by_name(string member, string json)
    {
        var profile = Profile("SCMP_ACT_ALLOW");
        profile[member] = JsonNode.Parse(json);
        var result = Run(Filtered(profile, "true"));
        Assert.NotEqual(0, result.ExitCode);
        if (!UnderTest.IsRunc)
            Assert.Contains("linux.seccomp.", result.Stderr);
        AssertNothingLeft();
    }

    [RuntimeFact(NotUnderRunc = "flags came with 1.1.7")]
    public void Flags_are_taken()
    {
        var profile = Profile("SCMP_ACT_ALLOW", Rule("SCMP_ACT_ERRNO", "mkdir", "mkdirat"));
        profile["flags"] = Bundle.Strings("SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC");
        Assert.Contains("not permitted", Run(Filtered(profile, AllowMkdir)).Ends(0).Stderr);
    }

    [RuntimeFact(NotUnderRunc = "it has no seccomp section")]
    public void Features_tell_what_is_done()
    {
        var seccomp = JsonNode.Parse(Runtime.Do("features").Ends(0).Stdout)!["linux"]!["seccomp"]!;
        string[] Words(string member) => [.. seccomp[member]!.AsArray().Select(word => (string)word!)];
        Assert.True((bool)seccomp["enabled"]!);
        foreach (var action in Words("actions"))
        {
            var rule = Rule(action, "mount");
            var profile = Profile(action == "SCMP_ACT_ALLOW" ? "SCMP_ACT_LOG" : "SCMP_ACT_ALLOW", rule);
            if (action == "SCMP_ACT_NOTIFY")
                continue; // SeccompNotifyTests
            Run(Filtered(profile, "true")).Ends(0);
        }
        Assert.Equal(9, Words("actions").Length);
        Assert.Equal(7, Words("operators").Length);
        Assert.Superset(new HashSet<string> { "SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM" }, Words("archs").ToHashSet());
        Assert.Equal(["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"], Words("knownFlags"));
        Assert.Subset(Words("knownFlags").ToHashSet(), Words("supportedFlags").ToHashSet());
        Assert.Contains("SECCOMP_FILTER_FLAG_LOG", Words("supportedFlags"));
    }

    /// <summary>What a static shell and its programs need, beside mkdir.</summary>
    static readonly string[] Common =
    [
        "access", "arch_prctl", "brk", "capget", "capset", "chdir", "clone", "clone3", "close", "close_range", "dup", "dup2", "dup3", "execve", "exit", "exit_group", "fchdir",
        "fchown", "fcntl", "fork", "fstat", "fstatfs", "futex", "getcwd", "getdents64", "getegid", "geteuid", "getgid", "getpgrp", "getpid", "getppid", "getrandom", "getuid",
        "ioctl", "lseek", "lstat", "mmap", "mprotect", "munmap", "newfstatat", "open", "openat", "pipe", "poll", "ppoll", "prctl", "prlimit64", "read", "readlink", "rseq",
        "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigsuspend", "seccomp", "set_robust_list", "set_tid_address", "setgid", "setgroups", "setpgid", "setresgid",
        "setresuid", "setuid", "stat", "statx", "umask", "uname", "vfork", "wait4", "write", "epoll_ctl", "epoll_pwait", "nanosleep", "tgkill", "sigaltstack", "madvise",
        "readlinkat", "faccessat", "faccessat2", "statfs", "sendmsg", "getpeername", "getsockname", "recvmsg", "socket", "connect", "bind", "gettid", "sched_yield",
        "sched_getaffinity", "sched_setaffinity", "timer_create", "timer_settime", "timer_delete", "mlock", "pidfd_open", "openat2",
    ];
}
