using System.Runtime.InteropServices;
using System.Text;
using Containers.Linux;
using Containers.Linux.Oci;
using Containers.Linux.Seccomp;
using Xunit;

namespace Containers.Tests.Units.Seccomp;

/// <summary>The compiler's programs, run by a machine of ours, against what the profile says.</summary>
public class SeccompCompilerTests
{
    internal static sock_filter[] Compile(LinuxSeccomp profile)
    {
        var program = SeccompCompiler.Compile(profile, Architecture.X64).Program;
        FilterMachine.Check(program);
        return program;
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void Programs_mean_what_profiles_say(int seed)
    {
        var random = new Random(seed);
        for (var round = 0; round < 20; round++)
        {
            var profile = RandomProfile.Make(random, plain: false);
            var program = Compile(profile);
            foreach (var call in RandomProfile.Calls(profile, random, 4))
                if (FilterMachine.Run(program, call).Action is var action && ProfileReference.Verdict(profile, call) is var meant && action != meant)
                    Assert.Fail($"seed {seed}, round {round}: {call.Architecture:x} {call.Number} {string.Join(' ', call.Arguments.Select(a => a.ToString("x")))}: " +
                        $"{action:x} in place of {meant:x}\n{Encoding.UTF8.GetString(OciJson.Write(profile))}");
        }
    }

    [Fact]
    public void Every_operator_compares_64_bits()
    {
        ulong[] values = [0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0x1_0000_0000, 0x1_0000_0001, 0x7fffffff_ffffffff, 0x80000000_00000000, ulong.MaxValue];
        foreach (var op in SeccompWords.Operators)
            foreach (var one in values)
                foreach (var two in values)
                {
                    var profile = Profile("SCMP_ACT_ALLOW", Rule("SCMP_ACT_ERRNO", "getpid") with { Args = [new() { Index = 3, Op = op, Value = one, ValueTwo = two }] });
                    var program = Compile(profile);
                    foreach (var argument in values)
                    {
                        var call = new Call(Libc.AUDIT_ARCH_X86_64, 39, [7, 7, 7, argument, 7, 7]);
                        Assert.Equal(ProfileReference.Verdict(profile, call), FilterMachine.Run(program, call).Action);
                    }
                }
    }

    [Fact]
    public void A_long_list_costs_few_steps()
    {
        var names = SyscallTable.Names().Where((_, i) => i % 3 != 0).ToArray();
        var program = Compile(Profile("SCMP_ACT_ERRNO", Rule("SCMP_ACT_ALLOW", names)));
        for (uint number = 0; number < 500; number++)
            Assert.InRange(FilterMachine.Run(program, new(Libc.AUDIT_ARCH_X86_64, number, new ulong[6])).Steps, 1, 14);
    }

    [Theory]
    [InlineData("SCMP_ACT_ERRNO", Libc.SECCOMP_RET_ERRNO | 38)]
    [InlineData("SCMP_ACT_KILL_PROCESS", Libc.SECCOMP_RET_ERRNO | 38)]
    [InlineData("SCMP_ACT_TRAP", Libc.SECCOMP_RET_ERRNO | 38)]
    [InlineData("SCMP_ACT_LOG", Libc.SECCOMP_RET_LOG)]
    [InlineData("SCMP_ACT_TRACE", Libc.SECCOMP_RET_TRACE | 1)]
    public void Calls_younger_than_the_profile_are_not_there(string defaultAction, uint young)
    {
        var profile = Profile(defaultAction, Rule("SCMP_ACT_ALLOW", "read", "statx"));
        var program = Compile(profile);
        Assert.Equal(young, FilterMachine.Run(program, new(Libc.AUDIT_ARCH_X86_64, 435, new ulong[6])).Action);
        Assert.Equal(ProfileReference.Action(defaultAction, null), FilterMachine.Run(program, new(Libc.AUDIT_ARCH_X86_64, 100, new ulong[6])).Action);
        Assert.Equal(Libc.SECCOMP_RET_ALLOW, FilterMachine.Run(program, new(Libc.AUDIT_ARCH_X86_64, 332, new ulong[6])).Action);
    }

    [Fact]
    public void An_arm64_machine_has_its_own_numbers()
    {
        var profile = Profile("SCMP_ACT_ERRNO", Rule("SCMP_ACT_ALLOW", "read", "open"));
        profile.Architectures = ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"];
        var program = SeccompCompiler.Compile(profile, Architecture.Arm64).Program;
        FilterMachine.Check(program);
        uint On(uint architecture, uint number) => FilterMachine.Run(program, new(architecture, number, new ulong[6])).Action;
        Assert.Equal(Libc.SECCOMP_RET_ALLOW, On(Libc.AUDIT_ARCH_AARCH64, 63));
        Assert.Equal(Libc.SECCOMP_RET_ERRNO | 1, On(Libc.AUDIT_ARCH_AARCH64, 5));
        Assert.Equal(Libc.SECCOMP_RET_ALLOW, On(Libc.AUDIT_ARCH_ARM, 3));
        Assert.Equal(Libc.SECCOMP_RET_ALLOW, On(Libc.AUDIT_ARCH_ARM, 5));
        Assert.Equal(Libc.SECCOMP_RET_KILL_PROCESS, On(Libc.AUDIT_ARCH_X86_64, 0));
    }

    [Fact]
    public void Unknown_names_are_told_and_have_no_effect()
    {
        var filter = SeccompCompiler.Compile(Profile("SCMP_ACT_ERRNO", Rule("SCMP_ACT_ALLOW", "read", "nosuchcall", "write")), Architecture.X64);
        Assert.Equal(["nosuchcall"], filter.UnknownNames);
        Assert.Equal(Libc.SECCOMP_RET_ALLOW, FilterMachine.Run(filter.Program, new(Libc.AUDIT_ARCH_X86_64, 1, new ulong[6])).Action);
    }

    [Fact]
    public void Flags_become_bits()
    {
        uint Flags(params string[] flags) => SeccompCompiler.Compile(new() { DefaultAction = "SCMP_ACT_ALLOW", Flags = [.. flags] }, Architecture.X64).Flags;
        Assert.Equal(0u, Flags());
        Assert.Equal(2u, Flags("SECCOMP_FILTER_FLAG_LOG"));
        Assert.Equal(4u, Flags("SECCOMP_FILTER_FLAG_SPEC_ALLOW"));
        Assert.Equal(6u, Flags("SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC"));
    }

    [Fact]
    public void Too_long_a_profile_is_refused()
    {
        var syscall = Rule("SCMP_ACT_ALLOW", "read");
        var profile = Profile("SCMP_ACT_ERRNO");
        for (ulong i = 0; i < 2000; i++)
            profile.Syscalls!.Add(syscall with { Args = [new() { Index = 0, Op = "SCMP_CMP_EQ", Value = i }] });
        Assert.Contains("4096", Assert.Throws<SeccompException>(() => Compile(profile)).Message);
    }

    [Theory]
    [InlineData("""{ }""", "defaultAction")]
    [InlineData("""{ "defaultAction": "SCMP_ACT_MAYBE" }""", "defaultAction: \"SCMP_ACT_MAYBE\"")]
    [InlineData("""{ "defaultAction": "SCMP_ACT_NOTIFY" }""", "defaultAction")]
    [InlineData("""{ "defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 5 }""", "defaultErrnoRet")]
    [InlineData("""{ "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 4096 }""", "defaultErrnoRet: 4096")]
    [InlineData("""{ "defaultAction": "SCMP_ACT_ALLOW", "architectures": [ "SCMP_ARCH_VAX" ] }""", "architectures: \"SCMP_ARCH_VAX\"")]
    [InlineData("""{ "defaultAction": "SCMP_ACT_ALLOW", "flags": [ "SECCOMP_FILTER_FLAG_NEW" ] }""", "flags: \"SECCOMP_FILTER_FLAG_NEW\"")]
    [InlineData("""{ "defaultAction": "SCMP_ACT_ALLOW", "flags": [ "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" ] }""", "WAIT_KILLABLE_RECV")]
    [InlineData("""{ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [ { "action": "SCMP_ACT_ERRNO" } ] }""", "syscalls[0].names")]
    [InlineData("""{ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [ { "names": [ "" ], "action": "SCMP_ACT_ERRNO" } ] }""", "syscalls[0].names")]
    [InlineData("""{ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [ { "names": [ "read" ] } ] }""", "syscalls[0].action")]
    [InlineData("""{ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [ { "names": [ "read" ], "action": "SCMP_ACT_TRACE", "errnoRet": 65536 } ] }""", "syscalls[0].errnoRet")]
    [InlineData("""{ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [ { "names": [ "read" ], "action": "SCMP_ACT_KILL", "errnoRet": 1 } ] }""", "syscalls[0].errnoRet")]
    [InlineData("""{ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [ { "names": [ "read" ], "action": "SCMP_ACT_TRAP", "args": [ { "index": 6, "value": 0, "op": "SCMP_CMP_EQ" } ] } ] }""", "args[0].index")]
    [InlineData("""{ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [ { "names": [ "read" ], "action": "SCMP_ACT_TRAP", "args": [ { "index": 1, "value": 0, "op": "EQ" } ] } ] }""", "args[0].op")]
    [InlineData("""{ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [ { "names": [ "sendmsg" ], "action": "SCMP_ACT_NOTIFY" } ] }""", "sendmsg")]
    public void Malformed_profiles_are_refused_by_the_member_at_fault(string json, string member) =>
        Assert.Contains(member, Assert.Throws<SeccompException>(() => Compile(OciJson.Read<LinuxSeccomp>(Encoding.UTF8.GetBytes(json)))).Message);

    [Theory]
    [InlineData(null, false)]
    [InlineData("{ }", false)]
    [InlineData("""{ "architectures": [ "SCMP_ARCH_X86" ] }""", false)]
    [InlineData("""{ "syscalls": [ { "names": [ "read" ], "action": "SCMP_ACT_ALLOW" } ] }""", true)]
    [InlineData("""{ "defaultAction": "SCMP_ACT_ALLOW" }""", true)]
    public void An_empty_profile_asks_for_nothing(string? json, bool asks) =>
        Assert.Equal(asks, SeccompFilter.IsAskedFor(json == null ? null : OciJson.Read<LinuxSeccomp>(Encoding.UTF8.GetBytes(json))));

    static LinuxSeccomp Profile(string defaultAction, params SyscallRule[] rules) => new()
    {
        DefaultAction = defaultAction,
        Syscalls = [.. rules.Select(rule => (LinuxSyscall)rule)],
    };

    static SyscallRule Rule(string action, params string[] names) => new(action, names);

    sealed record SyscallRule(string Action, string[] Names)
    {
        public List<LinuxSeccompArg>? Args { get; init; }

        public static implicit operator LinuxSyscall(SyscallRule rule) => new() { Action = rule.Action, Names = [.. rule.Names], Args = rule.Args };
    }
}
