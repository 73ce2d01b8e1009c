using System.Net.Http.Headers;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Containers;

/// <summary>The verbs of the distribution specification (1.1), for one repository on one server.</summary>
sealed class RegistryClient : IDisposable
{
    static readonly string[] Documents = [MediaTypes.Index, MediaTypes.Manifest, MediaTypes.DockerIndex, MediaTypes.DockerManifest];

    internal RegistryClient(RegistryEndpoint endpoint, RegistryLimits limits, int connections, Func<CancellationToken, Task<RegistryCredential?>> credential, Action<string>? log)
    {
        Endpoint = endpoint;
        Limits = limits;
        Http = new RegistryHttp(endpoint, limits, connections, credential, log);
    }

    internal RegistryEndpoint Endpoint { get; }
    internal RegistryLimits Limits { get; }
    internal RegistryHttp Http { get; }

    internal string Where => Endpoint.Base.Authority;

    public void Dispose() => Http.Dispose();

    /// <param name="rest">Below the repository.</param>
    internal Uri Address(string rest)
    {
        // A mirror of several registries has to be told which one is meant.
        var ns = Endpoint.Namespace is { } name && name != Endpoint.Base.Authority ? (rest.Contains('?') ? "&" : "?") + "ns=" + Uri.EscapeDataString(name) : "";
        return new Uri($"{Endpoint.Base}{Endpoint.Repository}/{rest}{ns}");
    }

    internal string Scope(string actions) => $"repository:{Endpoint.Repository}:{actions}";

    internal string Named(string reference) => $"'{Endpoint.Registry}/{Endpoint.Repository}{(reference.Contains(':') ? "@" : ":")}{reference}'";

    /// <summary>Whether the server speaks the protocol and takes what is shown.</summary>
    internal async Task CheckAsync(CancellationToken cancel)
    {
        using var answer = await Http.SendAsync(new RegistryRequest(HttpMethod.Get, Endpoint.Base, "its first page", ""), cancel).ConfigureAwait(false);
    }

    /// <summary>A manifest or an index, by tag or digest, whose bytes are what they have to be.</summary>
    /// <exception cref="ContainerException"><c>ImageNotFound</c>, <c>DigestMismatch</c>, <c>RegistryProtocol</c> …</exception>
    internal async Task<(byte[] Content, Digest Digest, string? MediaType)> ManifestAsync(string reference, CancellationToken cancel)
    {
        var request = new RegistryRequest(HttpMethod.Get, Address("manifests/" + reference), Named(reference), Scope("pull")) { Accept = Documents };
        var (content, answer) = await Http.FetchAsync(request, RegistryLimits.Manifest, cancel).ConfigureAwait(false);
        var told = answer.Headers.TryGetValues("Docker-Content-Digest", out var values) ? values.FirstOrDefault() : null;
        // By tag nobody knows what it must be; but what the registry itself says of it has to be true.
        if (!Digest.TryParse(reference, out var wanted) && !Digest.TryParse(told, out wanted)) { wanted = Digest.Of(content); }
        var found = Digest.Of(wanted.Algorithm, content);
        if (found != wanted) { throw ContentStore.Mismatch(wanted, found); }
        return (content, found, answer.Content.Headers.ContentType?.MediaType);
    }

    /// <summary>The digest of what a reference stands for; null when it is not there, empty when the registry does not tell it.</summary>
    internal async Task<string?> FindManifestAsync(string reference, string actions, CancellationToken cancel)
    {
        var request = new RegistryRequest(HttpMethod.Head, Address("manifests/" + reference), Named(reference), Scope(actions)) { Accept = Documents, Expected = [404] };
        using var answer = await Http.SendAsync(request, cancel).ConfigureAwait(false);
        if ((int)answer.StatusCode == 404) { return null; }
        return answer.Headers.TryGetValues("Docker-Content-Digest", out var values) && Digest.TryParse(values.FirstOrDefault(), out var digest) ? digest.ToString() : "";
    }

    internal async Task<bool> HasBlobAsync(Digest digest, string actions, CancellationToken cancel)
    {
        using var answer = await Http.SendAsync(new RegistryRequest(HttpMethod.Head, Address($"blobs/{digest}"), $"the content {digest}", Scope(actions)) { Expected = [404] }, cancel).ConfigureAwait(false);
        return answer.IsSuccessStatusCode;
    }

    /// <summary>Opens a blob, at an offset where the server can do that.</summary>
    internal Task<HttpResponseMessage> OpenBlobAsync(Digest digest, long offset, CancellationToken cancel) =>
        Http.SendAsync(new RegistryRequest(HttpMethod.Get, Address($"blobs/{digest}"), $"the content {digest}", Scope("pull")) { Range = offset > 0 ? new RangeHeaderValue(offset, null) : null, Expected = [416] }, cancel);

