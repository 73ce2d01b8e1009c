using System.Runtime.InteropServices;

namespace Containers.Linux;

/// <summary>&lt;sys/resource.h&gt;.</summary>
public static unsafe partial class Libc
{
    public const int RLIMIT_CPU = 0;
    public const int RLIMIT_FSIZE = 1;
    public const int RLIMIT_DATA = 2;
    public const int RLIMIT_STACK = 3;
    public const int RLIMIT_CORE = 4;
    public const int RLIMIT_RSS = 5;
    public const int RLIMIT_NPROC = 6;
    public const int RLIMIT_NOFILE = 7;
    public const int RLIMIT_MEMLOCK = 8;
    public const int RLIMIT_AS = 9;
    public const int RLIMIT_LOCKS = 10;
    public const int RLIMIT_SIGPENDING = 11;
    public const int RLIMIT_MSGQUEUE = 12;
    public const int RLIMIT_NICE = 13;
    public const int RLIMIT_RTPRIO = 14;
    public const int RLIMIT_RTTIME = 15;
    public const ulong RLIM_INFINITY = 0xffffffffffffffff;

    public const int PRIO_PROCESS = 0;
    public const int IOPRIO_WHO_PROCESS = 1;
    public const int IOPRIO_CLASS_RT = 1;
    public const int IOPRIO_CLASS_BE = 2;
    public const int IOPRIO_CLASS_IDLE = 3;
    public const int IOPRIO_CLASS_SHIFT = 13;

    /// <summary>Of another process, or of this one with <paramref name="pid"/> 0. EPERM when a hard limit is raised without CAP_SYS_RESOURCE.</summary>
    public static int prlimit64(int pid, int resource, rlimit64* new_limit, rlimit64* old_limit) =>
        (int)syscall_errno(SYS_prlimit64, pid, resource, (nint)new_limit, (nint)old_limit, 0, 0);

    [LibraryImport(C, SetLastError = true)]
    public static partial int setpriority(int which, uint who, int prio);

    public static int ioprio_set(int which, int who, int ioprio) => (int)syscall_errno(SYS_ioprio_set, which, who, ioprio, 0, 0, 0);
}

/// <summary>RLIM_INFINITY: no limit.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct rlimit64
{
    public ulong rlim_cur;
    public ulong rlim_max;
}

/// <summary>Names and numbers of resource limits, getrlimit(2).</summary>
public static class ResourceLimits
{
    /// <summary>How many there are: numbers 0 to 15.</summary>
    public const int Count = 16;

    /// <summary>RLIMIT_NOFILE and so on; null for a number that is none.</summary>
    public static string? Name(int resource) => resource switch
    {
        Libc.RLIMIT_CPU => "RLIMIT_CPU",
        Libc.RLIMIT_FSIZE => "RLIMIT_FSIZE",
        Libc.RLIMIT_DATA => "RLIMIT_DATA",
        Libc.RLIMIT_STACK => "RLIMIT_STACK",
        Libc.RLIMIT_CORE => "RLIMIT_CORE",
        Libc.RLIMIT_RSS => "RLIMIT_RSS",
        Libc.RLIMIT_NPROC => "RLIMIT_NPROC",
        Libc.RLIMIT_NOFILE => "RLIMIT_NOFILE",
        Libc.RLIMIT_MEMLOCK => "RLIMIT_MEMLOCK",
        Libc.RLIMIT_AS => "RLIMIT_AS",
        Libc.RLIMIT_LOCKS => "RLIMIT_LOCKS",
        Libc.RLIMIT_SIGPENDING => "RLIMIT_SIGPENDING",
        Libc.RLIMIT_MSGQUEUE => "RLIMIT_MSGQUEUE",
        Libc.RLIMIT_NICE => "RLIMIT_NICE",
        Libc.RLIMIT_RTPRIO => "RLIMIT_RTPRIO",
        Libc.RLIMIT_RTTIME => "RLIMIT_RTTIME",
        _ => null,
    };

    /// <param name="name">In capitals, with RLIMIT_ in front, as the OCI runtime-spec writes it.</param>
    public static bool TryNumber(string name, out int resource)
    {
        for (resource = 0; resource < Count; resource++)
            if (Name(resource) == name)
                return true;
        resource = -1;
        return false;
    }
}
