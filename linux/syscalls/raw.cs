using System.Runtime.InteropServices;

namespace Containers.Linux;

/// <summary>
/// The two imports for code between clone and execve. They do not tell the runtime that the thread has left managed code, so they can
/// neither wait for a collection nor start one. For the same reason a thread that could hold up others must not block in them.
/// </summary>
public static unsafe partial class Libc
{
    /// <summary>Returns -1 and leaves the cause at <see cref="__errno_location"/>.</summary>
    [DllImport(C, EntryPoint = "syscall", ExactSpelling = true), SuppressGCTransition]
    public static extern nint syscall(nint number, nint a0, nint a1, nint a2, nint a3, nint a4, nint a5);

    [DllImport(C, EntryPoint = "__errno_location", ExactSpelling = true), SuppressGCTransition]
    public static extern int* __errno_location();
}
