using Containers.Linux;
using Containers.Linux.Oci;
using Containers.Linux.Seccomp;

namespace Containers.Tests.Units.Seccomp;

/// <summary>Profiles of every kind that are allowed, and calls that come close to their conditions.</summary>
static class RandomProfile
{
    static readonly string[] s_actions =
        ["SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_LOG", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP"];

    static readonly ulong[] s_values =
        [0, 1, 2, 0x7f, 0xffff, 0x7e020000, int.MaxValue, 0x80000000, uint.MaxValue, 0x1_0000_0000, 0x1_0000_0001, 0x8000_0000_0000_0000, ulong.MaxValue, 0x1234_5678_9abc_def0];

    static readonly List<string> s_names = SyscallTable.Names();

    /// <param name="plain">Only what libseccomp makes the same of: one rule for each call.</param>
    public static LinuxSeccomp Make(Random random, bool plain)
    {
        var defaultAction = s_actions[random.Next(s_actions.Length)];
        var free = new Queue<string>(plain ? s_names.OrderBy(_ => random.Next()) : []);
        var profile = new LinuxSeccomp
        {
            DefaultAction = defaultAction,
            DefaultErrnoRet = plain && defaultAction == "SCMP_ACT_ERRNO" ? 38 : Errno(defaultAction),
            Architectures = [.. new[] { "SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_ARM" }.Where(_ => random.Next(2) == 0)],
            Syscalls = [],
        };
        for (var rules = random.Next(plain ? 12 : 20); rules > 0; rules--)
        {
            var action = s_actions[random.Next(s_actions.Length)];
            profile.Syscalls.Add(new()
            {
                Names = [.. Enumerable.Range(0, 1 + (random.Next(3) == 0 ? random.Next(60) : random.Next(3))).Select(_ => plain ? free.Dequeue() : Name())],
                Action = action,
                ErrnoRet = Errno(action),
                Args = random.Next(2) == 0 ? null : [.. Conditions()],
            });
        }
        return profile;

        uint? Errno(string action) => action is "SCMP_ACT_ERRNO" or "SCMP_ACT_TRACE" && random.Next(2) == 0 ? (uint)random.Next(4096) : null;

        // Few names, so that rules meet.
        string Name() => random.Next(4) == 0 ? s_names[random.Next(s_names.Count)] : s_names[random.Next(12) * 37];

        IEnumerable<LinuxSeccompArg> Conditions()
        {
            var indices = Enumerable.Range(0, 6).OrderBy(_ => random.Next()).ToArray();
            for (var i = random.Next(4); i >= 0; i--)
                yield return new()
                {
                    Index = (uint)(plain ? indices[i] : random.Next(6)),
                    Op = SeccompWords.Operators[random.Next(SeccompWords.Operators.Length)],
                    Value = Value(random),
                    ValueTwo = random.Next(2) == 0 ? null : Value(random),
                };
        }
    }

    static ulong Value(Random random) => random.Next(4) == 0 ? (ulong)random.NextInt64() : s_values[random.Next(s_values.Length)];

    /// <summary>Every number that an ABI has and some more, each with argument values near those of the profile.</summary>
    public static IEnumerable<Call> Calls(LinuxSeccomp profile, Random random, int each)
    {
        List<ulong> near = [0, 1, ulong.MaxValue];
        foreach (var condition in profile.Syscalls!.SelectMany(syscall => syscall.Args ?? []))
            foreach (var value in (ulong[])[condition.Value ?? 0, condition.ValueTwo ?? 0])
                near.AddRange([value, value - 1, value + 1, (uint)value, value | 0xffffffff_00000000, value ^ 0x1_0000_0000, value ^ 0x8000_0000]);
        foreach (var architecture in (uint[])[Libc.AUDIT_ARCH_X86_64, Libc.AUDIT_ARCH_I386])
        {
            foreach (var start in architecture == Libc.AUDIT_ARCH_I386 ? (uint[])[0] : [0, 0x40000000])
                for (uint number = start; number < start + 560; number++)
                    for (var i = 0; i < each; i++)
                        yield return new(architecture, number, Arguments());
            foreach (var number in (uint[])[0x3fffffff, 0x7fffffff, 0x80000000, uint.MaxValue - 1, uint.MaxValue])
                yield return new(architecture, number, Arguments());
        }
        yield return new(Libc.AUDIT_ARCH_ARM, 1, Arguments());

        ulong[] Arguments() => [.. Enumerable.Range(0, 6).Select(_ => near[random.Next(near.Count)])];
    }
}
