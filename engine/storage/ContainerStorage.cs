using Containers.Linux;

namespace Containers;

/// <summary>What the store holds and how much of it could be freed.</summary>
public sealed class ContainerStorageMeasurement
{
    /// <summary><c>Content</c>, <c>Snapshots</c>, <c>Containers</c> or <c>Volumes</c>.</summary>
    public required string Type { get; init; }

    public required int Count { get; init; }

    /// <summary>How many of them an image or a container needs.</summary>
    public required int Active { get; init; }

    /// <summary>Bytes; what several share counts once.</summary>
    public required long Size { get; init; }

    /// <summary>Bytes that nothing needs.</summary>
    public required long Reclaimable { get; init; }
}

/// <summary>Something that nothing needs.</summary>
public sealed class ContainerGarbage
{
    /// <summary><c>Content</c>, <c>Snapshot</c>, <c>Ingest</c>, or <c>Unfinished</c>: a folder that a killed process has begun to make or to remove.</summary>
    public required string Type { get; init; }

    /// <summary>The digest, the key, or the folder's path.</summary>
    public required string Name { get; init; }

    /// <summary>Bytes.</summary>
    public required long Size { get; init; }

    public override string ToString() => $"{Type} {Name}";
}

/// <summary>
/// Frees what neither an image, nor a container, nor work in progress needs. Roots are the images of all container namespaces and the
/// containers; work in progress holds a lease.
/// </summary>
public sealed class ContainerStorage
{
    static readonly TimeSpan BrokenDownload = TimeSpan.FromDays(1);

    readonly ContainerEngine engine;
    readonly HostPaths paths;
    readonly ImageIndexFile index;

    internal ContainerStorage(ContainerEngine engine)
    {
        this.engine = engine;
        paths = engine.Paths;
        index = new ImageIndexFile(paths);
    }

    /// <summary>What <see cref="Collect"/> would free now.</summary>
    public IReadOnlyList<ContainerGarbage> Find()
    {
        engine.Containers.CheckFormat();
        if (!Directory.Exists(paths.Root)) { return []; }
        List<ContainerGarbage> garbage;
        using (FileLock.Take(paths.CollectionLock)) { garbage = Unneeded(); }
        garbage.AddRange(Unfinished());
        return garbage;
    }

    /// <summary>Frees it, and tells what it was.</summary>
    public IReadOnlyList<ContainerGarbage> Collect()
    {
        engine.Containers.CheckFormat();
        if (!Directory.Exists(paths.Root)) { return []; }
        List<ContainerGarbage> garbage;
        var unfinished = Unfinished();
        // Nobody can begin to use something between the look and the removal; what takes long comes after.
        using (FileLock.Take(paths.CollectionLock))
        {
            garbage = Unneeded();
            foreach (var one in garbage)
            {
                if (one.Type == "Content") { engine.Content.Delete(Digest.Parse(one.Name)); }
                else if (one.Type == "Snapshot") { engine.Snapshots.Discard(one.Name); }
                else { FileLock.TryTakeExisting(Path.Combine(paths.Ingests, one.Name))?.RemoveAndDispose(); }
            }
        }
        engine.Snapshots.Sweep();
        engine.Images.Mounts.Sweep();
        garbage.AddRange(unfinished);
        return garbage;
    }

    /// <summary>Sizes by kind.</summary>
    public IReadOnlyList<ContainerStorageMeasurement> Measure()
    {
        var garbage = Find();
        var content = engine.Content.List().ToList();
        var snapshots = engine.Snapshots.Entries().Keys.Select(k => engine.Snapshots.Load(k)?.Bytes ?? 0).ToList();
        foreach (var ns in engine.Snapshots.NamedNamespaces()) { snapshots.AddRange(engine.Snapshots.Of(ns).Sizes()); }
        var containers = index.Namespaces().Union(engine.Containers.ListNamespaces()).SelectMany(ns => engine.Containers.ListIds(ns).Select(id => FolderSize(paths.ContainerFolder(ns, id)))).ToList();
        return
        [
            Line("Content", content.Count, content.Sum(c => c.Size), [.. garbage.Where(g => g.Type is "Content" or "Ingest")]),
            Line("Snapshots", snapshots.Count, snapshots.Sum(), [.. garbage.Where(g => g.Type is "Snapshot" or "Unfinished")]),
            Line("Containers", containers.Count, containers.Sum(), []),
            Volumes(),
        ];

        static ContainerStorageMeasurement Line(string type, int count, long size, List<ContainerGarbage> unneeded) => new()
        {
            Type = type, Count = count, Active = count - unneeded.Count(g => g.Type is not ("Ingest" or "Unfinished")), Size = size, Reclaimable = unneeded.Sum(g => g.Size),
        };
    }

    // Those of the store: a folder of the host is not ours. Nothing removes them but who says so by name.
    ContainerStorageMeasurement Volumes()
    {
        var volumes = ContainerStore.ChildNames(paths.AllVolumes).SelectMany(ns => engine.Volumes.List(ns)).Where(volume => volume.Options.Count == 0)
            .Select(volume => (Size: FolderTree.MeasureAt(volume.Path!), IsUsed: volume.Containers.Count > 0)).ToList();
        return new() { Type = "Volumes", Count = volumes.Count, Active = volumes.Count(v => v.IsUsed), Size = volumes.Sum(v => v.Size), Reclaimable = volumes.Where(v => !v.IsUsed).Sum(v => v.Size) };
    }

