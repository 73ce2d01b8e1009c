namespace Containers;

/// <summary>
/// Sends one blob (distribution-spec, "Pushing Blobs"): not at all when the registry has it, by its name when another repository there has it, in
/// one piece, or in parts when it is large.
/// </summary>
sealed class BlobUpload(ContainerEngine engine, RegistryClient client, Digest digest, long size, Action<long> tell)
{
    const string Actions = "pull,push";

    string What => $"the content {digest}";

    /// <param name="other">Another repository of the registry that may have it.</param>
    /// <returns>Whether it was sent.</returns>
    internal async Task<bool> RunAsync(string? other, CancellationToken cancel)
    {
        if (await client.HasBlobAsync(digest, Actions, cancel).ConfigureAwait(false)) { return false; }
        if (other is not null && await MountAsync(other, cancel).ConfigureAwait(false)) { return false; }
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                var (session, least) = await BeginAsync(cancel).ConfigureAwait(false);
                if (size <= client.Limits.UploadPart) { await WholeAsync(session, cancel).ConfigureAwait(false); }
                else { await PartsAsync(session, Math.Max(client.Limits.UploadPart, least), cancel).ConfigureAwait(false); }
                return true;
            }
            // The session may be lost with the connection: a new one is begun.
            catch (ContainerException e) when (e.Id is ErrorIds.RegistryUnavailable or ErrorIds.RegistryTimeout && attempt < client.Limits.Attempts)
            {
                await client.Http.PauseAsync(attempt, null, What, e.Message, cancel).ConfigureAwait(false);
            }
        }
    }

    async Task<bool> MountAsync(string other, CancellationToken cancel)
    {
        var address = client.Address($"blobs/uploads/?mount={Uri.EscapeDataString(digest.ToString())}&from={Uri.EscapeDataString(other)}");
        var request = new RegistryRequest(HttpMethod.Post, address, What, $"{client.Scope(Actions)} repository:{other}:pull") { Content = Nothing };
        try
        {
            using var answer = await client.Http.SendAsync(request, cancel).ConfigureAwait(false);
            // 202: it began an upload in place of that. A session that is not used ends by itself.
            return (int)answer.StatusCode == 201;
        }
        // Who may not read there sends it.
        catch (ContainerException e) when (e.Id is ErrorIds.RegistryDenied or ErrorIds.RegistryRefused or ErrorIds.ImageNotFound) { return false; }
    }

    async Task<(Uri Session, long Least)> BeginAsync(CancellationToken cancel)
    {
        var address = client.Address("blobs/uploads/");
        using var answer = await client.Http.SendAsync(new RegistryRequest(HttpMethod.Post, address, What, client.Scope(Actions)) { Content = Nothing }, cancel).ConfigureAwait(false);
        if ((int)answer.StatusCode != 202) { throw RegistryErrors.Protocol(client.Where, $"it answers {(int)answer.StatusCode} to the beginning of an upload"); }
        var least = answer.Headers.TryGetValues("OCI-Chunk-Min-Length", out var values) && long.TryParse(values.FirstOrDefault(), out var told) && told > 0 ? told : 0;
        return (Location(address, answer), least);
    }

    async Task WholeAsync(Uri session, CancellationToken cancel)
    {
        using var source = engine.Content.OpenRead(digest);
        await FinishAsync(session, () => new BlobPart(source, 0, size, tell), cancel).ConfigureAwait(false);
    }

    async Task PartsAsync(Uri session, long part, CancellationToken cancel)
    {
        using var source = engine.Content.OpenRead(digest);
        long offset = 0;
        for (var failures = 0; offset < size;)
        {
            var from = offset;
            var length = Math.Min(part, size - from);
            try
            {
                var request = new RegistryRequest(HttpMethod.Patch, session, What, client.Scope(Actions)) { Repeatable = false, Expected = [416], Content = () => Part(source, from, length) };
                using var answer = await client.Http.SendAsync(request, cancel).ConfigureAwait(false);
                if ((int)answer.StatusCode == 416) { throw RegistryErrors.Unavailable(client.Where, $"it does not take up {digest} at {from}"); }
                session = Location(session, answer);
                offset = Taken(answer) ?? from + length;
                if (offset <= from || offset > from + length) { throw RegistryErrors.Protocol(client.Where, $"it says that it has {offset} bytes of {digest}, of which {from + length} were sent"); }
                failures = 0;
            }
            catch (ContainerException e) when (e.Id is ErrorIds.RegistryUnavailable or ErrorIds.RegistryTimeout && ++failures < client.Limits.Attempts)
            {
                await client.Http.PauseAsync(failures, null, What, e.Message, cancel).ConfigureAwait(false);
                (session, offset) = await StatusAsync(session, cancel).ConfigureAwait(false);
            }
        }
        await FinishAsync(session, Nothing, cancel).ConfigureAwait(false);
    }

    // What the registry has of an upload that broke.
    async Task<(Uri, long)> StatusAsync(Uri session, CancellationToken cancel)
    {
        using var answer = await client.Http.SendAsync(new RegistryRequest(HttpMethod.Get, session, What, client.Scope(Actions)) { Expected = [404] }, cancel).ConfigureAwait(false);
        if ((int)answer.StatusCode == 404) { throw RegistryErrors.Unavailable(client.Where, $"it has forgotten the upload of {digest}"); }
        var taken = Taken(answer) ?? 0;
        if (taken < 0 || taken > size) { throw RegistryErrors.Protocol(client.Where, $"it says that it has {taken} bytes of {digest}, which has {size}"); }
        return (answer.Headers.Location is null ? session : Location(session, answer), taken);
    }

    async Task FinishAsync(Uri session, Func<HttpContent> content, CancellationToken cancel)
    {
        var address = new UriBuilder(session) { Query = (session.Query.Length > 1 ? session.Query[1..] + "&" : "") + "digest=" + Uri.EscapeDataString(digest.ToString()) }.Uri;
        using var answer = await client.Http.SendAsync(new RegistryRequest(HttpMethod.Put, address, What, client.Scope(Actions)) { Repeatable = false, Content = content }, cancel).ConfigureAwait(false);
        if ((int)answer.StatusCode != 201) { throw RegistryErrors.Protocol(client.Where, $"it answers {(int)answer.StatusCode} to the end of an upload"); }
    }

    Uri Location(Uri from, HttpResponseMessage answer) => answer.Headers.Location is { } location ? client.Http.Resolve(from, location.OriginalString) : throw RegistryErrors.Protocol(client.Where, "it does not say where an upload goes");

    static HttpContent Nothing() => new ByteArrayContent([]);

    // The specification's own form of Content-Range: without a unit and without the whole.
    BlobPart Part(FileStream source, long from, long length)
    {
        var part = new BlobPart(source, from, length, tell);
        part.Headers.TryAddWithoutValidation("Content-Range", $"{from}-{from + length - 1}");
        return part;
    }

    /// <summary>The end of <c>Range: 0-N</c>, plus one; null where nothing is said.</summary>
    static long? Taken(HttpResponseMessage answer)
    {
        if (!answer.Headers.NonValidated.TryGetValues("Range", out var values) || values.FirstOrDefault() is not { } range) { return null; }
        var text = range.StartsWith("bytes=", StringComparison.Ordinal) ? range[6..] : range;
        // An upload that has nothing yet says 0-0.
        return text == "0-0" ? 0 : text.StartsWith("0-", StringComparison.Ordinal) && long.TryParse(text.AsSpan(2), out var last) ? last + 1 : -1;
    }
}
