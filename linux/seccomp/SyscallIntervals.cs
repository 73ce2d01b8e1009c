using System.Runtime.InteropServices;

namespace Containers.Linux.Seccomp;

/// <summary>From <see cref="Start"/> to the next one's start: one action, or a chain of conditional rules.</summary>
readonly record struct SyscallInterval(uint Start, uint Action, int FirstRule, int Rules, bool Wide);

/// <summary>What the rules mean for every number of an ABI, from 0 to 2³²-1.</summary>
sealed class SyscallIntervals
{
    readonly List<SyscallInterval> _intervals = new(128);
    // Number of the call, place in the profile, rule: sorted, that is the order in which they are looked at.
    readonly List<ulong> _keys;

    public SyscallIntervals(SeccompRules rules, SyscallAbi abi)
    {
        _keys = new(rules.Calls + 16);
        Append(rules, abi, 0, abi is SyscallAbi.X64 or SyscallAbi.Arm64);
    }

    public int Count => _intervals.Count;
    public SyscallInterval this[int index] => _intervals[index];

    public int Rule(int key) => (int)(uint)_keys[key];

    /// <summary>The numbers with x32's bit, which are of x86-64's architecture for the kernel.</summary>
    public void AddX32(SeccompRules rules, bool listed, uint bit, uint foreign)
    {
        if (listed)
            Append(rules, SyscallAbi.X32, bit, wide: false);
        else
            Add(new(bit, foreign, 0, 0, false));
        // A tracer says -1 to skip a call: no number of x32.
        Add(new(uint.MaxValue, rules.Default, 0, 0, true));
    }

    /// <summary>The action of a call for which no condition counts; null otherwise.</summary>
    public uint? Unconditional(uint number)
    {
        int i = _intervals.Count - 1;
        while (_intervals[i].Start > number)
            i--;
        return _intervals[i].Rules == 0 ? _intervals[i].Action : null;
    }

    void Append(SeccompRules rules, SyscallAbi abi, uint bit, bool wide)
    {
        int from = _keys.Count;
        long last = -1;
        for (int i = 0; i < rules.Calls; i++)
        {
            var (numbers, name, first, count) = rules.Call(i);
            int number = numbers[abi];
            last = Math.Max(last, number);
            for (int k = 0; number >= 0 && k < count; k++)
                _keys.Add((ulong)((uint)number | bit) << 32 | (uint)(first + k));
            if (abi == SyscallAbi.I386 && count > 0 && rules[first].Conditions == null && Multiplexed.Find(name) is (int way, int call))
                _keys.Add((ulong)way << 32 | (uint)rules.AddMultiplexed(rules[first].Action, (ulong)call));
        }
        CollectionsMarshal.AsSpan(_keys)[from..].Sort();

        Add(new(bit, rules.Default, 0, 0, wide));
        for (int i = from; i < _keys.Count;)
        {
            uint number = (uint)(_keys[i] >> 32);
            int end = i;
            uint? always = null;
            for (; end < _keys.Count && (uint)(_keys[end] >> 32) == number; end++)
                if (always == null && rules[Rule(end)].Conditions == null)
                    always = rules[Rule(end)].Action;
            Add(always is uint action ? new(number, action, 0, 0, wide) : new(number, rules.Default, i, end - i, wide));
            Add(new(number + 1, rules.Default, 0, 0, wide));
            i = end;
        }
        // Calls that are younger than the profile: ENOSYS, which is how a C library learns that it has to take the older way (runc does the same). Where
        // the default lets calls through it stays.
        if (last >= 0 && rules.Default is not (Libc.SECCOMP_RET_ALLOW or Libc.SECCOMP_RET_LOG) && (rules.Default & Libc.SECCOMP_RET_ACTION_FULL) != Libc.SECCOMP_RET_TRACE)
            Add(new((uint)last + 1 | bit, Libc.SECCOMP_RET_ERRNO | (uint)Libc.ENOSYS, 0, 0, wide));
    }

    /// <summary>Takes the place of one with the same start; one of the same effect as that before it is not needed.</summary>
    void Add(SyscallInterval interval)
    {
        if (_intervals.Count > 0 && _intervals[^1].Start == interval.Start)
            _intervals.RemoveAt(_intervals.Count - 1);
        if (_intervals.Count > 0 && interval.Rules == 0 && _intervals[^1] is { Rules: 0 } before && before.Action == interval.Action)
            return;
        _intervals.Add(interval);
    }
}

/// <summary>i386's calls that come through socketcall(2) and ipc(2), by the number that stands in the first argument (linux/net.h, linux/ipc.h).</summary>
static class Multiplexed
{
    const int SocketCall = 102, Ipc = 117;

    /// <summary>The call that takes this one along, and its number there; null for a call that comes by itself alone.</summary>
    public static (int Way, int Call)? Find(string name) => name switch
    {
        "socket" => (SocketCall, 1),
        "bind" => (SocketCall, 2),
        "connect" => (SocketCall, 3),
        "listen" => (SocketCall, 4),
        "accept" => (SocketCall, 5),
        "getsockname" => (SocketCall, 6),
        "getpeername" => (SocketCall, 7),
        "socketpair" => (SocketCall, 8),
        "send" => (SocketCall, 9),
        "recv" => (SocketCall, 10),
        "sendto" => (SocketCall, 11),
        "recvfrom" => (SocketCall, 12),
        "shutdown" => (SocketCall, 13),
        "setsockopt" => (SocketCall, 14),
        "getsockopt" => (SocketCall, 15),
        "sendmsg" => (SocketCall, 16),
        "recvmsg" => (SocketCall, 17),
        "accept4" => (SocketCall, 18),
        "recvmmsg" => (SocketCall, 19),
        "sendmmsg" => (SocketCall, 20),
        "semop" => (Ipc, 1),
        "semget" => (Ipc, 2),
        "semctl" => (Ipc, 3),
        "semtimedop" => (Ipc, 4),
        "msgsnd" => (Ipc, 11),
        "msgrcv" => (Ipc, 12),
        "msgget" => (Ipc, 13),
        "msgctl" => (Ipc, 14),
        "shmat" => (Ipc, 21),
        "shmdt" => (Ipc, 22),
        "shmget" => (Ipc, 23),
        "shmctl" => (Ipc, 24),
        _ => null,
    };
}
