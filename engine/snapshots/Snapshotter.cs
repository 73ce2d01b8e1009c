using System.Text.Json;
using Containers.Linux;
using Mono.Unix.Native;

namespace Containers;

/// <summary>
/// Snapshots that somebody has named: <c>snapshots/named/NAMESPACE/KEY</c> with the record and the driver's folders. One gets its name when it is
/// whole, changes it by one rename when it is committed, and loses it by another before it is removed: what is killed in between has done
/// nothing, or all of it. Whoever makes, commits or removes one holds <c>.lock-KEY</c>.
/// </summary>
/// <param name="driver">Null chooses one when something is made.</param>
sealed class Snapshotter(ContainerEngine engine, SnapshotDriver? driver, string ns) : ISnapshotter
{
    const string RecordName = "snapshot.json";
    const string CommittedName = "committed.json";
    const int LongestRecord = 1 << 20;

    readonly HostPaths paths = engine.Paths;

    public string Name => Driver.Name;

    SnapshotDriver Driver => driver ??= SnapshotDriver.Choose(engine, null);

    string Parent => Path.Combine(paths.NamedSnapshots, ns);

    public Task<ContainerSnapshot> PrepareAsync(string key, string? parent = null, IReadOnlyDictionary<string, string>? labels = null, CancellationToken cancel = default) =>
        MakeAsync(ContainerSnapshotKind.Active, key, parent, labels, cancel);

    public Task<ContainerSnapshot> ViewAsync(string key, string? parent = null, IReadOnlyDictionary<string, string>? labels = null, CancellationToken cancel = default) =>
        MakeAsync(ContainerSnapshotKind.View, key, parent, labels, cancel);

