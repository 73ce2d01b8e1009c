using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;

namespace Containers;

/// <summary>One request of a registry.</summary>
/// <param name="What">What it is for, as a user would name it.</param>
/// <param name="Scope">What a token has to allow.</param>
sealed record RegistryRequest(HttpMethod Method, Uri Address, string What, string Scope)
{
    internal IReadOnlyList<string> Accept { get; init; } = [];
    internal RangeHeaderValue? Range { get; init; }

    /// <summary>Makes the body anew for each attempt.</summary>
    internal Func<HttpContent>? Content { get; init; }

    /// <summary>May be sent once more when nobody knows whether it arrived.</summary>
    internal bool Repeatable { get; init; } = true;

    /// <summary>Statuses that are an answer and no failure.</summary>
    internal IReadOnlyList<int> Expected { get; init; } = [];
}

/// <summary>
/// Sends requests to one server: shows who asks, follows redirects without taking that along to others, waits and repeats where that helps, and
/// believes in no length and no end that does not come.
/// </summary>
sealed class RegistryHttp : IDisposable
{
    readonly RegistryEndpoint endpoint;
    readonly RegistryLimits limits;
    readonly Action<string>? log;
    readonly HttpClient client;

    internal RegistryHttp(RegistryEndpoint endpoint, RegistryLimits limits, int connections, Func<CancellationToken, Task<RegistryCredential?>> credential, Action<string>? log)
    {
        this.endpoint = endpoint;
        this.limits = limits;
        this.log = log;
        Auth = new RegistryAuth(endpoint, credential);
        client = new HttpClient(RegistryHandler.Make(endpoint, limits, connections)) { Timeout = Timeout.InfiniteTimeSpan };
    }

    internal RegistryAuth Auth { get; }

    public void Dispose()
    {
        client.Dispose();
        Auth.Dispose();
    }

    /// <summary>Sends until there is an answer that counts: a success, or one of <see cref="RegistryRequest.Expected"/>. Only its headers are read.</summary>
    /// <exception cref="ContainerException"><c>RegistryUnavailable</c>, <c>RegistryTimeout</c>, <c>RegistryProtocol</c>, <c>RegistryNotTrusted</c>, <c>RegistryDenied</c>, <c>RegistryRefused</c>, <c>ImageNotFound</c>.</exception>
    internal async Task<HttpResponseMessage> SendAsync(RegistryRequest request, CancellationToken cancel)
    {
        var challenged = 0;
        for (var attempt = 1; ; attempt++)
        {
            HttpResponseMessage answer;
            AuthenticationHeaderValue? shown;
            bool own;
            try
            {
                shown = await Auth.HeaderAsync(this, request.Scope, cancel).ConfigureAwait(false);
                (answer, own) = await FollowAsync(request.Address, () => Message(request), shown, request.What, cancel).ConfigureAwait(false);
            }
            catch (PassingException e)
            {
                if (attempt >= limits.Attempts || !request.Repeatable) { throw e.Failure; }
                await PauseAsync(attempt, null, request.What, e.Failure.Message, cancel).ConfigureAwait(false);
                continue;
            }
            var status = (int)answer.StatusCode;
            if (answer.IsSuccessStatusCode || request.Expected.Contains(status)) { return answer; }
            using (answer)
            {
                // Only the registry's own question is answered: not that of a server that it sent to.
                if (status == 401 && own && challenged++ < 2 && await Auth.ChallengedAsync(answer, shown, request.Scope, cancel).ConfigureAwait(false))
                {
                    attempt--;
                    continue;
                }
                var wait = Wait(answer);
                if (!IsPassing(status, wait) || !request.Repeatable || attempt >= limits.Attempts)
                {
                    var body = await DocumentAsync(answer, RegistryLimits.Error, request.What, cut: true, cancel).ConfigureAwait(false);
                    throw RegistryErrors.Of(status, body, request.What, endpoint.Base.Authority, Auth.Scrub);
                }
                await PauseAsync(attempt, wait, request.What, $"status {status}", cancel).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Sends, and reads all of the answer.</summary>
    internal async Task<(byte[] Body, HttpResponseMessage Answer)> FetchAsync(RegistryRequest request, int most, CancellationToken cancel)
    {
        for (var attempt = 1; ; attempt++)
        {
            var answer = await SendAsync(request, cancel).ConfigureAwait(false);
            try
            {
                var body = await DocumentAsync(answer, most, request.What, cut: false, cancel).ConfigureAwait(false);
                answer.Dispose();
                return (body, answer);
            }
            catch (PassingException e)
            {
                answer.Dispose();
                if (attempt >= limits.Attempts) { throw e.Failure; }
                await PauseAsync(attempt, null, request.What, e.Failure.Message, cancel).ConfigureAwait(false);
            }
            catch
            {
                answer.Dispose();
                throw;
            }
        }
    }

    /// <summary>A token, of whatever server. Redirects are not followed: credentials would go along, or be missing.</summary>
    internal async Task<byte[]> TokenAsync(Func<HttpRequestMessage> request, string what, CancellationToken cancel)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                using var answer = await OnceAsync(request(), what, cancel).ConfigureAwait(false);
                var body = await DocumentAsync(answer, RegistryLimits.Document, what, cut: !answer.IsSuccessStatusCode, cancel).ConfigureAwait(false);
                var status = (int)answer.StatusCode;
                if (answer.IsSuccessStatusCode) { return body; }
                var wait = Wait(answer);
                if (!IsPassing(status, wait) || attempt >= limits.Attempts) { throw status is 400 or 401 or 403 ? RegistryErrors.Of(Auth.HasCredential || status != 403 ? 401 : 403, body, what, endpoint.Base.Authority, Auth.Scrub) : RegistryErrors.Of(status, body, what, endpoint.Base.Authority, Auth.Scrub); }
                await PauseAsync(attempt, wait, what, $"status {status}", cancel).ConfigureAwait(false);
            }
            catch (PassingException e)
            {
                if (attempt >= limits.Attempts) { throw e.Failure; }
                await PauseAsync(attempt, null, what, e.Failure.Message, cancel).ConfigureAwait(false);
            }
        }
    }

