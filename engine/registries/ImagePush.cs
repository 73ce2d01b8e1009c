using System.Text.Json;

namespace Containers;

/// <summary>Brings one image to a registry: blobs beside one another, then manifests from the bottom up, so that nobody finds one whose parts are missing.</summary>
sealed class ImagePush(ContainerEngine engine, RegistryClient client, RegistryOptions options, Func<Digest, string?> otherRepository)
{
    readonly List<(Descriptor Descriptor, ManifestRecord Record)> documents = [];
    readonly Dictionary<string, Descriptor> blobs = new(StringComparer.Ordinal);
    int sent;

    /// <param name="tag">What the image is to be called there.</param>
    internal async Task<ContainerImagePush> RunAsync(ImageReference target, Descriptor root, string tag, CancellationToken cancel)
    {
        Collect(root, 0, target.ToString());
        var bytes = await Together.RunAsync([.. blobs.Values], options.Parallel, BlobAsync, cancel).ConfigureAwait(false);
        foreach (var (descriptor, record) in documents)
        {
            var digest = Digest.Parse(descriptor.Digest);
            var content = engine.Content.ReadSmall(digest, RegistryLimits.Manifest);
            var type = descriptor.MediaType ?? record.MediaType ?? (record.Manifests is null ? MediaTypes.Manifest : MediaTypes.Index);
            var listed = await client.PutManifestAsync(descriptor.Digest == root.Digest ? tag : descriptor.Digest!, content, type, cancel).ConfigureAwait(false);
            if (record.Subject is { } subject && !listed) { await Referrers.AddAsync(client, Digest.Parse(subject.Digest), Referrers.Of(digest, content.Length, type, record), cancel).ConfigureAwait(false); }
        }
        return new ContainerImagePush { Reference = target.ToString(), Digest = root.Digest!, Sent = sent, Skipped = blobs.Count - sent, SentBytes = bytes };
    }

    void Collect(Descriptor descriptor, int depth, string name)
    {
        var digest = Digest.Parse(descriptor.Digest);
        if (depth > ImageGraph.Deepest) { throw ImageGraph.Invalid(digest, $"indexes lie more than {ImageGraph.Deepest} deep in one another"); }
        if (documents.Exists(d => d.Descriptor.Digest == descriptor.Digest)) { return; }
        if (!engine.Content.Use(digest)) { throw Partial(name, digest); }
        var record = engine.Images.Graph.Read(descriptor);
        foreach (var child in record.Manifests ?? [])
        {
            if (child.MediaType is not null && !MediaTypes.IsIndex(child.MediaType) && !MediaTypes.IsManifest(child.MediaType))
            {
                throw new ContainerException(ErrorIds.NotSupported, $"The index {digest} lists {child.Digest} of type '{RegistryErrors.Printable(child.MediaType)}', which is no manifest that is known here. Name a platform with -Platform.", name, ContainerErrorCategory.NotImplemented);
            }
            Collect(child, depth + 1, name);
        }
        if (record.Manifests is null)
        {
            foreach (var blob in (IEnumerable<Descriptor>)[record.Config!, .. record.Layers ?? []])
            {
                var own = Digest.Parse(blob.Digest);
                if (!engine.Content.Use(own)) { throw Partial(name, own); }
                blobs[blob.Digest!] = blob;
            }
        }
        documents.Add((descriptor, record));
    }

    static ContainerException Partial(string name, Digest digest) => new(ErrorIds.ContentNotFound,
        $"Not all of '{name}' is in the store: {digest} is missing. Name a platform that is there with -Platform, or get all of them with Receive-ContainerImage -AllPlatforms.", name, ContainerErrorCategory.ObjectNotFound);

    async Task<long> BlobAsync(Descriptor blob, CancellationToken cancel)
    {
        var digest = Digest.Parse(blob.Digest);
        var size = engine.Content.Find(digest)?.Size ?? throw ContentStore.NotFound(digest);
        void Tell(long done, bool end) => options.Progress?.Report(new ImageProgress("Uploading", digest.ToString(), done, size, end));
        var was = await new BlobUpload(engine, client, digest, size, done => Tell(done, false)).RunAsync(otherRepository(digest), cancel).ConfigureAwait(false);
        Tell(size, true);
        if (!was) { return 0; }
        Interlocked.Increment(ref sent);
        return size;
    }
}

/// <summary>What refers to an image, for registries that do not keep count (distribution-spec, "Referrers Tag Schema").</summary>
static class Referrers
{
    internal static string TagOf(Digest subject) => $"{subject.Algorithm}-{subject.Hex[..64]}";

    internal static Descriptor Of(Digest digest, long size, string type, ManifestRecord record) => new()
    {
        MediaType = type, Digest = digest.ToString(), Size = size, ArtifactType = record.ArtifactType is { Length: > 0 } own ? own : record.Config?.MediaType, Annotations = record.Annotations,
    };

    internal static Task AddAsync(RegistryClient client, Digest subject, Descriptor referrer, CancellationToken cancel) =>
        ChangeAsync(client, subject, list => !list.Exists(d => d.Digest == referrer.Digest) && Add(list, referrer), cancel);

    internal static Task RemoveAsync(RegistryClient client, Digest subject, string digest, CancellationToken cancel) =>
        ChangeAsync(client, subject, list => list.RemoveAll(d => d.Digest == digest) > 0, cancel);

    /// <summary>What refers to it, by the registry's list or by the tag that stands for one.</summary>
    internal static async Task<List<Descriptor>> FindAsync(RegistryClient client, Digest subject, string? artifactType, CancellationToken cancel)
    {
        var found = await client.ReferrersAsync(subject, artifactType, cancel).ConfigureAwait(false) ?? await TaggedAsync(client, subject, cancel).ConfigureAwait(false);
        // A registry need not filter.
        return artifactType is null ? found : found.FindAll(d => d.ArtifactType == artifactType);
    }

    static async Task<List<Descriptor>> TaggedAsync(RegistryClient client, Digest subject, CancellationToken cancel)
    {
        try { return RegistryClient.Descriptors(subject, (await client.ManifestAsync(TagOf(subject), cancel).ConfigureAwait(false)).Content); }
        catch (ContainerException e) when (e.Id == ErrorIds.ImageNotFound) { return []; }
    }

    static bool Add(List<Descriptor> list, Descriptor one)
    {
        list.Add(one);
        return true;
    }

    static async Task ChangeAsync(RegistryClient client, Digest subject, Func<List<Descriptor>, bool> change, CancellationToken cancel)
    {
        var list = await TaggedAsync(client, subject, cancel).ConfigureAwait(false);
        if (!change(list)) { return; }
        var content = JsonSerializer.SerializeToUtf8Bytes(new ManifestRecord { SchemaVersion = 2, MediaType = MediaTypes.Index, Manifests = list }, ImageJson.Default.ManifestRecord);
        await client.PutManifestAsync(TagOf(subject), content, MediaTypes.Index, cancel).ConfigureAwait(false);
    }
}
