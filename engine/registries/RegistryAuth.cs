using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

namespace Containers;

/// <summary>
/// Shows one server who asks. A token is for the scopes of the request and for no more, whatever the challenge says. Credentials go to the server
/// itself, and to a token server only when the registry named it by https with a certificate that was looked at (CVE-2020-15157).
/// </summary>
sealed class RegistryAuth(RegistryEndpoint endpoint, Func<CancellationToken, Task<RegistryCredential?>> find) : IDisposable
{
    // A token without a time is good for a minute, says the specification; one that ends within the next seconds is not begun with.
    static readonly TimeSpan Default = TimeSpan.FromSeconds(60), Margin = TimeSpan.FromSeconds(5);

    readonly SemaphoreSlim gate = new(1);
    readonly Dictionary<string, (string Token, DateTimeOffset Until)> tokens = new(StringComparer.Ordinal);
    readonly HashSet<string> secrets = new(StringComparer.Ordinal);
    RegistryChallenge? challenge;
    RegistryCredential? credential;
    bool looked;

    public void Dispose() => gate.Dispose();

    /// <summary>Whether the server has asked who it is, and somebody was named.</summary>
    internal bool WasAsked => challenge is not null;

    internal bool HasCredential => credential is not null;

    /// <summary>What to show now; null before the server has asked.</summary>
    internal async Task<AuthenticationHeaderValue?> HeaderAsync(RegistryHttp http, string scope, CancellationToken cancel)
    {
        if (challenge is null) { return null; }
        await gate.WaitAsync(cancel).ConfigureAwait(false);
        try { return await MakeAsync(http, scope, cancel).ConfigureAwait(false); }
        finally { gate.Release(); }
    }

    /// <summary>Takes a 401 to heart.</summary>
    /// <param name="shown">What was shown in vain; null for nothing.</param>
    /// <returns>Whether there is something else to show.</returns>
    internal async Task<bool> ChallengedAsync(HttpResponseMessage answer, AuthenticationHeaderValue? shown, string scope, CancellationToken cancel)
    {
        if (RegistryChallenge.Of(answer.Headers) is not { } asked) { return false; }
        await gate.WaitAsync(cancel).ConfigureAwait(false);
        try
        {
            challenge = asked;
            if (asked.Scheme == "Basic") { return shown is null && await CredentialAsync(cancel).ConfigureAwait(false) is { Secret.Length: > 0 }; }
            var key = Scope(scope, asked);
            // Another request may have got a new one meanwhile.
            if (shown is not null && tokens.TryGetValue(key, out var held) && held.Token == shown.Parameter) { tokens.Remove(key); }
            return (await CredentialAsync(cancel).ConfigureAwait(false))?.RegistryToken is null || shown is null;
        }
        finally { gate.Release(); }
    }

    /// <summary>Words without anything that is secret here.</summary>
    internal string Scrub(string words)
    {
        lock (secrets)
        {
            foreach (var secret in secrets.OrderByDescending(s => s.Length)) { words = words.Replace(secret, "***", StringComparison.Ordinal); }
        }
        return words;
    }

    async Task<RegistryCredential?> CredentialAsync(CancellationToken cancel)
    {
        if (looked) { return credential; }
        credential = await find(cancel).ConfigureAwait(false);
        looked = true;
        foreach (var secret in credential?.Secrets ?? []) { Remember(secret); }
        if (credential is { Secret.Length: > 0 }) { Remember(Basic(credential).Parameter!); }
        return credential;
    }

    void Remember(string secret)
    {
        lock (secrets) { secrets.Add(secret); }
    }

