using System.Text;
using System.Text.Json;
using Containers.Linux;

namespace Containers;

/// <summary>An image that is mounted somewhere, to be looked at or written over.</summary>
public sealed class ContainerImageMount
{
    public string? Reference { get; init; }
    public required string Digest { get; init; }

    /// <summary>The folder that it is mounted on.</summary>
    public required string Path { get; init; }

    /// <summary>What is written there is kept until it is dismounted.</summary>
    public required bool Writable { get; init; }

    public required string ContainerNamespace { get; init; }

    public override string ToString() => Path;
}

/// <summary>What <c>mount.json</c> holds: it keeps the layers from being collected.</summary>
sealed class MountRecord
{
    public int Version { get; set; } = 1;
    public required string Path { get; set; }

    /// <summary>Of an image's mount.</summary>
    public string? ManifestDigest { get; set; }

    public IReadOnlyList<string> Layers { get; set; } = [];

    /// <summary>Of a snapshot's mount: container namespace and key.</summary>
    public string? Snapshot { get; set; }

    /// <summary>The folder that is bound, where nothing is laid over another.</summary>
    public string? Bound { get; set; }

    /// <summary>No mount outlives the kernel that has it.</summary>
    public required string BootId { get; set; }
}

/// <summary>
/// Images and snapshots mounted on the host, each with a folder <c>mounts/KEY</c> in the store: the record, and what a writable one needs. The record is
/// there before the mount and goes after it. A mount shows its key as its source, so that nothing else is ever taken for it.
/// </summary>
sealed class ImageMounts(HostPaths paths)
{
    const int LongestRecord = 1 << 20;
    const int OptionsPage = 4096;
    const string Source = "pscontainers:";

    static readonly string s_boot = Encoding.ASCII.GetString(File.ReadAllBytes("/proc/sys/kernel/random/boot_id")).Trim();

    /// <summary>Records of mounts that may be there. What an earlier boot has left is none.</summary>
    internal IEnumerable<MountRecord> Living() => Keys().Select(Load).OfType<MountRecord>().Where(record => record.BootId == s_boot);

    /// <param name="path">An existing folder; links on the way are followed.</param>
    /// <param name="layers">Folders of snapshots, the topmost first.</param>
    /// <param name="driver">Keeps what is written; null where nothing is.</param>
    /// <exception cref="ContainerException"><c>MountFailed</c>, <c>MountExists</c>.</exception>
    internal Task<string> MountAsync(ContainerEngine engine, string path, IReadOnlyList<string> keys, IReadOnlyList<string> layers, string manifestDigest, SnapshotDriver? driver, CancellationToken cancel) =>
        MakeAsync(path, (target, folder) => new MountRecord { Path = target, ManifestDigest = manifestDigest, Layers = keys, BootId = s_boot, Bound = driver?.IsWhole == true ? SnapshotDriver.Upper(folder) : null }, async (target, key, folder) =>
        {
            if (driver is not null)
            {
                await driver.MakeAsync(engine, target, folder, layers, writable: true, cancel).ConfigureAwait(false);
                Attach(target, key, driver.Mount(folder, layers, writable: true), writable: true);
                return;
            }
            // One layer alone is none to overlayfs; with an empty folder under it, it is two.
            var empty = Path.Combine(folder, "work");
            Folders.Make(empty);
            Overlay(target, key, "lowerdir=" + string.Join(':', layers.Append(empty).Select(Escape)), writable: false, layers.Count);
        }, cancel);

    /// <param name="snapshot">Container namespace and key.</param>
    /// <exception cref="ContainerException"><c>MountFailed</c>, <c>MountExists</c>.</exception>
    internal Task<string> MountSnapshotAsync(string path, string snapshot, ContainerSnapshotMount mount, CancellationToken cancel)
    {
        var writable = mount.Options.Any(option => option == "rw" || option.StartsWith("upperdir=", StringComparison.Ordinal));
        var bound = mount.Type == "bind" ? mount.Source : null;
        return MakeAsync(path, (target, _) => new MountRecord { Path = target, Snapshot = snapshot, Bound = bound, BootId = s_boot }, (target, key, _) =>
        {
            Attach(target, key, mount, writable);
            return Task.CompletedTask;
        }, cancel);
    }

