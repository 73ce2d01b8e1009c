using System.Text;
using Xunit;

namespace Containers.Tests.Units;

/// <summary>Who asks, shown to the one who may know it and to nobody else.</summary>
public sealed class AuthTests : RegistryTest
{
    const string Secret = "s3cret-word";
    static readonly RegistryCredential Alice = new("alice", Secret);
    static readonly string Basic = "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes($"alice:{Secret}"));

    static TestResponse Unauthorized(string challenge) => TestResponse.Text(401, "{\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"who?\"}]}", ("WWW-Authenticate", challenge));

    static void WantsBasic(TestRegistry registry) => registry.Hook = request => request.Header("authorization") == Basic ? null : Unauthorized("Basic realm=\"here\"");

    /// <summary>Wants tokens of a server, which gives <c>t1</c>, <c>t2</c> … and says for what by the token itself.</summary>
    static TestRegistry WantsTokens(TestRegistry registry, TestRegistry server, Func<TestRequest, bool>? allow = null, string life = "300")
    {
        var count = 0;
        server.Hook = request =>
        {
            if (request.Path != "/token") { return null; }
            if (allow?.Invoke(request) == false) { return TestRegistry.Error(401, "UNAUTHORIZED"); }
            return TestResponse.Text(200, $"{{\"token\":\"token-{Interlocked.Increment(ref count)}\",\"expires_in\":{life}}}");
        };
        registry.Hook = request => request.Header("authorization")?.StartsWith("Bearer token-") == true ? null
            : Unauthorized($"Bearer realm=\"{server.Address}/token\",service=\"the registry\",scope=\"repository:other/thing:push\"");
        return registry;
    }

    [Fact]
    public async Task Basic_is_shown_when_it_is_asked_for()
    {
        var registry = Http();
        registry.AddImage("a", "1", ["layer"]);
        WantsBasic(registry);
        await Failing(ErrorIds.RegistryDenied, ReceiveAsync(registry, "a:1"));
        Assert.Single(registry.Requests);
        await Failing(ErrorIds.RegistryDenied, ReceiveAsync(registry, "a:1", o => o.Credential = new RegistryCredential("alice", "wrong")));
        NothingIsStored();
        registry.Forget();
        await ReceiveAsync(registry, "a:1", o => o.Credential = Alice);
        Assert.Null(registry.Requests[0].Header("authorization"));
        Assert.All(registry.Requests.Skip(1), r => Assert.Equal(Basic, r.Header("authorization")));
    }

    [Fact]
    public async Task A_token_is_for_what_is_done_and_serves_all_of_it()
    {
        var server = Https();
        var registry = WantsTokens(Https(), server);
        Trust(registry);
        registry.AddImage("a", "1", ["one", "two", "three"]);
        await ReceiveAsync(registry, "a:1");
        var asked = server.Requests.Single();
        Assert.Equal(("GET", "/token", "the registry", "repository:a:pull"), (asked.Method, asked.Path, asked.Query["service"], asked.Query["scope"]));
        Assert.Null(asked.Header("authorization"));
        Assert.Equal(1, registry.Requests.Count(r => r.Header("authorization") is null));
    }

    [Fact]
    public async Task A_token_server_is_asked_again_when_it_says_and_not_in_an_hour()
    {
        var server = Https();
        var registry = WantsTokens(Https(), server);
        var plain = server.Hook!;
        Trust(registry);
        registry.AddImage("a", "1", ["layer"]);
        var first = true;
        server.Hook = request => first && !(first = false) ? new TestResponse(429, null, ("Retry-After", "1")) : plain(request);
        await ReceiveAsync(registry, "a:1");
        Assert.Equal(2, server.Requests.Count);

        server.Forget();
        server.Hook = _ => new TestResponse(503, null, ("Retry-After", "3600"));
        await Failing(ErrorIds.RegistryUnavailable, ReceiveAsync(registry, "a:1"));
        Assert.Single(server.Requests);
    }

