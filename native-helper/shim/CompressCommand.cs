using System.IO.Compression;
using System.Runtime.InteropServices;
using Containers.Linux;
using Microsoft.Win32.SafeHandles;

namespace Psrun.Shim;

/// <summary><c>psrun shim --compress</c>: gzip (RFC 1952) of standard input to standard output, a file, which is on disk when this ends with 0.</summary>
static partial class CompressCommand
{
    public static int Run()
    {
        try
        {
            // Whatever else wants the processor goes first; the kernel takes a lower priority from anybody.
            setpriority(0, 0, 19);
            using var from = new FileStream(new SafeFileHandle(0, ownsHandle: false), FileAccess.Read, bufferSize: 0);
            using var to = new FileStream(new SafeFileHandle(1, ownsHandle: false), FileAccess.Write, bufferSize: 0);
            using (var gzip = new GZipStream(to, CompressionLevel.Fastest, leaveOpen: true)) from.CopyTo(gzip, 128 * 1024);
            to.Flush(flushToDisk: true);
            return 0;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            Server.Complain($"log: {e.Message}");
            return 1;
        }
    }

    [LibraryImport("libc")]
    private static partial int setpriority(int which, uint who, int priority);
}
