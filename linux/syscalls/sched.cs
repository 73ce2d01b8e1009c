using System.Runtime.InteropServices;

namespace Containers.Linux;

/// <summary>&lt;sched.h&gt;, &lt;linux/sched.h&gt;: clone(2), setns(2), unshare(2).</summary>
public static unsafe partial class Libc
{
    public const int CLONE_VM = 0x100;
    public const int CLONE_FS = 0x200;
    public const int CLONE_FILES = 0x400;
    public const int CLONE_SIGHAND = 0x800;
    public const int CLONE_PIDFD = 0x1000;
    public const int CLONE_PTRACE = 0x2000;
    public const int CLONE_VFORK = 0x4000;
    public const int CLONE_PARENT = 0x8000;
    public const int CLONE_THREAD = 0x10000;
    public const int CLONE_NEWNS = 0x20000;
    public const int CLONE_SYSVSEM = 0x40000;
    public const int CLONE_SETTLS = 0x80000;
    public const int CLONE_PARENT_SETTID = 0x100000;
    public const int CLONE_CHILD_CLEARTID = 0x200000;
    public const int CLONE_UNTRACED = 0x800000;
    public const int CLONE_CHILD_SETTID = 0x1000000;
    public const int CLONE_NEWCGROUP = 0x2000000;
    public const int CLONE_NEWUTS = 0x4000000;
    public const int CLONE_NEWIPC = 0x8000000;
    public const int CLONE_NEWUSER = 0x10000000;
    public const int CLONE_NEWPID = 0x20000000;
    public const int CLONE_NEWNET = 0x40000000;
    public const uint CLONE_IO = 0x80000000;
    /// <summary>Shares its bit with the exit signal of clone(2): only for unshare(2), setns(2) and clone3(2).</summary>
    public const int CLONE_NEWTIME = 0x80;
    /// <summary>clone3(2) only.</summary>
    public const ulong CLONE_CLEAR_SIGHAND = 0x100000000;
    /// <summary>clone3(2) only: the child starts in the group of <see cref="clone_args.cgroup"/>, version 2 only.</summary>
    public const ulong CLONE_INTO_CGROUP = 0x200000000;

    public const int SCHED_OTHER = 0;
    public const int SCHED_FIFO = 1;
    public const int SCHED_RR = 2;
    public const int SCHED_BATCH = 3;
    public const int SCHED_IDLE = 5;
    public const int SCHED_DEADLINE = 6;
    public const int SCHED_FLAG_RESET_ON_FORK = 0x1;
    public const int SCHED_FLAG_RECLAIM = 0x2;
    public const int SCHED_FLAG_DL_OVERRUN = 0x4;
    public const int SCHED_FLAG_KEEP_POLICY = 0x8;
    public const int SCHED_FLAG_KEEP_PARAMS = 0x10;
    public const int SCHED_FLAG_UTIL_CLAMP_MIN = 0x20;
    public const int SCHED_FLAG_UTIL_CLAMP_MAX = 0x40;

    [LibraryImport(C, SetLastError = true)]
    public static partial int setns(int fd, int nstype);

    [LibraryImport(C, SetLastError = true)]
    public static partial int unshare(int flags);

    /// <param name="mask">One bit for each processor, <paramref name="size"/> bytes.</param>
    [LibraryImport(C, SetLastError = true)]
    public static partial int sched_setaffinity(int pid, nuint size, void* mask);

    public static int sched_setattr(int pid, sched_attr* attr, uint flags) =>
        (int)syscall_errno(SYS_sched_setattr, pid, (nint)attr, (nint)flags, 0, 0, 0);
}

/// <summary>clone3(2). Zeroed before use; <c>size</c> of the call is <c>sizeof(clone_args)</c>.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct clone_args
{
    public ulong flags;
    public ulong pidfd;
    public ulong child_tid;
    public ulong parent_tid;
    public ulong exit_signal;
    public ulong stack;
    public ulong stack_size;
    public ulong tls;
    public ulong set_tid;
    public ulong set_tid_size;
    public ulong cgroup;
}

/// <summary>sched_setattr(2).</summary>
[StructLayout(LayoutKind.Sequential)]
public struct sched_attr
{
    public uint size;
    public uint sched_policy;
    public ulong sched_flags;
    public int sched_nice;
    public uint sched_priority;
    public ulong sched_runtime;
    public ulong sched_deadline;
    public ulong sched_period;
    public uint sched_util_min;
    public uint sched_util_max;
}