    [Fact]
    public async Task Credentials_go_to_the_token_server_and_tokens_to_the_registry()
    {
        var server = Https();
        var registry = WantsTokens(Https(), server, request => request.Header("authorization") == Basic);
        Trust(registry);
        registry.AddImage("a", "1", ["layer"]);
        await Failing(ErrorIds.RegistryDenied, ReceiveAsync(registry, "a:1"));
        await ReceiveAsync(registry, "a:1", o => o.Credential = Alice);
        Assert.Equal("alice", server.Requests[^1].Query["account"]);
        Assert.DoesNotContain(registry.Requests, r => r.Header("authorization")?.StartsWith("Basic") == true);
    }

    [Fact]
    public async Task A_token_that_has_ended_is_replaced()
    {
        var server = Https();
        var registry = WantsTokens(Https(), server);
        Trust(registry);
        registry.AddImage("a", "1", ["layer"]);
        var plain = registry.Hook!;
        // The first one is good for the manifest alone.
        registry.Hook = request => request.Path.Contains("/blobs/") && request.Header("authorization") == "Bearer token-1" ? Unauthorized($"Bearer realm=\"{server.Address}/token\",error=\"invalid_token\"") : plain(request);
        await ReceiveAsync(registry, "a:1", o => o.Parallel = 1);
        Assert.Equal(2, server.Requests.Count);

        // And one that is never good enough is not asked for without end.
        registry.Hook = _ => Unauthorized($"Bearer realm=\"{server.Address}/token\"");
        server.Forget();
        await Failing(ErrorIds.RegistryDenied, ReceiveAsync(registry, "a:1"));
        Assert.InRange(server.Requests.Count, 1, 2);
    }

    [Fact]
    public async Task An_identity_token_is_exchanged_by_a_form()
    {
        var server = Https();
        var registry = WantsTokens(Https(), server, request => Encoding.UTF8.GetString(request.Body).Contains("refresh_token=identity-word"));
        Trust(registry);
        registry.AddImage("a", "1", ["layer"]);
        Directory.CreateDirectory(Path.GetDirectoryName(ConfigJson)!);
        File.WriteAllText(ConfigJson, "{\"auths\":{\"" + registry.Host + "\":{\"identitytoken\":\"identity-word\"}}}");
        await ReceiveAsync(registry, "a:1");
        var asked = server.Requests.Single();
        Assert.Equal("POST", asked.Method);
        Assert.Contains("grant_type=refresh_token", Encoding.UTF8.GetString(asked.Body));
        Assert.Contains("scope=repository%3Aa%3Apull", Encoding.UTF8.GetString(asked.Body));
    }

