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
    /// <exception cref="ContainerException"><c>ContainerNotFound</c>; <c>LogNotFound</c>: the container keeps none.</exception>
    public IEnumerable<ContainerLogEntry> Read(string id, ContainerLogOptions? options = null, string? containerNamespace = null, CancellationToken cancel = default)
    {
        var path = PathOf(id, containerNamespace);
        return Enumerate(path, options ?? new ContainerLogOptions(), cancel);
    }

    /// <summary>The entries that are there and those that come, until the task has ended.</summary>
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
        try
        {
            long offset = 0;
            var first = true;
            while (true)
            {
                cancel.ThrowIfCancellationRequested();
                // Asked before reading: when it has ended by now, one more read has everything.
                var over = waiting.IsCompleted;
                if (first)
                {
                    foreach (var (entry, after) in Selected(path, options, cancel))
                    {
                        offset = after;
                        if (entry is not null) { yield return entry; }
                    }
                    first = false;
                }
                else
                {
                    using var reader = CriLogReader.TryOpen(path, offset);
                    while (reader is not null && reader.TryRead(out var record))
                    {
                        offset = reader.Offset;
                        if (Wanted(record, options)) { yield return record.ToEntry(); }
                    }
                }
                if (over || options.Until < DateTimeOffset.UtcNow) { yield break; }
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
        if (engine.Containers.Load(ns, id).KeepLog) { return engine.Paths.Log(ns, id); }
        throw new ContainerException(ErrorIds.LogNotFound, $"The container '{id}' keeps no log: it was made with LogUri none:. Make it without, or attach to it.",
            id, ContainerErrorCategory.ObjectNotFound);
    }

    // A container without a task has printed all that it will.
    async Task EndAsync(string id, string ns, CancellationToken cancel)
    {
        try { await engine.Tasks.WaitAsync(id, ns, cancel).ConfigureAwait(false); }
        catch (ContainerException e) when (e.Id is ErrorIds.TaskNotFound or ErrorIds.ContainerNotFound) { }
    }

    static IEnumerable<ContainerLogEntry> Enumerate(string path, ContainerLogOptions options, CancellationToken cancel)
    {
        foreach (var (entry, _) in Selected(path, options, cancel))
        {
            if (entry is not null) { yield return entry; }
        }
    }

    // Entries with the offset behind each; for a tail the last wanted lines are kept while reading, however many came before.
    static IEnumerable<(ContainerLogEntry?, long)> Selected(string path, ContainerLogOptions options, CancellationToken cancel)
    {
        if (options.Tail < 0) { throw ResourceSpec.Bad("Tail", options.Tail, "it is a number of lines from 0"); }
        using var reader = CriLogReader.TryOpen(path);
        if (reader is null) { yield break; }
        if (options.Tail is not { } tail)
        {
            while (reader.TryRead(out var record))
            {
                cancel.ThrowIfCancellationRequested();
                yield return (Wanted(record, options) ? record.ToEntry() : null, reader.Offset);
            }
            yield break;
        }

        var last = new Queue<(CriRecord Record, long Number)>();
        // What a program has not ended yet is a line too; the last part of it stands for its end.
        var open = new long?[2];
        var lines = 0;
        long number = 0;
        while (reader.TryRead(out var record))
        {
            cancel.ThrowIfCancellationRequested();
            if (!Wanted(record, options)) { continue; }
            last.Enqueue((record, ++number));
            open[(int)record.Stream] = record.Partial ? number : null;
            if (!record.Partial) { lines++; }
            while (lines > tail)
            {
                if (!last.Dequeue().Record.Partial) { lines--; }
            }
        }
        lines += open.Count(end => end >= (last.TryPeek(out var first) ? first.Number : long.MaxValue));
        while (lines > tail)
        {
            var (record, at) = last.Dequeue();
            if (!record.Partial || open.Contains(at)) { lines--; }
        }
        foreach (var (record, _) in tail == 0 ? [] : last) { yield return (record.ToEntry(), reader.Offset); }
        yield return (null, reader.Offset);
    }

    static bool Wanted(CriRecord record, ContainerLogOptions options) =>
        (options.Stream is null || record.Stream == options.Stream)
        && (options.Since is null || record.Time >= options.Since)
        && (options.Until is null || record.Time <= options.Until);

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
