namespace Containers.Linux;

/// <summary>&lt;linux/kcmp.h&gt;: kcmp(2).</summary>
public static unsafe partial class Libc
{
    /// <summary>Whether two threads have one table of descriptors.</summary>
    public const int KCMP_FILES = 2;

    /// <returns>0 when they are the same, 1 to 3 when they are not, -1 with <see cref="errno"/>: EPERM, ESRCH, ENOSYS (CONFIG_KCMP).</returns>
    public static int kcmp(int pid1, int pid2, int type) => (int)syscall_errno(SYS_kcmp, pid1, pid2, type, 0, 0, 0);
}
