using System.Text;
using System.Text.Json;
using Containers.Linux;
using Microsoft.Win32.SafeHandles;

namespace Containers;

public sealed partial class ContainerHost
{
    const int LongestDump = 64 << 20, LongestConfig = 1 << 20;
    static readonly TimeSpan DumpTime = TimeSpan.FromSeconds(30);

    /// <summary>The daemons that can be asked for a dump.</summary>
    public static IReadOnlyList<string> Daemons { get; } = ["dockerd", "containerd", "kubelet"];

    /// <summary>The processes that run a daemon's program.</summary>
    /// <param name="name">One of <see cref="Daemons"/>.</param>
    /// <param name="processIds">Only these, each of which has to be one; null for all there are.</param>
    /// <exception cref="ContainerException"><c>DaemonNotFound</c>.</exception>
    public IReadOnlyList<int> FindDaemons(string name, IReadOnlyList<int>? processIds = null)
    {
        if (!Daemons.Contains(name)) { throw ResourceSpec.Bad("Name", name, $"it is one of {string.Join(", ", Daemons)}"); }
        foreach (var pid in processIds ?? [])
        {
            if (ProgramOf(pid) != name) { throw NoDaemon(pid, $"Process {pid} is no {name}: it runs {ProgramOf(pid) ?? "nothing that can be seen"}."); }
        }
        var found = processIds ?? [.. ProcessList.Read().Where(pid => ProgramOf(pid) == name)];
        return found.Count > 0 ? found : throw NoDaemon(name, $"No {name} runs on this host.");

        static ContainerException NoDaemon(object target, string message) => new(ErrorIds.DaemonNotFound, message + " Get-Process tells what does.", target, ContainerErrorCategory.ObjectNotFound);
    }

    /// <summary>
    /// Asks a daemon for the stacks of its goroutines, and finds them where it puts them: dockerd and containerd by SIGUSR1, in a file; kubelet by SIGABRT, which ends it, on its
    /// standard error.
    /// </summary>
    /// <exception cref="ContainerException"><c>DaemonNotFound</c>; <c>DaemonDumpFailed</c>: it could not be asked, or there is no dump.</exception>
    public async Task<ContainerDaemonDump> DumpDaemonAsync(string name, int processId, CancellationToken cancel = default)
    {
        FindDaemons(name, [processId]);
        if (!ProcessTruth.TryStat(processId, out _, out var started)) { FindDaemons(name, [processId]); }
        try { return name == "kubelet" ? await DumpByEndAsync(name, processId, started, cancel).ConfigureAwait(false) : await DumpToFileAsync(name, processId, started, cancel).ConfigureAwait(false); }
        catch (Exception e) when (e is LinuxException or IOException or UnauthorizedAccessException) { throw NoDump(name, processId, $"{e.Message}", e); }
    }

