namespace Containers;

/// <summary>Brings one image into the store: its documents from the top down, each checked before the next is asked for, then its blobs beside one another.</summary>
sealed class ImagePull(ContainerEngine engine, RegistrySession session, ImagePullOptions options)
{
    sealed record Leaf(Descriptor Descriptor, ManifestRecord? Manifest);

    readonly List<Leaf> leaves = [];
    readonly HashSet<Digest> seen = [];
    long documents;

    /// <summary>Everything of an image that is wanted. Nothing is listed; the caller holds a lease.</summary>
    /// <param name="reference">A tag or a digest.</param>
    /// <param name="meanwhile">Done beside the download of blobs, once all documents are there. Whichever of both fails first ends the other.</param>
    /// <exception cref="ContainerException"></exception>
    internal async Task<Descriptor> RunAsync(string name, string reference, Func<Descriptor, BlobArrivals, CancellationToken, Task> meanwhile, CancellationToken cancel)
    {
        var (content, digest, told) = await session.FirstAsync(e => e.CanPull && e.CanResolve, c => c.ManifestAsync(reference, cancel)).ConfigureAwait(false);
        // Servers of files call everything the same; then the document says itself what it is.
        var known = MediaTypes.IsIndex(told) || MediaTypes.IsManifest(told) || MediaTypes.IsSchema1(told) ? told : null;
        var record = ImageGraph.Check(digest, known, content);
        var root = new Descriptor { MediaType = known ?? (record.MediaType is { Length: > 0 } own ? own : record.Manifests is null ? MediaTypes.Manifest : MediaTypes.Index), Digest = digest.ToString(), Size = content.Length };
        Count(digest, content.Length);
        engine.Content.Put(content, digest);
        await WalkAsync(root, record, 0, cancel).ConfigureAwait(false);
        var wanted = options.AllPlatforms || record.Manifests is null ? leaves : [await ChooseAsync(name, cancel).ConfigureAwait(false)];
        List<Descriptor> configs = [], layers = [];
        foreach (var leaf in wanted)
        {
            var manifest = leaf.Manifest ?? await DocumentAsync(leaf.Descriptor, cancel).ConfigureAwait(false);
            if (manifest.Manifests is not null) { throw ImageGraph.Invalid(Digest.Parse(leaf.Descriptor.Digest), "it is an index, and is listed as a manifest"); }
            configs.Add(Config(leaf.Descriptor, manifest));
            foreach (var layer in manifest.Layers ?? []) { ImageStore.RefuseForeign(layer); }
            layers.AddRange(manifest.Layers ?? []);
        }
        // What says how to unpack comes first, then the lower layers before the upper ones.
        var blobs = configs.Concat(layers).DistinctBy(b => b.Digest).ToList();
        var arrivals = new BlobArrivals(configs, blobs);
        Func<CancellationToken, Task>[] both = [token => DownloadAsync(blobs, arrivals, token), token => meanwhile(root, arrivals, token)];
        await Together.RunAsync(both, both.Length, async (one, token) =>
        {
            await one(token).ConfigureAwait(false);
            return 0;
        }, cancel).ConfigureAwait(false);
        return root;
    }

    void Count(Digest digest, long size)
    {
        documents += size;
        if (documents > RegistryLimits.Manifests) { throw ImageGraph.Invalid(digest, $"its manifests have more than {RegistryLimits.Manifests} bytes together"); }
    }

    async Task WalkAsync(Descriptor descriptor, ManifestRecord record, int depth, CancellationToken cancel)
    {
        var digest = Digest.Parse(descriptor.Digest);
        if (depth > ImageGraph.Deepest) { throw ImageGraph.Invalid(digest, $"indexes lie more than {ImageGraph.Deepest} deep in one another"); }
        if (!seen.Add(digest)) { return; }
        if (seen.Count + leaves.Count > ImageGraph.MostManifests) { throw ImageGraph.Invalid(digest, $"there are more than {ImageGraph.MostManifests} manifests"); }
        if (record.Manifests is null)
        {
            leaves.Add(new Leaf(descriptor, record));
            return;
        }
        foreach (var child in record.Manifests)
        {
            // A manifest is asked for when it is wanted; what is neither is kept with the index and not looked into.
            if (MediaTypes.IsIndex(child.MediaType) || child.MediaType is null) { await WalkAsync(child, await DocumentAsync(child, cancel).ConfigureAwait(false), depth + 1, cancel).ConfigureAwait(false); }
            else if ((MediaTypes.IsManifest(child.MediaType) || MediaTypes.IsSchema1(child.MediaType)) && !leaves.Exists(l => l.Descriptor.Digest == child.Digest)) { leaves.Add(new Leaf(child, null)); }
            if (leaves.Count > ImageGraph.MostManifests) { throw ImageGraph.Invalid(digest, $"there are more than {ImageGraph.MostManifests} manifests"); }
        }
    }

    async Task<ManifestRecord> DocumentAsync(Descriptor descriptor, CancellationToken cancel)
    {
        var digest = Digest.Parse(descriptor.Digest);
        if (descriptor.Size > RegistryLimits.Manifest) { throw ContentStore.TooLarge(digest, descriptor.Size, RegistryLimits.Manifest); }
        Count(digest, descriptor.Size);
        if (engine.Content.Use(digest)) { }
        else if (ImageGraph.Embedded(descriptor) is { } embedded) { engine.Content.Put(embedded, digest); }
        else
        {
            var (content, found, _) = await session.FirstAsync(e => e.CanPull, c => c.ManifestAsync(digest.ToString(), cancel)).ConfigureAwait(false);
            if (content.Length != descriptor.Size) { throw new ContainerException(ErrorIds.SizeMismatch, $"The manifest {digest} has {content.Length} bytes, and its index says {descriptor.Size}.", digest.ToString(), ContainerErrorCategory.InvalidData); }
            engine.Content.Put(content, found);
        }
        return engine.Images.Graph.Read(descriptor);
    }

