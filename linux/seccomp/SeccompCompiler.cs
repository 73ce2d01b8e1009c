using System.Runtime.InteropServices;
using Containers.Linux.Oci;

namespace Containers.Linux.Seccomp;

/// <summary>
/// From a profile (config-linux.md, Seccomp) to a filter. What several rules for one name mean is what runc and libseccomp make of them: a rule with the default
/// action is none; one without conditions wins over those with conditions, the first of them where there are several; conditional ones are tried in their order. The
/// conditions of one rule hold together, unless two of them are about the same argument: then each is a rule of its own.
///
/// The numbers of an ABI become intervals of one effect each, and a binary search over their bounds: a profile of 350 names is some 60 intervals, and a call costs
/// about eight instructions.
/// </summary>
public static unsafe class SeccompCompiler
{
    // A call of an architecture that the profile does not list: a rule for the native one says nothing about it.
    const uint ForeignCall = Libc.SECCOMP_RET_KILL_PROCESS;
    const uint X32Bit = Libc.__X32_SYSCALL_BIT;

    /// <param name="profile">Not null and not empty: <see cref="SeccompFilter.IsAskedFor"/>.</param>
    /// <param name="machine">X64 or Arm64.</param>
    /// <exception cref="SeccompException">The profile is malformed, or its filter would be longer than the kernel takes.</exception>
    public static SeccompFilter Compile(LinuxSeccomp profile, Architecture machine)
    {
        var rules = new SeccompRules(profile);
        uint flags = 0;
        foreach (string word in profile.Flags ?? [])
            flags |= SeccompWords.Flag(word);
        (bool second, bool x32) = OtherAbis(profile, machine);

        Span<int> returns = stackalloc int[16];
        returns.Clear();
        var program = new FilterAssembler(new sock_filter[Libc.BPF_MAXINSNS], returns);
        int foreign = program.Return(ForeignCall);
        SyscallIntervals native;
        int at = foreign;
        if (machine == Architecture.X64)
        {
            if (second)
                at = Section(ref program, rules, new SyscallIntervals(rules, SyscallAbi.I386), Libc.AUDIT_ARCH_I386, at);
            native = new SyscallIntervals(rules, SyscallAbi.X64);
            native.AddX32(rules, x32, X32Bit, ForeignCall);
            at = Section(ref program, rules, native, Libc.AUDIT_ARCH_X86_64, at);
        }
        else
        {
            if (second)
                at = Section(ref program, rules, new SyscallIntervals(rules, SyscallAbi.Arm), Libc.AUDIT_ARCH_ARM, at);
            native = new SyscallIntervals(rules, SyscallAbi.Arm64);
            at = Section(ref program, rules, native, Libc.AUDIT_ARCH_AARCH64, at);
        }
        program.Continue(at);
        program.Load(Offset.Arch);
        if (rules.Notifies)
            CheckNotify(native, machine);
        else if ((flags & Libc.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) != 0)
            throw new SeccompException("linux.seccomp.flags: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV needs a rule with SCMP_ACT_NOTIFY");
        return new SeccompFilter { Program = program.Program.ToArray(), Flags = flags, Notifies = rules.Notifies, UnknownNames = rules.UnknownNames };
    }

    static (bool Second, bool X32) OtherAbis(LinuxSeccomp profile, Architecture machine)
    {
        bool second = false, x32 = false;
        foreach (string word in profile.Architectures ?? [])
        {
            if (Array.IndexOf(SeccompWords.Architectures, word) < 0)
                throw new SeccompException($"linux.seccomp.architectures: \"{word}\" is unknown");
            second |= word == (machine == Architecture.X64 ? "SCMP_ARCH_X86" : "SCMP_ARCH_ARM");
            x32 |= word == "SCMP_ARCH_X32";
        }
        return (second, x32);
    }

    /// <summary>The runtime itself hands the listener's descriptor over, under the filter: that call must not wait for the listener.</summary>
    static void CheckNotify(SyscallIntervals native, Architecture machine)
    {
        int number = machine == Architecture.X64 ? MachineX64.SYS_sendmsg : MachineArm64.SYS_sendmsg;
        if (native.Unconditional((uint)number) is not (Libc.SECCOMP_RET_ALLOW or Libc.SECCOMP_RET_LOG))
            throw new SeccompException("linux.seccomp: SCMP_ACT_NOTIFY needs sendmsg to be allowed: the listener's descriptor is sent by it");
    }

