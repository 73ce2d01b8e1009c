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
    public required string ManifestDigest { get; set; }
    public required IReadOnlyList<string> Layers { get; set; }

    /// <summary>No mount outlives the kernel that has it.</summary>
    public required string BootId { get; set; }
}

/// <summary>
/// Images mounted on the host, each with a folder <c>mounts/KEY</c> in the store: the record, and what a writable one needs. The record is
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
    /// <param name="layers">Folders of snapshots, the lowest first.</param>
    /// <exception cref="ContainerException"><c>MountFailed</c>, <c>MountExists</c>.</exception>
    internal string Mount(string path, IReadOnlyList<string> keys, IReadOnlyList<string> layers, string manifestDigest, bool writable)
    {
        path = Real(path) ?? throw Failed(path, "there is no such folder. Make one first", null);
        var key = Key(path);
        var folder = Path.Combine(paths.Mounts, key);
        Folders.Make(paths.Mounts);
        using var held = FileLock.Take(paths.MountsLock);
        if (IsMounted(path, key))
        {
            throw new ContainerException(ErrorIds.MountExists, $"An image is mounted on '{path}' already. Dismount-ContainerImage takes it away.", path, ContainerErrorCategory.ResourceExists);
        }
        Folders.RemoveTree(folder);
        Folders.Make(folder);
        var done = false;
        try
        {
            var record = new MountRecord { Path = path, ManifestDigest = manifestDigest, Layers = keys, BootId = s_boot };
            Folders.Replace(RecordPath(key), JsonSerializer.SerializeToUtf8Bytes(record, ImageJson.Default.MountRecord));
            // One layer alone is none to overlayfs; with an empty folder under it, it is two.
            Folders.Make(Path.Combine(folder, "work"));
            Folders.Make(Path.Combine(folder, "upper"));
            SnapshotStore.CopyRoot(layers[^1], Path.Combine(folder, "upper"));
            var lower = string.Join(':', layers.Reverse().Append(Path.Combine(folder, "work")).Take(writable ? layers.Count : layers.Count + 1).Select(Escape));
            var options = writable ? $"lowerdir={lower},upperdir={Escape(folder)}/upper,workdir={Escape(folder)}/work,redirect_dir=off,metacopy=off" : $"lowerdir={lower}";
            // The kernel copies one page and cuts off what is longer.
            if (Encoding.UTF8.GetByteCount(options) >= OptionsPage) { throw Failed(path, $"{layers.Count} layers are more than fit into the options of a mount", null); }
            // Whoever can reach the folder could otherwise use what an image brings to become root, or open its devices.
            var flags = Libc.MS_NOSUID | Libc.MS_NODEV | (writable ? 0 : Libc.MS_RDONLY);
            if (Libc.mount(Source + key, path, "overlay", (ulong)flags, options) != 0) { throw Failed(path, new LinuxException("mount", path, Libc.errno).Message, null); }
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
    internal void Dismount(string path)
    {
        path = Real(path) ?? path;
        var key = Key(path);
        if (!Directory.Exists(paths.Mounts)) { throw NotFound(path); }
        using (FileLock.Take(paths.MountsLock))
        {
            if (Load(key) is null) { throw NotFound(path); }
            if (IsMounted(path, key) && Libc.umount2(path, Libc.UMOUNT_NOFOLLOW) != 0)
            {
                var errno = Libc.errno;
                throw Failed(path, errno == Libc.EBUSY ? "somebody uses it: end what has its current folder or an open file there" : new LinuxException("umount2", path, errno).Message, null);
            }
            Folders.RemoveTree(Path.Combine(paths.Mounts, key));
        }
        Folders.RemoveIfEmpty(paths.Mounts);
    }

    /// <summary>Removes what an earlier boot, or a kill in between, has left.</summary>
    internal void Sweep()
    {
        if (!Directory.Exists(paths.Mounts)) { return; }
        using var held = FileLock.Take(paths.MountsLock);
        foreach (var key in Keys())
        {
            var record = Load(key);
            if (record?.BootId != s_boot) { Folders.RemoveTree(Path.Combine(paths.Mounts, key)); }
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
    static bool IsMounted(string path, string key) => MountInfo.ReadSelf().LastOrDefault(mount => mount.MountPoint == path)?.Source == Source + key;

    static string? Real(string path)
    {
        var fd = Libc.open(path, Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_CLOEXEC);
        if (fd < 0) { return null; }
        try { return File.ResolveLinkTarget($"/proc/self/fd/{fd}", returnFinalTarget: false)?.FullName; }
        finally { Libc.close(fd); }
    }

    static string Escape(string path) => path.Replace("\\", "\\\\").Replace(":", "\\:").Replace(",", "\\,");

    static ContainerException NotFound(string path) => new(ErrorIds.MountNotFound, $"No image was mounted on '{path}'. Mount-ContainerImage gives the path of what it has mounted.", path, ContainerErrorCategory.ObjectNotFound);

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
        var target = mounts.Mount(path, image.Layers, [.. image.Layers.Select(engine.Snapshots.LayerFolder)], image.ManifestDigest, writable);
        return new ContainerImageMount { Reference = ImageIndexFile.NameOf(Find(image.Digest, ns)), Digest = image.Digest, Path = target, Writable = writable, ContainerNamespace = ns };
    }

    /// <summary>Takes away what <see cref="MountAsync"/> has mounted, and what was written there.</summary>
    /// <exception cref="ContainerException"><c>MountNotFound</c>; <c>MountFailed</c>: somebody uses it.</exception>
    public void Dismount(string path)
    {
        engine.Containers.CheckFormat();
        mounts.Dismount(path);
    }

    internal ImageMounts Mounts => mounts;
}
