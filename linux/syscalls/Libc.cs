using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

[assembly: DisableRuntimeMarshalling]

namespace Containers.Linux;

/// <summary>
/// libc and the kernel in C's own spelling, one file for each C header. Calls return -1 and leave <see cref="errno"/>, as in C;
/// <see cref="LinuxException"/> turns that into an exception. Strings go as UTF-8, and one with a NUL inside is refused
/// with an ArgumentException: C would see another, shorter name.
/// </summary>
public static unsafe partial class Libc
{
    const string C = "libc";

    /// <summary>Known when the program is compiled, so that nothing of the choice is left at run time. All others share arm64's numbers or are not served.</summary>
    static bool IsX64
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => RuntimeInformation.ProcessArchitecture == Architecture.X64;
    }

    /// <summary>Of the last call of this class on this thread that failed; not of the raw ones in raw.cs.</summary>
    public static int errno => Marshal.GetLastPInvokeError();

    /// <summary>A system call without a wrapper in every libc that we run on; sets <see cref="errno"/>.</summary>
    [LibraryImport(C, EntryPoint = "syscall", SetLastError = true)]
    public static partial nint syscall_errno(nint number, nint a0, nint a1, nint a2, nint a3, nint a4, nint a5);
}
