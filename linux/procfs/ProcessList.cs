using System.Runtime.InteropServices;

namespace Containers.Linux;

/// <summary>The processes that are listed in /proc.</summary>
public static unsafe class ProcessList
{
    /// <summary>Pids in rising order. Any of them may be gone when it is looked at, and new ones may have come.</summary>
    /// <exception cref="LinuxException">ENOENT: /proc is not mounted.</exception>
    public static List<int> Read()
    {
        int fd = LinuxException.Check(Libc.open("/proc", Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_CLOEXEC), "open", "/proc");
        const int size = 32768;
        byte* buffer = (byte*)NativeMemory.Alloc(size);
        try
        {
            List<int> pids = [];
            nint filled;
            while ((filled = LinuxException.Check(Libc.getdents64(fd, buffer, size), "getdents64", "/proc")) > 0)
                for (nint at = 0; at < filled; at += ((linux_dirent64*)(buffer + at))->d_reclen)
                {
                    ReadOnlySpan<byte> name = MemoryMarshal.CreateReadOnlySpanFromNullTerminated(buffer + at + linux_dirent64.NameOffset);
                    if (ProcText.TryNumber(name, out int pid) && pid > 0)
                        pids.Add(pid);
                }
            return pids;
        }
        finally
        {
            NativeMemory.Free(buffer);
            Libc.close(fd);
        }
    }
}
