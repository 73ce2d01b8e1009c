using System.Runtime.InteropServices;

namespace Containers.Linux;

/// <summary>&lt;sys/eventfd.h&gt;.</summary>
public static unsafe partial class Libc
{
    public const int EFD_CLOEXEC = 0x80000;
    public const int EFD_NONBLOCK = 0x800;
    public const int EFD_SEMAPHORE = 0x1;

    [LibraryImport(C, SetLastError = true)]
    public static partial int eventfd(uint initval, int flags);
}