    static string? ProgramOf(int pid)
    {
        const string deleted = " (deleted)";
        try
        {
            // The name of the file, which a program cannot choose, and not that of the process.
            var path = new FileInfo($"/proc/{pid}/exe").LinkTarget;
            return path is null ? null : Path.GetFileName(path.EndsWith(deleted, StringComparison.Ordinal) ? path[..^deleted.Length] : path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return null; }
    }

    static async Task<ContainerDaemonDump> DumpToFileAsync(string name, int pid, ulong started, CancellationToken cancel)
    {
        if (!ProcessStatus.TryRead(pid, out var status) || (status.SignalsCaught & 1UL << Libc.SIGUSR1 - 1) == 0) { throw NoDump(name, pid, "it does not listen to SIGUSR1 (yet), which would end it"); }
        var inside = status.NamespacePids.Length > 0 ? status.NamespacePids[^1] : pid;
        var path = name == "dockerd" ? ExecRoot(pid) : Variable(pid, "TMPDIR") ?? "/tmp";
        bool Wanted(string file) => name == "dockerd" ? file.StartsWith("goroutine-stacks-", StringComparison.Ordinal) && file.EndsWith(".log", StringComparison.Ordinal) : file == $"containerd.{inside}.stacks.log";

        using var folder = OpenSeenBy(pid, path, Libc.O_PATH | Libc.O_DIRECTORY);
        // Watched first, asked then: the file is whole when its writer has closed it.
        using var watch = new SafeFileHandle(LinuxException.Check(Libc.inotify_init1(Libc.IN_CLOEXEC | Libc.IN_NONBLOCK), "inotify_init1"), ownsHandle: true);
        LinuxException.Check(Libc.inotify_add_watch((int)watch.DangerousGetHandle(), $"/proc/self/fd/{folder.DangerousGetHandle()}", Libc.IN_CLOSE_WRITE | Libc.IN_ONLYDIR), "inotify_add_watch", path);
        var time = DateTimeOffset.UtcNow;
        Waiting.Signal(pid, started, Libc.SIGUSR1);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(DumpTime);
        try
        {
            while (true)
            {
                await Waiting.ForAsync(watch, null, limit.Token).ConfigureAwait(false);
                if (Closed(watch).FirstOrDefault(Wanted) is not { } file) { continue; }
                var text = ReadOf(folder, file, status.Uids[1]) ?? throw NoDump(name, pid, $"'{path}/{file}' is no file of the daemon's own");
                return Dump(name, pid, time, $"{path}/{file}", ended: false, text);
            }
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested) { throw NoDump(name, pid, $"it has written none to '{path}' within {DumpTime.TotalSeconds} seconds"); }
    }

    // https://docs.docker.com/reference/cli/dockerd: --exec-root, or exec-root of its configuration.
    static string ExecRoot(int pid)
    {
        var file = Option(pid, "--config-file") ?? "/etc/docker/daemon.json";
        var said = Option(pid, "--exec-root");
        if (said is null && file.StartsWith('/'))
        {
            try
            {
                using var config = OpenSeenBy(pid, file, Libc.O_RDONLY | Libc.O_NONBLOCK | Libc.O_NOCTTY);
                using var json = JsonDocument.Parse(Read(config, 0, LongestConfig));
                said = json.RootElement.TryGetProperty("exec-root", out var value) ? value.GetString() : null;
            }
            catch (Exception e) when (e is LinuxException or JsonException or InvalidOperationException or IOException) { } // none, and then its own default
        }
        return said is not null && said.StartsWith('/') ? said.TrimEnd('/') : "/var/run/docker";
    }

    static string? Option(int pid, string option)
    {
        if (!ProcessStrings.TryReadCommandLine(pid, out var words)) { return null; }
        for (var i = 1; i < words.Length; i++)
        {
            if (words[i] == option && i + 1 < words.Length) { return words[i + 1]; }
            if (words[i].StartsWith(option + "=", StringComparison.Ordinal)) { return words[i][(option.Length + 1)..]; }
        }
        return null;
    }

    static string? Variable(int pid, string name) =>
        ProcessStrings.TryReadEnvironment(pid, out var all) && all.FirstOrDefault(one => one.StartsWith(name + "=", StringComparison.Ordinal)) is { } found && found[(name.Length + 1)..] is ['/', ..] value ? value.TrimEnd('/') : null;

    // Go's own answer to SIGABRT: the stacks on standard error, and the end.
    static async Task<ContainerDaemonDump> DumpByEndAsync(string name, int pid, ulong started, CancellationToken cancel)
    {
        var link = $"/proc/{pid}/fd/2";
        var place = new FileInfo(link).LinkTarget ?? "nowhere";
        var isFile = Libc.statx(Libc.AT_FDCWD, link, 0, Libc.STATX_TYPE, out var stat) == 0 && (stat.stx_mode & Libc.S_IFMT) == Libc.S_IFREG;
        var journal = !isFile && place.StartsWith("socket:", StringComparison.Ordinal) ? Journal() : null;
        if (!isFile && journal is null) { throw NoDump(name, pid, $"its standard error is {place}, from where nothing can be read back; it was left alone"); }
        // Kept open: it may be renamed or removed meanwhile.
        using var file = isFile ? new SafeFileHandle(LinuxException.Check(Libc.open(link, Libc.O_RDONLY | Libc.O_CLOEXEC), "open", place), ownsHandle: true) : null;
        var from = file is null ? 0 : RandomAccess.GetLength(file);
        var time = DateTimeOffset.UtcNow;
        Waiting.Signal(pid, started, Libc.SIGABRT);
        if (!await Waiting.ForProcessAsync(pid, started, DumpTime, cancel).ConfigureAwait(false)) { throw NoDump(name, pid, $"it has not ended within {DumpTime.TotalSeconds} seconds"); }
        var text = file is not null ? Encoding.UTF8.GetString(Read(file, from, LongestDump)) : await ReadJournalAsync(journal!, pid, time, cancel).ConfigureAwait(false);
        var begin = text.IndexOf("SIGABRT", StringComparison.Ordinal);
        if (begin < 0) { throw NoDump(name, pid, $"it has ended, and left none in {(file is null ? "the journal" : $"'{place}'")}"); }
        return Dump(name, pid, time, file is null ? "journal" : place, ended: true, text[begin..]);
    }

    static string? Journal() => Directory.Exists("/run/systemd/journal") ? new[] { "/usr/bin/journalctl", "/bin/journalctl" }.FirstOrDefault(File.Exists) : null;

    static async Task<string> ReadJournalAsync(string journalctl, int pid, DateTimeOffset since, CancellationToken cancel)
    {
        using var process = System.Diagnostics.Process.Start(ClosedProgram.Of(RuntimeLookup.Trusted(journalctl), "--no-pager", "--quiet", "--output=cat", $"--since=@{since.ToUnixTimeSeconds()}", $"_PID={pid}"))!;
        process.StandardInput.Close();
        try
        {
            var complaining = process.StandardError.ReadToEndAsync(cancel);
            var text = await process.StandardOutput.ReadToEndAsync(cancel).ConfigureAwait(false);
            await complaining.ConfigureAwait(false);
            await process.WaitForExitAsync(cancel).ConfigureAwait(false);
            return text;
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            throw;
        }
    }

    /// <summary>A file or folder as a process sees it: no link leads out of its root.</summary>
    static SafeFileHandle OpenSeenBy(int pid, string path, int flags)
    {
        using var root = new SafeFileHandle(LinuxException.Check(Libc.open($"/proc/{pid}/root", Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_CLOEXEC), "open", $"/proc/{pid}/root"), ownsHandle: true);
        var how = new open_how { flags = (ulong)(flags | Libc.O_CLOEXEC), resolve = Libc.RESOLVE_IN_ROOT | Libc.RESOLVE_NO_MAGICLINKS };
        return new SafeFileHandle(LinuxException.Check(Libc.openat2((int)root.DangerousGetHandle(), path, how), "openat2", path), ownsHandle: true);
    }

    // The folder may be everybody's, such as /tmp: a file that is not the daemon's is none of its.
    static string? ReadOf(SafeFileHandle folder, string name, uint owner)
    {
        var fd = Libc.openat((int)folder.DangerousGetHandle(), name, Libc.O_RDONLY | Libc.O_NOFOLLOW | Libc.O_NONBLOCK | Libc.O_NOCTTY | Libc.O_CLOEXEC, 0);
        if (fd < 0) { return null; }
        using var file = new SafeFileHandle(fd, ownsHandle: true);
        if (Libc.statx(fd, Libc.STATX_TYPE | Libc.STATX_UID, out var stat) != 0 || (stat.stx_mode & Libc.S_IFMT) != Libc.S_IFREG || stat.stx_uid != owner) { return null; }
        return Encoding.UTF8.GetString(Read(file, 0, LongestDump));
    }

    static byte[] Read(SafeFileHandle file, long from, int most)
    {
        var content = new byte[Math.Clamp(RandomAccess.GetLength(file) - from, 0, most)];
        int read = 0, n;
        while (read < content.Length && (n = RandomAccess.Read(file, content.AsSpan(read), from + read)) > 0) { read += n; }
        return content[..read];
    }

    static unsafe List<string> Closed(SafeFileHandle watch)
    {
        var names = new List<string>();
        var buffer = stackalloc byte[8192];
        nint n;
        while ((n = Libc.read((int)watch.DangerousGetHandle(), buffer, 8192)) > 0)
        {
            for (nint at = 0; at < n; at += sizeof(inotify_event) + (nint)((inotify_event*)(buffer + at))->len)
            {
                if (((inotify_event*)(buffer + at))->len > 0) { names.Add(Encoding.UTF8.GetString(System.Runtime.InteropServices.MemoryMarshal.CreateReadOnlySpanFromNullTerminated(buffer + at + sizeof(inotify_event)))); }
            }
        }
        return names;
    }

    static ContainerDaemonDump Dump(string name, int pid, DateTimeOffset time, string path, bool ended, string text) =>
        new() { Name = name, ProcessId = pid, Time = time, Path = path, Ended = ended, Text = text, Goroutines = ContainerGoroutine.Parse(text) };

    static ContainerException NoDump(string name, int pid, string why, Exception? inner = null) => new(ErrorIds.DaemonDumpFailed, $"There is no dump of {name} {pid}: {why}. Look at its log, and at /proc/{pid}/stack.",
        pid, ContainerErrorCategory.ReadError, inner);
}
