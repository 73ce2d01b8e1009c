using System.Runtime.InteropServices;

namespace Containers.Linux;

/// <summary>&lt;sys/xattr.h&gt;.</summary>
public static unsafe partial class Libc
{
    public const int XATTR_CREATE = 0x1;
    public const int XATTR_REPLACE = 0x2;

    [LibraryImport(C, SetLastError = true, StringMarshallingCustomType = typeof(CString))]
    public static partial int lsetxattr(string path, string name, void* value, nuint size, int flags);

    [LibraryImport(C, SetLastError = true, StringMarshallingCustomType = typeof(CString))]
    public static partial int fsetxattr(int fd, string name, void* value, nuint size, int flags);

    /// <returns>The value's length; with <paramref name="size"/> 0 nothing is written.</returns>
    [LibraryImport(C, SetLastError = true, StringMarshallingCustomType = typeof(CString))]
    public static partial nint lgetxattr(string path, string name, void* value, nuint size);

    [LibraryImport(C, SetLastError = true, StringMarshallingCustomType = typeof(CString))]
    public static partial nint fgetxattr(int fd, string name, void* value, nuint size);

    /// <returns>The length of the names, each ended by a zero; with <paramref name="size"/> 0 nothing is written.</returns>
    [LibraryImport(C, SetLastError = true, StringMarshallingCustomType = typeof(CString))]
    public static partial nint llistxattr(string path, byte* list, nuint size);

    [LibraryImport(C, SetLastError = true, StringMarshallingCustomType = typeof(CString))]
    public static partial int lremovexattr(string path, string name);
}