    /// <summary>The calls of one architecture; <paramref name="otherwise"/> is the place for all others, where the architecture is still loaded.</summary>
    static int Section(ref FilterAssembler program, SeccompRules rules, SyscallIntervals intervals, uint architecture, int otherwise)
    {
        int tree = Tree(ref program, rules, intervals, 0, intervals.Count);
        program.Continue(tree);
        program.Load(Offset.Number);
        return program.Jump(Libc.BPF_JEQ, architecture, program.Start, otherwise);
    }

    static int Tree(ref FilterAssembler program, SeccompRules rules, SyscallIntervals intervals, int first, int end)
    {
        if (end - first == 1)
        {
            SyscallInterval only = intervals[first];
            return only.Rules == 0 ? program.Return(only.Action) : Chain(ref program, rules, intervals, only);
        }
        int middle = first + (end - first) / 2;
        int right = Tree(ref program, rules, intervals, middle, end);
        int left = Tree(ref program, rules, intervals, first, middle);
        return program.Jump(Libc.BPF_JGE, intervals[middle].Start, right, left);
    }

    /// <summary>Conditional rules, one after the other.</summary>
    static int Chain(ref FilterAssembler program, SeccompRules rules, SyscallIntervals intervals, SyscallInterval interval)
    {
        int next = program.Return(rules.Default);
        for (int i = interval.Rules - 1; i >= 0; i--)
        {
            SeccompRule rule = rules[intervals.Rule(interval.FirstRule + i)];
            int hold = program.Return(rule.Action);
            for (int k = rule.Conditions!.Count - 1; k >= 0; k--)
                hold = Condition(ref program, rule.Conditions[k], interval.Wide, hold, next);
            next = hold;
        }
        return next;
    }

    /// <summary>
    /// One comparison of 64 bits as two of 32. Where arguments have 32 bits, the lower halves alone are compared, as libseccomp does: a value written as a negative
    /// number of 64 bits would never be met otherwise.
    /// </summary>
    static int Condition(ref FilterAssembler program, LinuxSeccompArg condition, bool wide, int hold, int fail)
    {
        ulong value = condition.Value ?? 0;
        ulong mask = ulong.MaxValue;
        int comparison = Libc.BPF_JEQ;
        switch (condition.Op)
        {
            case "SCMP_CMP_NE":
                (hold, fail) = (fail, hold);
                break;
            case "SCMP_CMP_GE":
                comparison = Libc.BPF_JGE;
                break;
            case "SCMP_CMP_LT":
                comparison = Libc.BPF_JGE;
                (hold, fail) = (fail, hold);
                break;
            case "SCMP_CMP_GT":
                comparison = Libc.BPF_JGT;
                break;
            case "SCMP_CMP_LE":
                comparison = Libc.BPF_JGT;
                (hold, fail) = (fail, hold);
                break;
            case "SCMP_CMP_MASKED_EQ":
                mask = value;
                value = (condition.ValueTwo ?? 0) & mask;
                break;
        }
        int offset = Offset.Arguments + (int)condition.Index!.Value * 8;
        uint low = (uint)value, high = (uint)(value >> 32);
        int place = program.Jump(comparison, low, hold, fail);
        if ((uint)mask != uint.MaxValue)
            program.And((uint)mask);
        program.Load(offset);
        if (!wide || mask >> 32 == 0)
            return program.Start;
        place = program.Start;
        if (comparison == Libc.BPF_JEQ)
        {
            place = program.Jump(Libc.BPF_JEQ, high, place, fail);
            if (mask >> 32 != uint.MaxValue)
                program.And((uint)(mask >> 32));
        }
        else
        {
            place = program.Jump(Libc.BPF_JEQ, high, place, fail);
            place = program.Jump(Libc.BPF_JGT, high, hold, place);
        }
        program.Load(offset + 4);
        return program.Start;
    }

    /// <summary>struct seccomp_data; both machines are little-endian.</summary>
    static class Offset
    {
        public const int Number = 0, Arch = 4, Arguments = 16;
    }
}
