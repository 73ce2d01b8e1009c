using System.Text.Json;

namespace Containers;

/// <summary>A manifest for one platform, with all that is needed to run or to copy it.</summary>
sealed record ImageManifest(Descriptor Descriptor, ManifestRecord Manifest, ImagePlatform Platform, ImageConfigRecord? Config, bool IsImage)
{
    internal Digest Digest => Digest.Parse(Descriptor.Digest);
    internal IEnumerable<Descriptor> Blobs => [Manifest.Config!, .. Manifest.Layers ?? []];
}

/// <summary>
/// Walks from a descriptor to manifests, configurations and layers. Everything is an attacker's: sizes, depth and number are limited, and a
/// document counts only as what its media type says it is.
/// </summary>
sealed class ImageGraph(ContentStore content)
{
    internal const int LargestManifest = 4 << 20;
    internal const int LargestConfig = 8 << 20;
    internal const int Deepest = 8;
    internal const int MostManifests = 2000;
    internal const int MostLayers = 1000;

    /// <summary>Every manifest below the descriptor whose content is there; what is missing is told by <paramref name="missing"/>.</summary>
    internal List<ImageManifest> Manifests(Descriptor root, List<Digest>? missing = null, List<Digest>? documents = null)
    {
        var found = new List<ImageManifest>();
        Walk(root, 0, [], found, missing, documents);
        return found;
    }

    void Walk(Descriptor descriptor, int depth, HashSet<Digest> seen, List<ImageManifest> found, List<Digest>? missing, List<Digest>? documents)
    {
        var digest = Digest.Parse(descriptor.Digest);
        if (depth > Deepest) { throw Invalid(digest, $"indexes lie more than {Deepest} deep in one another"); }
        if (!seen.Add(digest)) { return; }
        if (seen.Count > MostManifests) { throw Invalid(digest, $"there are more than {MostManifests} manifests"); }
        if (content.Find(digest) is null)
        {
            missing?.Add(digest);
            return;
        }
        documents?.Add(digest);
        var record = Read(descriptor);
        if (record.Manifests is { } manifests)
        {
            foreach (var child in manifests)
            {
                // An index may list what is neither, such as an artifact of another kind: it is kept with the index and not looked into.
                if (MediaTypes.IsIndex(child.MediaType) || MediaTypes.IsManifest(child.MediaType) || MediaTypes.IsSchema1(child.MediaType) || child.MediaType is null) { Walk(child, depth + 1, seen, found, missing, documents); }
            }
            return;
        }
        found.Add(Describe(descriptor, record));
    }

    ImageManifest Describe(Descriptor descriptor, ManifestRecord record)
    {
        var config = Digest.Parse(record.Config!.Digest);
        var isImage = MediaTypes.IsConfig(record.Config.MediaType) && record.ArtifactType is null or "" or MediaTypes.Config
            && descriptor.Annotations?.GetValueOrDefault("vnd.docker.reference.type") != "attestation-manifest";
        ImageConfigRecord? settings = null;
        if (isImage && content.Find(config) is not null)
        {
            try { settings = JsonSerializer.Deserialize(content.ReadSmall(config, LargestConfig), ImageJson.Default.ImageConfigRecord); }
            catch (JsonException e) { throw Invalid(config, "its configuration cannot be read: " + e.Message); }
        }
        var platform = descriptor.Platform is { } p ? ImagePlatform.Normal(p.Os, p.Architecture, p.Variant)
            : ImagePlatform.Normal(settings?.Os, settings?.Architecture, settings?.Variant);
        return new ImageManifest(descriptor, record, platform, settings, isImage);
    }

    /// <summary>A manifest or an index, checked.</summary>
    internal ManifestRecord Read(Descriptor descriptor)
    {
        var digest = Digest.Parse(descriptor.Digest);
        return Check(digest, descriptor.MediaType, content.ReadSmall(digest, LargestManifest));
    }

    internal static ManifestRecord Check(Digest digest, string? mediaType, byte[] document)
    {
        ManifestRecord? record;
        try { record = JsonSerializer.Deserialize(document, ImageJson.Default.ManifestRecord); }
        catch (JsonException e) { throw Invalid(digest, "its manifest cannot be read: " + e.Message); }
        if (record is null) { throw Invalid(digest, "its manifest is null"); }
        if (MediaTypes.IsSchema1(mediaType) || record.SchemaVersion == 1 || record.FsLayers is not null)
        {
            throw new ContainerException(ErrorIds.NotSupported, $"The image {digest} is in docker's schema 1, which nobody has written since 2017 and which cannot be verified. Build or convert it again.",
                digest.ToString(), ContainerErrorCategory.NotImplemented);
        }
        if (record.SchemaVersion != 2) { throw Invalid(digest, "its manifest has no schemaVersion 2"); }
        // One document as index and manifest means different things to different readers.
        if (record.Manifests is not null && (record.Config is not null || record.Layers is not null)) { throw Invalid(digest, "it is index and manifest at once"); }
        if (record.MediaType is { Length: > 0 } own && mediaType is { Length: > 0 } && own != mediaType) { throw Invalid(digest, $"it says that it is {own}, and is named as {mediaType}"); }
        var type = record.MediaType is { Length: > 0 } ? record.MediaType : mediaType;
        if (record.Manifests is not null ? MediaTypes.IsManifest(type) : MediaTypes.IsIndex(type)) { throw Invalid(digest, $"it is not the {type} that it says it is"); }
        if (record.Manifests is null && record.Config is null) { throw Invalid(digest, "its manifest has no configuration"); }
        if (record.Layers?.Count > MostLayers) { throw Invalid(digest, $"it has more than {MostLayers} layers"); }
        foreach (var part in (IEnumerable<Descriptor>)[.. record.Manifests ?? [], .. record.Layers ?? []])
        {
            if (part is null) { throw Invalid(digest, "a descriptor is null"); }
            Digest.Parse(part.Digest);
            if (part.Size < 0) { throw Invalid(digest, "a size is negative"); }
        }
        return record;
    }

    /// <summary>What a descriptor brings along (image-spec, descriptor.md: <c>data</c>); null when it brings nothing.</summary>
    /// <exception cref="ContainerException"><c>ImageInvalid</c>: it is not what the descriptor describes.</exception>
    internal static byte[]? Embedded(Descriptor descriptor)
    {
        if (descriptor.Data is not { } data) { return null; }
        var digest = Digest.Parse(descriptor.Digest);
        var buffer = new byte[data.Length];
        if (!Convert.TryFromBase64String(data, buffer, out var length) || length != descriptor.Size || Digest.Of(digest.Algorithm, buffer.AsSpan(0, length)) != digest) { throw Invalid(digest, "the data in its descriptor is not what the descriptor says"); }
        return buffer[..length];
    }

    /// <summary>The manifest that fits the platform best.</summary>
    internal static ImageManifest? Choose(IEnumerable<ImageManifest> manifests, ImagePlatform platform)
    {
        ImageManifest? best = null;
        var distance = int.MaxValue;
        foreach (var manifest in manifests)
        {
            if (manifest.IsImage && platform.Distance(manifest.Platform) is { } d && d < distance) { (best, distance) = (manifest, d); }
        }
        return best;
    }

    internal static ContainerException Invalid(Digest digest, string why) => new(ErrorIds.ImageInvalid, $"The image {digest} is malformed: {why}.", digest.ToString(), ContainerErrorCategory.InvalidData);
}
