using System.Text.Json;
using System.Text.Json.Serialization;

namespace Containers;

/// <summary>A tenant name that keeps containers, tasks, images and snapshots apart from others'.</summary>
public sealed class ContainerNamespaceInfo
{
    public required string Name { get; init; }

    /// <summary>How many containers it has, with or without a task.</summary>
    public required int Containers { get; init; }

    public required int Tasks { get; init; }

    /// <summary>Names of images; two names of one image count twice.</summary>
    public required int Images { get; init; }

    /// <summary>Snapshots that somebody made; the layers of images are everybody's.</summary>
    public required int Snapshots { get; init; }

    public required int Volumes { get; init; }

    /// <summary>Null for one that nobody made and that is there because something is in it.</summary>
    public DateTimeOffset? CreatedAt { get; init; }

    public required IReadOnlyDictionary<string, string> Labels { get; init; }

    public override string ToString() => Name;
}

/// <summary>
/// The container namespaces of the store. One is there while something is in it, without having been made; one that was made is there until it is
/// removed.
/// </summary>
public sealed class ContainerNamespaces
{
    const int LongestRecord = 1 << 20;

    readonly ContainerEngine engine;
    readonly HostPaths paths;

    internal ContainerNamespaces(ContainerEngine engine)
    {
        this.engine = engine;
        paths = engine.Paths;
    }

    /// <summary>All there are, in the order of their names.</summary>
    public IReadOnlyList<string> ListNames()
    {
        engine.Containers.CheckFormat();
        return [.. ContainerStore.ChildNames(paths.AllContainers).Union(ContainerStore.ChildNames(paths.AllImages))
            // That folder stays with the last snapshot.
            .Union(ContainerStore.ChildNames(paths.NamedSnapshots).Where(name => ContainerStore.ChildNames(Path.Combine(paths.NamedSnapshots, name)).Count > 0))
            .Union(ContainerStore.ChildNames(paths.AllVolumes)).Union(ContainerStore.RunNamespaces(paths)).Order(StringComparer.Ordinal)];
    }

    /// <exception cref="ContainerException"><c>ContainerNamespaceNotFound</c>, <c>InvalidId</c>.</exception>
    public ContainerNamespaceInfo Get(string name) => ListNames().Contains(Names.Namespace(name)) ? Describe(name) : throw NotFound(name);

    /// <summary>All there are, in the order of their names.</summary>
    public IEnumerable<ContainerNamespaceInfo> List() => ListNames().Select(Describe);

