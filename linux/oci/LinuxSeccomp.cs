namespace Containers.Linux.Oci;

/// <summary>The filter of system calls (config-linux.md, Seccomp).</summary>
public sealed class LinuxSeccomp : SpecObject
{
    /// <summary>What happens to a call that no rule names, such as <c>SCMP_ACT_ERRNO</c>.</summary>
    public string? DefaultAction { get; set; }

    public uint? DefaultErrnoRet { get; set; }
    /// <summary>Such as <c>SCMP_ARCH_X86_64</c>.</summary>
    public List<string>? Architectures { get; set; }

    /// <summary>Such as <c>SECCOMP_FILTER_FLAG_LOG</c>.</summary>
    public List<string>? Flags { get; set; }

    /// <summary>The socket that gets the descriptor for <c>SCMP_ACT_NOTIFY</c>.</summary>
    public string? ListenerPath { get; set; }

    public string? ListenerMetadata { get; set; }
    public List<LinuxSyscall>? Syscalls { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        DefaultAction = f.Field("defaultAction"u8, DefaultAction);
        DefaultErrnoRet = f.Field("defaultErrnoRet"u8, DefaultErrnoRet);
        Architectures = f.Field("architectures"u8, Architectures);
        Flags = f.Field("flags"u8, Flags);
        ListenerPath = f.Field("listenerPath"u8, ListenerPath);
        ListenerMetadata = f.Field("listenerMetadata"u8, ListenerMetadata);
        Syscalls = f.Field("syscalls"u8, Syscalls);
    }
}

/// <summary>One rule: these calls, where all <see cref="Args"/> hold, have this effect.</summary>
public sealed class LinuxSyscall : SpecObject
{
    public List<string>? Names { get; set; }
    public string? Action { get; set; }
    public uint? ErrnoRet { get; set; }
    public List<LinuxSeccompArg>? Args { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        Names = f.Field("names"u8, Names);
        Action = f.Field("action"u8, Action);
        ErrnoRet = f.Field("errnoRet"u8, ErrnoRet);
        Args = f.Field("args"u8, Args);
    }
}

/// <summary>A comparison with one argument of the call.</summary>
public sealed class LinuxSeccompArg : SpecObject
{
    /// <summary>From 0 to 5.</summary>
    public uint? Index { get; set; }

    public ulong? Value { get; set; }
    /// <summary>For <c>SCMP_CMP_MASKED_EQ</c>: what the masked argument is compared with.</summary>
    public ulong? ValueTwo { get; set; }

    /// <summary>Such as <c>SCMP_CMP_EQ</c>.</summary>
    public string? Op { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        Index = f.Field("index"u8, Index);
        Value = f.Field("value"u8, Value);
        ValueTwo = f.Field("valueTwo"u8, ValueTwo);
        Op = f.Field("op"u8, Op);
    }
}
