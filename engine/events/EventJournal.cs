using System.Text.Json;
using Containers.Linux;
using Microsoft.Win32.SafeHandles;

namespace Containers;

/// <summary>
/// The journal of one container namespace: docs/events.md. Each event is one line of JSON, appended by one write(2), so that all who read see the same
/// order; whoever appends holds the file shared meanwhile, and who renames a full one holds it alone.
/// </summary>
sealed class EventJournal(string folder)
{
    internal const int LongestLine = 4096;
    internal const long MostBytes = 4 << 20;
    internal const int OldFiles = 3;

    // Nobody pastes this into HTML: a '+' may stay a '+'.
    static readonly JsonWriterOptions s_plain = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    internal string Folder => folder;
    internal string Current => Path.Combine(folder, "journal");

    /// <summary>The files, the oldest first.</summary>
    internal IEnumerable<string> Files => Enumerable.Range(1, OldFiles).Reverse().Select(number => $"{Current}.{number}").Append(Current);

    /// <summary>Appends an event. What the journal cannot take is lost to it alone: no container waits for its diary.</summary>
    internal void Append(string type, string id, Action<Utf8JsonWriter>? members = null)
    {
        var line = Line(type, id, members);
        if (line.Length > LongestLine) { line = Line(type, id, null); }
        try
        {
            Folders.Make(folder);
            RotateWhenFull();
            using var held = FileLock.Take(Current, shared: true);
            Write(line);
        }
        catch (Exception e) when (e is ContainerException or LinuxException or IOException or UnauthorizedAccessException) { }
    }

    static byte[] Line(string type, string id, Action<Utf8JsonWriter>? members)
    {
        using var memory = new MemoryStream();
        using (var json = new Utf8JsonWriter(memory, s_plain))
        {
            json.WriteStartObject();
            json.WriteString("time", DateTimeOffset.UtcNow.ToString("o"));
            json.WriteString("type", type);
            json.WriteString("id", id);
            members?.Invoke(json);
            json.WriteEndObject();
        }
        memory.WriteByte((byte)'\n');
        return memory.ToArray();
    }

    unsafe void Write(byte[] line)
    {
        using var file = new SafeFileHandle(LinuxException.Check(Libc.open(Current, Libc.O_RDWR | Libc.O_APPEND | Libc.O_CLOEXEC | Libc.O_NOFOLLOW), "open", Current), ownsHandle: true);
        var length = RandomAccess.GetLength(file);
        Span<byte> last = stackalloc byte[1];
        // A full disk, or lost power, may have cut off the one before.
        if (length > 0 && RandomAccess.Read(file, last, length - 1) == 1 && last[0] != '\n') { line = [(byte)'\n', .. line]; }
        fixed (byte* p = line) { Libc.write((int)file.DangerousGetHandle(), p, (nuint)line.Length); }
    }

    void RotateWhenFull()
    {
        if (!File.Exists(Current) || new FileInfo(Current).Length < MostBytes) { return; }
        // Somebody appends, or renames it already: the next one will.
        using var held = FileLock.TryTakeExisting(Current);
        if (held is null || RandomAccess.GetLength(held.Handle) < MostBytes) { return; }
        var files = Files.ToArray();
        for (var i = 1; i < files.Length; i++)
        {
            if (File.Exists(files[i])) { File.Move(files[i], files[i - 1], overwrite: true); }
        }
    }
}

/// <summary>Reads a journal from its oldest line on, and goes on where it stopped, across the renames of full files.</summary>
sealed class EventJournalReader(EventJournal journal) : IDisposable
{
    FileStream? file;
    byte[] pending = [];

    /// <summary>The lines that have come since the last call, without their ends.</summary>
    internal IEnumerable<byte[]> Read()
    {
        while (true)
        {
            foreach (var line in Rest()) { yield return line; }
            // Asked after reading: what was appended to it until it got its new name was read above, or is read now.
            var next = Next();
            if (next is null) { yield break; }
            foreach (var line in Rest()) { yield return line; }
            file?.Dispose();
            file = next;
            pending = [];
        }
    }

    // The file behind ours in the row; the oldest one before the first; null where ours is the last.
    FileStream? Next()
    {
        for (var attempt = 1; ; attempt++)
        {
            var opened = journal.Files.Select(TryOpen).OfType<FileStream>().ToList();
            var known = file is null ? default : Identity(file.SafeFileHandle);
            var at = file is null ? -1 : opened.FindIndex(one => Identity(one.SafeFileHandle) == known);
            // Not found: renamed while we looked, or removed, and then what is left begins with its oldest.
            var next = at < 0 && file is not null && attempt < 3 ? null : opened.ElementAtOrDefault(at + 1);
            foreach (var one in opened)
            {
                if (one != next) { one.Dispose(); }
            }
            if (at >= 0 || file is null || attempt == 3) { return next; }
        }
    }

    static (uint, uint, ulong) Identity(SafeFileHandle handle) =>
        Libc.statx((int)handle.DangerousGetHandle(), Libc.STATX_INO, out var stat) == 0 ? (stat.stx_dev_major, stat.stx_dev_minor, stat.stx_ino) : default;

    static FileStream? TryOpen(string path)
    {
        var fd = Libc.open(path, Libc.O_RDONLY | Libc.O_CLOEXEC | Libc.O_NOFOLLOW | Libc.O_NONBLOCK);
        return fd < 0 ? null : new FileStream(new SafeFileHandle(fd, ownsHandle: true), FileAccess.Read, 1 << 16);
    }

    IEnumerable<byte[]> Rest()
    {
        if (file is null) { yield break; }
        var buffer = new byte[1 << 16];
        int n;
        while ((n = file.Read(buffer)) > 0)
        {
            var from = 0;
            for (var i = 0; i < n; i++)
            {
                if (buffer[i] != '\n') { continue; }
                yield return [.. pending, .. buffer.AsSpan(from, i - from)];
                pending = [];
                from = i + 1;
            }
            // What is longer than a line can be is none.
            pending = pending.Length + n - from > 2 * EventJournal.LongestLine ? [] : [.. pending, .. buffer.AsSpan(from, n - from)];
        }
    }

    public void Dispose() => file?.Dispose();
}