    static void Attach(string target, string key, ContainerSnapshotMount mount, bool writable)
    {
        if (mount.Type != "bind")
        {
            // In lowerdir backslashes and colons are escaped already.
            var options = mount.Options.Select(option => option.StartsWith("lowerdir=", StringComparison.Ordinal) ? option.Replace(",", "\\,") : Escape(option));
            Overlay(target, key, string.Join(',', options), writable, mount.Options[0].Count(c => c == ':') + 1);
            return;
        }
        if (Libc.mount(mount.Source, target, null, Libc.MS_BIND, null) != 0) { throw Failed(target, new LinuxException("mount", target, Libc.errno).Message, null); }
        var flags = Libc.MS_BIND | Libc.MS_REMOUNT | Libc.MS_NOSUID | Libc.MS_NODEV | (writable ? 0 : Libc.MS_RDONLY);
        if (Libc.mount(null, target, null, (ulong)flags, null) == 0) { return; }
        var errno = Libc.errno;
        _ = Libc.umount2(target, Libc.UMOUNT_NOFOLLOW);
        throw Failed(target, new LinuxException("mount", target, errno).Message, null);
    }

    static void Overlay(string target, string key, string options, bool writable, int layers)
    {
        // The kernel copies one page and cuts off what is longer.
        if (Encoding.UTF8.GetByteCount(options) >= OptionsPage) { throw Failed(target, $"{layers} layers are more than fit into the options of a mount", null); }
        // Whoever can reach the folder could otherwise use what an image brings to become root, or open its devices.
        var flags = Libc.MS_NOSUID | Libc.MS_NODEV | (writable ? 0 : Libc.MS_RDONLY);
        if (Libc.mount(Source + key, target, "overlay", (ulong)flags, options) != 0) { throw Failed(target, new LinuxException("mount", target, Libc.errno).Message, null); }
    }

    async Task<string> MakeAsync(string path, Func<string, string, MountRecord> record, Func<string, string, string, Task> mount, CancellationToken cancel)
    {
        path = Real(path) ?? throw Failed(path, "there is no such folder. Make one first", null);
        var key = Key(path);
        var folder = Path.Combine(paths.Mounts, key);
        Folders.Make(paths.Mounts);
        using var held = await FileLock.TakeAsync(paths.MountsLock, cancel).ConfigureAwait(false);
        if (IsMounted(path, key))
        {
            throw new ContainerException(ErrorIds.MountExists, $"An image or snapshot is mounted on '{path}' already. Dismount-ContainerImage and Dismount-ContainerSnapshot take it away.", path, ContainerErrorCategory.ResourceExists);
        }
        SnapshotStore.RemoveUnfinished(folder);
        Folders.Make(folder);
        var done = false;
        try
        {
            Folders.Replace(RecordPath(key), JsonSerializer.SerializeToUtf8Bytes(record(path, folder), ImageJson.Default.MountRecord));
            await mount(path, key, folder).ConfigureAwait(false);
            done = true;
            return path;
        }
        finally
        {
            if (!done) { Folders.RemoveTree(folder); }
        }
    }

    /// <summary>Takes a mount away, and what was written there. One that somebody has unmounted is only forgotten.</summary>
    /// <exception cref="ContainerException"><c>MountNotFound</c>; <c>MountFailed</c>: somebody uses it.</exception>
    internal void Dismount(string path, bool snapshot)
    {
        path = Real(path) ?? path;
        var key = Key(path);
        if (!Directory.Exists(paths.Mounts)) { throw NotFound(path, snapshot); }
        using (FileLock.Take(paths.MountsLock))
        {
            if (Load(key) is not { } record || record.Snapshot is not null != snapshot) { throw NotFound(path, snapshot); }
            if (IsMounted(path, key) && Libc.umount2(path, Libc.UMOUNT_NOFOLLOW) != 0)
            {
                var errno = Libc.errno;
                throw Failed(path, errno == Libc.EBUSY ? "somebody uses it: end what has its current folder or an open file there" : new LinuxException("umount2", path, errno).Message, null);
            }
            Folders.RemoveTree(Path.Combine(paths.Mounts, key));
        }
        Folders.RemoveIfEmpty(paths.Mounts);
    }

    /// <summary>What an earlier boot, or a kill in between, has left.</summary>
    internal IEnumerable<string> Abandoned()
    {
        if (!Directory.Exists(paths.Mounts)) { return []; }
        // Nobody is in between then.
        using var held = FileLock.Take(paths.MountsLock);
        return [.. Keys().Where(key => Load(key)?.BootId != s_boot).Select(key => Path.Combine(paths.Mounts, key))];
    }

    /// <summary>Removes it.</summary>
    internal void Sweep()
    {
        if (!Directory.Exists(paths.Mounts)) { return; }
        using var held = FileLock.Take(paths.MountsLock);
        foreach (var key in Keys())
        {
            if (Load(key)?.BootId != s_boot) { SnapshotStore.RemoveUnfinished(Path.Combine(paths.Mounts, key)); }
        }
    }

