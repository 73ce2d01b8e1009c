namespace Containers;

/// <summary>Images: names for content, per container namespace.</summary>
public sealed partial class ImageStore
{
    readonly ContainerEngine engine;
    readonly HostPaths paths;
    readonly ImageIndexFile index;
    readonly ImageGraph graph;
    readonly ImageMounts mounts;

    internal ImageStore(ContainerEngine engine)
    {
        this.engine = engine;
        paths = engine.Paths;
        index = new ImageIndexFile(paths);
        graph = new ImageGraph(engine.Content);
        mounts = new ImageMounts(paths);
    }

    internal ImageGraph Graph => graph;

    /// <summary>All images of a namespace in the order of their names.</summary>
    public IEnumerable<ContainerImage> List(string? containerNamespace = null, string? platform = null)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        var wanted = platform is null ? null : ImagePlatform.Parse(platform);
        engine.Containers.CheckFormat();
        foreach (var image in index.Load(ns)) { yield return Describe(image, ns, wanted); }
    }

    /// <summary>Names alone, for completion and wildcards.</summary>
    public IReadOnlyList<string> ListNames(string? containerNamespace = null)
    {
        engine.Containers.CheckFormat();
        return [.. index.Load(engine.NamespaceOr(containerNamespace)).Select(ImageIndexFile.NameOf).OfType<string>()];
    }

    /// <summary>The image with this name, digest, or beginning of a digest.</summary>
    /// <exception cref="ContainerException"><c>ImageNotFound</c>, <c>InvalidReference</c>.</exception>
    public ContainerImage Get(string name, string? containerNamespace = null, string? platform = null)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        return Describe(Find(name, ns), ns, platform is null ? null : ImagePlatform.Parse(platform));
    }

    /// <summary>Gives an image one more name.</summary>
    /// <param name="force">Takes the name from another image.</param>
    /// <exception cref="ContainerException"><c>ImageNotFound</c>, <c>ImageExists</c>, <c>InvalidReference</c>.</exception>
    public ContainerImage Tag(string name, string newName, bool force = false, string? containerNamespace = null)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        engine.Containers.OpenForWriting();
        var source = Find(name, ns);
        var target = Nameable(newName);
        return Describe(Put(ns, source, target, force, whileNamed: name), ns, null);
    }

    /// <summary>Takes a name away, and then all content that nothing needs any more.</summary>
    /// <param name="force">Also when containers were made from it: they keep what they need.</param>
    /// <exception cref="ContainerException"><c>ImageNotFound</c>; <c>ImageInUse</c> without <paramref name="force"/>.</exception>
    public void Remove(string name, bool force = false, string? containerNamespace = null)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        engine.Containers.CheckFormat();
        var image = Find(name, ns);
        index.Update(ns, images =>
        {
            var at = images.FindIndex(i => i.Digest == image.Digest && ImageIndexFile.NameOf(i) == ImageIndexFile.NameOf(image));
            if (at < 0) { throw NotFound(name, ns); }
            // Under the lock of all images: another name of the same content may go at the same time.
            var last = images.Count(i => i.Digest == image.Digest) == 1;
            if (!force && last && Users(ns, image.Digest!) is { Count: > 0 } users)
            {
                throw new ContainerException(ErrorIds.ImageInUse, $"The image '{name}' is used by {string.Join(", ", users)} in container namespace '{ns}'. Remove those first, or use -Force: they keep what they need.",
                    name, ContainerErrorCategory.ResourceBusy);
            }
            images.RemoveAt(at);
            return true;
        });
        engine.Storage.Collect();
    }

    /// <summary>Whether a container of its namespace was made from this image.</summary>
    public bool IsUsed(ContainerImage image) => Users(image.ContainerNamespace, image.Digest).Count > 0;

    /// <summary>The ids of containers that were made from this image.</summary>
    internal List<string> Users(string ns, string digest) =>
        [.. engine.Containers.ListIds(ns).Where(id => engine.Containers.TryLoadAny(ns, id)?.ImageDigest == digest)];

    /// <summary>How an image was made, the latest step first.</summary>
    public IEnumerable<ContainerImageHistory> History(string name, string? containerNamespace = null, string? platform = null)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        var image = Find(name, ns);
        var manifest = Choose(graph.Manifests(image), platform is null ? null : ImagePlatform.Parse(platform));
        var layers = new Queue<Descriptor>(manifest?.Manifest.Layers ?? []);
        var steps = new List<ContainerImageHistory>();
        foreach (var step in manifest?.Config?.History ?? [])
        {
            var layer = step.EmptyLayer == true ? null : layers.TryDequeue(out var next) ? next : null;
            steps.Add(new ContainerImageHistory
            {
                Reference = ImageIndexFile.NameOf(image), CreatedAt = step.Created, CreatedBy = step.CreatedBy, Author = step.Author, Comment = step.Comment,
                Size = layer?.Size ?? 0, Layer = layer?.Digest,
            });
        }
        // An image need not tell its history, or not all of it.
        steps.AddRange(layers.Select(layer => new ContainerImageHistory { Reference = ImageIndexFile.NameOf(image), Size = layer.Size, Layer = layer.Digest }));
        steps.Reverse();
        return steps;
    }

    /// <summary>Looks whether all of an image is there.</summary>
    /// <param name="read">Reads everything again and compares digests.</param>
    public async Task<ContainerImageCheck> TestAsync(string name, bool read, string? containerNamespace = null, CancellationToken cancel = default)
    {
        var image = Find(name, engine.NamespaceOr(containerNamespace));
        var missing = new List<Digest>();
        var documents = new List<Digest>();
        var damaged = new SortedSet<string>(StringComparer.Ordinal);
        var whole = new List<string>();
        List<ImageManifest> manifests = [];
        try { manifests = graph.Manifests(image, missing, documents); }
        catch (ContainerException e) when (e.Id is ErrorIds.DigestMismatch or ErrorIds.ImageInvalid) { damaged.Add(e.Target?.ToString() ?? image.Digest!); }
        foreach (var manifest in manifests)
        {
            var complete = true;
            foreach (var blob in manifest.Blobs)
            {
                var digest = Digest.Parse(blob.Digest);
                if (engine.Content.Find(digest) is not { } content)
                {
                    missing.Add(digest);
                    complete = false;
                }
                else if (content.Size != blob.Size || (read && !await engine.Content.VerifyAsync(digest, cancel).ConfigureAwait(false)))
                {
                    damaged.Add(blob.Digest!);
                    complete = false;
                }
            }
            if (complete) { whole.Add(manifest.Platform.ToString()); }
        }
        return new ContainerImageCheck
        {
            Reference = ImageIndexFile.NameOf(image), Digest = image.Digest!, IsComplete = whole.Count > 0 && damaged.Count == 0,
            Platforms = whole, Missing = [.. missing.Select(d => d.ToString()).Distinct().Order(StringComparer.Ordinal)], Damaged = [.. damaged],
        };
    }

    internal Descriptor Find(string name, string ns)
    {
        engine.Containers.CheckFormat();
        var images = index.Load(ns);
        if (ImageReference.TryParse(name, out var reference))
        {
            var full = reference!.ToString();
            if (images.Find(i => ImageIndexFile.NameOf(i) == full) is { } named) { return named; }
            // name@digest means that content, whatever tag it has here.
            if (reference.Digest is { } digest && images.Find(i => i.Digest == digest.ToString()
                && (ImageIndexFile.NameOf(i) is not { } own || ImageReference.Parse(own).Name == reference.Name)) is { } same) { return same; }
        }
        var hex = name.StartsWith("sha256:", StringComparison.Ordinal) || name.StartsWith("sha512:", StringComparison.Ordinal) ? name[7..] : name;
        if (hex.Length >= 6 && hex.All(char.IsAsciiHexDigitLower))
        {
            var found = images.Where(i => Digest.Parse(i.Digest).Hex.StartsWith(hex, StringComparison.Ordinal)).ToList();
            if (found.Select(i => i.Digest).Distinct().Count() == 1) { return found[0]; }
        }
        if (reference is null && !hex.All(char.IsAsciiHexDigitLower)) { ImageReference.Parse(name); }
        throw NotFound(name, ns);
    }

    /// <summary>Writes a name down. Its content must be whole, and kept by a lease or by another name.</summary>
    /// <param name="whileNamed">The name by which the content was found, when that keeps it: some name must stand for it at this very moment.</param>
    /// <returns>What is listed. Another may have taken the name away before anybody looks.</returns>
    /// <exception cref="ContainerException"><c>ImageExists</c>; <c>ImageNotFound</c>: the last name that kept it is gone.</exception>
    internal Descriptor Put(string ns, Descriptor source, string? name, bool replace, string? whileNamed = null)
    {
        var listed = source;
        index.Update(ns, images =>
        {
            if (whileNamed is not null && !images.Exists(i => i.Digest == source.Digest)) { throw NotFound(whileNamed, ns); }
            var at = name is null ? images.FindIndex(i => i.Digest == source.Digest) : images.FindIndex(i => ImageIndexFile.NameOf(i) == name);
            if (at >= 0 && (name is null || images[at].Digest == source.Digest))
            {
                listed = images[at];
                return false;
            }
            if (at >= 0 && !replace)
            {
                throw new ContainerException(ErrorIds.ImageExists, $"The name '{name}' stands for {images[at].Digest} in container namespace '{ns}' already. Use -Force to give it to another image.",
                    name, ContainerErrorCategory.ResourceExists);
            }
            var image = source.Bare();
            var now = DateTimeOffset.UtcNow.ToString("O", System.Globalization.CultureInfo.InvariantCulture);
            image.Annotations = new Dictionary<string, string>(StringComparer.Ordinal) { [ImageIndexFile.UpdatedAnnotation] = now };
            if (name is not null) { image.Annotations[ImageIndexFile.NameAnnotation] = name; }
            if (at >= 0) { images.RemoveAt(at); }
            // What has a name now is not nameless any more.
            if (name is not null) { images.RemoveAll(i => i.Digest == source.Digest && ImageIndexFile.NameOf(i) is null); }
            images.Add(listed = image);
            return true;
        });
        return listed;
    }

    internal static string Nameable(string name)
    {
        var reference = ImageReference.Parse(name);
        return reference.Digest is null ? reference.ToString() : throw new ContainerException(ErrorIds.InvalidReference,
            $"'{name}' has a digest, which follows from the content and cannot be given. Say a tag.", name, ContainerErrorCategory.InvalidArgument);
    }

    static ImageManifest? Choose(List<ImageManifest> manifests, ImagePlatform? platform) =>
        ImageGraph.Choose(manifests, platform ?? ImagePlatform.Host) ?? (platform is null ? manifests.FirstOrDefault(m => m.IsImage) ?? manifests.FirstOrDefault() : null);

    ContainerImage Describe(Descriptor image, string ns, ImagePlatform? platform)
    {
        List<ImageManifest> manifests = [];
        // One that was damaged on disk is listed all the same: Test-ContainerImage says what is wrong, and removing it must be possible.
        try { manifests = graph.Manifests(image); }
        catch (ContainerException e) when (e.Id is ErrorIds.DigestMismatch or ErrorIds.ImageInvalid or ErrorIds.NotSupported) { }
        var manifest = Choose(manifests, platform);
        var config = manifest?.Config;
        var layers = (manifest?.Manifest.Layers ?? []).Select((layer, i) => new ContainerImageLayer
        {
            Digest = layer.Digest!, MediaType = layer.MediaType ?? "", Size = layer.Size, DiffId = config?.Rootfs?.DiffIds is { } ids && i < ids.Count ? ids[i] : null,
        }).ToList();
        return new ContainerImage
        {
            Reference = ImageIndexFile.NameOf(image),
            ContainerNamespace = ns,
            Digest = image.Digest!,
            ManifestDigest = manifest?.Descriptor.Digest,
            Platform = manifest is { IsImage: true } ? manifest.Platform.ToString() : null,
            Platforms = [.. manifests.Where(m => m.IsImage && m.Config is not null).Select(m => m.Platform.ToString()).Distinct()],
            Size = manifest is null ? 0 : manifest.Descriptor.Size + manifest.Blobs.Sum(b => b.Size),
            CreatedAt = config?.Created,
            UpdatedAt = DateTimeOffset.TryParse(image.Annotations?.GetValueOrDefault(ImageIndexFile.UpdatedAnnotation), System.Globalization.CultureInfo.InvariantCulture, out var updated) ? updated : null,
            Layers = layers,
            Config = config is null ? null : new ContainerImageConfig
            {
                Entrypoint = config.Config?.Entrypoint ?? [],
                Command = config.Config?.Cmd ?? [],
                Environment = config.Config?.Env ?? [],
                User = config.Config?.User,
                WorkingDirectory = config.Config?.WorkingDir,
                StopSignal = config.Config?.StopSignal,
                ExposedPorts = [.. config.Config?.ExposedPorts?.Keys.Order(StringComparer.Ordinal) ?? Enumerable.Empty<string>()],
                Volumes = [.. config.Config?.Volumes?.Keys.Order(StringComparer.Ordinal) ?? Enumerable.Empty<string>()],
            },
            Labels = config?.Config?.Labels ?? [],
        };
    }

    static ContainerException NotFound(string name, string ns) => new(ErrorIds.ImageNotFound,
        $"There is no image '{name}' in container namespace '{ns}'. Get-ContainerImage lists those that are there; Receive-ContainerImage and Import-ContainerImage bring others.",
        name, ContainerErrorCategory.ObjectNotFound);
}
