using Containers.Linux.Oci;

namespace Containers.Linux.Seccomp;

/// <summary>The words of config-linux.md, Seccomp, and what they are for the kernel.</summary>
public static class SeccompWords
{
    const uint MaxErrno = 4095; // the kernel's MAX_ERRNO

    public static readonly string[] Actions =
    [
        "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP",
    ];

    public static readonly string[] Operators =
        ["SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE"];

    /// <summary>Those whose calls are told apart by name come first; of the others this kernel never sees a call, so they are taken and have no effect.</summary>
    public static readonly string[] Architectures =
    [
        "SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM",
        "SCMP_ARCH_LOONGARCH64", "SCMP_ARCH_M68K", "SCMP_ARCH_MIPS", "SCMP_ARCH_MIPS64", "SCMP_ARCH_MIPS64N32", "SCMP_ARCH_MIPSEL", "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL64N32",
        "SCMP_ARCH_PARISC", "SCMP_ARCH_PARISC64", "SCMP_ARCH_PPC", "SCMP_ARCH_PPC64", "SCMP_ARCH_PPC64LE", "SCMP_ARCH_RISCV64", "SCMP_ARCH_S390", "SCMP_ARCH_S390X",
        "SCMP_ARCH_SH", "SCMP_ARCH_SHEB",
    ];

    public static readonly string[] Flags =
        ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"];

    /// <summary>SECCOMP_RET_* with its data.</summary>
    /// <exception cref="SeccompException">The action is unknown, or the number is not one that it takes.</exception>
    internal static uint Action(string? word, uint? number, string field, string numberField)
    {
        uint action = word switch
        {
            "SCMP_ACT_ALLOW" => Libc.SECCOMP_RET_ALLOW,
            "SCMP_ACT_ERRNO" => Libc.SECCOMP_RET_ERRNO,
            // One thread, as the oldest word always meant.
            "SCMP_ACT_KILL" or "SCMP_ACT_KILL_THREAD" => Libc.SECCOMP_RET_KILL_THREAD,
            "SCMP_ACT_KILL_PROCESS" => Libc.SECCOMP_RET_KILL_PROCESS,
            "SCMP_ACT_LOG" => Libc.SECCOMP_RET_LOG,
            "SCMP_ACT_NOTIFY" => Libc.SECCOMP_RET_USER_NOTIF,
            "SCMP_ACT_TRACE" => Libc.SECCOMP_RET_TRACE,
            "SCMP_ACT_TRAP" => Libc.SECCOMP_RET_TRAP,
            null or "" => throw new SeccompException($"{field}: is missing"),
            _ => throw new SeccompException($"{field}: \"{word}\" is unknown"),
        };
        if (action is Libc.SECCOMP_RET_ERRNO or Libc.SECCOMP_RET_TRACE)
        {
            uint most = action == Libc.SECCOMP_RET_ERRNO ? MaxErrno : Libc.SECCOMP_RET_DATA;
            uint data = number ?? (uint)Libc.EPERM;
            return data <= most ? action | data : throw new SeccompException($"{numberField}: {data} is above {most}");
        }
        // config-linux.md wants an error here: whoever wrote the number expects it to have an effect.
        return number is null ? action : throw new SeccompException($"{numberField}: {word} takes no number");
    }

    /// <summary>The member of <see cref="Flags"/> as the bit of seccomp(2); 0 for one that has nothing to do.</summary>
    internal static uint Flag(string word) => word switch
    {
        "SECCOMP_FILTER_FLAG_LOG" => Libc.SECCOMP_FILTER_FLAG_LOG,
        "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => Libc.SECCOMP_FILTER_FLAG_SPEC_ALLOW,
        // All threads at once: a container starts as one.
        "SECCOMP_FILTER_FLAG_TSYNC" => 0,
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" => Libc.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
        _ => throw new SeccompException($"linux.seccomp.flags: \"{word}\" is unknown"),
    };

    /// <summary>Those of <see cref="Flags"/> that this kernel knows.</summary>
    public static unsafe List<string> SupportedFlags()
    {
        var supported = new List<string>();
        foreach (string word in Flags)
        {
            uint flag = Flag(word);
            if (flag == Libc.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
                flag |= Libc.SECCOMP_FILTER_FLAG_NEW_LISTENER;
            // Without a program the kernel gets as far as the flags: EINVAL for an unknown one, else EFAULT.
            if (Libc.seccomp(Libc.SECCOMP_SET_MODE_FILTER, flag, null) < 0 && Libc.errno == Libc.EFAULT)
                supported.Add(word);
        }
        return supported;
    }

    internal static void Check(LinuxSeccompArg condition, string field)
    {
        if (condition.Index is not <= 5)
            throw new SeccompException($"{field}.index: must be from 0 to 5");
        if (string.IsNullOrEmpty(condition.Op) || Array.IndexOf(Operators, condition.Op) < 0)
            throw new SeccompException($"{field}.op: \"{condition.Op}\" is unknown");
    }
}
