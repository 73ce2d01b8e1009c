using System.Runtime.InteropServices;

namespace Containers.Linux;

/// <summary>&lt;linux/bpf.h&gt;: what a program for the devices of a version 2 cgroup needs of bpf(2).</summary>
public static unsafe partial class Libc
{
    public const int BPF_PROG_LOAD = 5;
    public const int BPF_PROG_ATTACH = 8;
    public const int BPF_PROG_DETACH = 9;
    public const int BPF_PROG_GET_FD_BY_ID = 13;
    public const int BPF_PROG_QUERY = 16;
    public const int BPF_PROG_TYPE_CGROUP_DEVICE = 15;
    public const int BPF_CGROUP_DEVICE = 6;
    public const int BPF_F_ALLOW_OVERRIDE = 0x1;
    public const int BPF_F_ALLOW_MULTI = 0x2;
    public const int BPF_F_REPLACE = 0x4;
    public const int BPF_DEVCG_ACC_MKNOD = 0x1;
    public const int BPF_DEVCG_ACC_READ = 0x2;
    public const int BPF_DEVCG_ACC_WRITE = 0x4;
    public const int BPF_DEVCG_DEV_BLOCK = 1;
    public const int BPF_DEVCG_DEV_CHAR = 2;

    public const int BPF_JMP32 = 0x6;
    public const int BPF_ALU64 = 0x7;
    public const int BPF_DW = 0x18;
    public const int BPF_MOV = 0xb0;
    public const int BPF_JNE = 0x50;
    public const int BPF_EXIT = 0x90;
    public const int BPF_REG_0 = 0;
    public const int BPF_REG_1 = 1;
    public const int BPF_REG_2 = 2;
    public const int BPF_REG_3 = 3;
    public const int BPF_REG_4 = 4;
    public const int BPF_REG_5 = 5;

    /// <param name="size">Of the part of <see cref="bpf_attr"/> that the command reads: the rest need not be known to the kernel.</param>
    public static int bpf(int cmd, bpf_attr* attr, uint size) =>
        (int)syscall_errno(SYS_bpf, cmd, (nint)attr, (nint)size, 0, 0, 0);
}

/// <summary>One instruction of an eBPF program.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct bpf_insn
{
    public byte code;
    /// <summary>Low half: destination register, high half: source register.</summary>
    public byte regs;
    public short off;
    public int imm;
}

/// <summary>What a device program is given.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct bpf_cgroup_dev_ctx
{
    /// <summary>BPF_DEVCG_ACC_* shifted left by 16, and BPF_DEVCG_DEV_*.</summary>
    public uint access_type;
    public uint major;
    public uint minor;
}

/// <summary>The union of bpf(2), as far as loading, attaching and querying reach.</summary>
[StructLayout(LayoutKind.Explicit, Size = 128)]
public struct bpf_attr
{
    // BPF_PROG_LOAD
    [FieldOffset(0)] public uint prog_type;
    [FieldOffset(4)] public uint insn_cnt;
    [FieldOffset(8)] public ulong insns;
    [FieldOffset(16)] public ulong license;
    [FieldOffset(24)] public uint log_level;
    [FieldOffset(28)] public uint log_size;
    [FieldOffset(32)] public ulong log_buf;
    // BPF_PROG_ATTACH, BPF_PROG_DETACH
    [FieldOffset(0)] public uint target_fd;
    [FieldOffset(4)] public uint attach_bpf_fd;
    [FieldOffset(8)] public uint attach_type;
    [FieldOffset(12)] public uint attach_flags;
    [FieldOffset(16)] public uint replace_bpf_fd;
    // BPF_PROG_QUERY: members of the nested struct "query"
    [FieldOffset(0)] public uint query_target_fd;
    [FieldOffset(4)] public uint query_attach_type;
    [FieldOffset(8)] public uint query_query_flags;
    [FieldOffset(12)] public uint query_attach_flags;
    [FieldOffset(16)] public ulong query_prog_ids;
    [FieldOffset(24)] public uint query_prog_cnt;
    // BPF_PROG_GET_FD_BY_ID
    [FieldOffset(0)] public uint prog_id;
}