    /// <summary>Stores a manifest.</summary>
    /// <returns>Whether the registry lists it as a referrer of its subject by itself.</returns>
    internal async Task<bool> PutManifestAsync(string reference, byte[] content, string mediaType, CancellationToken cancel)
    {
        var request = new RegistryRequest(HttpMethod.Put, Address("manifests/" + reference), Named(reference), Scope("pull,push"))
        {
            Content = () => new ByteArrayContent(content) { Headers = { ContentType = new MediaTypeHeaderValue(mediaType) } },
        };
        using var answer = await Http.SendAsync(request, cancel).ConfigureAwait(false);
        if ((int)answer.StatusCode != 201) { throw RegistryErrors.Protocol(Where, $"it answers {(int)answer.StatusCode} to a manifest"); }
        if (answer.Headers.TryGetValues("Docker-Content-Digest", out var values) && Digest.TryParse(values.FirstOrDefault(), out var told) && Digest.Of(told.Algorithm, content) is var own && told != own) { throw ContentStore.Mismatch(own, told); }
        return answer.Headers.Contains("OCI-Subject");
    }

    /// <summary>Removes a tag, or by digest a manifest with all of its tags.</summary>
    internal async Task DeleteManifestAsync(string reference, CancellationToken cancel)
    {
        var request = new RegistryRequest(HttpMethod.Delete, Address("manifests/" + reference), "the removal of " + Named(reference), Scope("pull,delete"));
        using var answer = await Http.SendAsync(request, cancel).ConfigureAwait(false);
    }

    internal IAsyncEnumerable<string> TagsAsync(CancellationToken cancel) =>
        ListAsync(Address("tags/list?n=100"), $"the tags of '{Endpoint.Registry}/{Endpoint.Repository}'", Scope("pull"), RegistryJson.Default.TagsAnswer, page => page.Tags, ImageReference.IsTag, cancel);

    internal IAsyncEnumerable<string> CatalogAsync(CancellationToken cancel) =>
        ListAsync(new Uri(Endpoint.Base, "_catalog?n=100"), $"the catalogue of '{Endpoint.Registry}'", "registry:catalog:*", RegistryJson.Default.CatalogAnswer, page => page.Repositories, ImageReference.IsRepository, cancel);

    /// <summary>What refers to a manifest, from the registry's own list; null when it has no such list.</summary>
    internal async Task<List<Descriptor>?> ReferrersAsync(Digest subject, string? artifactType, CancellationToken cancel)
    {
        var next = Address($"referrers/{subject}" + (artifactType is null ? "" : "?artifactType=" + Uri.EscapeDataString(artifactType)));
        var all = new List<Descriptor>();
        for (var page = 0; next is not null; page++)
        {
            var request = new RegistryRequest(HttpMethod.Get, next, $"the referrers of {subject}", Scope("pull")) { Accept = [MediaTypes.Index], Expected = page == 0 ? [404] : [] };
            var (content, answer) = await Http.FetchAsync(request, RegistryLimits.Document, cancel).ConfigureAwait(false);
            if ((int)answer.StatusCode == 404) { return null; }
            // A registry of before 1.1 may answer with a page of its own.
            if (page == 0 && answer.Content.Headers.ContentType?.MediaType != MediaTypes.Index) { return null; }
            all.AddRange(Descriptors(subject, content));
            next = Next(next, answer, page, all.Count);
        }
        return all;
    }

    internal static List<Descriptor> Descriptors(Digest subject, byte[] content)
    {
        var index = ImageGraph.Check(subject, MediaTypes.Index, content);
        return index.Manifests ?? throw ImageGraph.Invalid(subject, "the list of what refers to it is no index");
    }

    async IAsyncEnumerable<string> ListAsync<T>(Uri first, string what, string scope, JsonTypeInfo<T> type, Func<T, List<string?>?> items, Func<string, bool> valid, [EnumeratorCancellation] CancellationToken cancel)
    {
        var count = 0;
        var next = first;
        for (var page = 0; next is not null; page++)
        {
            var (content, answer) = await Http.FetchAsync(new RegistryRequest(HttpMethod.Get, next, what, scope), RegistryLimits.Document, cancel).ConfigureAwait(false);
            T? read;
            try { read = JsonSerializer.Deserialize(content, type); }
            catch (JsonException e) { throw RegistryErrors.Protocol(Where, $"{what} cannot be read", e); }
            foreach (var item in (read is null ? null : items(read)) ?? [])
            {
                if (item is null || item.Length > 1024 || !valid(item)) { throw RegistryErrors.Protocol(Where, $"{what} has '{RegistryErrors.Printable(item)}', which is no such name"); }
                count++;
                yield return item;
            }
            next = Next(next, answer, page, count);
        }
    }

    // RFC 5988: Link: <…>; rel="next". It stays with this server and comes to an end.
    Uri? Next(Uri current, HttpResponseMessage answer, int page, int count)
    {
        if (!answer.Headers.TryGetValues("Link", out var links)) { return null; }
        var link = links.SelectMany(l => l.Split(',')).Select(l => l.Trim()).FirstOrDefault(l => l.StartsWith('<') && l.Contains('>') && l.Replace(" ", "", StringComparison.Ordinal).Contains("rel=\"next\"", StringComparison.OrdinalIgnoreCase));
        if (link is null) { return null; }
        var next = Http.Resolve(current, link[1..link.IndexOf('>')]);
        if (!Http.IsOwn(next)) { throw RegistryErrors.Protocol(Where, $"the next page of its list is on '{RegistryErrors.Printable(next.Authority)}'"); }
        if (page + 1 >= RegistryLimits.Pages || count > RegistryLimits.Entries || next == current) { throw RegistryErrors.Protocol(Where, $"its list does not end: at most {RegistryLimits.Pages} pages and {RegistryLimits.Entries} entries are read"); }
        return next;
    }
}
