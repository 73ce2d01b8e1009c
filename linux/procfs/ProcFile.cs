using System.Buffers;
using System.Buffers.Text;
using System.Text;

namespace Containers.Linux;

/// <summary>
/// A file of procfs, proc(5), read whole into a pooled buffer; to be disposed. A process that has vanished is an answer, not an error:
/// it may do so between any two lines of ours.
/// </summary>
public unsafe ref struct ProcFile : IDisposable
{
    const int FirstSize = 4096;

    /// <summary>No file of /proc that is read here comes near it, in bytes; a file put in its place could be endless.</summary>
    const int LargestSize = 64 << 20;

    byte[]? _buffer;
    int _length;

    public readonly ReadOnlySpan<byte> Bytes => _buffer.AsSpan(0, _length);

    public void Dispose()
    {
        if (_buffer is not null)
            ArrayPool<byte>.Shared.Return(_buffer);
        this = default;
    }

    /// <param name="pid">In the pid namespace of the mounted /proc; above 0.</param>
    /// <param name="file">Below /proc/PID: "stat", "fdinfo/3"; ASCII, at most 32 letters, never from outside.</param>
    /// <returns>False when there is no such process (any more), or no such file.</returns>
    /// <exception cref="LinuxException">EACCES or EPERM for another user's process; EFBIG.</exception>
    public static bool TryRead(int pid, string file, out ProcFile content)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(pid);
        Span<byte> number = stackalloc byte[16];
        Utf8Formatter.TryFormat(pid, number, out int digits);
        return TryRead(number[..digits], file, out content);
    }

    /// <summary>The file of the calling process, whatever its pid is in the mounted /proc.</summary>
    /// <inheritdoc cref="TryRead(int, string, out ProcFile)"/>
    public static bool TryReadSelf(string file, out ProcFile content) => TryRead("self"u8, file, out content);

    /// <summary>A file of a process that is open already; the descriptor stays the caller's.</summary>
    /// <inheritdoc cref="TryRead(int, string, out ProcFile)"/>
    public static bool TryReadOpen(int descriptor, out ProcFile content)
    {
        content = default;
        try
        {
            return content.TryFill(descriptor, "/proc/self/fd\0"u8);
        }
        catch
        {
            content.Dispose();
            throw;
        }
    }

    static bool TryRead(scoped ReadOnlySpan<byte> process, string file, out ProcFile content)
    {
        Span<byte> path = stackalloc byte[64];
        path.Clear();
        if (!Ascii.IsValid(file) || file.Contains('\0') || file.Length > 32)
            throw new ArgumentException("no file of a process", nameof(file));
        "/proc/"u8.CopyTo(path);
        process.CopyTo(path[6..]);
        path[6 + process.Length] = (byte)'/';
        for (int i = 0; i < file.Length; i++)
            path[7 + process.Length + i] = (byte)file[i];
        return TryRead(path, out content);
    }

    static bool TryRead(scoped ReadOnlySpan<byte> path, out ProcFile content)
    {
        content = default;
        int fd;
        fixed (byte* p = path)
            fd = Libc.open(p, Libc.O_RDONLY | Libc.O_CLOEXEC);
        if (fd < 0)
            return IsGone(Libc.errno, path) ? false : throw Failed("open", path, Libc.errno);
        try
        {
            return content.TryFill(fd, path);
        }
        catch
        {
            content.Dispose();
            throw;
        }
        finally
        {
            Libc.close(fd);
        }
    }

    bool TryFill(int fd, scoped ReadOnlySpan<byte> path)
    {
        _buffer = ArrayPool<byte>.Shared.Rent(FirstSize);
        while (true)
        {
            if (_length == _buffer.Length)
            {
                if (_length >= LargestSize)
                    throw Failed("read", path, Libc.EFBIG);
                byte[] larger = ArrayPool<byte>.Shared.Rent(_length * 2);
                Bytes.CopyTo(larger);
                ArrayPool<byte>.Shared.Return(_buffer);
                _buffer = larger;
            }
            nint count;
            fixed (byte* free = &_buffer[_length])
                count = Libc.read(fd, free, (nuint)(_buffer.Length - _length));
            if (count == 0)
                return true;
            if (count > 0)
            {
                _length += (int)count;
                continue;
            }
            int errno = Libc.errno;
            if (errno == Libc.EINTR)
                continue;
            if (!IsGone(errno, path))
                throw Failed("read", path, errno);
            Dispose();
            return false;
        }
    }

    // A zombie has no mount namespace any more: its mountinfo cannot be opened, with EINVAL.
    static bool IsGone(int errno, scoped ReadOnlySpan<byte> path) =>
        errno is Libc.ENOENT or Libc.ESRCH || (errno == Libc.EINVAL && path.IndexOf("/mountinfo\0"u8) >= 0);

    static LinuxException Failed(string call, scoped ReadOnlySpan<byte> path, int errno) =>
        new(call, Encoding.UTF8.GetString(path[..path.IndexOf((byte)0)]), errno);

    /// <summary>Thrown by the readers for a file that is not as proc(5) has it, as when something else is mounted on /proc.</summary>
    internal static InvalidDataException NotUnderstood(int pid, string file) => new($"/proc/{pid}/{file}: not understood");
}
