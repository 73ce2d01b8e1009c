namespace Containers.Linux;

/// <summary>&lt;linux/memfd.h&gt;: memfd_create(2).</summary>
public static unsafe partial class Libc
{
    public const int MFD_CLOEXEC = 0x1;
    public const int MFD_ALLOW_SEALING = 0x2;
    /// <summary>Linux 6.3.</summary>
    public const int MFD_NOEXEC_SEAL = 0x8;
    /// <summary>Linux 6.3; asked for by programs that will be executed where vm.memfd_noexec is 1.</summary>
    public const int MFD_EXEC = 0x10;

    public static int memfd_create(string name, int flags) => (int)syscall_path_flags(SYS_memfd_create, name, flags);
}