    static AuthenticationHeaderValue Basic(RegistryCredential credential) => new("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{credential.UserName}:{credential.Secret}")));

    // The scope of a path that the configuration made up is known to the server alone.
    string Scope(string scope, RegistryChallenge asked) => endpoint.OwnPath || scope.Length == 0 ? asked.Scope ?? scope : scope;

    async Task<AuthenticationHeaderValue?> MakeAsync(RegistryHttp http, string scope, CancellationToken cancel)
    {
        var asked = challenge!;
        var who = await CredentialAsync(cancel).ConfigureAwait(false);
        if (asked.Scheme == "Basic") { return who is { Secret.Length: > 0 } ? Basic(who) : null; }
        if (who?.RegistryToken is { } given) { return new AuthenticationHeaderValue("Bearer", given); }
        var key = Scope(scope, asked);
        if (!tokens.TryGetValue(key, out var held) || held.Until - Margin < DateTimeOffset.UtcNow) { tokens[key] = held = await FetchAsync(http, asked, key, who, cancel).ConfigureAwait(false); }
        return new AuthenticationHeaderValue("Bearer", held.Token);
    }

    async Task<(string, DateTimeOffset)> FetchAsync(RegistryHttp http, RegistryChallenge asked, string scope, RegistryCredential? who, CancellationToken cancel)
    {
        if (!Uri.TryCreate(asked.Realm, UriKind.Absolute, out var realm) || realm.Scheme is not ("http" or "https") || realm.UserInfo.Length > 0)
        {
            throw RegistryErrors.Protocol(endpoint.Base.Authority, $"its token server is '{RegistryErrors.Printable(asked.Realm)}', which is no address");
        }
        Vouch(realm, who);
        var scopes = scope.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        HttpRequestMessage Request()
        {
            // OAuth2 for a token that is given for others, the older way for a password: every token server has it.
            if (who?.IdentityToken is { } identity)
            {
                var form = new List<KeyValuePair<string, string>> { new("grant_type", "refresh_token"), new("refresh_token", identity), new("client_id", "containers"), new("service", asked.Service ?? ""), new("scope", scope) };
                return new HttpRequestMessage(HttpMethod.Post, realm) { Content = new FormUrlEncodedContent(form) };
            }
            var query = new List<string>();
            if (asked.Service is { Length: > 0 } service) { query.Add("service=" + Uri.EscapeDataString(service)); }
            query.AddRange(scopes.Select(s => "scope=" + Uri.EscapeDataString(s)));
            if (who is { UserName.Length: > 0 }) { query.Add("account=" + Uri.EscapeDataString(who.UserName)); }
            var request = new HttpRequestMessage(HttpMethod.Get, new UriBuilder(realm) { Query = string.Join('&', [.. realm.Query.Length > 1 ? [realm.Query[1..]] : Array.Empty<string>(), .. query]) }.Uri);
            if (who is { Secret.Length: > 0 }) { request.Headers.Authorization = Basic(who); }
            return request;
        }
        var document = await http.TokenAsync(Request, $"a token of {realm.Authority} for {(scope.Length > 0 ? scope : endpoint.Base.Authority)}", cancel).ConfigureAwait(false);
        TokenAnswer? answer;
        try { answer = JsonSerializer.Deserialize(document, RegistryJson.Default.TokenAnswer); }
        catch (JsonException) { throw RegistryErrors.Protocol(realm.Authority, "its token is no JSON"); }
        var token = answer?.Token is { Length: > 0 } one ? one : answer?.AccessToken;
        if (token is not { Length: > 0 } || token.Any(c => c is <= ' ' or > '~')) { throw RegistryErrors.Protocol(realm.Authority, "it gives no token"); }
        Remember(token);
        var life = answer!.ExpiresIn is { } seconds and >= 60 and < 1e9 ? TimeSpan.FromSeconds(seconds) : Default;
        return (token, DateTimeOffset.UtcNow + life);
    }

    void Vouch(Uri realm, RegistryCredential? who)
    {
        if (endpoint.IsHttps && realm.Scheme != Uri.UriSchemeHttps)
        {
            throw RegistryErrors.NotTrusted(endpoint.Base.Authority, $"it is spoken to by https, and sends to a token server by http, '{RegistryErrors.Printable(realm.Authority)}'", "Nothing was sent there.");
        }
        var itself = realm.Scheme == endpoint.Base.Scheme && realm.Authority == endpoint.Base.Authority;
        if (who is null || itself || (endpoint.IsVerified && realm.Scheme == Uri.UriSchemeHttps)) { return; }
        throw RegistryErrors.NotTrusted(endpoint.Base.Authority, $"its certificate was not looked at, and it sends credentials on to '{RegistryErrors.Printable(realm.Authority)}'",
            "They were not sent. Trust its certificate by a ca in hosts.toml, and leave out -PlainHttp and -SkipCertificateCheck.");
    }
}
