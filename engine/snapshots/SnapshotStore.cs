using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Containers.Linux;
using Mono.Unix.Native;

namespace Containers;

/// <summary>
/// Layers on disk, each unpacked once for all images that share it and what lies below it: <c>snapshots/KEY/fs</c> is a folder that
/// overlayfs takes as a layer. A folder with that name is whole and on disk, because it gets the name last.
/// </summary>
public sealed partial class SnapshotStore
{
    // Half of the chain's digest: the names of all layers of a container go into one page of mount options.
    const int KeyLength = 32;
    const int LongestRecord = 64 << 10;

    readonly ContainerEngine engine;
    readonly HostPaths paths;

    internal SnapshotStore(ContainerEngine engine)
    {
        this.engine = engine;
        paths = engine.Paths;
    }

    /// <summary>One layer of an image: the blob, what it is uncompressed, and everything below it (image-spec, config.md, "Layer ChainID").</summary>
    internal sealed record Layer(Digest Blob, long Size, Digest DiffId, Digest ChainId, Digest? Parent)
    {
        internal string Key => KeyOf(ChainId);
    }

    internal static string KeyOf(Digest chainId) => chainId.Hex[..KeyLength];

    internal string Folder(string key) => Path.Combine(paths.Snapshots, key);

    /// <summary>The folder that is a layer of overlayfs.</summary>
    internal string LayerFolder(string key) => Path.Combine(paths.Snapshots, key, "fs");

    /// <summary>The layers of an image, the lowest first.</summary>
    internal static List<Layer> Chain(IReadOnlyList<(Digest Blob, long Size)> blobs, IReadOnlyList<Digest> diffIds)
    {
        var layers = new List<Layer>();
        Digest? below = null;
        for (var i = 0; i < diffIds.Count; i++)
        {
            var chain = below is null ? diffIds[i] : Digest.Of(Encoding.ASCII.GetBytes($"{below} {diffIds[i]}"));
            layers.Add(new Layer(blobs[i].Blob, blobs[i].Size, diffIds[i], chain, below));
            below = chain;
        }
        return layers;
    }

    /// <summary>Whether a layer is unpacked; the caller's lease keeps it from now on.</summary>
    bool Use(Layer layer)
    {
        using var collecting = FileLock.Take(paths.CollectionLock, shared: true);
        if (Load(layer.Key) is not { } record) { return false; }
        if (record.ChainId != layer.ChainId.ToString())
        {
            throw new ContainerException(ErrorIds.StoreDamaged, $"The snapshot '{layer.Key}' is of {record.ChainId}, and {layer.ChainId} was looked for. Remove the image that it belongs to.",
                layer.Key, ContainerErrorCategory.InvalidData);
        }
        File.SetLastWriteTimeUtc(Path.Combine(Folder(layer.Key), "snapshot.json"), DateTime.UtcNow);
        return true;
    }

    internal SnapshotRecord? Load(string key)
    {
        var path = Path.Combine(Folder(key), "snapshot.json");
        var content = Folders.Read(path, LongestRecord);
        if (content is null) { return null; }
        try { return JsonSerializer.Deserialize(content, ImageJson.Default.SnapshotRecord); }
        catch (JsonException e)
        {
            throw new ContainerException(ErrorIds.StoreDamaged, $"The record '{path}' cannot be read: {e.Message}. Remove the folder: the layer is then unpacked again.", key, ContainerErrorCategory.InvalidData, e);
        }
    }

    /// <summary>Unpacks what is not unpacked yet, several layers at a time; all of it or nothing.</summary>
    internal async Task EnsureAsync(IReadOnlyList<Layer> layers, Action<Layer, long, bool>? progress, CancellationToken cancel)
    {
        Folders.Make(paths.Snapshots);
        var locks = new List<FileLock>();
        var made = new List<int>();
        try
        {
            // From the lowest up, in every process: images that share layers share the lowest ones, so nobody waits in a circle.
            var missing = new List<int>();
            for (var i = 0; i < layers.Count; i++)
            {
                if (Use(layers[i])) { continue; }
                var held = await FileLock.TakeAsync(Path.Combine(paths.Snapshots, ".lock-" + layers[i].Key), cancel).ConfigureAwait(false);
                if (Use(layers[i])) { held.RemoveAndDispose(); }
                else
                {
                    locks.Add(held);
                    missing.Add(i);
                }
            }
            made.AddRange(missing);
            var answers = await UnpackAsync(layers, missing, progress, cancel).ConfigureAwait(false);
            Publish(layers, missing, answers);
            made.Clear();
        }
        finally
        {
            foreach (var i in made) { RemoveUnfinished(Unfinished(layers[i].Key)); }
            foreach (var held in locks) { held.RemoveAndDispose(); }
        }
    }

