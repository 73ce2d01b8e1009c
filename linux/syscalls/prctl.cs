using System.Runtime.InteropServices;

namespace Containers.Linux;

/// <summary>&lt;sys/prctl.h&gt;, &lt;linux/prctl.h&gt;, &lt;linux/securebits.h&gt;.</summary>
public static unsafe partial class Libc
{
    public const int PR_SET_PDEATHSIG = 1;
    public const int PR_GET_PDEATHSIG = 2;
    public const int PR_GET_DUMPABLE = 3;
    public const int PR_SET_DUMPABLE = 4;
    public const int PR_GET_KEEPCAPS = 7;
    public const int PR_SET_KEEPCAPS = 8;
    public const int PR_SET_NAME = 15;
    public const int PR_GET_NAME = 16;
    public const int PR_GET_SECCOMP = 21;
    public const int PR_SET_SECCOMP = 22;
    public const int PR_CAPBSET_READ = 23;
    public const int PR_CAPBSET_DROP = 24;
    public const int PR_GET_SECUREBITS = 27;
    public const int PR_SET_SECUREBITS = 28;
    public const int PR_SET_TIMERSLACK = 29;
    public const int PR_SET_MM = 35;
    public const int PR_SET_MM_MAP = 14;
    public const int PR_SET_MM_MAP_SIZE = 15;
    public const int PR_SET_CHILD_SUBREAPER = 36;
    public const int PR_GET_CHILD_SUBREAPER = 37;
    public const int PR_SET_NO_NEW_PRIVS = 38;
    public const int PR_GET_NO_NEW_PRIVS = 39;
    public const int PR_SET_THP_DISABLE = 41;
    public const int PR_CAP_AMBIENT = 47;
    public const int PR_CAP_AMBIENT_IS_SET = 1;
    public const int PR_CAP_AMBIENT_RAISE = 2;
    public const int PR_CAP_AMBIENT_LOWER = 3;
    public const int PR_CAP_AMBIENT_CLEAR_ALL = 4;
    public const int PR_SET_IO_FLUSHER = 57;

    public const int SECBIT_NOROOT = 0x1;
    public const int SECBIT_NOROOT_LOCKED = 0x2;
    public const int SECBIT_NO_SETUID_FIXUP = 0x4;
    public const int SECBIT_KEEP_CAPS = 0x10;

    [LibraryImport(C, SetLastError = true)]
    public static partial int prctl(int option, nuint arg2 = 0, nuint arg3 = 0, nuint arg4 = 0, nuint arg5 = 0);
}

/// <summary>PR_SET_MM_MAP of prctl(2): where the parts of a program are, as /proc tells them, and the file that it is.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct prctl_mm_map
{
    public ulong start_code;
    public ulong end_code;
    public ulong start_data;
    public ulong end_data;
    public ulong start_brk;
    public ulong brk;
    public ulong start_stack;
    public ulong arg_start;
    public ulong arg_end;
    public ulong env_start;
    public ulong env_end;
    public nint auxv;
    public uint auxv_size;
    public uint exe_fd;
}
