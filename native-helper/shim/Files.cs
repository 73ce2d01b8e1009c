using Containers.Linux;
using System.Buffers;
using System.Buffers.Text;
using System.Text;

namespace Psrun.Shim;

/// <summary>Small files: read with a limit, replaced atomically.</summary>
static unsafe class Files
{
    public static byte[]? ReadSmall(string path, int limit, out string? problem)
    {
        problem = null;
        int fd = Sys.Open(path, Libc.O_RDONLY | Libc.O_NOCTTY | Libc.O_NONBLOCK);
        if (fd < 0)
        {
            problem = Sys.Words(-fd);
            return null;
        }
        try
        {
            return ReadSmall(fd, limit, out problem);
        }
        finally
        {
            Sys.Close(fd);
        }
    }

    /// <summary>What the descriptor gives until its end. Null when that is more than <paramref name="limit"/> bytes or reading fails.</summary>
    public static byte[]? ReadSmall(int fd, int limit, out string? problem)
    {
        problem = null;
        byte[] buffer = new byte[Math.Min(limit, 4096)];
        int length = 0;
        while (true)
        {
            if (length == buffer.Length)
            {
                if (length >= limit)
                {
                    problem = $"longer than {limit} bytes";
                    return null;
                }
                Array.Resize(ref buffer, Math.Min(limit, length * 4));
            }
            long n;
            fixed (byte* p = buffer) n = Sys.Read(fd, p + length, buffer.Length - length);
            if (n == -Libc.EINTR) continue;
            if (n < 0)
            {
                problem = Sys.Words((int)-n);
                return null;
            }
            if (n == 0) return buffer.AsSpan(0, length).ToArray();
            length += (int)n;
        }
    }

    /// <summary>The text of a small kernel file, or null where it is not there (any more).</summary>
    public static string? ReadText(string path, int limit = 64 * 1024)
    {
        byte[]? bytes = ReadSmall(path, limit, out _);
        return bytes is null ? null : Encoding.UTF8.GetString(bytes);
    }

    /// <summary>Writes into an existing kernel file in one call. Negative errno on failure.</summary>
    public static long WriteKernelFile(string path, string text)
    {
        int fd = Sys.Open(path, Libc.O_WRONLY);
        if (fd < 0) return fd;
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        long n;
        fixed (byte* p = bytes) n = Sys.Write(fd, p, bytes.Length);
        Sys.Close(fd);
        return n;
    }

    /// <summary>
    /// Replaces a file of mode 0600: written beside it, then renamed, so that a reader sees the old text or the new one. Not synced: a
    /// record below /run is void after the next boot, and a busy disk must not hold up a container.
    /// </summary>
    public static void Replace(string path, ReadOnlySpan<byte> content)
    {
        string temporary = path + ".new";
        Sys.Unlink(temporary);
        int fd = Sys.Open(temporary, Libc.O_WRONLY | Libc.O_CREAT | Libc.O_EXCL, 0x180);
        if (fd < 0) throw ShimException.Of("FileFailed", temporary, fd);
        long r = WriteAll(fd, content);
        Sys.Close(fd);
        if (r >= 0) r = Sys.Rename(temporary, path);
        if (r < 0)
        {
            Sys.Unlink(temporary);
            throw ShimException.Of("FileFailed", path, r);
        }
    }

    /// <returns>The bytes written, or the negative errno. Waits where the descriptor is blocking.</returns>
    public static long WriteAll(int fd, ReadOnlySpan<byte> content)
    {
        int done = 0;
        fixed (byte* p = content)
            while (done < content.Length)
            {
                long n = Sys.Write(fd, p + done, content.Length - done);
                if (n == -Libc.EINTR) continue;
                if (n < 0) return n;
                done += (int)n;
            }
        return done;
    }

    public static int ReadPid(string path)
    {
        byte[]? text = ReadSmall(path, 64, out _);
        return text is not null && Utf8Parser.TryParse(text, out int pid, out _) && pid > 0 ? pid : -1;
    }

    /// <summary>Field 22 of <c>/proc/PID/stat</c>: the start in clock ticks since boot; 0 for a process that is gone.</summary>
    public static ulong StartTime(int pid)
    {
        byte[]? stat = ReadSmall($"/proc/{pid}/stat", 4096, out _);
        if (stat is null) return 0;
        // The name, field 2, may hold anything, but the last ')' ends it.
        var rest = stat.AsSpan(stat.AsSpan().LastIndexOf((byte)')') + 1);
        for (int field = 2; field < 22; field++)
        {
            int blank = rest.IndexOf((byte)' ');
            if (blank < 0) return 0;
            rest = rest[(blank + 1)..];
        }
        return Utf8Parser.TryParse(rest, out ulong ticks, out _) ? ticks : 0;
    }
}