    HttpRequestMessage Message(RegistryRequest request)
    {
        var message = new HttpRequestMessage(request.Method, request.Address) { Content = request.Content?.Invoke() };
        foreach (var type in request.Accept) { message.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue(type)); }
        message.Headers.Range = request.Range;
        return message;
    }

    async Task<(HttpResponseMessage Answer, bool Own)> FollowAsync(Uri address, Func<HttpRequestMessage> make, AuthenticationHeaderValue? shown, string what, CancellationToken cancel)
    {
        for (var hops = 0; ; hops++)
        {
            var message = make();
            message.RequestUri = address;
            var own = IsOwn(address);
            if (own)
            {
                message.Headers.Authorization = shown;
                foreach (var (name, value) in endpoint.Headers) { message.Headers.TryAddWithoutValidation(name, value); }
            }
            var answer = await OnceAsync(message, what, cancel).ConfigureAwait(false);
            var follows = (int)answer.StatusCode is 307 or 308 || ((int)answer.StatusCode is 301 or 302 or 303 && (message.Method == HttpMethod.Get || message.Method == HttpMethod.Head));
            if (!follows) { return (answer, own); }
            using (answer)
            {
                var next = answer.Headers.Location is { } location ? Resolve(address, location.OriginalString) : throw RegistryErrors.Protocol(address.Authority, "it redirects to nowhere");
                if (hops >= RegistryLimits.Redirects) { throw RegistryErrors.Protocol(endpoint.Base.Authority, $"it redirects more than {RegistryLimits.Redirects} times for {what}"); }
                address = next;
            }
        }
    }

    /// <summary>Where an answer sends to, if that is a place to go: never from https to http.</summary>
    internal Uri Resolve(Uri from, string location)
    {
        if (!Uri.TryCreate(from, location, out var next) || next.Scheme is not ("http" or "https") || next.UserInfo.Length > 0) { throw RegistryErrors.Protocol(from.Authority, $"it sends to '{Auth.Scrub(RegistryErrors.Printable(location.Split('?')[0]))}', which is no address"); }
        if (from.Scheme == Uri.UriSchemeHttps && next.Scheme != Uri.UriSchemeHttps)
        {
            throw RegistryErrors.NotTrusted(from.Authority, $"it is spoken to by https, and sends to '{RegistryErrors.Printable(next.Authority)}' by http", "Nothing was sent there.");
        }
        return next;
    }

    internal bool IsOwn(Uri address) => address.Scheme == endpoint.Base.Scheme && address.Authority == endpoint.Base.Authority;

    async Task<HttpResponseMessage> OnceAsync(HttpRequestMessage message, string what, CancellationToken cancel)
    {
        var address = message.RequestUri!;
        // Without the query, which may be a signature or a token.
        var line = $"{message.Method} {address.GetLeftPart(UriPartial.Path)}";
        var clock = Stopwatch.StartNew();
        message.Headers.UserAgent.Add(new ProductInfoHeaderValue("Containers", ContainerEngine.Version));
        // A body takes the time that it takes; its writer watches over that.
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        if (message.Content is null) { over.CancelAfter(limits.Answer); }
        if (message.Content is BlobPart part) { part.Watch(over, limits.Answer); }
        try
        {
            var answer = await client.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, over.Token).ConfigureAwait(false);
            Log($"{line} {(int)answer.StatusCode} {clock.ElapsedMilliseconds} ms");
            return answer;
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            Log($"{line} no answer {clock.ElapsedMilliseconds} ms");
            throw new PassingException(RegistryErrors.Slow(address.Authority, $"no answer for {what} within {limits.Answer.TotalSeconds:0.#} s"));
        }
        catch (HttpRequestException e)
        {
            Log($"{line} {e.HttpRequestError} {clock.ElapsedMilliseconds} ms");
            throw Failure(address, e);
        }
        catch (IOException e)
        {
            Log($"{line} {e.GetType().Name} {clock.ElapsedMilliseconds} ms");
            throw new PassingException(RegistryErrors.Unavailable(address.Authority, e.Message.TrimEnd('.'), e));
        }
    }

    Exception Failure(Uri address, HttpRequestException e)
    {
        var where = address.Authority;
        var why = (e.InnerException ?? e).Message.TrimEnd('.');
        return e.HttpRequestError switch
        {
            HttpRequestError.SecureConnectionError => RegistryErrors.NotTrusted(where, why, "Trust its certificate by a ca in hosts.toml. One that speaks no https at all needs -PlainHttp, one whose certificate is not to be looked at -SkipCertificateCheck.", e),
            HttpRequestError.NameResolutionError or HttpRequestError.ConnectionError or HttpRequestError.ProxyTunnelError => RegistryErrors.Unavailable(where, why, e),
            HttpRequestError.ConfigurationLimitExceeded => RegistryErrors.Protocol(where, $"its headers are over {RegistryLimits.Headers} KiB", e),
            HttpRequestError.InvalidResponse => RegistryErrors.Protocol(where, "it does not speak HTTP" + (endpoint.IsHttps ? "" : "; if it speaks https, leave out -PlainHttp"), e),
            _ => new PassingException(RegistryErrors.Unavailable(where, why, e)),
        };
    }

    /// <summary>All of a body that may be at most so long.</summary>
    /// <param name="cut">Takes the beginning of a longer or broken one: it is only for a message.</param>
    async Task<byte[]> DocumentAsync(HttpResponseMessage answer, int most, string what, bool cut, CancellationToken cancel)
    {
        var told = answer.Content.Headers.ContentLength;
        if (!cut && told > most) { throw RegistryErrors.Protocol(endpoint.Base.Authority, $"{what} has {told} bytes, and at most {most} are taken"); }
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        over.CancelAfter(limits.Answer);
        var content = new MemoryStream();
        var buffer = new byte[16 << 10];
        try
        {
            await using var body = await answer.Content.ReadAsStreamAsync(over.Token).ConfigureAwait(false);
            int n;
            while (content.Length <= most && (n = await body.ReadAsync(buffer, over.Token).ConfigureAwait(false)) > 0) { content.Write(buffer, 0, n); }
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            if (!cut) { throw RegistryErrors.Slow(endpoint.Base.Authority, $"{what} was not there within {limits.Answer.TotalSeconds:0.#} s"); }
        }
        catch (Exception e) when (e is IOException or HttpRequestException)
        {
            if (!cut) { throw new PassingException(RegistryErrors.Unavailable(endpoint.Base.Authority, $"the connection broke in the middle of {what}", e)); }
        }
        if (content.Length > most && !cut) { throw RegistryErrors.Protocol(endpoint.Base.Authority, $"{what} has more than {most} bytes"); }
        return content.ToArray();
    }

    // Never a 4xx again, but for the one that says when; and nobody is waited for as long as a stranger likes.
    bool IsPassing(int status, TimeSpan? wait) => (status >= 500 && status != 501 || (status == 429 && wait is not null)) && !(wait > limits.RetryAfter);

    static TimeSpan? Wait(HttpResponseMessage answer) => answer.Headers.RetryAfter switch
    {
        { Delta: { } span } => span < TimeSpan.Zero ? TimeSpan.Zero : span,
        { Date: { } date } => date > DateTimeOffset.UtcNow ? date - DateTimeOffset.UtcNow : TimeSpan.Zero,
        _ => null,
    };

    internal async Task PauseAsync(int attempt, TimeSpan? asked, string what, string why, CancellationToken cancel)
    {
        var wait = asked ?? limits.Backoff * Math.Pow(2, attempt - 1) * (1 + Random.Shared.NextDouble() / 2);
        Log($"once more in {wait.TotalMilliseconds:0} ms: {what}: {why}");
        await Task.Delay(wait, cancel).ConfigureAwait(false);
    }

    internal void Log(string line) => log?.Invoke(Auth.Scrub(line));
}

/// <summary>A failure that another attempt may not meet.</summary>
sealed class PassingException(ContainerException failure) : Exception(failure.Message, failure)
{
    internal ContainerException Failure { get; } = failure;
}
