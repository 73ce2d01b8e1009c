namespace Containers;

/// <summary>How images are imported.</summary>
public sealed class ImageImportOptions
{
    /// <summary>The name, in place of those in the archive, which then has one image.</summary>
    public string? Reference { get; set; }

    public string? ContainerNamespace { get; set; }

    /// <summary>What has to be there, and is unpacked; this host's by default, or else what is there.</summary>
    public string? Platform { get; set; }

    /// <summary>Leaves unpacking to the first container.</summary>
    public bool NoUnpack { get; set; }
}

public sealed partial class ImageStore
{
    /// <summary>Brings the images of an OCI layout or a docker-archive into the store. Nobody sees an image before it is whole.</summary>
    /// <param name="path">Absolute; a folder, or an archive: plain, gzip or zstd.</param>
    /// <exception cref="ContainerException"><c>ArchiveNotFound</c>, <c>ArchiveInvalid</c>, <c>ImageInvalid</c>, <c>DigestMismatch</c>, <c>PlatformNotFound</c>, <c>LayerInvalid</c> …</exception>
    public async Task<IReadOnlyList<ContainerImage>> ImportAsync(string path, ImageImportOptions options, IProgress<ImageProgress>? progress = null, CancellationToken cancel = default)
    {
        var ns = engine.NamespaceOr(options.ContainerNamespace);
        var platform = options.Platform is null ? null : ImagePlatform.Parse(options.Platform);
        var name = options.Reference is null ? null : Nameable(options.Reference);
        engine.Containers.OpenForWriting();
        return await WholeAsync<IReadOnlyList<ContainerImage>>(async () =>
        {
            var found = await new ImageArchive(engine, progress).ReadAsync(path, cancel).ConfigureAwait(false);
            if (name is not null && found.Select(f => f.Descriptor.Digest).Distinct().Count() > 1)
            {
                throw new ContainerException(ErrorIds.InvalidArgument, $"'{path}' has {found.Count} images, and -Reference names one. Leave it out, and tag them after that.", path, ContainerErrorCategory.InvalidArgument);
            }
            if (name is not null) { found = [new ImageArchive.Found(name, found[0].Descriptor)]; }
            foreach (var image in found) { await CompleteAsync(image.Descriptor, image.Name ?? path, platform, !options.NoUnpack, progress, cancel).ConfigureAwait(false); }
            return [.. found.Select(image => Describe(Put(ns, image.Descriptor, image.Name, replace: true), ns, platform))];
        }).ConfigureAwait(false);
    }

    /// <summary>Makes an image of one layer from a root filesystem: a folder, or an archive (plain, gzip or zstd). It names no program to run.</summary>
    /// <param name="path">Absolute.</param>
    /// <param name="options"><see cref="ImageImportOptions.Reference"/> is needed; the platform is what the image says it is for, this host's by default.</param>
    /// <exception cref="ContainerException"><c>ArchiveNotFound</c>, <c>ArchiveInvalid</c>, <c>LayerInvalid</c>, <c>PackFailed</c> …</exception>
    public async Task<ContainerImage> ImportRootfsAsync(string path, ImageImportOptions options, IProgress<ImageProgress>? progress = null, CancellationToken cancel = default)
    {
        var ns = engine.NamespaceOr(options.ContainerNamespace);
        var platform = options.Platform is null ? ImagePlatform.Host : ImagePlatform.Parse(options.Platform);
        var name = Nameable(options.Reference ?? "");
        engine.Containers.OpenForWriting();
        return await WholeAsync(async () =>
        {
            var image = await new ImageArchive(engine, progress).FromRootfsAsync(path, platform, cancel).ConfigureAwait(false);
            // What is no archive of files shows itself here, so without unpacking it is not taken.
            await CompleteAsync(image, name, platform, unpack: true, progress, cancel).ConfigureAwait(false);
            return Describe(Put(ns, image, name, replace: true), ns, platform);
        }).ConfigureAwait(false);
    }

    // Under a lease; what a failed import has stored is freed at once.
    async Task<T> WholeAsync<T>(Func<Task<T>> import)
    {
        try
        {
            using var lease = Lease.Take(paths);
            return await import().ConfigureAwait(false);
        }
        catch
        {
            // The import's own failure is what counts; the next collection frees what this one cannot.
            try { engine.Storage.Collect(); }
            catch (ContainerException) { }
            throw;
        }
    }

    // All of one platform at least has to be there: the wanted one, this host's, or any.
    async Task CompleteAsync(Descriptor image, string name, ImagePlatform? platform, bool unpack, IProgress<ImageProgress>? progress, CancellationToken cancel)
    {
        var missing = new List<Digest>();
        var manifests = graph.Manifests(image, missing);
        var whole = manifests.Where(m => m.Blobs.All(b => engine.Content.Find(Digest.Parse(b.Digest)) is { } content && content.Size == b.Size)).ToList();
        if (whole.Count == 0)
        {
            foreach (var layer in manifests.SelectMany(m => m.Manifest.Layers ?? [])) { RefuseForeign(layer); }
            missing.AddRange(manifests.SelectMany(m => m.Blobs).Select(b => Digest.Parse(b.Digest)).Where(d => engine.Content.Find(d) is null));
            throw missing.Count > 0 ? new ContainerException(ErrorIds.ContentNotFound, $"The image '{name}' is incomplete: {missing[0]} is missing{(missing.Count > 1 ? $", and {missing.Count - 1} more" : "")}.", name, ContainerErrorCategory.ObjectNotFound)
                : ImageGraph.Invalid(Digest.Parse(image.Digest), "sizes of its content are not those that it names, or it lists nothing");
        }
        var chosen = platform is null ? ImageGraph.Choose(whole, ImagePlatform.Host) : ForPlatform(image, name, platform);
        if (platform is not null && !whole.Exists(m => m.Digest == chosen!.Digest)) { throw ContentStore.NotFound(chosen!.Digest); }
        foreach (var manifest in whole.Where(m => m.IsImage && m.Manifest.Layers is { Count: > 0 })) { LayersOf(manifest); }
        if (unpack && chosen?.Manifest.Layers is { Count: > 0 }) { await UnpackAsync(chosen, progress, cancel).ConfigureAwait(false); }
    }
}
