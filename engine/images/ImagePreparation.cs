namespace Containers;

public sealed partial class ImageStore
{
    /// <summary>What a container is made from: an image's settings, and its layers, which are unpacked now.</summary>
    internal sealed record Prepared(string Name, string Digest, string ManifestDigest, ImageRunRecord Settings, IReadOnlyList<string> Layers);

    /// <summary>Unpacks an image for a platform, where that was not done before, and pulls it first where the options say so. The caller holds a lease.</summary>
    internal async Task<Prepared> PrepareAsync(ContainerCreateOptions o, string ns, CancellationToken cancel)
    {
        var platform = o.Platform is null ? null : ImagePlatform.Parse(o.Platform);
        return await PrepareAsync(await PresentAsync(o, ns, platform, cancel).ConfigureAwait(false), ns, platform, o.Progress, cancel).ConfigureAwait(false);
    }

    /// <summary>The same for one that is there.</summary>
    internal async Task<Prepared> PrepareAsync(string name, string ns, ImagePlatform? platform, IProgress<ImageProgress>? progress, CancellationToken cancel)
    {
        var image = Find(name, ns);
        var manifest = ForPlatform(image, ImageIndexFile.NameOf(image) ?? image.Digest!, platform);
        var keys = await UnpackAsync(manifest, progress, cancel).ConfigureAwait(false);
        return new Prepared(ImageIndexFile.NameOf(image) ?? image.Digest!, image.Digest!, manifest.Descriptor.Digest!, manifest.Config!.Config ?? new ImageRunRecord(), keys);
    }

    /// <summary>The manifest for a platform, by default this host's; nothing else will do.</summary>
    /// <exception cref="ContainerException"><c>PlatformNotFound</c>.</exception>
    internal ImageManifest ForPlatform(Descriptor image, string name, ImagePlatform? platform)
    {
        var wanted = platform ?? ImagePlatform.Host;
        var manifests = graph.Manifests(image);
        return ImageGraph.Choose(manifests, wanted) ?? throw new ContainerException(ErrorIds.PlatformNotFound,
            $"The image '{name}' is not there for {wanted}, but for {(manifests.Count(m => m.IsImage) == 0 ? "no platform at all: it is no image to run" : string.Join(", ", manifests.Where(m => m.IsImage).Select(m => m.Platform.ToString())))}. Get it for this platform, or name another with -Platform.",
            name, ContainerErrorCategory.ObjectNotFound);
    }

    internal async Task<IReadOnlyList<string>> UnpackAsync(ImageManifest manifest, IProgress<ImageProgress>? progress, CancellationToken cancel)
    {
        var layers = LayersOf(manifest);
        foreach (var blob in manifest.Blobs)
        {
            var digest = Digest.Parse(blob.Digest);
            if (!engine.Content.Use(digest)) { throw ContentStore.NotFound(digest); }
        }
        engine.Content.Use(manifest.Digest);
        await engine.Snapshots.EnsureAsync(layers, null, Unpacking(progress), cancel).ConfigureAwait(false);
        return [.. layers.Select(l => l.Key)];
    }

    /// <summary>Unpacks what a pull brings while it brings it: what <see cref="CompleteAsync"/> then asks for is there.</summary>
    async Task UnpackArrivingAsync(Descriptor image, ImagePlatform? platform, BlobArrivals arrivals, IProgress<ImageProgress>? progress, CancellationToken cancel)
    {
        await arrivals.ConfigsAsync(cancel).ConfigureAwait(false);
        if (ImageGraph.Choose(graph.Manifests(image), platform ?? ImagePlatform.Host) is not { Manifest.Layers.Count: > 0 } manifest) { return; }
        var layers = LayersOf(manifest);
        if (layers.TrueForAll(layer => arrivals.Expects(layer.Blob))) { await engine.Snapshots.EnsureAsync(layers, layer => arrivals.Of(layer.Blob), Unpacking(progress), cancel).ConfigureAwait(false); }
    }

    static Action<SnapshotStore.Layer, long, bool> Unpacking(IProgress<ImageProgress>? progress) =>
        (layer, done, finished) => progress?.Report(new ImageProgress("Unpacking", layer.Blob.ToString(), done, layer.Size, finished));

    // CVE-2020-15157 began with the addresses of such layers: nobody is asked at them.
    internal static void RefuseForeign(Descriptor layer)
    {
        if (MediaTypes.IsForeign(layer.MediaType))
        {
            throw new ContainerException(ErrorIds.NotSupported, $"The layer {layer.Digest} is of type '{layer.MediaType}': foreign layers, whose bytes are elsewhere, are not fetched.", layer.Digest, ContainerErrorCategory.NotImplemented);
        }
    }

    /// <summary>The layers by what they are uncompressed. A layer without content elsewhere than here is refused by name.</summary>
    internal static List<SnapshotStore.Layer> LayersOf(ImageManifest manifest)
    {
        var config = manifest.Config ?? throw ContentStore.NotFound(Digest.Parse(manifest.Manifest.Config!.Digest));
        if (config.Rootfs is { Type: not (null or "" or "layers") }) { throw ImageGraph.Invalid(manifest.Digest, $"its root filesystem is of type '{config.Rootfs.Type}'"); }
        var diffIds = (config.Rootfs?.DiffIds ?? []).Select(Digest.Parse).ToList();
        var blobs = manifest.Manifest.Layers ?? [];
        if (blobs.Count != diffIds.Count) { throw ImageGraph.Invalid(manifest.Digest, $"it has {blobs.Count} layers, and its configuration names {diffIds.Count}"); }
        if (blobs.Count == 0) { throw ImageGraph.Invalid(manifest.Digest, "it has no layers, so there is nothing to run"); }
        foreach (var blob in blobs)
        {
            RefuseForeign(blob);
            if (!MediaTypes.IsLayer(blob.MediaType)) { throw new ContainerException(ErrorIds.NotSupported, $"The layer {blob.Digest} is of type '{blob.MediaType}': that is no layer that can be unpacked.", blob.Digest, ContainerErrorCategory.NotImplemented); }
        }
        return SnapshotStore.Chain([.. blobs.Select(b => (Digest.Parse(b.Digest), b.Size))], diffIds);
    }
}
