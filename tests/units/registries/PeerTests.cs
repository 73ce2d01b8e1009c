using System.Text;
using System.Text.RegularExpressions;
using Xunit;

namespace Containers.Tests.Units;

/// <summary>Against a registry that others wrote, by TLS with a certificate of the test's own authority.</summary>
public sealed class PeerTests : RegistryTest
{
    static readonly RegistryCredential Alice = new("alice", "s3cret-word");

    public PeerTests() => Use(new RegistryLimits { UploadPart = 40_000 });

    DockerRegistry Start(string auth)
    {
        var registry = Own(DockerRegistry.Start(Path.Combine(Folder, "peer"), Certificates, auth));
        Hosts(registry.Host, "ca = \"ca.pem\"\n");
        return registry;
    }

    async Task<string> HaveAsync()
    {
        var source = Http();
        source.AddImage("app", "1", ["small", string.Concat(Enumerable.Range(0, 30_000))]);
        return (await ReceiveAsync(source, "app:1")).Reference!;
    }

    async Task ThereAndBackAsync(DockerRegistry registry, RegistryCredential? credential)
    {
        var name = await HaveAsync();
        ImagePushOptions Push(string target) => new() { ContainerNamespace = "t", Target = $"{registry.Host}/{target}", Credential = credential, Log = Note };
        var first = await Engine.Images.PublishAsync(name, Push("shop/app:1"), Limit);
        Assert.Equal((3, 0), (first.Sent, first.Skipped));
        Assert.Contains(Log, line => line.StartsWith("PATCH"));
        Assert.Equal((0, 3), ((await Engine.Images.PublishAsync(name, Push("shop/app:2"), Limit)) is var again ? (again.Sent, again.Skipped) : default));

        // With a name here that says where it is, it is mounted there and not sent.
        Engine.Images.Tag(name, $"{registry.Host}/shop/app:1", containerNamespace: "t");
        Assert.Equal(0, (await Engine.Images.PublishAsync(name, Push("other/app:1"), Limit)).Sent);

        var way = new RegistryOptions { Credential = credential, Log = Note };
        Assert.Equal(["1", "2"], (await Engine.Registries.TagsAsync($"{registry.Host}/shop/app", way, Limit).ToListAsync(Limit)).Select(t => t.Tag).Order());
        foreach (var image in Engine.Images.List("t").ToList()) { Engine.Images.Remove(image.Reference!, containerNamespace: "t"); }
        Assert.Empty(Engine.Content.List());
        var pulled = await Engine.Images.ReceiveAsync($"{registry.Host}/shop/app:2", Pull(more: o => o.Credential = credential), Limit);
        Assert.Equal(first.Digest, pulled.Digest);
        Assert.True((await Engine.Images.TestAsync(pulled.Reference!, read: true, "t", Limit)).IsComplete);

        await Failing(ErrorIds.ImageNotFound, Engine.Images.ReceiveAsync($"{registry.Host}/shop/app:none", Pull(more: o => o.Credential = credential), Limit));
        await Engine.Registries.RemoveAsync($"{registry.Host}/shop/app@{first.Digest}", way, Limit);
        await Failing(ErrorIds.ImageNotFound, Engine.Images.ReceiveAsync($"{registry.Host}/shop/app:1", Pull(more: o => o.Credential = credential), Limit));
        Assert.DoesNotContain(Log, line => line.Contains(Alice.Secret) || line.Contains("Bearer") || line.Contains("_state"));
    }

    [NeedsDockerRegistryFact]
    public async Task There_and_back_as_nobody() => await ThereAndBackAsync(Start(""), null);

    [NeedsDockerRegistryFact]
    public async Task There_and_back_by_a_password()
    {
        var registry = Start($"""
            auth:
              htpasswd:
                realm: test
                path: {Folder}/peer/htpasswd
            """);
        await ThereAndBackAsync(registry, Alice);
        await Failing(ErrorIds.RegistryDenied, Engine.Images.ReceiveAsync($"{registry.Host}/shop/app:2", Pull(), Limit));
        await Failing(ErrorIds.RegistryDenied, Engine.Registries.ConnectAsync(registry.Host, new RegistryOptions { Credential = Alice with { Secret = "wrong" } }, Limit));
        await Engine.Registries.ConnectAsync(registry.Host, new RegistryOptions { Credential = Alice }, Limit);
        Assert.Equal(["other/app", "shop/app"], (await Engine.Registries.CatalogAsync(registry.Host, new RegistryOptions(), Limit).ToListAsync(Limit)).Select(r => r.Repository));
    }

