using System.Text;
using System.Text.Json;
using Xunit;

namespace Containers.Tests.Units;

/// <summary>Credentials in docker's and podman's files and behind helpers: found, kept, and taken away, and nobody else's touched.</summary>
public sealed class CredentialTests : RegistryTest
{
    const string Secret = "s3cret-word";
    static readonly RegistryCredential Alice = new("alice", Secret);

    RegistryCredentials Stored => new(Engine.Options.Registries, new RegistryLimits());

    Task<RegistryCredential?> FindAsync(string registry, string? repository = null) => Stored.FindAsync([registry], repository, Limit);

    void Config(string json, string? path = null)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path ?? ConfigJson)!);
        File.WriteAllText(path ?? ConfigJson, json);
    }

    static string Auth(string user, string secret) => Convert.ToBase64String(Encoding.UTF8.GetBytes($"{user}:{secret}"));

    /// <summary>A helper on PATH that keeps what it is told in a folder; PATH is the process's, so its name is unique.</summary>
    string Helper(string script)
    {
        var name = "t" + Guid.NewGuid().ToString("n")[..10];
        var bin = Directory.CreateDirectory(Path.Combine(Folder, "bin")).FullName;
        var path = Path.Combine(bin, "docker-credential-" + name);
        // Written by another process: what another test's fork holds open for writing cannot be executed.
        var info = new System.Diagnostics.ProcessStartInfo { FileName = "/bin/sh", RedirectStandardInput = true };
        foreach (var argument in new[] { "-c", "cat >\"$1\" && chmod 700 \"$1\"", "sh", path }) { info.ArgumentList.Add(argument); }
        using (var writer = System.Diagnostics.Process.Start(info)!)
        {
            writer.StandardInput.Write("#!/bin/sh\n" + script.Replace("STORE", Path.Combine(Folder, "kept")));
            writer.StandardInput.Close();
            writer.WaitForExit();
        }
        Environment.SetEnvironmentVariable("PATH", $"{Environment.GetEnvironmentVariable("PATH")}:{bin}");
        return name;
    }

    const string Keeping = """
        case $1 in
        get) read -r s; [ "$s" = "$(cat STORE.server 2>/dev/null)" ] || { printf 'credentials not found in native keychain\n'; exit 1; }; cat STORE;;
        store) cat >STORE; sed 's/.*"ServerURL":"\([^"]*\)".*/\1/' STORE >STORE.server; printf '%s' "$*" >STORE.args;;
        erase) rm -f STORE STORE.server;;
        esac
        """;

    [Theory]
    [InlineData("r.example", "r.example", true)]
    [InlineData("https://r.example", "r.example", true)]
    [InlineData("https://r.example/v1/", "r.example", true)]
    [InlineData("r.example/v2/", "r.example", true)]
    [InlineData("https://index.docker.io/v1/", "docker.io", true)]
    [InlineData("docker.io", "docker.io", true)]
    [InlineData("r.example:5000", "r.example", false)]
    [InlineData("r.example", "r.example:5000", false)]
    [InlineData("r.example", "other.r.example", false)]
    [InlineData("r.example", "r.example.evil", false)]
    public async Task A_file_names_registries_as_docker_does(string key, string registry, bool found)
    {
        Store(key, "alice", Secret);
        Assert.Equal(found ? Alice : null, await FindAsync(registry));
    }

    [Fact]
    public async Task The_longest_part_of_a_name_counts_in_podman_s_file()
    {
        Config($$$"""{"auths":{"r.example":{"auth":"{{{Auth("all", "x")}}}"},"r.example/team":{"auth":"{{{Auth("team", "x")}}}"},"r.example/team/app":{"username":"app","password":"x"} } }""", AuthJson);
        Assert.Equal("app", (await FindAsync("r.example", "team/app"))!.UserName);
        Assert.Equal("team", (await FindAsync("r.example", "team/apple"))!.UserName);
        Assert.Equal("all", (await FindAsync("r.example", "teams"))!.UserName);
        // Docker's file comes before podman's.
        Store("r.example", "first", "x");
        Assert.Equal("first", (await FindAsync("r.example", "other"))!.UserName);
    }

    [Fact]
    public async Task Tokens_stand_in_the_file_too()
    {
        Config("""{"auths":{"i.example":{"identitytoken":"idt"},"r.example":{"registrytoken":"rt"},"e.example":{}}}""");
        Assert.Equal("idt", (await FindAsync("i.example"))!.IdentityToken);
        Assert.Equal("rt", (await FindAsync("r.example"))!.RegistryToken);
        Assert.Null(await FindAsync("e.example"));
    }

    [Fact]
    public async Task A_helper_is_asked_by_its_protocol_and_hears_secrets_on_its_input_alone()
    {
        var name = Helper(Keeping);
        Config($$$"""{"credHelpers":{"r.example":"{{{name}}}"},"other":{"kept":[1]}}""");
        Assert.Null(await FindAsync("r.example"));
        Assert.Equal("docker-credential-" + name, await Stored.StoreAsync("r.example", Alice, Limit));
        Assert.Equal("store", File.ReadAllText(Path.Combine(Folder, "kept.args")));
        Assert.Equal(Alice, await FindAsync("r.example"));
        var text = File.ReadAllText(ConfigJson);
        Assert.DoesNotContain(Secret, text);
        Assert.DoesNotContain(Auth("alice", Secret), text);
        Assert.Equal(1, JsonDocument.Parse(text).RootElement.GetProperty("other").GetProperty("kept")[0].GetInt32());
        Assert.Contains("docker-credential-" + name, await Stored.EraseAsync("r.example", Limit));
        Assert.Null(await FindAsync("r.example"));
    }

    [Fact]
    public async Task The_store_of_all_has_docker_s_name_for_docker_s_registry()
    {
        var name = Helper(Keeping);
        Config($$"""{"credsStore":"{{name}}"}""");
        await Stored.StoreAsync("docker.io", Alice, Limit);
        Assert.Equal("https://index.docker.io/v1/", File.ReadAllText(Path.Combine(Folder, "kept.server")).Trim());
        Assert.Equal(Alice, await FindAsync("docker.io"));
    }

    [Fact]
    public async Task A_token_of_a_helper_is_an_identity()
    {
        Config($$"""{"credsStore":"{{Helper("echo '{\"Username\":\"<token>\",\"Secret\":\"idt\"}'")}}"}""");
        Assert.Equal(new RegistryCredential("", "", "idt"), await FindAsync("r.example"));
    }

    [Fact]
    public async Task Registries_conf_may_name_helpers()
    {
        File.WriteAllText(RegistriesFile, $"credential-helpers = [\"containers-auth.json\", \"{Helper("echo '{\"Username\":\"alice\",\"Secret\":\"s3cret-word\"}'")}\"]\n");
        Assert.Equal(Alice, await FindAsync("r.example"));
    }

    [Theory]
    [InlineData("echo '{'")]
    [InlineData("echo s3cret-word >&2; exit 3")]
    [InlineData("head -c 100000 /dev/zero")]
    [InlineData("exec sleep 1000")]
    public async Task A_helper_that_fails_is_told_without_its_words(string script)
    {
        Config($$"""{"credsStore":"{{Helper(script)}}"}""");
        var limits = new RegistryLimits { Helper = TimeSpan.FromSeconds(script.Contains("sleep") ? 0.5 : 30) };
        var failure = await Failing(ErrorIds.CredentialUnavailable, new RegistryCredentials(Engine.Options.Registries, limits).FindAsync(["r.example"], null, Limit));
        Assert.DoesNotContain(Secret, failure.ToString());
    }

    [Theory]
    [InlineData("../../bin/sh")]
    [InlineData("not-installed-anywhere")]
    [InlineData("a b")]
    public async Task A_helper_that_is_none_is_told(string name)
    {
        Config($$"""{"credsStore":"{{name}}"}""");
        await Failing(ErrorIds.CredentialUnavailable, FindAsync("r.example"));
    }

    [Theory]
    [InlineData("{ nonsense s3cret-word")]
    [InlineData("[]")]
    [InlineData("{\"auths\":{\"r.example\":{\"auth\":\"!!\"}}}")]
    [InlineData("{\"auths\":{\"r.example\":{\"auth\":\"czNjcmV0LXdvcmQ=\"}}}")]
    public async Task A_damaged_file_is_told_and_not_overwritten(string json)
    {
        Config(json);
        var failure = await Failing(ErrorIds.CredentialUnavailable, FindAsync("r.example"));
        Assert.DoesNotContain(Secret, failure.ToString());
        if (json.StartsWith("{\"auths\"")) { return; }
        await Failing(ErrorIds.CredentialUnavailable, Stored.StoreAsync("r.example", Alice, Limit));
        Assert.Equal(json, File.ReadAllText(ConfigJson));
    }

    [Fact]
    public async Task Connecting_proves_and_keeps_for_oneself_alone()
    {
        var registry = Https();
        Trust(registry);
        var basic = "Basic " + Auth("alice", Secret);
        registry.Hook = request => request.Header("authorization") == basic ? null : TestResponse.Text(401, "", ("WWW-Authenticate", "Basic realm=\"x\""));
        await Failing(ErrorIds.RegistryDenied, Engine.Registries.ConnectAsync(registry.Host, new RegistryOptions { Credential = Alice with { Secret = "wrong" } }, Limit));
        Assert.False(File.Exists(ConfigJson));

        Config("""{"HttpHeaders":{"X":"y"},"auths":{"other.example":{"auth":"b3RoZXI6eA=="}}}""");
        File.SetUnixFileMode(ConfigJson, (UnixFileMode)0x1b6);
        var connected = await Engine.Registries.ConnectAsync("https://" + registry.Host + "/", new RegistryOptions { Credential = Alice }, Limit);
        Assert.Equal((registry.Host, "alice", ConfigJson), (connected.Registry, connected.UserName, connected.StoredIn));
        Assert.Equal((UnixFileMode)0x180, File.GetUnixFileMode(ConfigJson));
        using (var json = JsonDocument.Parse(File.ReadAllText(ConfigJson)))
        {
            Assert.Equal("y", json.RootElement.GetProperty("HttpHeaders").GetProperty("X").GetString());
            Assert.Equal(Auth("alice", Secret), json.RootElement.GetProperty("auths").GetProperty(registry.Host).GetProperty("auth").GetString());
        }
        Assert.Equal(["config.json"], Folders.Entries(Path.GetDirectoryName(ConfigJson)!));
        registry.AddImage("a", "1", ["layer"]);
        await ReceiveAsync(registry, "a:1");
        Assert.Equal([ConfigJson], await Engine.Registries.DisconnectAsync(registry.Host, Limit));
        Assert.Empty(await Engine.Registries.DisconnectAsync(registry.Host, Limit));
        await Failing(ErrorIds.RegistryDenied, ReceiveAsync(registry, "a:1"));
        Assert.Equal("other", (await FindAsync("other.example"))!.UserName);
    }

    [Fact]
    public async Task Many_at_once_lose_no_entry_and_a_link_stays_one()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(ConfigJson)!);
        File.CreateSymbolicLink(ConfigJson, Path.Combine(Folder, "real.json"));
        File.WriteAllText(Path.Combine(Folder, "real.json"), "{}");
        await Task.WhenAll(Enumerable.Range(0, 20).Select(i => Task.Run(() => Stored.StoreAsync($"r{i}.example", Alice, Limit))));
        for (var i = 0; i < 20; i++) { Assert.Equal(Alice, await FindAsync($"r{i}.example")); }
        Assert.NotNull(new FileInfo(ConfigJson).LinkTarget);
        Assert.Equal(20, Engine.Registries.ListNames().Count);
    }

    [Theory]
    [InlineData("word")]
    [InlineData("UPPER/case")]
    [InlineData("r.example/repo/x")]
    [InlineData("")]
    [InlineData("r.example\nx")]
    public async Task What_is_no_registry_is_refused(string name) =>
        await Failing(ErrorIds.InvalidReference, Engine.Registries.ConnectAsync(name, new RegistryOptions { Credential = Alice }, Limit));
}