    List<ContainerGarbage> Unfinished() =>
        [.. engine.Snapshots.Abandoned().Concat(engine.Images.Mounts.Abandoned()).Select(path => new ContainerGarbage { Type = "Unfinished", Name = path, Size = FolderTree.MeasureAt(path) })];

    static long FolderSize(string folder)
    {
        var options = new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.ReparsePoint, IgnoreInaccessible = true };
        return new DirectoryInfo(folder) is { Exists: true } info ? info.EnumerateFiles("*", options).Sum(f => f.Exists ? f.Length : 0) : 0;
    }

    List<ContainerGarbage> Unneeded()
    {
        // Leases before names: who gives back a lease after this look has named what it kept before, and the look at the names sees it.
        var since = Lease.OldestLiving(paths);
        var (blobs, snapshots) = Needed();
        bool Old(DateTime used) => since is null || used < since;
        var garbage = new List<ContainerGarbage>();
        foreach (var content in engine.Content.List())
        {
            if (!blobs.Contains(content.Digest) && Old(content.UsedAt.UtcDateTime)) { garbage.Add(new ContainerGarbage { Type = "Content", Name = content.Digest, Size = content.Size }); }
        }
        foreach (var key in engine.Snapshots.Entries().Keys)
        {
            var used = File.GetLastWriteTimeUtc(Path.Combine(engine.Snapshots.Folder(key), "snapshot.json"));
            if (!snapshots.Contains(key) && Old(used)) { garbage.Add(new ContainerGarbage { Type = "Snapshot", Name = key, Size = engine.Snapshots.Load(key)?.Bytes ?? 0 }); }
        }
        if (!Directory.Exists(paths.Ingests)) { return garbage; }
        foreach (var file in new DirectoryInfo(paths.Ingests).EnumerateFiles())
        {
            // Half a download is gone on with for a day.
            var resumable = !file.Name.StartsWith("new-", StringComparison.Ordinal) && DateTime.UtcNow - file.LastWriteTimeUtc < BrokenDownload;
            if (resumable || !Old(file.LastWriteTimeUtc)) { continue; }
            // One that is stored at this moment gets its name and is none any more.
            using var free = FileLock.TryTakeExisting(file.FullName);
            if (free is null) { continue; }
            file.Refresh();
            garbage.Add(new ContainerGarbage { Type = "Ingest", Name = file.Name, Size = file.Length });
        }
        return garbage;
    }

    (HashSet<string> Blobs, HashSet<string> Snapshots) Needed()
    {
        var blobs = new HashSet<string>(StringComparer.Ordinal);
        var snapshots = new HashSet<string>(StringComparer.Ordinal);
        foreach (var ns in index.Namespaces())
        {
            foreach (var image in index.Load(ns)) { Reach(image, blobs, snapshots); }
        }
        foreach (var ns in engine.Containers.ListNamespaces())
        {
            foreach (var id in engine.Containers.ListIds(ns))
            {
                if (engine.Containers.TryLoadAny(ns, id) is not { } container) { continue; }
                snapshots.UnionWith(container.Layers ?? []);
                foreach (var use in container.ImageUses ?? [])
                {
                    snapshots.UnionWith(use.Layers);
                    Reach(new Descriptor { Digest = use.ManifestDigest }, blobs, snapshots);
                }
                if (container.ManifestDigest is { } manifest) { Reach(new Descriptor { Digest = manifest }, blobs, snapshots); }
            }
        }
        foreach (var mount in engine.Images.Mounts.Living())
        {
            snapshots.UnionWith(mount.Layers);
            if (mount.ManifestDigest is { } manifest) { Reach(new Descriptor { Digest = manifest }, blobs, snapshots); }
        }
        foreach (var ns in engine.Snapshots.NamedNamespaces()) { snapshots.UnionWith(engine.Snapshots.Of(ns).NeededLayers()); }
        return (blobs, snapshots);
    }

    // Everything that a document names is kept, known or not: what is damaged or odd is not a reason to throw away more.
    void Reach(Descriptor descriptor, HashSet<string> blobs, HashSet<string> snapshots)
    {
        if (!Digest.TryParse(descriptor.Digest, out var digest) || !blobs.Add(descriptor.Digest!)) { return; }
        var document = MediaTypes.IsIndex(descriptor.MediaType) || MediaTypes.IsManifest(descriptor.MediaType) || descriptor.MediaType is null;
        if (!document || engine.Content.Find(digest) is not { Size: <= ImageGraph.LargestManifest }) { return; }
        try
        {
            var record = engine.Images.Graph.Read(descriptor);
            foreach (var child in record.Manifests ?? []) { Reach(child, blobs, snapshots); }
            foreach (var blob in (IEnumerable<Descriptor?>)[record.Config, .. record.Layers ?? []])
            {
                if (blob?.Digest is { } name) { blobs.Add(name); }
            }
            if (record.Manifests is not null) { return; }
            foreach (var manifest in engine.Images.Graph.Manifests(descriptor))
            {
                if (manifest is { IsImage: true, Config: not null, Manifest.Layers.Count: > 0 }) { snapshots.UnionWith(ImageStore.LayersOf(manifest).Select(l => l.Key)); }
            }
        }
        catch (ContainerException) { }
    }
}
