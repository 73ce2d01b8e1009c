namespace Containers;

/// <summary>What a container has done to a file of its image, or of the root filesystem under its writable layer.</summary>
public enum ContainerChangeKind
{
    Added,
    Changed,
    Deleted,
}

/// <summary>One difference between a container and what it was made from.</summary>
public sealed class ContainerChange
{
    public required ContainerChangeKind Kind { get; init; }

    /// <summary>As the container sees it; what is no UTF-8 is replaced.</summary>
    public required string Path { get; init; }

    /// <summary><c>File</c>, <c>Folder</c>, <c>SymbolicLink</c>, <c>CharacterDevice</c>, <c>BlockDevice</c>, <c>Fifo</c> or <c>Socket</c>.</summary>
    public required string Type { get; init; }

    /// <summary>Bytes of a file.</summary>
    public required long Size { get; init; }

    public required string ContainerId { get; init; }
    public required string ContainerNamespace { get; init; }

    public override string ToString() => $"{Kind} {Path}";
}

/// <summary>The folders that a container's root is made of.</summary>
/// <param name="Folders">The topmost first.</param>
/// <param name="Writable">The topmost is a writable layer over the others; otherwise there is one folder, and the container writes into it.</param>
/// <param name="Copied">The writable layer began as a copy of the others, and has everything.</param>
sealed record ContainerTree(IReadOnlyList<string> Folders, bool Writable, bool Copied)
{
    /// <summary>What has everything together.</summary>
    internal IReadOnlyList<string> Whole => Copied ? [Folders[0]] : Folders;

    internal static ContainerTree Of(ContainerEngine engine, ContainerRecord record)
    {
        var below = Below(engine, record);
        var upper = SnapshotDriver.Upper(engine.Paths.OverlayFolder(record.Namespace, record.Id));
        var folders = record.Overlay ? [upper, .. below] : below;
        foreach (var folder in folders)
        {
            if (!Directory.Exists(folder))
            {
                throw new ContainerException(ErrorIds.RootfsNotFound, $"'{folder}', a part of the root filesystem of container '{record.Id}', is not there any more. Put it back, or remove the container.",
                    folder, ContainerErrorCategory.ObjectNotFound);
            }
        }
        return new ContainerTree(folders, record.Overlay, record.Overlay && SnapshotDriver.Of(record.Snapshotter).IsWhole);
    }

    /// <summary>What lies under the writable layer, or is the root itself; the topmost first.</summary>
    internal static List<string> Below(ContainerEngine engine, ContainerRecord record) =>
        record.Layers is null ? [record.RootfsPath!] : [.. record.Layers.AsEnumerable().Reverse().Select(engine.Snapshots.LayerFolder)];
}

public sealed partial class ContainerStore
{
    /// <summary>What a container has changed, folders before what they hold. The times of the root folder do not count.</summary>
    /// <exception cref="ContainerException"><c>ContainerNotFound</c>; <c>NotSupported</c>: it has no writable layer; <c>PackFailed</c> …</exception>
    public async Task<IReadOnlyList<ContainerChange>> CompareAsync(string id, string? containerNamespace = null, CancellationToken cancel = default)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        using var held = await LockAsync(ns, id, cancel).ConfigureAwait(false);
        var tree = ContainerTree.Of(engine, Load(ns, id));
        if (!tree.Writable)
        {
            throw new ContainerException(ErrorIds.NotSupported, $"The container '{id}' writes into its root filesystem itself, so there is nothing to compare it with. One from an image, or with -Overlay, has a layer of its own.",
                id, ContainerErrorCategory.NotImplemented);
        }
        var changes = new List<ContainerChange>();
        await Packer.ListAsync(engine, id, tree, change => changes.Add(new ContainerChange
        {
            Kind = Enum.Parse<ContainerChangeKind>(change.Kind!), Path = change.Path ?? "", Type = change.Type ?? "", Size = change.Size, ContainerId = id, ContainerNamespace = ns,
        }), cancel).ConfigureAwait(false);
        return changes;
    }

    /// <summary>Writes the root filesystem of a container into a tar archive, without what is mounted in it. The archive has mode 0600, and its name when it is whole.</summary>
    /// <param name="path">Absolute; replaced.</param>
    /// <exception cref="ContainerException"><c>ContainerNotFound</c>, <c>PackFailed</c>, <c>ExportFailed</c> …</exception>
    public async Task ExportAsync(string id, string path, string? containerNamespace = null, CancellationToken cancel = default)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        using var held = await LockAsync(ns, id, cancel).ConfigureAwait(false);
        var tree = ContainerTree.Of(engine, Load(ns, id));
        await Packer.ExportAsync(engine, id, tree, path, cancel).ConfigureAwait(false);
    }
}
