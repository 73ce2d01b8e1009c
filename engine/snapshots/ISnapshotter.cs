namespace Containers;

/// <summary>What a snapshot is for: containerd's words.</summary>
public enum ContainerSnapshotKind
{
    /// <summary>Can be mounted and written to.</summary>
    Active,

    /// <summary>Can be mounted, and only read.</summary>
    View,

    /// <summary>Stands still: others are made on it.</summary>
    Committed,
}

/// <summary>One mount that makes a snapshot visible, in the words of mount(8).</summary>
/// <param name="Type"><c>overlay</c> or <c>bind</c>.</param>
/// <param name="Options">As they are; a backslash or colon of a path in <c>lowerdir</c> is escaped.</param>
public sealed record ContainerSnapshotMount(string Type, string Source, IReadOnlyList<string> Options)
{
    public override string ToString() => $"{Type} {Source} {string.Join(',', Options)}";
}

/// <summary>What a snapshot takes.</summary>
/// <param name="Bytes">Blocks on disk of what it has over its parent; of an image's layer the bytes of its files.</param>
/// <param name="Entries">Things with an inode of their own; of an image's layer the entries of its archive.</param>
public sealed record ContainerSnapshotUsage(long Bytes, long Entries);

/// <summary>A layer, or a writable or readable state on top of layers.</summary>
public sealed class ContainerSnapshot
{
    /// <summary>A name, or for a layer of an image its ChainID (image-spec, config.md).</summary>
    public required string Key { get; init; }

    /// <summary>Null for layers of images, which all container namespaces share.</summary>
    public string? ContainerNamespace { get; init; }

    public required ContainerSnapshotKind Kind { get; init; }

    /// <summary>The key of what lies below; null for nothing.</summary>
    public string? Parent { get; init; }

    /// <summary>The driver that has made it: one of <see cref="SnapshotStore.Snapshotters"/>.</summary>
    public required string Snapshotter { get; init; }

    public IReadOnlyDictionary<string, string> Labels { get; init; } = new Dictionary<string, string>();
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>Bytes of one that is committed; null for the others, whose size is measured when it is asked for.</summary>
    public long? Size { get; init; }

    /// <summary>How many things it has; as <see cref="Size"/>.</summary>
    public long? Entries { get; init; }

    /// <summary>Made when an image was unpacked.</summary>
    public bool IsImageLayer => ContainerNamespace is null;

    public override string ToString() => Key;
}

/// <summary>
/// The contract of a driver for snapshots. Keys are names in a container namespace (<see cref="Names"/>); a parent is a committed snapshot of the
/// same namespace, or a layer of an image by its ChainID. What was made is whole, on disk and visible at once, or not there at all.
/// </summary>
public interface ISnapshotter
{
    /// <summary>One of <see cref="SnapshotStore.Snapshotters"/>.</summary>
    string Name { get; }

    /// <summary>Makes a writable snapshot.</summary>
    /// <exception cref="ContainerException"><c>SnapshotExists</c>, <c>SnapshotNotFound</c> (of the parent), <c>SnapshotKindWrong</c>, <c>InvalidId</c> …</exception>
    Task<ContainerSnapshot> PrepareAsync(string key, string? parent = null, IReadOnlyDictionary<string, string>? labels = null, CancellationToken cancel = default);

    /// <summary>Makes one that is only read.</summary>
    /// <exception cref="ContainerException">As <see cref="PrepareAsync"/>.</exception>
    Task<ContainerSnapshot> ViewAsync(string key, string? parent = null, IReadOnlyDictionary<string, string>? labels = null, CancellationToken cancel = default);

    /// <summary>Makes a committed snapshot of an active one, which is gone then.</summary>
    /// <param name="labels">In place of those that the active one had; null keeps them.</param>
    /// <exception cref="ContainerException"><c>SnapshotNotFound</c>, <c>SnapshotKindWrong</c>; <c>SnapshotExists</c>: of the name; <c>SnapshotInUse</c>: it is mounted.</exception>
    Task<ContainerSnapshot> CommitAsync(string name, string key, IReadOnlyDictionary<string, string>? labels = null, CancellationToken cancel = default);

    /// <summary>How an active snapshot or a view is mounted.</summary>
    /// <exception cref="ContainerException"><c>SnapshotNotFound</c>; <c>SnapshotKindWrong</c>: it is committed.</exception>
    IReadOnlyList<ContainerSnapshotMount> Mounts(string key);

    /// <summary>Removes one that nothing builds on and that is mounted nowhere.</summary>
    /// <exception cref="ContainerException"><c>SnapshotNotFound</c>, <c>SnapshotInUse</c>.</exception>
    Task RemoveAsync(string key, CancellationToken cancel = default);

    /// <exception cref="ContainerException"><c>SnapshotNotFound</c>.</exception>
    ContainerSnapshot Stat(string key);

    /// <summary>All snapshots of the container namespace in the order of their keys, and then the layers of images.</summary>
    IEnumerable<ContainerSnapshot> Walk();

    /// <exception cref="ContainerException"><c>SnapshotNotFound</c>.</exception>
    ContainerSnapshotUsage Usage(string key);
}