    [NeedsDockerRegistryFact]
    public async Task There_and_back_by_tokens()
    {
        var server = Https();
        var basic = "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes("alice:s3cret-word"));
        server.Hook = request => request.Header("authorization") == basic ? TestResponse.Text(200, $"{{\"token\":\"{TestToken.Sign(Certificates, request.Query["service"], request.Query.GetValueOrDefault("scope", ""))}\",\"expires_in\":300}}")
            : TestRegistry.Error(401, "UNAUTHORIZED");
        var registry = Start(TokenAuth(server));
        await ThereAndBackAsync(registry, Alice);
        Assert.Contains(server.Requests, r => r.Query["scope"] == "repository:shop/app:pull,push");
        Assert.Contains(server.Requests, r => r.Query["scope"] == "repository:shop/app:pull,delete");
        await Failing(ErrorIds.RegistryDenied, Engine.Images.ReceiveAsync($"{registry.Host}/other/app:1", Pull(), Limit));
    }

    [NeedsDockerRegistryFact]
    public async Task There_and_back_by_a_certificate_of_the_client()
    {
        var registry = Own(DockerRegistry.Start(Path.Combine(Folder, "peer"), Certificates, $"    clientcas:\n      - {Folder}/peer/authority.pem"));
        Hosts(registry.Host, "ca = \"ca.pem\"\n");
        // Who shows none is not spoken to: by TLS 1.3 that is told after the handshake, by a broken connection.
        var refused = await Assert.ThrowsAsync<ContainerException>(() => Engine.Images.ReceiveAsync($"{registry.Host}/shop/app:1", Pull(), Limit));
        Assert.Contains(refused.Id, (string[])[ErrorIds.RegistryNotTrusted, ErrorIds.RegistryUnavailable]);
        File.WriteAllText(Path.Combine(HostsFolder, registry.Host, "me.cert"), Certificates.Client.ExportCertificatePem());
        File.WriteAllText(Path.Combine(HostsFolder, registry.Host, "me.key"), TestCertificates.KeyOf(Certificates.Client));
        Hosts(registry.Host, "ca = \"ca.pem\"\nclient = [[\"me.cert\", \"me.key\"]]\n");
        await ThereAndBackAsync(registry, null);
    }

    [NeedsDockerRegistryFact]
    public async Task A_token_that_ends_in_the_middle_of_a_pull_is_replaced()
    {
        var server = Https();
        DateTimeOffset? ends = null;
        server.Hook = request =>
        {
            var token = TestToken.Sign(Certificates, request.Query["service"], request.Query["scope"], ends);
            ends = null;
            return TestResponse.Text(200, $"{{\"token\":\"{token}\",\"expires_in\":300}}");
        };
        var registry = Start(TokenAuth(server));
        var name = await HaveAsync();
        await Engine.Images.PublishAsync(name, new ImagePushOptions { ContainerNamespace = "t", Target = $"{registry.Host}/shop/app:1" }, Limit);
        Engine.Images.Remove(name, containerNamespace: "t");
        server.Forget();

        // It says that it is good for five minutes. The registry takes it for a minute longer than is written in it.
        ends = DateTimeOffset.UtcNow.AddSeconds(4);
        var until = ends.Value.AddSeconds(2);
        await Engine.Images.ReceiveAsync($"{registry.Host}/shop/app:1", Pull(more: o => o.Log = line =>
        {
            Note(line);
            if (line.Contains("/manifests/") && line.Contains(" 200 ") && until - DateTimeOffset.UtcNow is { Ticks: > 0 } wait) { using var waited = new ManualResetEventSlim(); waited.Wait(wait); }
        }), Limit);
        Assert.Equal(2, server.Requests.Count);
        Assert.True((await Engine.Images.TestAsync($"{registry.Host}/shop/app:1", read: true, "t", Limit)).IsComplete);
    }

    string TokenAuth(TestRegistry server) => $"""
        auth:
          token:
            realm: {server.Address}/token
            service: test-registry
            issuer: test
            rootcertbundle: {Folder}/peer/authority.pem
        """;

    /// <summary>docs/registries.md names tests that are there.</summary>
    [Fact]
    public void The_page_names_tests_that_are_there()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Containers.slnx"))) { folder = Path.GetDirectoryName(folder.TrimEnd('/')) ?? throw new InvalidOperationException("no repository above the tests"); }
        var named = Regex.Matches(File.ReadAllText(Path.Combine(folder, "docs/registries.md")), @"`(\w+Tests)(?:\.(\w+))?`");
        Assert.True(named.Count > 20);
        foreach (Match one in named)
        {
            var type = typeof(PeerTests).Assembly.GetType("Containers.Tests.Units." + one.Groups[1].Value);
            Assert.True(type is not null, one.Value);
            Assert.True(one.Groups[2].Length == 0 || type!.GetMethod(one.Groups[2].Value) is not null, one.Value);
        }
    }
}
