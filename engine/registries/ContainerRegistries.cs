using System.Runtime.CompilerServices;

namespace Containers;

/// <summary>Registries: who one is there, and what they have. Images come and go by <see cref="ImageStore"/>.</summary>
public sealed class ContainerRegistries
{
    readonly ContainerEngine engine;
    readonly RegistryCredentials stored;

    internal ContainerRegistries(ContainerEngine engine)
    {
        this.engine = engine;
        stored = new RegistryCredentials(engine.Options.Registries, engine.Options.RegistryLimits);
    }

    /// <summary>Shows a registry who one is, and keeps that when it is content: in docker's or podman's file with mode 0600, or by the helper that the file names.</summary>
    /// <exception cref="ContainerException"><c>RegistryDenied</c>, <c>RegistryUnavailable</c>, <c>RegistryNotTrusted</c>, <c>CredentialUnavailable</c>, <c>InvalidArgument</c> …</exception>
    public async Task<ContainerRegistry> ConnectAsync(string registry, RegistryOptions options, CancellationToken cancel = default)
    {
        var name = Registry(registry);
        var credential = options.Credential;
        if (credential is not { Secret.Length: > 0 }) { throw new ContainerException(ErrorIds.InvalidArgument, "A name and a password are needed.", name, ContainerErrorCategory.InvalidArgument); }
        if (credential.UserName.Contains(':')) { throw new ContainerException(ErrorIds.InvalidArgument, "A user name has no colon: it would end there.", name, ContainerErrorCategory.InvalidArgument); }
        using (var session = RegistrySession.Open(engine, Any(name), options)) { await (await session.OriginAsync(cancel).ConfigureAwait(false)).CheckAsync(cancel).ConfigureAwait(false); }
        return new ContainerRegistry { Registry = name, UserName = credential.UserName, StoredIn = await stored.StoreAsync(name, credential, cancel).ConfigureAwait(false) };
    }

    /// <summary>Forgets who one is at a registry, wherever that is kept.</summary>
    /// <returns>The places that had something; none is no error.</returns>
    public Task<IReadOnlyList<string>> DisconnectAsync(string registry, CancellationToken cancel = default) => stored.EraseAsync(Registry(registry), cancel);

    /// <summary>The registries whose credentials are in files, for completion.</summary>
    public IReadOnlyList<string> ListNames() => [.. engine.Options.Registries.CredentialFiles.SelectMany(path => CredentialFile.Load(path)?.Registries ?? []).Distinct().Order(StringComparer.Ordinal)];

    /// <summary>The repositories of a registry, as far as it tells them.</summary>
    public async IAsyncEnumerable<ContainerRegistryItem> CatalogAsync(string registry, RegistryOptions options, [EnumeratorCancellation] CancellationToken cancel = default)
    {
        var name = Registry(registry);
        using var session = RegistrySession.Open(engine, Any(name), options);
        var client = await session.OriginAsync(cancel).ConfigureAwait(false);
        await foreach (var repository in client.CatalogAsync(cancel).ConfigureAwait(false))
        {
            yield return new ContainerRegistryItem { Registry = name, Repository = repository, Reference = $"{name}/{repository}" };
        }
    }

    /// <summary>The tags of a repository.</summary>
    public async IAsyncEnumerable<ContainerRegistryItem> TagsAsync(string repository, RegistryOptions options, [EnumeratorCancellation] CancellationToken cancel = default)
    {
        var image = ImageReference.Parse(repository);
        using var session = RegistrySession.Open(engine, image, options);
        var client = await session.OriginAsync(cancel).ConfigureAwait(false);
        await foreach (var tag in client.TagsAsync(cancel).ConfigureAwait(false))
        {
            yield return new ContainerRegistryItem { Registry = image.Registry, Repository = image.Repository, Tag = tag, Reference = $"{image.Name}:{tag}" };
        }
    }

    /// <summary>What refers to an image: signatures, bills of materials and the like.</summary>
    public async Task<IReadOnlyList<ContainerRegistryItem>> ReferrersAsync(string reference, string? artifactType, RegistryOptions options, CancellationToken cancel = default)
    {
        var image = ImageReference.Parse(reference);
        using var session = RegistrySession.Open(engine, image, options);
        var client = await session.OriginAsync(cancel).ConfigureAwait(false);
        var subject = image.Digest ?? (await client.ManifestAsync(image.Tag!, cancel).ConfigureAwait(false)).Digest;
        var found = await Referrers.FindAsync(client, subject, artifactType, cancel).ConfigureAwait(false);
        return [.. found.Select(d => new ContainerRegistryItem
        {
            Registry = image.Registry, Repository = image.Repository, Reference = $"{image.Name}@{d.Digest}", Digest = d.Digest, ArtifactType = d.ArtifactType, Size = d.Size,
            Annotations = d.Annotations ?? new Dictionary<string, string>(),
        })];
    }

    /// <summary>Removes a tag from a registry, or by digest a manifest with all of its tags. Its blobs are the registry's to collect.</summary>
    /// <exception cref="ContainerException"><c>ImageNotFound</c>; <c>RegistryRefused</c> where the registry does not remove, or no tags alone.</exception>
    public async Task RemoveAsync(string reference, RegistryOptions options, CancellationToken cancel = default)
    {
        var image = ImageReference.Parse(reference);
        using var session = RegistrySession.Open(engine, image, options);
        var client = await session.OriginAsync(cancel).ConfigureAwait(false);
        if (image.Digest is not { } digest)
        {
            await client.DeleteManifestAsync(image.Tag!, cancel).ConfigureAwait(false);
            return;
        }
        var (content, _, type) = await client.ManifestAsync(digest.ToString(), cancel).ConfigureAwait(false);
        var subject = ImageGraph.Check(digest, MediaTypes.IsIndex(type) || MediaTypes.IsManifest(type) ? type : null, content).Subject;
        await client.DeleteManifestAsync(digest.ToString(), cancel).ConfigureAwait(false);
        // Where the registry keeps no list, the tag that stands for one must not name what is gone.
        if (subject is not null && Digest.TryParse(subject.Digest, out var of) && await client.ReferrersAsync(of, null, cancel).ConfigureAwait(false) is null)
        {
            await Referrers.RemoveAsync(client, of, digest.ToString(), cancel).ConfigureAwait(false);
        }
    }

    static ImageReference Any(string registry) => ImageReference.Parse(registry + "/any");

    static string Registry(string name)
    {
        var host = name.IndexOf("://", StringComparison.Ordinal) is var at and >= 0 ? name[(at + 3)..] : name;
        host = host.TrimEnd('/');
        if (host is "index.docker.io" or "registry-1.docker.io" or "index.docker.io/v1") { host = ImageReference.DefaultRegistry; }
        // A word alone would be read as the first part of a name.
        return ImageReference.IsRegistry(host) && ImageReference.TryParse(host + "/any", out var any) && any!.Registry == host ? host
            : throw new ContainerException(ErrorIds.InvalidReference, $"'{name}' is no registry: say its host, and a port where it has one, such as registry.example.com or localhost:5000.", name, ContainerErrorCategory.InvalidArgument);
    }
}