    async Task<UnpackAnswer[]> UnpackAsync(IReadOnlyList<Layer> layers, List<int> missing, Action<Layer, long, bool>? progress, CancellationToken cancel)
    {
        var answers = new UnpackAnswer?[layers.Count];
        using var turns = new SemaphoreSlim(Math.Max(2, Environment.ProcessorCount));
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var work = missing.Select(async i =>
        {
            await turns.WaitAsync(stop.Token).ConfigureAwait(false);
            try { answers[i] = await OneAsync(layers, i, i == 0 ? [] : null, progress, stop.Token).ConfigureAwait(false); }
            catch
            {
                await stop.CancelAsync().ConfigureAwait(false);
                throw;
            }
            finally { turns.Release(); }
        }).ToArray();
        try { await Task.WhenAll(work).ConfigureAwait(false); }
        catch
        {
            // The first real failure, not the cancellation that it caused.
            foreach (var task in work)
            {
                if (task.Exception?.InnerException is { } failure and not OperationCanceledException) { System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure); }
            }
            throw;
        }
        // What builds on lower layers comes when they are there.
        foreach (var i in missing)
        {
            if (answers[i] is not null) { continue; }
            var lowers = Enumerable.Range(0, i).Reverse().Select(l => missing.Contains(l) ? Path.Combine(Unfinished(layers[l].Key), "fs") : LayerFolder(layers[l].Key)).ToList();
            answers[i] = await OneAsync(layers, i, lowers, progress, cancel).ConfigureAwait(false);
        }
        return [.. missing.Select(i => answers[i]!)];
    }

    async Task<UnpackAnswer?> OneAsync(IReadOnlyList<Layer> layers, int i, IReadOnlyList<string>? lowers, Action<Layer, long, bool>? progress, CancellationToken cancel)
    {
        var layer = layers[i];
        var folder = Unfinished(layer.Key);
        RemoveUnfinished(folder);
        Folders.Make(folder);
        var fs = Path.Combine(folder, "fs");
        Directory.CreateDirectory(fs);
        // Whatever the umask is: any user of a container passes through its root.
        File.SetUnixFileMode(fs, (UnixFileMode)0x1ed);
        var answer = await Unpacker.RunAsync(engine, layer.Blob, layer.DiffId, fs, lowers, read => progress?.Invoke(layer, read, false), cancel).ConfigureAwait(false);
        if (answer is not null) { progress?.Invoke(layer, layer.Size, true); }
        return answer;
    }

    void Publish(IReadOnlyList<Layer> layers, List<int> missing, UnpackAnswer[] answers)
    {
        if (missing.Count == 0) { return; }
        for (var n = 0; n < missing.Count; n++)
        {
            var layer = layers[missing[n]];
            var folder = Unfinished(layer.Key);
            if (!answers[n].Root && missing[n] > 0)
            {
                var lower = layers[missing[n] - 1].Key;
                CopyRoot(missing.Contains(missing[n] - 1) ? Path.Combine(Unfinished(lower), "fs") : LayerFolder(lower), Path.Combine(folder, "fs"));
            }
            var record = new SnapshotRecord
            {
                ChainId = layer.ChainId.ToString(), Parent = layer.Parent?.ToString(), DiffId = layer.DiffId.ToString(),
                Bytes = answers[n].Bytes, Entries = answers[n].Entries, CreatedAt = DateTimeOffset.UtcNow,
            };
            var path = Path.Combine(folder, "snapshot.json");
            using var file = new FileStream(path, new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, UnixCreateMode = Folders.PrivateFile, BufferSize = 0 });
            file.Write(JsonSerializer.SerializeToUtf8Bytes(record, ImageJson.Default.SnapshotRecord));
        }
        // One wait for the disk for a hundred thousand files; only then do the folders get their names.
        SyncFileSystem(paths.Snapshots);
        foreach (var i in missing)
        {
            if (Stdlib.rename(Unfinished(layers[i].Key), Folder(layers[i].Key)) != 0) { throw Folders.Unavailable(Folder(layers[i].Key), null); }
        }
        Folders.Sync(paths.Snapshots);
    }

    internal static void SyncFileSystem(string folder)
    {
        var fd = LinuxException.Check(Libc.open(folder, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_CLOEXEC), "open", folder);
        var synced = Libc.syncfs(fd);
        var errno = Libc.errno;
        Libc.close(fd);
        if (synced != 0) { throw Folders.Unavailable(folder, new LinuxException("syncfs", folder, errno)); }
    }

    /// <summary>Owner, mode and times: overlayfs shows the topmost layer's root.</summary>
    internal static unsafe void CopyRoot(string from, string to)
    {
        LinuxException.Check(Libc.statx(Libc.AT_FDCWD, from, 0, Libc.STATX_BASIC_STATS, out var stat), "statx", from);
        LinuxException.Check(Libc.fchownat(Libc.AT_FDCWD, to, stat.stx_uid, stat.stx_gid, 0), "chown", to);
        LinuxException.Check(Libc.chmod(to, stat.stx_mode & 0xfffu), "chmod", to);
        var times = stackalloc timespec[2];
        times[0] = new timespec { tv_sec = stat.stx_atime.tv_sec, tv_nsec = stat.stx_atime.tv_nsec };
        times[1] = new timespec { tv_sec = stat.stx_mtime.tv_sec, tv_nsec = stat.stx_mtime.tv_nsec };
        LinuxException.Check(Libc.utimensat(Libc.AT_FDCWD, to, times, 0), "utimensat", to);
    }

    /// <summary>Removes what a killed process has begun: its psrun ends by itself, and writes for a moment more.</summary>
    internal static void RemoveUnfinished(string folder)
    {
        foreach (var name in new[] { "", "fs", "upper", BtrfsDriver.UnfinishedName }) { AwaitWriter(Path.Combine(folder, name)); }
        Folders.RemoveTree(folder);
    }

    /// <summary>Waits until no psrun writes into this folder any more.</summary>
    internal static void AwaitWriter(string folder)
    {
        var fd = Libc.open(folder, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_CLOEXEC | Libc.O_NOFOLLOW);
        if (fd < 0) { return; }
        while (Libc.flock(fd, Libc.LOCK_EX) != 0 && Libc.errno == Libc.EINTR) { }
        Libc.close(fd);
    }

    string Unfinished(string key) => Path.Combine(paths.Snapshots, ".new-" + key);

    /// <summary>Keys of all whole snapshots, and the folders of unfinished or removed ones.</summary>
    internal (List<string> Keys, List<string> Leftovers) Entries()
    {
        var keys = new List<string>();
        var leftovers = new List<string>();
        if (!Directory.Exists(paths.Snapshots)) { return (keys, leftovers); }
        foreach (var folder in Directory.EnumerateDirectories(paths.Snapshots))
        {
            var name = Path.GetFileName(folder);
            if (name.Length == KeyLength && name.All(char.IsAsciiHexDigitLower)) { keys.Add(name); }
            else if (name.StartsWith(".new-", StringComparison.Ordinal) || name.StartsWith(".del-", StringComparison.Ordinal)) { leftovers.Add(name); }
        }
        keys.Sort(StringComparer.Ordinal);
        leftovers.Sort(StringComparer.Ordinal);
        return (keys, leftovers);
    }

    /// <summary>Takes a snapshot out of sight; <see cref="Sweep"/> removes it.</summary>
    internal void Discard(string key)
    {
        if (Stdlib.rename(Folder(key), Path.Combine(paths.Snapshots, ".del-" + key + Names.Random())) != 0 && Stdlib.GetLastError() != Errno.ENOENT) { throw Folders.Unavailable(Folder(key), null); }
    }

    /// <summary>What <see cref="Sweep"/> removes: discarded snapshots, and unfinished ones whose process is gone.</summary>
    internal IEnumerable<string> Abandoned()
    {
        var (keys, leftovers) = Entries();
        return keys.SelectMany(key => BtrfsDriver.Abandoned(Folder(key))).Concat(leftovers.Select(name => Path.Combine(paths.Snapshots, name)).Where(IsAbandoned)).Concat(NamedNamespaces().SelectMany(ns => Of(ns).Abandoned()));
    }

    /// <summary>Whether nobody is at work any more in a folder that is called <c>.del-…</c>, or <c>.new-KEY</c> with <c>.lock-KEY</c> beside it.</summary>
    internal static bool IsAbandoned(string path)
    {
        if (LockOf(path) is not { } file) { return Path.GetFileName(path).StartsWith(".del-", StringComparison.Ordinal); }
        using var held = TryTake(file);
        held?.RemoveAndDispose();
        return held is not null;
    }

    static string? LockOf(string path) => Path.GetFileName(path) is var name && name.StartsWith(".new-", StringComparison.Ordinal) ? Path.Combine(Path.GetDirectoryName(path)!, ".lock-" + name[".new-".Length..]) : null;

    // Null too where the folder around it has just been removed.
    static FileLock? TryTake(string file)
    {
        try { return FileLock.TryTake(file); }
        catch (ContainerException) when (!Directory.Exists(Path.GetDirectoryName(file))) { return null; }
    }

    /// <summary>Removes what <see cref="Abandoned"/> tells, unless somebody has begun anew.</summary>
    internal void Sweep()
    {
        foreach (var path in Abandoned().ToList())
        {
            var file = LockOf(path);
            using var held = file is null ? null : TryTake(file);
            if (file is not null && held is null) { continue; }
            RemoveUnfinished(path);
            held?.RemoveAndDispose();
        }
    }
}
