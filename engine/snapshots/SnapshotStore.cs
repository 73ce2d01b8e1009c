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
        SweepLocks(paths.Snapshots);
        foreach (var ns in NamedNamespaces()) { SweepLocks(Path.Combine(paths.NamedSnapshots, ns)); }
    }

    // Who is killed between the rename of a folder and its end leaves the lock's empty file alone. Held, it is removed under nobody's feet: whoever
    // waits for it finds that it is gone, and makes another.
    static void SweepLocks(string folder)
    {
        foreach (var name in Folders.Entries(folder))
        {
            if (name.StartsWith(".lock-", StringComparison.Ordinal)) { FileLock.TryTakeExisting(Path.Combine(folder, name))?.RemoveAndDispose(); }
        }
    }
}
