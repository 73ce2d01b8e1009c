using System.Runtime.InteropServices;

namespace Containers.Linux;

/// <summary>&lt;sys/mman.h&gt;: mmap(2), mremap(2), madvise(2).</summary>
public static unsafe partial class Libc
{
    public const int PROT_READ = 0x1;
    public const int PROT_WRITE = 0x2;
    public const int PROT_EXEC = 0x4;
    public const int MAP_PRIVATE = 0x2;
    public const int MAP_FIXED = 0x10;
    public const int MREMAP_MAYMOVE = 1;
    public const int MREMAP_FIXED = 2;
    public const int MADV_DONTNEED = 4;

    [LibraryImport(C)]
    public static partial int madvise(void* addr, nuint length, int advice);
}
