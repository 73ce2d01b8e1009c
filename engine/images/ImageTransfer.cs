namespace Containers;

public sealed partial class ImageStore
{
    /// <summary>Pulls an image. Nobody sees it before it is whole; what broke off is gone on with by the next pull.</summary>
    /// <param name="name">A name; one without a registry is docker's, unless registries.conf says otherwise.</param>
    /// <exception cref="ContainerException"><c>ImageNotFound</c>, <c>PlatformNotFound</c>, <c>DigestMismatch</c>, <c>SizeMismatch</c>, <c>RegistryUnavailable</c>, <c>RegistryDenied</c>, <c>RegistryNotTrusted</c> …</exception>
    public async Task<ContainerImage> ReceiveAsync(string name, ImagePullOptions options, CancellationToken cancel = default)
    {
        var ns = engine.NamespaceOr(options.ContainerNamespace);
        var platform = options.Platform is null ? null : ImagePlatform.Parse(options.Platform);
        if (platform is not null && options.AllPlatforms) { throw ResourceSpec.Bad("Platform", options.Platform!, "all platforms and one exclude each other"); }
        var candidates = RegistriesConf.Load(engine.Options.Registries.RegistriesConf).Candidates(name);
        engine.Containers.OpenForWriting();
        for (var i = 0; ; i++)
        {
            try { return await ReceiveAsync(candidates[i], ns, platform, options, cancel).ConfigureAwait(false); }
            // The registries of a short name are tried in their order.
            catch (ContainerException e) when (i < candidates.Count - 1 && (e.Id is ErrorIds.ImageNotFound or ErrorIds.RegistryDenied or ErrorIds.RegistryUnavailable or ErrorIds.RegistryTimeout)) { options.Log?.Invoke(e.Message); }
        }
    }

    async Task<ContainerImage> ReceiveAsync(ImageReference image, string ns, ImagePlatform? platform, ImagePullOptions options, CancellationToken cancel)
    {
        using var session = RegistrySession.Open(engine, image, options);
        return await WholeAsync(async () =>
        {
            var pull = new ImagePull(engine, session, options);
            var root = await pull.RunAsync(image.ToString(), image.Digest?.ToString() ?? image.Tag!, (root, arrivals, token) => options.NoUnpack
                ? Task.CompletedTask : UnpackArrivingAsync(root, platform, arrivals, options.Progress, token), cancel).ConfigureAwait(false);
            await CompleteAsync(root, image.ToString(), platform, !options.NoUnpack, options.Progress, cancel).ConfigureAwait(false);
            // What was asked for by its digest has no other name: a tag beside it is only for the reader.
            return Describe(Put(ns, root, image.Digest is null ? image.ToString() : null, replace: true), ns, platform);
        }).ConfigureAwait(false);
    }

    /// <summary>Pushes an image.</summary>
    /// <param name="name">Of an image of the store.</param>
    /// <exception cref="ContainerException"><c>ImageNotFound</c>, <c>ContentNotFound</c>, <c>PlatformNotFound</c>, <c>RegistryDenied</c>, <c>RegistryRefused</c>, <c>RegistryUnavailable</c> …</exception>
    public async Task<ContainerImagePush> PublishAsync(string name, ImagePushOptions options, CancellationToken cancel = default)
    {
        var ns = engine.NamespaceOr(options.ContainerNamespace);
        var platform = options.Platform is null ? null : ImagePlatform.Parse(options.Platform);
        engine.Containers.OpenForWriting();
        using var lease = Lease.Take(paths);
        var image = Find(name, ns);
        var target = ImageReference.Parse(options.Target ?? ImageIndexFile.NameOf(image) ?? throw new ContainerException(ErrorIds.InvalidReference,
            $"The image '{name}' has no name to be pushed under. Add-ContainerImageTag gives it one, -Target says one.", name, ContainerErrorCategory.InvalidArgument));
        if (target.Digest is not null) { throw new ContainerException(ErrorIds.InvalidReference, $"'{target}' has a digest, which follows from the content. Say a tag.", name, ContainerErrorCategory.InvalidArgument); }
        var root = platform is null ? image : ForPlatform(image, name, platform).Descriptor;
        using var session = RegistrySession.Open(engine, target, options);
        return await new ImagePush(engine, await session.OriginAsync(cancel).ConfigureAwait(false), options, Elsewhere(ns, target)).RunAsync(target, root, target.Tag!, cancel).ConfigureAwait(false);
    }

    // The repositories of the same registry that images here came from, or went to: they may have a layer already.
    Func<Digest, string?> Elsewhere(string ns, ImageReference target)
    {
        var found = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var image in index.Load(ns))
        {
            if (!ImageReference.TryParse(ImageIndexFile.NameOf(image), out var named) || named!.Registry != target.Registry || named.Repository == target.Repository) { continue; }
            try
            {
                foreach (var blob in graph.Manifests(image).SelectMany(m => m.Blobs)) { found.TryAdd(blob.Digest!, named.Repository); }
            }
            catch (ContainerException) { } // one that is damaged helps nobody
        }
        return digest => found.GetValueOrDefault(digest.ToString());
    }

    /// <summary>The image that a container is to be made from, pulled where the policy says so.</summary>
    /// <returns>Its name in the store.</returns>
    async Task<string> PresentAsync(ContainerCreateOptions o, string ns, ImagePlatform? platform, CancellationToken cancel)
    {
        var name = o.Image!;
        // What is no name, such as the beginning of a digest, can only be here.
        var nameable = ImageReference.TryParse(name, out _) && !name.StartsWith("sha256:", StringComparison.Ordinal) && !name.StartsWith("sha512:", StringComparison.Ordinal);
        if (o.Pull != ImagePullPolicy.Always || !nameable)
        {
            var needed = o.Pull == ImagePullPolicy.Missing && nameable;
            if (IsPresent(name, ns, platform, needed)) { return name; }
            // What a short name may stand for is looked up only when it is needed: a container of what is here starts without.
            if (nameable && ImageReference.IsShort(name)
                && RegistriesConf.Load(engine.Options.Registries.RegistriesConf).Candidates(name).FirstOrDefault(c => IsPresent(c.ToString(), ns, platform, needed)) is { } other) { return other.ToString(); }
            if (!needed) { throw NotFound(name, ns); }
        }
        var way = o.Registry ?? new RegistryOptions();
        var pull = new ImagePullOptions
        {
            ContainerNamespace = ns, Platform = o.Platform, Credential = way.Credential, PlainHttp = way.PlainHttp, SkipCertificateCheck = way.SkipCertificateCheck, Parallel = way.Parallel, Progress = o.Progress, Log = way.Log,
        };
        var image = await ReceiveAsync(name, pull, cancel).ConfigureAwait(false);
        return image.Reference ?? image.Digest;
    }

    // For another platform the content may not have been fetched; an image that is for none at all is refused later, by what it lacks.
    bool IsPresent(string name, string ns, ImagePlatform? platform, bool whole)
    {
        try
        {
            var image = Find(name, ns);
            if (!whole) { return true; }
            var chosen = ImageGraph.Choose(graph.Manifests(image), platform ?? ImagePlatform.Host);
            return chosen is null ? platform is null : chosen.Blobs.All(b => engine.Content.Find(Digest.Parse(b.Digest)) is not null);
        }
        catch (ContainerException e) when (e.Id == ErrorIds.ImageNotFound) { return false; }
    }
}