    IReadOnlyList<string> Keys() => ContainerStore.ChildNames(paths.Mounts);

    MountRecord? Load(string key)
    {
        var content = Folders.Read(RecordPath(key), LongestRecord);
        if (content is null) { return null; }
        try { return JsonSerializer.Deserialize(content, ImageJson.Default.MountRecord); }
        catch (JsonException e)
        {
            throw new ContainerException(ErrorIds.StoreDamaged, $"The record '{RecordPath(key)}' cannot be read: {e.Message}. Unmount what it is about, and remove its folder.", key, ContainerErrorCategory.InvalidData, e);
        }
    }

    string RecordPath(string key) => Path.Combine(paths.Mounts, key, "mount.json");

    static string Key(string path) => Digest.Of(Encoding.UTF8.GetBytes(path)).Hex[..32];

    // The one on top: another mount may lie over it, and is not ours to take away.
    bool IsMounted(string path, string key)
    {
        if (MountInfo.ReadSelf().LastOrDefault(mount => mount.MountPoint == path) is not { } top) { return false; }
        if (Load(key)?.Bound is not { } bound) { return top.Source == Source + key; }
        return Libc.statx(Libc.AT_FDCWD, path, 0, Libc.STATX_INO, out var there) == 0 && Libc.statx(Libc.AT_FDCWD, bound, 0, Libc.STATX_INO, out var own) == 0
            && there.stx_ino == own.stx_ino && there.stx_dev_major == own.stx_dev_major && there.stx_dev_minor == own.stx_dev_minor;
    }

    static string? Real(string path)
    {
        var fd = Libc.open(path, Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_CLOEXEC);
        if (fd < 0) { return null; }
        try { return File.ResolveLinkTarget($"/proc/self/fd/{fd}", returnFinalTarget: false)?.FullName; }
        finally { Libc.close(fd); }
    }

    static string Escape(string path) => path.Replace("\\", "\\\\").Replace(":", "\\:").Replace(",", "\\,");

    static ContainerException NotFound(string path, bool snapshot) => new(ErrorIds.MountNotFound,
        $"No {(snapshot ? "snapshot" : "image")} was mounted on '{path}'. Mount-Container{(snapshot ? "Snapshot" : "Image")} gives the path of what it has mounted.", path, ContainerErrorCategory.ObjectNotFound);

    static ContainerException Failed(string path, string why, Exception? inner) => new(ErrorIds.MountFailed, $"'{path}': {why}.", path, ContainerErrorCategory.ResourceUnavailable, inner);
}

public sealed partial class ImageStore
{
    /// <summary>Mounts an image on a folder of the host, without the rights and devices that it brings (nosuid, nodev).</summary>
    /// <param name="path">An existing folder.</param>
    /// <param name="writable">Writes go to a layer of its own, which ends with the mount.</param>
    /// <exception cref="ContainerException"><c>ImageNotFound</c>, <c>PlatformNotFound</c>, <c>MountExists</c>, <c>MountFailed</c> …</exception>
    public async Task<ContainerImageMount> MountAsync(string name, string path, bool writable = false, string? platform = null, string? containerNamespace = null, IProgress<ImageProgress>? progress = null, CancellationToken cancel = default)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        engine.Containers.OpenForWriting();
        // Until the mount is on record, which then keeps the image's layers.
        using var lease = Lease.Take(paths);
        var image = await PrepareAsync(name, ns, platform is null ? null : ImagePlatform.Parse(platform), progress, cancel).ConfigureAwait(false);
        var driver = writable ? SnapshotDriver.Choose(engine, null) : null;
        var target = await mounts.MountAsync(engine, path, image.Layers, [.. image.Layers.Reverse().Select(engine.Snapshots.LayerFolder)], image.ManifestDigest, driver, cancel).ConfigureAwait(false);
        return new ContainerImageMount { Reference = ImageIndexFile.NameOf(Find(image.Digest, ns)), Digest = image.Digest, Path = target, Writable = writable, ContainerNamespace = ns };
    }

    /// <summary>Takes away what <see cref="MountAsync"/> has mounted, and what was written there.</summary>
    /// <exception cref="ContainerException"><c>MountNotFound</c>; <c>MountFailed</c>: somebody uses it.</exception>
    public void Dismount(string path)
    {
        engine.Containers.CheckFormat();
        mounts.Dismount(path, snapshot: false);
    }

    internal ImageMounts Mounts => mounts;
}
