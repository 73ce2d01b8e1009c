using Containers.Linux.Oci;

namespace Containers.Linux.Seccomp;

/// <summary>An effect, and the conditions that hold together; none when it always has it.</summary>
readonly record struct SeccompRule(uint Action, List<LinuxSeccompArg>? Conditions);

/// <summary>A profile's rules, checked, and which call each is about.</summary>
sealed class SeccompRules
{
    const int MostUnknown = 256;

    readonly List<SeccompRule> _rules;
    readonly List<(SyscallNumbers Numbers, string Name, int First, int Count)> _calls;

    public SeccompRules(LinuxSeccomp profile)
    {
        Default = SeccompWords.Action(profile.DefaultAction, profile.DefaultErrnoRet, "linux.seccomp.defaultAction", "linux.seccomp.defaultErrnoRet");
        if (Default == Libc.SECCOMP_RET_USER_NOTIF)
            throw new SeccompException("linux.seccomp.defaultAction: SCMP_ACT_NOTIFY cannot be the default: the container would wait for its listener before it begins");
        int names = 0;
        foreach (LinuxSyscall syscall in profile.Syscalls ?? [])
            names += syscall.Names?.Count ?? 0;
        _rules = new(profile.Syscalls?.Count ?? 0);
        _calls = new(names);
        for (int i = 0; i < profile.Syscalls?.Count; i++)
            Add(profile.Syscalls[i], $"linux.seccomp.syscalls[{i}]");
    }

    /// <summary>SECCOMP_RET_* with its data.</summary>
    public uint Default { get; }

    public bool Notifies { get; private set; }
    public List<string> UnknownNames { get; } = [];
    public int Calls => _calls.Count;
    public SeccompRule this[int index] => _rules[index];

    /// <summary>A call that the profile names, with its rules: none when they would have the default action.</summary>
    public (SyscallNumbers Numbers, string Name, int First, int Count) Call(int index) => _calls[index];

    /// <summary>A rule that the profile does not spell: for calls that come by way of another.</summary>
    public int AddMultiplexed(uint action, ulong call)
    {
        // The upper half of ipc(2)'s number is a version.
        _rules.Add(new(action, [new LinuxSeccompArg { Index = 0, Op = "SCMP_CMP_MASKED_EQ", Value = 0xffff, ValueTwo = call }]));
        return _rules.Count - 1;
    }

    void Add(LinuxSyscall syscall, string field)
    {
        uint action = SeccompWords.Action(syscall.Action, syscall.ErrnoRet, $"{field}.action", $"{field}.errnoRet");
        if (syscall.Names is not { Count: > 0 } names)
            throw new SeccompException($"{field}.names: must not be empty");
        int first = _rules.Count;
        if (action != Default)
            AddRules(action, syscall.Args, field);
        Notifies |= action == Libc.SECCOMP_RET_USER_NOTIF;
        foreach (string name in names)
        {
            if (string.IsNullOrEmpty(name))
                throw new SeccompException($"{field}.names: holds an empty name");
            if (SyscallTable.TryFind(name, out SyscallNumbers numbers))
                _calls.Add((numbers, name, first, _rules.Count - first));
            else if (UnknownNames.Count < MostUnknown)
                UnknownNames.Add(name);
        }
    }

    void AddRules(uint action, List<LinuxSeccompArg>? conditions, string field)
    {
        if (conditions is not { Count: > 0 })
        {
            _rules.Add(new(action, null));
            return;
        }
        int seen = 0;
        bool twice = false;
        for (int i = 0; i < conditions.Count; i++)
        {
            SeccompWords.Check(conditions[i], $"{field}.args[{i}]");
            int bit = 1 << (int)conditions[i].Index!.Value;
            twice |= (seen & bit) != 0;
            seen |= bit;
        }
        if (!twice)
        {
            _rules.Add(new(action, conditions));
            return;
        }
        foreach (LinuxSeccompArg condition in conditions)
            _rules.Add(new(action, [condition]));
    }
}
