namespace Containers;

/// <summary>Brings one blob into the store: gone on with where an earlier attempt, or an earlier process, ended; from each server that has it.</summary>
sealed class BlobDownload(ContainerEngine engine, RegistrySession session, Descriptor blob, string activity, IProgress<ImageProgress>? progress)
{
    readonly Digest digest = Digest.Parse(blob.Digest);
    long told;

    /// <returns>Bytes that were fetched; 0 when the store had it.</returns>
    internal async Task<long> RunAsync(CancellationToken cancel)
    {
        if (Here()) { return 0; }
        if (ImageGraph.Embedded(blob) is { } content)
        {
            engine.Content.Put(content, digest);
            return 0;
        }
        if (blob.Size > engine.Options.Limits.LayerBytes)
        {
            throw new ContainerException(ErrorIds.LayerTooLarge, $"The content {digest} has {blob.Size} bytes; at most {engine.Options.Limits.LayerBytes} are fetched. CONTAINERS_LAYER_BYTES raises the limit.", digest.ToString(), ContainerErrorCategory.InvalidData);
        }
        using var ingest = await Ingest.ResumeAsync(engine.Paths, digest, cancel).ConfigureAwait(false);
        // Another process may have had it in hand.
        if (Here())
        {
            ingest.Reset();
            return 0;
        }
        if (ingest.Length > blob.Size) { ingest.Reset(); }
        var resumed = ingest.Length;
        await session.FirstAsync(endpoint => endpoint.CanPull, async client =>
        {
            await FromAsync(client, ingest, cancel).ConfigureAwait(false);
            return true;
        }).ConfigureAwait(false);
        progress?.Report(new ImageProgress(activity, digest.ToString(), blob.Size, blob.Size, true));
        return blob.Size - resumed;
    }

    bool Here()
    {
        if (!engine.Content.Use(digest)) { return false; }
        if (engine.Content.Find(digest) is { } held && held.Size != blob.Size) { throw Length(held.Size); }
        progress?.Report(new ImageProgress(activity, digest.ToString(), blob.Size, blob.Size, true));
        return true;
    }

    async Task FromAsync(RegistryClient client, Ingest ingest, CancellationToken cancel)
    {
        var idle = 0;
        var resumed = ingest.Length > 0;
        while (true)
        {
            var begun = ingest.Length;
            ContainerException failure;
            try
            {
                await OnceAsync(client, ingest, cancel).ConfigureAwait(false);
                if (ingest.Length == blob.Size)
                {
                    ingest.Commit(digest);
                    return;
                }
                failure = Length(ingest.Length);
            }
            catch (PassingException e) { failure = e.Failure; }
            catch (ContainerException e) when (e.Id == ErrorIds.DigestMismatch && resumed)
            {
                // What lay here may have been the wrong part: once more from the start.
                resumed = false;
                ingest.Reset();
                continue;
            }
            catch (ContainerException e) when (e.Id is ErrorIds.DigestMismatch or ErrorIds.SizeMismatch or ErrorIds.RegistryProtocol)
            {
                // Nothing of what a liar said stays; another server may begin anew.
                ingest.Reset();
                throw;
            }
            idle = ingest.Length - begun >= client.Limits.Progress ? 0 : idle + 1;
            if (idle >= client.Limits.Attempts)
            {
                if (failure.Id == ErrorIds.SizeMismatch) { ingest.Reset(); }
                throw failure;
            }
            await client.Http.PauseAsync(Math.Max(idle, 1), null, $"the content {digest}", failure.Message, cancel).ConfigureAwait(false);
        }
    }

    async Task OnceAsync(RegistryClient client, Ingest ingest, CancellationToken cancel)
    {
        if (ingest.Length == blob.Size && blob.Size > 0) { return; }
        using var answer = await client.OpenBlobAsync(digest, ingest.Length, cancel).ConfigureAwait(false);
        var status = (int)answer.StatusCode;
        if (status == 416)
        {
            if (ingest.Length == 0) { throw RegistryErrors.Protocol(client.Where, $"it has no range of {digest} although none was asked for"); }
            ingest.Reset();
            throw new PassingException(RegistryErrors.Protocol(client.Where, $"it cannot go on with {digest}"));
        }
        if (status == 206)
        {
            if (answer.Content.Headers.ContentRange is not { From: { } from } range || from != ingest.Length || (range.Length is { } whole && whole != blob.Size)) { throw RegistryErrors.Protocol(client.Where, $"it sends another range of {digest} than was asked for"); }
        }
        // Without ranges all of it comes again.
        else if (ingest.Length > 0) { ingest.Reset(); }
        if (answer.Content.Headers.ContentLength is { } length && length != blob.Size - ingest.Length) { throw Length(ingest.Length + length); }
        await ReadAsync(client, answer, ingest, cancel).ConfigureAwait(false);
    }

    async Task ReadAsync(RegistryClient client, HttpResponseMessage answer, Ingest ingest, CancellationToken cancel)
    {
        var limits = client.Limits;
        var buffer = new byte[512 << 10];
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var window = (Since: Environment.TickCount64, From: ingest.Length);
        try
        {
            over.CancelAfter(limits.Answer);
            await using var body = await answer.Content.ReadAsStreamAsync(over.Token).ConfigureAwait(false);
            int n;
            while ((n = await body.ReadAsync(buffer, over.Token).ConfigureAwait(false)) > 0)
            {
                if (ingest.Length + n > blob.Size) { throw Length(ingest.Length + n); }
                ingest.Write(buffer.AsSpan(0, n));
                Tell(ingest.Length);
                over.CancelAfter(limits.Answer);
                if (ingest.Length == blob.Size || Environment.TickCount64 - window.Since < limits.Slow.TotalMilliseconds) { continue; }
                // A byte now and then is no download.
                if (ingest.Length - window.From < limits.SlowBytes) { throw RegistryErrors.Slow(client.Where, $"{ingest.Length - window.From} bytes of {digest} in {limits.Slow.TotalSeconds:0.#} s"); }
                window = (Environment.TickCount64, ingest.Length);
            }
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            throw new PassingException(RegistryErrors.Slow(client.Where, $"nothing more of {digest} within {limits.Answer.TotalSeconds:0.#} s"));
        }
        catch (Exception e) when (e is HttpRequestException or HttpIOException || (e is IOException && e is not Linux.LinuxException))
        {
            throw new PassingException(RegistryErrors.Unavailable(client.Where, $"the connection broke after {ingest.Length} of {blob.Size} bytes of {digest}", e));
        }
    }

    void Tell(long length)
    {
        if (length - told < 1 << 20 && length >= told) { return; }
        told = length;
        progress?.Report(new ImageProgress(activity, digest.ToString(), length, blob.Size, false));
    }

    ContainerException Length(long found) => new(ErrorIds.SizeMismatch, $"The content {digest} should have {blob.Size} bytes, and has {(found > blob.Size ? "more" : found.ToString())}. It was damaged or changed on its way: get it again.",
        digest.ToString(), ContainerErrorCategory.InvalidData);
}