    async Task<ContainerSnapshot> MakeAsync(ContainerSnapshotKind kind, string key, string? parent, IReadOnlyDictionary<string, string>? labels, CancellationToken cancel)
    {
        CheckKey(key);
        cancel.ThrowIfCancellationRequested();
        engine.Containers.OpenForWriting();
        // What lies below is kept by this until the new one, which then keeps it, is there.
        using var lease = Lease.Take(paths);
        Folders.Make(Parent);
        var held = await LockAsync(key, cancel).ConfigureAwait(false);
        var unfinished = Path.Combine(Parent, ".new-" + key);
        try
        {
            if (Directory.Exists(Folder(key))) { throw Exists(key); }
            var below = parent is null ? [] : UseParent(parent);
            SnapshotStore.RemoveUnfinished(unfinished);
            Folders.Make(unfinished);
            await Driver.MakeAsync(engine, key, unfinished, below, kind == ContainerSnapshotKind.Active, cancel).ConfigureAwait(false);
            var record = new NamedSnapshotRecord
            {
                Key = key, Namespace = ns, Kind = kind, Parent = parent, Snapshotter = Driver.Name, CreatedAt = DateTimeOffset.UtcNow, Labels = new Dictionary<string, string>(labels ?? new Dictionary<string, string>()),
            };
            Folders.WriteNew(Path.Combine(unfinished, RecordName), Write(record));
            if (Driver.IsWhole) { SnapshotStore.SyncFileSystem(paths.Snapshots); }
            else { Folders.Sync(unfinished); }
            Rename(unfinished, Folder(key));
            return Describe(record);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { throw Folders.Unavailable(unfinished, e); }
        finally
        {
            SnapshotStore.RemoveUnfinished(unfinished);
            held.RemoveAndDispose();
        }
    }

    public async Task<ContainerSnapshot> CommitAsync(string name, string key, IReadOnlyDictionary<string, string>? labels = null, CancellationToken cancel = default)
    {
        CheckKey(name);
        CheckKey(key);
        if (name == key) { throw Exists(name); }
        engine.Containers.CheckFormat();
        if (!Directory.Exists(Parent)) { throw NotFound(key); }
        // In one order, whoever commits what to which name.
        var first = await LockAsync(string.CompareOrdinal(name, key) < 0 ? name : key, cancel).ConfigureAwait(false);
        try
        {
            var second = await LockAsync(string.CompareOrdinal(name, key) < 0 ? key : name, cancel).ConfigureAwait(false);
            try { return Commit(name, key, labels); }
            finally { second.RemoveAndDispose(); }
        }
        finally { first.RemoveAndDispose(); }
    }

    ContainerSnapshot Commit(string name, string key, IReadOnlyDictionary<string, string>? labels)
    {
        var record = Load(key);
        if (record.Kind != ContainerSnapshotKind.Active) { throw WrongKind(key, record.Kind, "Only an active one can be committed"); }
        if (Directory.Exists(Folder(name))) { throw Exists(name); }
        RefuseMounted(key);
        var folder = Folder(key);
        var (bytes, entries) = Measure(folder);
        record.Key = name;
        record.Kind = ContainerSnapshotKind.Committed;
        (record.Bytes, record.Entries) = (bytes, entries);
        record.CreatedAt = DateTimeOffset.UtcNow;
        if (labels is not null) { record.Labels = new Dictionary<string, string>(labels); }
        Folders.Replace(Path.Combine(folder, CommittedName), Write(record));
        // What was written there may be in memory only.
        SnapshotStore.SyncFileSystem(paths.Snapshots);
        // From here on it is committed: the record that fits the folder's name counts. A collector sees the one name or the other.
        using (FileLock.Take(paths.CollectionLock, shared: true)) { Rename(folder, Folder(name)); }
        if (Stdlib.rename(Path.Combine(Folder(name), CommittedName), Path.Combine(Folder(name), RecordName)) != 0) { throw Folders.Unavailable(Folder(name), null); }
        Folders.RemoveTree(Path.Combine(Folder(name), "work"));
        return Describe(record);
    }

    public IReadOnlyList<ContainerSnapshotMount> Mounts(string key)
    {
        if (SnapshotStore.IsLayerKey(key)) { throw WrongKind(key, ContainerSnapshotKind.Committed, "Make an active one or a view on it, which can be mounted"); }
        var record = Load(key);
        if (record.Kind == ContainerSnapshotKind.Committed) { throw WrongKind(key, record.Kind, "Make an active one or a view on it, which can be mounted"); }
        return [SnapshotDriver.Of(record.Snapshotter).Mount(Folder(key), record.Parent is null ? [] : Chain(record.Parent).Folders, record.Kind == ContainerSnapshotKind.Active)];
    }

    /// <summary>Mounts an active snapshot or a view on an existing folder of the host, without the rights and devices that it brings (nosuid, nodev).</summary>
    /// <exception cref="ContainerException"><c>SnapshotNotFound</c>, <c>SnapshotKindWrong</c>, <c>MountExists</c>, <c>MountFailed</c>.</exception>
    internal async Task<(string Path, bool Writable)> MountAsync(string key, string path, CancellationToken cancel)
    {
        engine.Containers.CheckFormat();
        Stat(key);
        // Nobody removes or commits it meanwhile.
        if (SnapshotStore.IsLayerKey(key)) { Mounts(key); }
        var held = await LockAsync(key, cancel).ConfigureAwait(false);
        try { return (await engine.Images.Mounts.MountSnapshotAsync(path, $"{ns}/{key}", Mounts(key)[0], cancel).ConfigureAwait(false), Load(key).Kind == ContainerSnapshotKind.Active); }
        finally { held.RemoveAndDispose(); }
    }

    public async Task RemoveAsync(string key, CancellationToken cancel = default)
    {
        engine.Containers.CheckFormat();
        if (SnapshotStore.IsLayerKey(key))
        {
            engine.Snapshots.RemoveLayer(key);
            return;
        }
        CheckKey(key);
        if (!Directory.Exists(Parent)) { throw NotFound(key); }
        var held = await LockAsync(key, cancel).ConfigureAwait(false);
        try
        {
            var trash = Path.Combine(Parent, ".del-" + Names.Random());
            using (FileLock.Take(paths.CollectionLock))
            {
                if (!Directory.Exists(Folder(key))) { throw NotFound(key); }
                RefuseMounted(key);
                if (Keys().FirstOrDefault(other => TryLoad(other)?.Parent == key) is { } child) { throw SnapshotStore.InUse(key, $"the snapshot '{child}' was made on it"); }
                if (Lease.OldestLiving(paths) is { } since && TryLoad(key)?.Kind == ContainerSnapshotKind.Committed && File.GetLastWriteTimeUtc(Path.Combine(Folder(key), RecordName)) >= since)
                {
                    throw SnapshotStore.InUse(key, "work in progress may need it");
                }
                Rename(Folder(key), trash);
            }
            SnapshotStore.RemoveUnfinished(trash);
        }
        finally { held.RemoveAndDispose(); }
    }

    public ContainerSnapshot Stat(string key)
    {
        engine.Containers.CheckFormat();
        return SnapshotStore.IsLayerKey(key) ? engine.Snapshots.StatLayer(key) : Describe(Load(key));
    }

    public IEnumerable<ContainerSnapshot> Walk()
    {
        engine.Containers.CheckFormat();
        foreach (var key in Keys())
        {
            if (TryLoad(key) is { } record) { yield return Describe(record); }
        }
        foreach (var layer in engine.Snapshots.Layers()) { yield return layer; }
    }

    public ContainerSnapshotUsage Usage(string key)
    {
        engine.Containers.CheckFormat();
        if (SnapshotStore.IsLayerKey(key)) { return engine.Snapshots.UsageOfLayer(key); }
        var record = Load(key);
        if (record.Kind == ContainerSnapshotKind.Committed) { return new ContainerSnapshotUsage(record.Bytes, record.Entries); }
        var (bytes, entries) = Measure(Folder(key));
        return new ContainerSnapshotUsage(bytes, entries);
    }

    /// <summary>Folders of a committed snapshot and of what lies under it, the topmost first, and the keys of the image's layers among them.</summary>
    /// <exception cref="ContainerException"><c>SnapshotNotFound</c>, <c>SnapshotKindWrong</c>.</exception>
    internal (List<string> Folders, List<string> Layers) Chain(string parent)
    {
        var folders = new List<string>();
        var layers = new List<string>();
        for (string? key = parent; key is not null;)
        {
            if (folders.Count > ImageGraph.MostLayers) { throw new ContainerException(ErrorIds.StoreDamaged, $"The parents of the snapshot '{parent}' go round in circles.", parent, ContainerErrorCategory.InvalidData); }
            if (SnapshotStore.IsLayerKey(key))
            {
                var layer = engine.Snapshots.LoadLayer(key);
                var name = SnapshotStore.KeyOf(Digest.Parse(key));
                folders.Add(engine.Snapshots.LayerFolder(name));
                layers.Add(name);
                key = layer.Parent;
                continue;
            }
            var record = Load(key);
            if (record.Kind != ContainerSnapshotKind.Committed) { throw WrongKind(key, record.Kind, "Only a committed one can be built on: Save-ContainerSnapshot commits it"); }
            folders.Add(SnapshotDriver.Upper(Folder(key)));
            key = SnapshotDriver.Of(record.Snapshotter).IsWhole ? null : record.Parent;
        }
        return (folders, layers);
    }

    // The caller's lease keeps all of it from now on.
    List<string> UseParent(string parent)
    {
        using var collecting = FileLock.Take(paths.CollectionLock, shared: true);
        var (folders, _) = Chain(parent);
        foreach (var folder in folders) { File.SetLastWriteTimeUtc(Path.Combine(Path.GetDirectoryName(folder)!, RecordName), DateTime.UtcNow); }
        return folders;
    }

    /// <summary>Keys of image layers that the snapshots of this container namespace need.</summary>
    internal IEnumerable<string> NeededLayers()
    {
        foreach (var key in Keys())
        {
            if (TryLoad(key)?.Parent is not { } parent) { continue; }
            List<string> layers = [];
            // One whose parents are gone keeps nothing; Stat and Mounts say what is wrong.
            try { layers = LayersBelow(parent); }
            catch (ContainerException e) when (e.Id is ErrorIds.SnapshotNotFound or ErrorIds.SnapshotKindWrong or ErrorIds.StoreDamaged) { }
            foreach (var layer in layers) { yield return layer; }
        }
    }

    // Down to the ground, also under a whole copy: a child keeps its parent.
    List<string> LayersBelow(string parent)
    {
        var layers = new List<string>();
        for (string? key = parent; key is not null && layers.Count <= ImageGraph.MostLayers;)
        {
            var isLayer = SnapshotStore.IsLayerKey(key);
            if (isLayer) { layers.Add(SnapshotStore.KeyOf(Digest.Parse(key))); }
            key = isLayer ? engine.Snapshots.LoadLayer(key).Parent : Load(key).Parent;
        }
        return layers;
    }

    /// <summary>Bytes of each; those that vanish meanwhile are left out.</summary>
    internal IEnumerable<long> Sizes()
    {
        foreach (var key in Keys())
        {
            long? size = null;
            try { size = Usage(key).Bytes; }
            catch (ContainerException e) when (e.Id is ErrorIds.SnapshotNotFound or ErrorIds.StoreDamaged) { }
            catch (LinuxException e) when (e.Errno == Libc.ENOENT) { }
            if (size is { } known) { yield return known; }
        }
    }

    internal IReadOnlyList<string> Keys() => ContainerStore.ChildNames(Parent);

    /// <summary>What was killed half-made or half-removed.</summary>
    internal IEnumerable<string> Abandoned() => Folders.Entries(Parent).Select(name => Path.Combine(Parent, name)).SelectMany(path =>
        Names.IsValid(Path.GetFileName(path)) ? BtrfsDriver.Abandoned(path) : SnapshotStore.IsAbandoned(path) ? [path] : []);

    void RefuseMounted(string key)
    {
        if (engine.Images.Mounts.Living().FirstOrDefault(mount => mount.Snapshot == $"{ns}/{key}") is { } mount) { throw SnapshotStore.InUse(key, $"it is mounted on '{mount.Path}'"); }
    }

    static (long Bytes, long Entries) Measure(string folder)
    {
        var fd = LinuxException.Check(Libc.open(SnapshotDriver.Upper(folder), Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_CLOEXEC), "open", folder);
        try { return FolderTree.Measure(fd); }
        finally { Libc.close(fd); }
    }

    NamedSnapshotRecord Load(string key) => TryLoad(CheckKey(key)) ?? throw NotFound(key);

    NamedSnapshotRecord? TryLoad(string key)
    {
        // A commit that was cut off after its rename has two records, and the one that fits the name counts.
        foreach (var name in new[] { RecordName, CommittedName })
        {
            var path = Path.Combine(Folder(key), name);
            if (Folders.Read(path, LongestRecord) is not { } content) { continue; }
            try
            {
                var record = JsonSerializer.Deserialize(content, ImageJson.Default.NamedSnapshotRecord);
                if (record?.Key == key && record.Namespace == ns) { return record; }
            }
            catch (JsonException e)
            {
                throw new ContainerException(ErrorIds.StoreDamaged, $"The record '{path}' cannot be read: {e.Message}. Remove its folder.", key, ContainerErrorCategory.InvalidData, e);
            }
        }
        return Directory.Exists(Folder(key)) ? throw new ContainerException(ErrorIds.StoreDamaged, $"The snapshot '{key}' has no record in '{Folder(key)}'. Remove that folder.", key, ContainerErrorCategory.InvalidData) : null;
    }

    ContainerSnapshot Describe(NamedSnapshotRecord record) => new()
    {
        Key = record.Key, ContainerNamespace = ns, Kind = record.Kind, Parent = record.Parent, Snapshotter = record.Snapshotter, Labels = record.Labels, CreatedAt = record.CreatedAt,
        Size = record.Kind == ContainerSnapshotKind.Committed ? record.Bytes : null, Entries = record.Kind == ContainerSnapshotKind.Committed ? record.Entries : null,
    };

    void Rename(string from, string to)
    {
        if (Stdlib.rename(from, to) != 0) { throw Folders.Unavailable(to, null); }
        Folders.Sync(Parent);
    }

    string Folder(string key) => paths.SnapshotFolder(ns, key);

    string LockPath(string key) => Path.Combine(Parent, ".lock-" + key);

    async Task<FileLock> LockAsync(string key, CancellationToken cancel)
    {
        Folders.Make(Parent);
        return await FileLock.TakeAsync(LockPath(key), cancel).ConfigureAwait(false);
    }

    static byte[] Write(NamedSnapshotRecord record) => JsonSerializer.SerializeToUtf8Bytes(record, ImageJson.Default.NamedSnapshotRecord);

    static string CheckKey(string key) => Names.IsValid(key) ? key : throw new ContainerException(ErrorIds.InvalidId,
        $"'{key}' is not the key of a snapshot: it begins with a letter or digit, goes on with letters, digits, '_', '.' or '-', and has at most {Names.Longest} characters; layers of images have their ChainID, sha256:….", key, ContainerErrorCategory.InvalidArgument);

    ContainerException NotFound(string key) => SnapshotStore.NotFound(key, ns);

    ContainerException Exists(string key) => new(ErrorIds.SnapshotExists, $"A snapshot '{key}' exists in container namespace '{ns}' already. Remove it with Remove-ContainerSnapshot, or choose another key.", key, ContainerErrorCategory.ResourceExists);

    static ContainerException WrongKind(string key, ContainerSnapshotKind kind, string cure) => new(ErrorIds.SnapshotKindWrong, $"The snapshot '{key}' is of kind {kind}. {cure}.", key, ContainerErrorCategory.InvalidOperation);
}
