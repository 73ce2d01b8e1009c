using System.Runtime.InteropServices;

namespace Containers.Linux;

/// <summary>&lt;linux/seccomp.h&gt;, &lt;linux/filter.h&gt;, &lt;linux/audit.h&gt;: seccomp(2).</summary>
public static unsafe partial class Libc
{
    public const int SECCOMP_MODE_DISABLED = 0;
    public const int SECCOMP_MODE_STRICT = 1;
    public const int SECCOMP_MODE_FILTER = 2;
    public const int SECCOMP_SET_MODE_STRICT = 0;
    public const int SECCOMP_SET_MODE_FILTER = 1;
    public const int SECCOMP_GET_ACTION_AVAIL = 2;
    public const int SECCOMP_GET_NOTIF_SIZES = 3;
    public const int SECCOMP_FILTER_FLAG_TSYNC = 0x1;
    public const int SECCOMP_FILTER_FLAG_LOG = 0x2;
    public const int SECCOMP_FILTER_FLAG_SPEC_ALLOW = 0x4;
    public const int SECCOMP_FILTER_FLAG_NEW_LISTENER = 0x8;
    public const int SECCOMP_FILTER_FLAG_TSYNC_ESRCH = 0x10;
    public const int SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV = 0x20;
    public const uint SECCOMP_RET_KILL_PROCESS = 0x80000000;
    public const uint SECCOMP_RET_KILL_THREAD = 0x0;
    public const uint SECCOMP_RET_TRAP = 0x30000;
    public const uint SECCOMP_RET_ERRNO = 0x50000;
    public const uint SECCOMP_RET_USER_NOTIF = 0x7fc00000;
    public const uint SECCOMP_RET_TRACE = 0x7ff00000;
    public const uint SECCOMP_RET_LOG = 0x7ffc0000;
    public const uint SECCOMP_RET_ALLOW = 0x7fff0000;
    public const uint SECCOMP_RET_ACTION_FULL = 0xffff0000;
    public const uint SECCOMP_RET_DATA = 0xffff;
    public const int SECCOMP_USER_NOTIF_FLAG_CONTINUE = 0x1;
    public const uint SECCOMP_IOCTL_NOTIF_RECV = 0xc0502100;
    public const uint SECCOMP_IOCTL_NOTIF_SEND = 0xc0182101;
    public const uint SECCOMP_IOCTL_NOTIF_ID_VALID = 0x40082102;

    public const uint AUDIT_ARCH_X86_64 = 0xc000003e;
    public const uint AUDIT_ARCH_I386 = 0x40000003;
    public const uint AUDIT_ARCH_AARCH64 = 0xc00000b7;
    public const uint AUDIT_ARCH_ARM = 0x40000028;
    /// <summary>Set in the number of a call from the x32 ABI, whose architecture reads as x86-64.</summary>
    public const int __X32_SYSCALL_BIT = 0x40000000;

    public const int BPF_LD = 0x0;
    public const int BPF_LDX = 0x1;
    public const int BPF_ST = 0x2;
    public const int BPF_STX = 0x3;
    public const int BPF_ALU = 0x4;
    public const int BPF_JMP = 0x5;
    public const int BPF_RET = 0x6;
    public const int BPF_MISC = 0x7;
    public const int BPF_W = 0x0;
    public const int BPF_H = 0x8;
    public const int BPF_B = 0x10;
    public const int BPF_IMM = 0x0;
    public const int BPF_ABS = 0x20;
    public const int BPF_IND = 0x40;
    public const int BPF_MEM = 0x60;
    public const int BPF_ADD = 0x0;
    public const int BPF_SUB = 0x10;
    public const int BPF_OR = 0x40;
    public const int BPF_AND = 0x50;
    public const int BPF_LSH = 0x60;
    public const int BPF_RSH = 0x70;
    public const int BPF_JA = 0x0;
    public const int BPF_JEQ = 0x10;
    public const int BPF_JGT = 0x20;
    public const int BPF_JGE = 0x30;
    public const int BPF_JSET = 0x40;
    public const int BPF_K = 0x0;
    public const int BPF_X = 0x8;
    public const int BPF_MAXINSNS = 4096;

    public static int seccomp(uint operation, uint flags, void* args) =>
        (int)syscall_errno(SYS_seccomp, (nint)operation, (nint)flags, (nint)args, 0, 0, 0);
}

/// <summary>One instruction of a classic BPF program.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct sock_filter
{
    public ushort code;
    public byte jt;
    public byte jf;
    public uint k;
}

/// <summary>A classic BPF program: at most BPF_MAXINSNS instructions.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct sock_fprog
{
    public ushort len;
    public sock_filter* filter;
}

/// <summary>What a filter sees of a system call.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct seccomp_data
{
    public int nr;
    public uint arch;
    public ulong instruction_pointer;
    public fixed ulong args[6];
}

/// <summary>SECCOMP_GET_NOTIF_SIZES.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct seccomp_notif_sizes
{
    public ushort seccomp_notif;
    public ushort seccomp_notif_resp;
    public ushort seccomp_data;
}
