namespace Containers;

public sealed partial class ContainerVolumes
{
    /// <summary>Writes the files of a volume into a tar archive, which has mode 0600, and its name when it is whole. Programs that write to the volume meanwhile go on.</summary>
    /// <param name="path">Absolute; replaced. With gzip when it ends in <c>.gz</c> or <c>.tgz</c>.</param>
    /// <exception cref="ContainerException"><c>VolumeNotFound</c>, <c>InvalidId</c>; <c>NotSupported</c>: it is no folder of this host; <c>PackFailed</c>, <c>ExportFailed</c> …</exception>
    public async Task ExportAsync(string name, string path, string? containerNamespace = null, CancellationToken cancel = default)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        using var held = await FileLock.TakeExistingAsync(Path.Combine(paths.VolumeFolder(ns, Names.Volume(name)), "lock"), cancel).ConfigureAwait(false) ?? throw NotFound(name, ns);
        var record = Load(ns, name) ?? throw NotFound(name, ns);
        if (!record.IsFolder)
        {
            throw new ContainerException(ErrorIds.NotSupported, $"The volume '{name}' is of type {record.Type}, which only a container mounts. Use tar in a container that has it.", name, ContainerErrorCategory.NotImplemented);
        }
        await Packer.ExportAsync(engine, name, new ContainerTree([DataFolder(record)], Writable: false, Copied: false), path, cancel).ConfigureAwait(false);
    }

    /// <summary>Makes a volume with the files of a tar archive, plain or compressed by gzip or zstd: all of them, or no volume. The archive may come from strangers: docs/unpack.md.</summary>
    /// <param name="path">Absolute.</param>
    /// <exception cref="ContainerException">As <see cref="Create"/>; <c>ArchiveNotFound</c>, <c>LayerInvalid</c>, <c>LayerTooLarge</c>, <c>UnpackFailed</c> …</exception>
    public Task<ContainerVolume> ImportAsync(string path, ContainerVolumeOptions options, CancellationToken cancel = default)
    {
        if (options.Options is { Count: > 0 }) { throw new ContainerException(ErrorIds.InvalidArgument, "An archive is unpacked into a folder of the store: leave the options out.", options.Name, ContainerErrorCategory.InvalidArgument); }
        if (!File.Exists(path)) { throw new ContainerException(ErrorIds.ArchiveNotFound, $"There is no file '{path}'. Check the path.", path, ContainerErrorCategory.ObjectNotFound); }
        return CreateAsync(options, data => Unpacker.RunAsync(engine, path, data, cancel));
    }
}
