namespace Containers;

/// <summary>A snapshot that is mounted somewhere.</summary>
public sealed class ContainerMountedSnapshot
{
    public required string Key { get; init; }

    /// <summary>The folder that it is mounted on.</summary>
    public required string Path { get; init; }

    /// <summary>What is written there stays in the snapshot.</summary>
    public required bool Writable { get; init; }

    public required string ContainerNamespace { get; init; }

    public override string ToString() => Path;
}

public sealed partial class SnapshotStore
{
    /// <summary>The names of all drivers.</summary>
    public static IReadOnlyList<string> Snapshotters => SnapshotDriver.Names;

    /// <summary>The snapshots of a container namespace.</summary>
    /// <param name="snapshotter">Makes new ones: one of <see cref="Snapshotters"/>; null for what the configuration says, or else what the store's file system can.</param>
    /// <exception cref="ContainerException"><c>NotSupported</c>: there is no such driver, or the store cannot have it.</exception>
    public ISnapshotter Snapshotter(string? snapshotter = null, string? containerNamespace = null)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        if (snapshotter is null) { return Of(ns); }
        engine.Containers.OpenForWriting();
        return new Snapshotter(engine, SnapshotDriver.Choose(engine, snapshotter), ns);
    }

    /// <summary>The same snapshot with its size as it is now.</summary>
    /// <exception cref="ContainerException"><c>SnapshotNotFound</c>.</exception>
    public ContainerSnapshot Measure(ContainerSnapshot snapshot)
    {
        var usage = Of(engine.NamespaceOr(snapshot.ContainerNamespace)).Usage(snapshot.Key);
        return new ContainerSnapshot
        {
            Key = snapshot.Key, ContainerNamespace = snapshot.ContainerNamespace, Kind = snapshot.Kind, Parent = snapshot.Parent, Snapshotter = snapshot.Snapshotter, Labels = snapshot.Labels,
            CreatedAt = snapshot.CreatedAt, Size = usage.Bytes, Entries = usage.Entries,
        };
    }

    /// <summary>Makes an active snapshot, or a view, on the topmost layer of an image, which is unpacked where that was not done before.</summary>
    /// <exception cref="ContainerException"><c>ImageNotFound</c>, <c>PlatformNotFound</c>, <c>SnapshotExists</c> …</exception>
    public async Task<ContainerSnapshot> MakeFromImageAsync(ISnapshotter snapshotter, string key, string image, bool view, string? platform = null, IReadOnlyDictionary<string, string>? labels = null,
        string? containerNamespace = null, IProgress<ImageProgress>? progress = null, CancellationToken cancel = default)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        engine.Containers.OpenForWriting();
        using var lease = Lease.Take(paths);
        var prepared = await engine.Images.PrepareAsync(image, ns, platform is null ? null : ImagePlatform.Parse(platform), progress, cancel).ConfigureAwait(false);
        var top = Load(prepared.Layers[^1])!.ChainId;
        return await (view ? snapshotter.ViewAsync(key, top, labels, cancel) : snapshotter.PrepareAsync(key, top, labels, cancel)).ConfigureAwait(false);
    }

    /// <summary>Mounts an active snapshot or a view on an existing folder of the host, without the rights and devices that it brings (nosuid, nodev).</summary>
    /// <exception cref="ContainerException"><c>SnapshotNotFound</c>, <c>SnapshotKindWrong</c>, <c>MountExists</c>, <c>MountFailed</c>.</exception>
    public async Task<ContainerMountedSnapshot> MountAsync(string key, string path, string? containerNamespace = null, CancellationToken cancel = default)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        var (target, writable) = await Of(ns).MountAsync(key, path, cancel).ConfigureAwait(false);
        return new ContainerMountedSnapshot { Key = key, Path = target, Writable = writable, ContainerNamespace = ns };
    }

    /// <summary>Takes away what <see cref="MountAsync"/> has mounted. What was written there stays in the snapshot.</summary>
    /// <exception cref="ContainerException"><c>MountNotFound</c>; <c>MountFailed</c>: somebody uses it.</exception>
    public void Dismount(string path)
    {
        engine.Containers.CheckFormat();
        engine.Images.Mounts.Dismount(path, snapshot: true);
    }

    internal Snapshotter Of(string ns) => new(engine, null, ns);

    internal IReadOnlyList<string> NamedNamespaces() => ContainerStore.ChildNames(paths.NamedSnapshots);

    internal static bool IsLayerKey(string key) => key.StartsWith("sha256:", StringComparison.Ordinal) || key.StartsWith("sha512:", StringComparison.Ordinal);

    /// <exception cref="ContainerException"><c>SnapshotNotFound</c>, <c>StoreDamaged</c>.</exception>
    internal SnapshotRecord LoadLayer(string chainId) =>
        Digest.TryParse(chainId, out var digest) && Load(KeyOf(digest)) is { } record && record.ChainId == chainId ? record : throw NotFound(chainId, null);

    internal ContainerSnapshot StatLayer(string chainId) => Describe(LoadLayer(chainId));

    internal ContainerSnapshotUsage UsageOfLayer(string chainId)
    {
        var record = LoadLayer(chainId);
        return new ContainerSnapshotUsage(record.Bytes, record.Entries);
    }

    /// <summary>All unpacked layers of images in the order of their keys.</summary>
    internal IEnumerable<ContainerSnapshot> Layers() => Entries().Keys.Select(Load).OfType<SnapshotRecord>().Select(Describe);

    /// <summary>Removes an unpacked layer that nothing uses at this moment. An image that has it is unpacked again when it is next needed.</summary>
    internal void RemoveLayer(string chainId)
    {
        var key = KeyOf(Digest.Parse(LoadLayer(chainId).ChainId));
        using (FileLock.Take(paths.CollectionLock))
        {
            LoadLayer(chainId);
            if (Layers().FirstOrDefault(layer => layer.Parent == chainId) is { } child) { throw InUse(chainId, $"the layer '{child.Key}' lies on it"); }
            foreach (var ns in NamedNamespaces())
            {
                if (Of(ns).Walk().FirstOrDefault(snapshot => snapshot.Parent == chainId && !snapshot.IsImageLayer) is { } made) { throw InUse(chainId, $"the snapshot '{made.Key}' of container namespace '{ns}' was made on it"); }
            }
            foreach (var ns in engine.Containers.ListNamespaces())
            {
                if (engine.Containers.ListIds(ns).FirstOrDefault(id => engine.Containers.TryLoadAny(ns, id)?.Layers?.Contains(key) == true) is { } container)
                {
                    throw InUse(chainId, $"the container '{container}' of container namespace '{ns}' was made from it");
                }
            }
            if (engine.Images.Mounts.Living().FirstOrDefault(mount => mount.Layers.Contains(key)) is { } mounted) { throw InUse(chainId, $"it is mounted on '{mounted.Path}'"); }
            if (Lease.OldestLiving(paths) is { } since && File.GetLastWriteTimeUtc(Path.Combine(Folder(key), "snapshot.json")) >= since) { throw InUse(chainId, "work in progress may need it"); }
            Discard(key);
        }
        Sweep();
    }

    static ContainerSnapshot Describe(SnapshotRecord record) => new()
    {
        Key = record.ChainId, Kind = ContainerSnapshotKind.Committed, Parent = record.Parent, Snapshotter = SnapshotDriver.OverlayName, CreatedAt = record.CreatedAt, Size = record.Bytes, Entries = record.Entries,
    };

    internal static ContainerException NotFound(string key, string? ns) => new(ErrorIds.SnapshotNotFound,
        $"There is no snapshot '{key}'{(ns is null ? "" : $" in container namespace '{ns}'")}. Get-ContainerSnapshot lists those that are there.", key, ContainerErrorCategory.ObjectNotFound);

    internal static ContainerException InUse(string key, string why) => new(ErrorIds.SnapshotInUse, $"The snapshot '{key}' is in use: {why}. Remove or dismount that first.", key, ContainerErrorCategory.ResourceBusy);
}
