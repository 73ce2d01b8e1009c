using Containers.Linux;
using System.Text.Json;

namespace Psrun.Shim;

/// <summary>
/// The shim's part of the container namespace's journal, docs/events.md: one line of JSON for each event, by one write(2) at the file's end. The engine makes
/// the folder and renames full files. Nothing here waits, and nothing here can fail a task.
/// </summary>
static unsafe class Journal
{
    const int LongestLine = 4096, Attempts = 4;

    /// <param name="path">Null for no journal.</param>
    public static void Tell(string? path, string id, string type, Action<Utf8JsonWriter>? members = null)
    {
        if (path is null) return;
        byte[] line = [.. Json.Object(w =>
        {
            Json.WriteTime(w, "time", DateTimeOffset.UtcNow);
            w.WriteString("type", type);
            w.WriteString("id", id);
            members?.Invoke(w);
        }), (byte)'\n'];
        if (line.Length > LongestLine) return;
        // Renamed between open and write at most once: whoever renames holds the file alone.
        for (int attempt = 0; attempt < Attempts; attempt++)
        {
            int fd = Sys.Open(path, Libc.O_RDWR | Libc.O_APPEND | Libc.O_CREAT | Libc.O_NOFOLLOW, 0x180);
            if (fd < 0)
            {
                if (fd != -Libc.ENOENT) Server.Complain($"{path}: {Sys.Words(-fd)}");
                return;
            }
            // A holder that was stopped must not stop us: then the line may go to the file's old name, where who reads looks once more.
            bool held = Libc.flock(fd, Libc.LOCK_SH | Libc.LOCK_NB) == 0;
            bool current = !held || attempt == Attempts - 1 || IsCurrent(fd, path);
            if (current) Append(fd, line, path);
            Sys.Close(fd);
            if (current) return;
        }
    }

    static bool IsCurrent(int fd, string path) =>
        Libc.statx(fd, Libc.STATX_INO, out statx held) == 0 && Libc.statx(Libc.AT_FDCWD, path, Libc.AT_SYMLINK_NOFOLLOW, Libc.STATX_INO, out statx there) == 0
        && held.stx_ino == there.stx_ino && held.stx_dev_major == there.stx_dev_major && held.stx_dev_minor == there.stx_dev_minor;

    static void Append(int fd, byte[] line, string path)
    {
        // A full disk, or lost power, may have cut off the line before.
        byte last = (byte)'\n';
        long length = Sys.SeekEnd(fd);
        if (length > 0) Libc.pread(fd, &last, 1, length - 1);
        if (last != '\n') line = [(byte)'\n', .. line];
        fixed (byte* p = line)
        {
            long written = Sys.Write(fd, p, line.Length);
            if (written != line.Length) Server.Complain($"{path}: {(written < 0 ? Sys.Words((int)-written) : "cut off")}");
        }
    }
}
