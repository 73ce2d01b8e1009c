using System.Runtime.CompilerServices;
using Containers.Linux;
using Microsoft.Win32.SafeHandles;

namespace Containers;

/// <summary>Which entries of a log are wanted.</summary>
public sealed class ContainerLogOptions
{
    /// <summary>The last so many lines; null for all.</summary>
    public int? Tail { get; set; }

    /// <summary>Not older than this.</summary>
    public DateTimeOffset? Since { get; set; }

    /// <summary>Not younger than this.</summary>
    public DateTimeOffset? Until { get; set; }

    /// <summary>One stream; null for both.</summary>
    public ContainerLogStream? Stream { get; set; }
}

/// <summary>What containers printed.</summary>
public sealed class ContainerLogs
{
    static readonly TimeSpan Reassurance = TimeSpan.FromSeconds(5);

    readonly ContainerEngine engine;

    internal ContainerLogs(ContainerEngine engine) => this.engine = engine;

    /// <summary>The entries that are there now, oldest first. A container that printed nothing yet has none.</summary>
    /// <exception cref="ContainerException"><c>ContainerNotFound</c>; <c>LogNotFound</c>: the container keeps none; <c>OutputLost</c>: files were removed
    /// while they were read; <c>StoreDamaged</c>.</exception>
    public IEnumerable<ContainerLogEntry> Read(string id, ContainerLogOptions? options = null, string? containerNamespace = null, CancellationToken cancel = default)
    {
        var path = PathOf(id, containerNamespace);
        return Enumerate(id, path, options ?? new ContainerLogOptions(), cancel);
    }

    /// <summary>The lines that are there and those that come, each when it is ended, until the task has ended.</summary>
    /// <exception cref="ContainerException"><c>ContainerNotFound</c>; <c>LogNotFound</c>: the container keeps none.</exception>
    public async IAsyncEnumerable<ContainerLogEntry> FollowAsync(string id, ContainerLogOptions? options = null, string? containerNamespace = null,
        [EnumeratorCancellation] CancellationToken cancel = default)
    {
        options ??= new ContainerLogOptions();
        var ns = engine.NamespaceOr(containerNamespace);
        var path = PathOf(id, ns);
        // Watched first, read then: what is written between is not missed. The folder too, for a log that is still to come.
        using var watch = Watch(Path.GetDirectoryName(path)!);
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var waiting = EndAsync(id, ns, ended.Token);
        using var reader = new LogReader(path);
        var lines = new LogLines(id);
        try
        {
            var first = true;
            while (true)
            {
                cancel.ThrowIfCancellationRequested();
                // Asked before reading: when it has ended by now, one more read has everything.
                var over = waiting.IsCompleted;
                foreach (var entry in Wanted(reader, lines, options, first ? options.Tail : null, cancel)) { yield return entry; }
                first = false;
                if (over || options.Until < DateTimeOffset.UtcNow)
                {
                    foreach (var entry in lines.Unended()) { if (Wanted(entry, options)) { yield return entry; } }
                    yield break;
                }
                using var either = CancellationTokenSource.CreateLinkedTokenSource(cancel);
                var written = Waiting.ForAsync(watch, Reassurance, either.Token);
                await Task.WhenAny(written, waiting).ConfigureAwait(false);
                either.Cancel();
                try { await written.ConfigureAwait(false); }
                catch (OperationCanceledException) { }
                Drain(watch);
            }
        }
        finally
        {
            ended.Cancel();
            try { await waiting.ConfigureAwait(false); }
            catch (OperationCanceledException) { }
        }
    }

    string PathOf(string id, string? containerNamespace)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        var record = engine.Containers.Load(ns, id);
        return engine.Paths.Log(record) ?? throw new ContainerException(ErrorIds.LogNotFound,
            $"The container '{id}' keeps no log that can be read here: it was made with LogUri {record.LogUri ?? "none:"}. Make it without, or attach to it.", id, ContainerErrorCategory.ObjectNotFound);
    }

    // A container without a task has printed all that it will.
    async Task EndAsync(string id, string ns, CancellationToken cancel)
    {
        try { await engine.Tasks.WaitAsync(id, ns, cancel).ConfigureAwait(false); }
        catch (ContainerException e) when (e.Id is ErrorIds.TaskNotFound or ErrorIds.ContainerNotFound) { }
    }

    static IEnumerable<ContainerLogEntry> Enumerate(string id, string path, ContainerLogOptions options, CancellationToken cancel)
    {
        using var reader = new LogReader(path);
        var lines = new LogLines(id);
        var all = Ended(reader, lines, options, cancel).Concat(lines.Unended().Where(entry => Wanted(entry, options)));
        foreach (var entry in Last(all, options.Tail)) { yield return entry; }
    }

    static IEnumerable<ContainerLogEntry> Wanted(LogReader reader, LogLines lines, ContainerLogOptions options, int? tail, CancellationToken cancel) =>
        Last(Ended(reader, lines, options, cancel), tail);

    static IEnumerable<ContainerLogEntry> Ended(LogReader reader, LogLines lines, ContainerLogOptions options, CancellationToken cancel)
    {
        while (reader.TryRead(out var record))
        {
            cancel.ThrowIfCancellationRequested();
            if (lines.Add(record) is { } entry && Wanted(entry, options)) { yield return entry; }
        }
    }

    // The last are kept while reading, however many came before.
    static IEnumerable<ContainerLogEntry> Last(IEnumerable<ContainerLogEntry> entries, int? tail)
    {
        if (tail is not { } count) { return entries; }
        if (count < 0) { throw ResourceSpec.Bad("Tail", tail, "it is a number of lines from 0"); }
        var last = new Queue<ContainerLogEntry>();
        foreach (var entry in entries)
        {
            last.Enqueue(entry);
            if (last.Count > count) { last.Dequeue(); }
        }
        return last;
    }

    static bool Wanted(ContainerLogEntry entry, ContainerLogOptions options) =>
        (options.Stream is null || entry.Stream == options.Stream)
        && (options.Since is null || entry.Time >= options.Since)
        && (options.Until is null || entry.Time <= options.Until);

    internal static SafeFileHandle Watch(string folder)
    {
        var fd = LinuxException.Check(Libc.inotify_init1(Libc.IN_CLOEXEC | Libc.IN_NONBLOCK), "inotify_init1");
        var handle = new SafeFileHandle(fd, ownsHandle: true);
        if (Libc.inotify_add_watch(fd, folder, Libc.IN_MODIFY | Libc.IN_CREATE | Libc.IN_MOVED_TO | Libc.IN_DELETE_SELF) >= 0) { return handle; }
        var errno = Libc.errno;
        handle.Dispose();
        throw Folders.Unavailable(folder, new LinuxException("inotify_add_watch", folder, errno));
    }

    internal static unsafe void Drain(SafeFileHandle watch)
    {
        var buffer = stackalloc byte[4096];
        while (Libc.read((int)watch.DangerousGetHandle(), buffer, 4096) > 0) { }
    }
}
