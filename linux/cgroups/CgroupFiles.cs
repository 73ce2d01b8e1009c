using System.Globalization;
using System.Text;

namespace Containers.Linux.Cgroups;

/// <summary>The files of a group: short texts, written with one call of write(2) and read whole.</summary>
static unsafe class CgroupFiles
{
    /// <returns>0, or the errno of what failed.</returns>
    internal static int TryWrite(string folder, string file, string value)
    {
        LimitJournal.Note(folder, file, value);
        var fd = Libc.open(folder + "/" + file, Libc.O_WRONLY | Libc.O_CLOEXEC);
        if (fd < 0) { return Libc.errno; }
        var errno = WriteTo(fd, value);
        Libc.close(fd);
        return errno;
    }

    /// <returns>0, or the errno of what failed.</returns>
    internal static int WriteTo(int fd, string value)
    {
        Span<byte> small = stackalloc byte[256];
        var bytes = Encoding.UTF8.GetMaxByteCount(value.Length) <= small.Length ? small : new byte[Encoding.UTF8.GetMaxByteCount(value.Length)];
        bytes = bytes[..Encoding.UTF8.GetBytes(value, bytes)];
        fixed (byte* p = bytes)
        {
            while (Libc.write(fd, p, (nuint)bytes.Length) < 0)
            {
                if (Libc.errno != Libc.EINTR) { return Libc.errno; }
            }
        }
        return 0;
    }

    /// <summary>Writes a limit.</summary>
    /// <exception cref="CgroupException"><c>CgroupNotFound</c>, <c>CgroupLimitRefused</c>.</exception>
    /// <exception cref="CgroupNotSupportedException">The group is there, the file is not.</exception>
    internal static void Set(string folder, string file, string value)
    {
        var errno = TryWrite(folder, file, value);
        if (errno != 0) { throw Refused(folder, file, value, errno); }
    }

    internal static void Set(string folder, string file, long value) => Set(folder, file, value.ToString(CultureInfo.InvariantCulture));

    internal static void Set(string folder, string file, ulong value) => Set(folder, file, value.ToString(CultureInfo.InvariantCulture));

    internal static CgroupException Refused(string folder, string file, string value, int errno)
    {
        if (errno != Libc.ENOENT) { return new("CgroupLimitRefused", $"{file} of {folder}: {CgroupPath.Printable(value)} is refused: {Errnos.Text(errno)} ({Errnos.Name(errno)})"); }
        return Exists(folder) ? new CgroupNotSupportedException(file, $"{folder} has no such file; its controller is not enabled there, or this kernel lacks it")
            : new CgroupException("CgroupNotFound", $"{folder}: there is no such group");
    }

    internal static bool Exists(string path) => Libc.faccessat(Libc.AT_FDCWD, path, Libc.F_OK, 0) == 0;

    internal static bool Exists(string folder, string file) => Exists(folder + "/" + file);

    internal static long FileSystemType(string path)
    {
        statfs buffer;
        return Libc.statfs(path, &buffer) == 0 ? buffer.f_type : 0;
    }

    /// <returns>Null when the file is not there, or not readable in this state of the group.</returns>
    internal static byte[]? Read(string folder, string file)
    {
        var fd = Libc.open(folder + "/" + file, Libc.O_RDONLY | Libc.O_CLOEXEC);
        if (fd < 0) { return null; }
        var bytes = ReadFrom(fd);
        Libc.close(fd);
        return bytes;
    }

    /// <returns>Null when reading fails.</returns>
    internal static byte[]? ReadFrom(int fd)
    {
        var buffer = new byte[4096];
        for (var length = 0; ;)
        {
            nint got;
            fixed (byte* p = buffer) { got = Libc.read(fd, p + length, (nuint)(buffer.Length - length)); }
            if (got < 0)
            {
                if (Libc.errno == Libc.EINTR) { continue; }
                return null;
            }
            if (got == 0) { return buffer.AsSpan(0, length).ToArray(); }
            length += (int)got;
            if (length == buffer.Length) { Array.Resize(ref buffer, length * 2); }
        }
    }

    /// <summary>The file's text without the line feed at its end.</summary>
    internal static string? ReadText(string folder, string file) =>
        Read(folder, file) is { } bytes ? Encoding.UTF8.GetString(bytes.AsSpan().TrimEnd((byte)'\n')) : null;

    /// <summary>A file with one number; null for <c>max</c>, and where the file is not there.</summary>
    internal static long? ReadNumber(string folder, string file) => Read(folder, file) is { } bytes ? Number(bytes) : null;

    /// <summary>The number after <paramref name="key"/> in a file of <c>key number</c> lines.</summary>
    internal static long? Keyed(ReadOnlySpan<byte> text, ReadOnlySpan<byte> key)
    {
        while (!text.IsEmpty)
        {
            var end = text.IndexOf((byte)'\n');
            var line = end < 0 ? text : text[..end];
            text = end < 0 ? default : text[(end + 1)..];
            if (line.Length > key.Length && line[key.Length] == ' ' && line.StartsWith(key)) { return Number(line[(key.Length + 1)..]); }
        }
        return null;
    }

    /// <summary>A number at the head of a text; null when there is none, or one beyond 2⁶³-1, which the kernel uses for "no limit".</summary>
    internal static long? Number(ReadOnlySpan<byte> text) =>
        System.Buffers.Text.Utf8Parser.TryParse(text, out long value, out var used) && (used == text.Length || text[used] is (byte)'\n' or (byte)' ') ? value : null;
}
