using Containers.Linux;
using Containers.Linux.Oci;
using Containers.Linux.Seccomp;

namespace Containers.Tests.Units.Seccomp;

/// <summary>What a profile means for one call on an x86-64 machine, said as plainly as possible and without a program.</summary>
static class ProfileReference
{
    const uint X32 = 0x40000000, Kill = Libc.SECCOMP_RET_KILL_PROCESS;

    static readonly string[] s_sockets =
    [
        "", "socket", "bind", "connect", "listen", "accept", "getsockname", "getpeername", "socketpair", "send", "recv", "sendto", "recvfrom", "shutdown", "setsockopt",
        "getsockopt", "sendmsg", "recvmsg", "accept4", "recvmmsg", "sendmmsg",
    ];

    static readonly Dictionary<ulong, string> s_ipc = new()
    {
        [1] = "semop", [2] = "semget", [3] = "semctl", [4] = "semtimedop", [11] = "msgsnd", [12] = "msgrcv", [13] = "msgget", [14] = "msgctl", [21] = "shmat", [22] = "shmdt",
        [23] = "shmget", [24] = "shmctl",
    };

    public static uint Verdict(LinuxSeccomp profile, Call call)
    {
        List<string> listed = profile.Architectures ?? [];
        var abi = SyscallAbi.X64;
        var number = call.Number;
        if (call.Architecture == Libc.AUDIT_ARCH_I386)
        {
            if (!listed.Contains("SCMP_ARCH_X86"))
                return Kill;
            abi = SyscallAbi.I386;
        }
        else if (call.Architecture != Libc.AUDIT_ARCH_X86_64)
        {
            return Kill;
        }
        else if (call.Number == uint.MaxValue)
        {
            return Action(profile.DefaultAction!, profile.DefaultErrnoRet);
        }
        else if (call.Number >= X32)
        {
            if (!listed.Contains("SCMP_ARCH_X32"))
                return Kill;
            abi = SyscallAbi.X32;
            number -= X32;
        }
        return Verdict(profile, abi, number, call.Arguments);
    }

    static uint Verdict(LinuxSeccomp profile, SyscallAbi abi, uint number, ulong[] arguments)
    {
        var usual = Action(profile.DefaultAction!, profile.DefaultErrnoRet);
        List<(uint Action, LinuxSeccompArg[] Conditions)> about = [];
        long last = -1;
        foreach (var syscall in profile.Syscalls ?? [])
        {
            var action = Action(syscall.Action!, syscall.ErrnoRet);
            var arguments0 = syscall.Args ?? [];
            List<LinuxSeccompArg[]> alternatives = arguments0.Select(a => a.Index).Distinct().Count() == arguments0.Count ? [[.. arguments0]] : [.. arguments0.Select(a => new[] { a })];
            foreach (var name in syscall.Names!)
            {
                var own = SyscallTable.TryFind(name, out var numbers) ? numbers[abi] : -1;
                last = Math.Max(last, own);
                if (action == usual)
                    continue;
                if (own == number)
                    about.AddRange(alternatives.Select(conditions => (action, conditions)));
                else if (abi == SyscallAbi.I386 && arguments0.Count == 0 && IsBy(name, number, arguments[0]))
                    about.Add((action, [new() { Index = 0, Op = "SCMP_CMP_GE", Value = 0 }]));
            }
        }
        foreach (var (action, conditions) in about)
            if (conditions.Length == 0)
                return action;
        foreach (var (action, conditions) in about)
            if (conditions.All(condition => Holds(condition, arguments[condition.Index!.Value], abi)))
                return action;
        if (number > last && last >= 0 && profile.DefaultAction is not ("SCMP_ACT_ALLOW" or "SCMP_ACT_LOG" or "SCMP_ACT_TRACE"))
            return Libc.SECCOMP_RET_ERRNO | (uint)Libc.ENOSYS;
        return usual;
    }

    static bool IsBy(string name, uint number, ulong first) => number switch
    {
        102 => (first & 0xffff) is var call and < 21 && s_sockets[call] == name,
        117 => s_ipc.GetValueOrDefault(first & 0xffff) == name,
        _ => false,
    };

    static bool Holds(LinuxSeccompArg condition, ulong argument, SyscallAbi abi)
    {
        ulong one = condition.Value ?? 0, two = condition.ValueTwo ?? 0;
        if (abi != SyscallAbi.X64)
            (argument, one, two) = ((uint)argument, (uint)one, (uint)two);
        return condition.Op switch
        {
            "SCMP_CMP_NE" => argument != one,
            "SCMP_CMP_LT" => argument < one,
            "SCMP_CMP_LE" => argument <= one,
            "SCMP_CMP_EQ" => argument == one,
            "SCMP_CMP_GE" => argument >= one,
            "SCMP_CMP_GT" => argument > one,
            "SCMP_CMP_MASKED_EQ" => (argument & one) == (two & one),
            _ => throw new InvalidOperationException(condition.Op),
        };
    }

    public static uint Action(string word, uint? number) => word switch
    {
        "SCMP_ACT_KILL" or "SCMP_ACT_KILL_THREAD" => 0,
        "SCMP_ACT_KILL_PROCESS" => 0x80000000,
        "SCMP_ACT_TRAP" => 0x00030000,
        "SCMP_ACT_ERRNO" => 0x00050000 | (number ?? 1),
        "SCMP_ACT_NOTIFY" => 0x7fc00000,
        "SCMP_ACT_TRACE" => 0x7ff00000 | (number ?? 1),
        "SCMP_ACT_LOG" => 0x7ffc0000,
        "SCMP_ACT_ALLOW" => 0x7fff0000,
        _ => throw new InvalidOperationException(word),
    };
}
