using System.Runtime.InteropServices;

namespace Containers.Linux;

/// <summary>splice(2), tee(2), copy_file_range(2), sendfile(2).</summary>
public static unsafe partial class Libc
{
    public const int SPLICE_F_MOVE = 0x1;
    public const int SPLICE_F_NONBLOCK = 0x2;
    public const int SPLICE_F_MORE = 0x4;

    [LibraryImport(C, SetLastError = true)]
    public static partial nint splice(int fd_in, long* off_in, int fd_out, long* off_out, nuint len, uint flags);

    [LibraryImport(C, SetLastError = true)]
    public static partial nint tee(int fd_in, int fd_out, nuint len, uint flags);

    [LibraryImport(C, SetLastError = true)]
    public static partial nint copy_file_range(int fd_in, long* off_in, int fd_out, long* off_out, nuint len, uint flags);

    [LibraryImport(C, SetLastError = true)]
    public static partial nint sendfile(int out_fd, int in_fd, long* offset, nuint count);
}