    [Fact]
    public async Task A_token_server_by_http_is_not_asked()
    {
        var server = Http();
        var registry = WantsTokens(Https(), server);
        Trust(registry);
        await Failing(ErrorIds.RegistryNotTrusted, ReceiveAsync(registry, "a:1"));
        await Failing(ErrorIds.RegistryNotTrusted, ReceiveAsync(registry, "a:1", o => o.Credential = Alice));
        Assert.Empty(server.Requests);
        NothingIsStored();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_registry_that_is_not_verified_gets_no_credentials_for_another(bool http)
    {
        var server = Https();
        var registry = WantsTokens(http ? Http() : Https(), server);
        registry.AddImage("a", "1", ["layer"]);
        void Way(ImagePullOptions o) => o.SkipCertificateCheck = !http;
        await Failing(ErrorIds.RegistryNotTrusted, ReceiveAsync(registry, "a:1", o =>
        {
            Way(o);
            o.Credential = Alice;
        }));
        Assert.Empty(server.Requests);
    }

    [Fact]
    public async Task A_registry_by_http_that_gives_tokens_itself_gets_what_the_user_meant_for_it()
    {
        var registry = Http();
        WantsTokens(registry, registry);
        var both = registry.Hook!;
        registry.Hook = request => request.Path == "/token" ? TestResponse.Text(200, "{\"access_token\":\"token-1\"}") : both(request);
        registry.AddImage("a", "1", ["layer"]);
        await ReceiveAsync(registry, "a:1", o => o.Credential = Alice);
        Assert.Equal(Basic, registry.Requests.Single(r => r.Path == "/token").Header("authorization"));
    }

    [Fact]
    public async Task A_redirect_to_another_host_carries_nothing_and_its_questions_are_not_answered()
    {
        var storage = Https();
        var registry = Https();
        Trust(registry);
        var made = registry.AddImage("a", "1", ["layer"]);
        WantsBasic(registry);
        var basic = registry.Hook!;
        registry.Hook = request => request.Path.EndsWith(made.Layers[0]) && basic(request) is null ? new TestResponse(307, null, ("Location", $"{storage.Address}/signed?X-Signature=signature-word")) : basic(request);
        storage.Hook = _ => new TestResponse(200, registry.Blobs[made.Layers[0]]);
        await ReceiveAsync(registry, "a:1", o => o.Credential = Alice);
        Assert.Null(storage.Requests.Single().Header("authorization"));
        Assert.DoesNotContain(Log, line => line.Contains("signature-word"));

        // CVE-2020-15157: the other host asks for what it may not have.
        Engine.Images.Remove($"{registry.Host}/a:1", containerNamespace: "t");
        storage.Hook = request => request.Path == "/token" ? TestResponse.Text(200, "{\"token\":\"t\"}") : Unauthorized($"Bearer realm=\"{storage.Address}/token\"");
        storage.Forget();
        await Failing(ErrorIds.RegistryDenied, ReceiveAsync(registry, "a:1", o => o.Credential = Alice));
        Assert.Equal(["GET /signed"], storage.Lines);
        Assert.Null(storage.Requests[0].Header("authorization"));
    }

    [Fact]
    public async Task Nothing_secret_is_in_a_message_or_a_line()
    {
        var server = Https();
        var registry = WantsTokens(Https(), server);
        Trust(registry);
        var plain = registry.Hook!;
        // It shouts what it was told.
        registry.Hook = request => plain(request) ?? TestRegistry.Error(403, "DENIED", $"you said {request.Header("authorization")} and {Secret} and {Basic}");
        var failure = await Failing(ErrorIds.RegistryDenied, ReceiveAsync(registry, "a:1", o => o.Credential = Alice));
        Assert.Contains("you said", failure.Message);
        server.Hook = request => TestRegistry.Error(401, "UNAUTHORIZED", $"not {request.Header("authorization")}");
        var refused = await Failing(ErrorIds.RegistryDenied, ReceiveAsync(registry, "a:1", o => o.Credential = Alice));
        foreach (var words in new[] { failure.ToString(), refused.ToString(), string.Join('\n', Log), Alice.ToString() })
        {
            Assert.DoesNotContain(Secret, words);
            Assert.DoesNotContain(Basic[6..], words);
            Assert.DoesNotContain("token-1", words);
        }
        Assert.NotEmpty(Log);
    }

    [Theory]
    [InlineData("realm=\"https://a/t\",service=\"s, t\",scope=\"repository:x:pull,push\"", "https://a/t", "s, t", "repository:x:pull,push")]
    [InlineData("Realm=https://a/t , SERVICE=s", "https://a/t", "s", null)]
    [InlineData("realm=\"a\\\"b\"", "a\"b", null, null)]
    [InlineData("realm=\"open", "open", null, null)]
    [InlineData(",,,=", null, null, null)]
    public void Challenges_are_read(string text, string? realm, string? service, string? scope)
    {
        var found = RegistryChallenge.Parameters(text);
        Assert.Equal((realm, service, scope), (found.GetValueOrDefault("realm"), found.GetValueOrDefault("service"), found.GetValueOrDefault("scope")));
    }
}