    /// <summary>Makes one that is there also while nothing is in it.</summary>
    /// <exception cref="ContainerException"><c>ContainerNamespaceExists</c>: it was made already; <c>InvalidId</c>.</exception>
    public ContainerNamespaceInfo Make(string name, IReadOnlyDictionary<string, string>? labels = null)
    {
        Names.Namespace(name);
        engine.Containers.OpenForWriting();
        var record = new NamespaceRecord { CreatedAt = DateTimeOffset.UtcNow, Labels = new(labels ?? new Dictionary<string, string>()) };
        var content = JsonSerializer.SerializeToUtf8Bytes(record, NamespaceJson.Default.NamespaceRecord);
        var path = paths.NamespaceRecord(name);
        for (var attempt = 1; ; attempt++)
        {
            Folders.Make(paths.NamespaceFolder(name));
            var temporary = Path.Combine(paths.NamespaceFolder(name), "namespace.json.new-" + Names.Random());
            try
            {
                Folders.WriteNew(temporary, content);
                // Not by rename, which would replace one that somebody else has just made.
                if (Mono.Unix.Native.Syscall.link(temporary, path) == 0)
                {
                    Folders.Sync(paths.NamespaceFolder(name));
                    return Describe(name);
                }
                if (Mono.Unix.Native.Stdlib.GetLastError() == Mono.Unix.Native.Errno.EEXIST)
                {
                    throw new ContainerException(ErrorIds.ContainerNamespaceExists, $"The container namespace '{name}' exists already. Use it as it is, or remove it first.", name, ContainerErrorCategory.ResourceExists);
                }
                throw Folders.Unavailable(path, null);
            }
            // The folder goes with the last container in it, which may be now.
            catch (DirectoryNotFoundException) when (attempt < 16) { }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException) { throw Folders.Unavailable(path, e); }
            finally { Mono.Unix.Native.Syscall.unlink(temporary); }
        }
    }

    /// <summary>Removes one.</summary>
    /// <param name="force">With all that is in it: tasks are killed, and containers, images, snapshots and volumes go for good.</param>
    /// <exception cref="ContainerException"><c>ContainerNamespaceNotFound</c>, <c>InvalidId</c>; <c>ContainerNamespaceNotEmpty</c> without <paramref name="force"/>.</exception>
    public async Task RemoveAsync(string name, bool force = false, CancellationToken cancel = default)
    {
        var found = Get(name);
        if (!force && found is not { Containers: 0, Tasks: 0, Images: 0, Snapshots: 0, Volumes: 0 })
        {
            throw new ContainerException(ErrorIds.ContainerNamespaceNotEmpty,
                $"The container namespace '{name}' has {found.Containers} containers, {found.Tasks} tasks, {found.Images} images, {found.Snapshots} snapshots and {found.Volumes} volumes. Remove those first, or use -Force: they go for good.",
                name, ContainerErrorCategory.ResourceBusy);
        }
        foreach (var id in engine.Containers.ListIds(name))
        {
            try { await engine.Containers.RemoveAsync(id, force: true, name, cancel).ConfigureAwait(false); }
            catch (ContainerException e) when (e.Id == ErrorIds.ContainerNotFound) { } // gone meanwhile
        }
        foreach (var image in engine.Images.List(name).ToList()) { engine.Images.Remove(image.Reference ?? image.Digest, force: true, name); }
        await RemoveSnapshotsAsync(name, cancel).ConfigureAwait(false);
        foreach (var volume in engine.Volumes.ListNames(name))
        {
            try { await engine.Volumes.RemoveAsync(volume, name, cancel).ConfigureAwait(false); }
            catch (ContainerException e) when (e.Id == ErrorIds.VolumeNotFound) { } // gone meanwhile
        }
        Mono.Unix.Native.Syscall.unlink(paths.NamespaceRecord(name));
        Folders.RemoveIfEmpty(paths.NamespaceFolder(name));
        Folders.RemoveIfEmpty(Path.Combine(paths.NamedSnapshots, name));
        Folders.RemoveTree(paths.EventFolder(name));
    }

    // Those that nothing builds on first, until none is left or none can go.
    async Task RemoveSnapshotsAsync(string name, CancellationToken cancel)
    {
        var snapshotter = engine.Snapshots.Snapshotter(null, name);
        ContainerException? held = null;
        for (var removed = true; removed;)
        {
            removed = false;
            held = null;
            foreach (var snapshot in snapshotter.Walk().Where(one => !one.IsImageLayer).ToList())
            {
                try
                {
                    await snapshotter.RemoveAsync(snapshot.Key, cancel).ConfigureAwait(false);
                    removed = true;
                }
                catch (ContainerException e) when (e.Id == ErrorIds.SnapshotInUse) { held = e; }
            }
        }
        if (held is not null) { throw held; }
    }

    ContainerNamespaceInfo Describe(string name)
    {
        var record = Load(name);
        return new ContainerNamespaceInfo
        {
            Name = name,
            Containers = ContainerStore.ChildNames(paths.NamespaceFolder(name)).Count,
            Tasks = ContainerStore.ChildNames(paths.RunNamespaceFolder(name)).Count,
            Images = engine.Images.ListNames(name).Count,
            Snapshots = ContainerStore.ChildNames(Path.Combine(paths.NamedSnapshots, name)).Count,
            Volumes = engine.Volumes.ListNames(name).Count,
            CreatedAt = record?.CreatedAt,
            Labels = record?.Labels ?? [],
        };
    }

    NamespaceRecord? Load(string name)
    {
        var path = paths.NamespaceRecord(name);
        if (Folders.Read(path, LongestRecord) is not { } content) { return null; }
        try { return JsonSerializer.Deserialize(content, NamespaceJson.Default.NamespaceRecord); }
        catch (JsonException e)
        {
            throw new ContainerException(ErrorIds.StoreDamaged, $"The record '{path}' cannot be read: {e.Message}. Restore it, or remove the file: the labels of the container namespace go with it.",
                name, ContainerErrorCategory.InvalidData, e);
        }
    }

    static ContainerException NotFound(string name) => new(ErrorIds.ContainerNamespaceNotFound,
        $"There is no container namespace '{name}'. Get-ContainerNamespace lists those that are there; one comes with the first thing in it.", name, ContainerErrorCategory.ObjectNotFound);
}

/// <summary><c>namespace.json</c>.</summary>
sealed class NamespaceRecord
{
    public int Version { get; set; } = 1;
    public required DateTimeOffset CreatedAt { get; set; }
    public Dictionary<string, string> Labels { get; set; } = [];
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true)]
[JsonSerializable(typeof(NamespaceRecord))]
sealed partial class NamespaceJson : JsonSerializerContext;