    async Task<Leaf> ChooseAsync(string name, CancellationToken cancel)
    {
        var wanted = options.Platform is null ? ImagePlatform.Host : ImagePlatform.Parse(options.Platform);
        Leaf? best = null;
        var distance = int.MaxValue;
        var there = new List<string>();
        foreach (var leaf in leaves)
        {
            var (platform, manifest) = await PlatformAsync(leaf, cancel).ConfigureAwait(false);
            if (platform is null) { continue; }
            there.Add(platform.ToString());
            if (wanted.Distance(platform) is { } d && d < distance) { (best, distance) = (leaf with { Manifest = manifest }, d); }
        }
        return best ?? throw new ContainerException(ErrorIds.PlatformNotFound, $"The image '{name}' is not there for {wanted}, but for {(there.Count == 0 ? "no platform at all" : string.Join(", ", there.Distinct()))}. Name another with -Platform.",
            name, ContainerErrorCategory.ObjectNotFound);
    }

    // What an index does not say of a manifest stands in its configuration.
    async Task<(ImagePlatform?, ManifestRecord?)> PlatformAsync(Leaf leaf, CancellationToken cancel)
    {
        if (leaf.Descriptor.Annotations?.GetValueOrDefault("vnd.docker.reference.type") == "attestation-manifest") { return (null, null); }
        if (leaf.Descriptor.Platform is { } told) { return (ImagePlatform.Normal(told.Os, told.Architecture, told.Variant), leaf.Manifest); }
        var manifest = leaf.Manifest ?? await DocumentAsync(leaf.Descriptor, cancel).ConfigureAwait(false);
        if (manifest.Config is null || !MediaTypes.IsConfig(manifest.Config.MediaType) || manifest.ArtifactType is not (null or "" or MediaTypes.Config)) { return (null, manifest); }
        await DownloadAsync([Checked(manifest.Config)], null, cancel).ConfigureAwait(false);
        var described = engine.Images.Graph.Manifests(leaf.Descriptor)[0];
        return (described.Platform, manifest);
    }

    static Descriptor Checked(Descriptor config) => config.Size <= ImageGraph.LargestConfig ? config : throw ContentStore.TooLarge(Digest.Parse(config.Digest), config.Size, ImageGraph.LargestConfig);

    static Descriptor Config(Descriptor descriptor, ManifestRecord manifest)
    {
        var config = manifest.Config!;
        Digest.Parse(config.Digest);
        if (config.Size < 0) { throw ImageGraph.Invalid(Digest.Parse(descriptor.Digest), "a size is negative"); }
        return MediaTypes.IsConfig(config.MediaType) ? Checked(config) : config;
    }

    async Task DownloadAsync(IReadOnlyList<Descriptor> blobs, BlobArrivals? arrivals, CancellationToken cancel) =>
        await Together.RunAsync(blobs, options.Parallel, async (blob, token) =>
        {
            var fetched = await new BlobDownload(engine, session, blob, "Downloading", options.Progress).RunAsync(token).ConfigureAwait(false);
            arrivals?.Tell(blob);
            return fetched;
        }, cancel).ConfigureAwait(false);
}

/// <summary>Tells of each blob of a pull when it is in the store: verified, and on disk. What fails or is cancelled never comes; who waits is cancelled with it.</summary>
sealed class BlobArrivals(IEnumerable<Descriptor> configs, IEnumerable<Descriptor> blobs)
{
    readonly Dictionary<string, TaskCompletionSource> coming = blobs.ToDictionary(b => b.Digest!, _ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously), StringComparer.Ordinal);

    internal bool Expects(Digest blob) => coming.ContainsKey(blob.ToString());

    internal Task Of(Digest blob) => coming[blob.ToString()].Task;

    internal Task ConfigsAsync(CancellationToken cancel) => Task.WhenAll(configs.Select(c => coming[c.Digest!].Task)).WaitAsync(cancel);

    internal void Tell(Descriptor blob) => coming[blob.Digest!].SetResult();
}

/// <summary>Does the same for many, some at a time. The first failure ends the others and is the one that is told.</summary>
static class Together
{
    internal static async Task<long> RunAsync<T>(IReadOnlyList<T> items, int most, Func<T, CancellationToken, Task<long>> work, CancellationToken cancel)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        using var turns = new SemaphoreSlim(Math.Clamp(most, 1, 64));
        Exception? first = null;
        long sum = 0;
        await Task.WhenAll(items.Select(async item =>
        {
            try
            {
                await turns.WaitAsync(ending.Token).ConfigureAwait(false);
                try { Interlocked.Add(ref sum, await work(item, ending.Token).ConfigureAwait(false)); }
                finally { turns.Release(); }
            }
            catch (Exception e)
            {
                // A cancellation that nobody asked for is a failure like others.
                if (e is not OperationCanceledException || !ending.IsCancellationRequested || cancel.IsCancellationRequested) { Interlocked.CompareExchange(ref first, e, null); }
                ending.Cancel();
            }
        })).ConfigureAwait(false);
        cancel.ThrowIfCancellationRequested();
        if (first is not null) { System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(first); }
        return sum;
    }
}
