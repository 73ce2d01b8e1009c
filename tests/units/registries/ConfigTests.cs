using System.Text;
using Xunit;

namespace Containers.Tests.Units;

/// <summary>hosts.toml, registries.conf, certificates, proxies: what others have configured holds here.</summary>
public sealed class ConfigTests : RegistryTest
{
    List<RegistryEndpoint> Endpoints(string name, RegistryOptions? options = null) => RegistrySession.Endpoints(Engine.Options.Registries, ImageReference.Parse(name), options ?? new RegistryOptions());

    [Fact]
    public void Without_configuration_a_registry_is_itself_by_https()
    {
        Assert.Equal("https://registry-1.docker.io/v2/", Endpoints("busybox").Single().Base.ToString());
        Assert.Equal(["docker.io", "registry-1.docker.io"], Endpoints("busybox")[0].CredentialNames);
        Assert.Equal("https://r.example:5000/v2/", Endpoints("r.example:5000/a").Single().Base.ToString());
        Assert.Equal("http://r.example:5000/v2/", Endpoints("r.example:5000/a", new RegistryOptions { PlainHttp = true }).Single().Base.ToString());
        Assert.True(Endpoints("r.example/a", new RegistryOptions { SkipCertificateCheck = true }).Single().SkipVerify);
    }

    [Fact]
    public void A_hosts_toml_is_read_as_containerd_does()
    {
        Hosts("r.example", """
            server = "https://own.example"
            ca = "/etc/own.pem"
            [host."https://first.example"]
              capabilities = ["pull", "resolve"]
              ca = ["one.pem", "/two.pem"]
              client = [["c.cert", "c.key"], ["both.pem", ""]]
              dial_timeout = "5s"
              [host."https://first.example".header]
                X-One = ["a", "b"]
            [host."http://second.example:81/some/path"]
              override_path = true
              skip_verify = true
              capabilities = ["pull"]
            [host."third.example/base"]
            """);
        var found = Endpoints("r.example/shop/a:1");
        Assert.Equal(["https://first.example/v2/", "http://second.example:81/some/path/", "https://third.example/base/v2/", "https://own.example/v2/"], found.Select(e => e.Base.ToString()));
        var folder = Path.Combine(HostsFolder, "r.example");
        Assert.Equal([Path.Combine(folder, "one.pem"), "/two.pem"], found[0].Authorities);
        Assert.Equal([(Path.Combine(folder, "c.cert"), Path.Combine(folder, "c.key")), (Path.Combine(folder, "both.pem"), null)], found[0].Clients);
        Assert.Equal([("X-One", "a"), ("X-One", "b")], found[0].Headers);
        Assert.Equal((TimeSpan.FromSeconds(5), true, false), (found[0].DialTimeout, found[0].CanResolve, found[0].CanPush));
        Assert.Equal((false, true, true), (found[1].CanResolve, found[1].OwnPath, found[1].SkipVerify));
        Assert.Equal([true, true, true, false], found.Select(e => e.IsMirror));
        Assert.Equal(["r.example", "own.example"], found[3].CredentialNames);
        Assert.Equal(["first.example"], found[0].CredentialNames);
    }

    [Theory]
    [InlineData("r.example_5000_", true)]
    [InlineData("r.example:5000", true)]
    [InlineData("_default", true)]
    [InlineData("r.example", false)]
    public void The_folder_of_a_registry_has_its_port(string folder, bool meant)
    {
        Hosts(folder, "[host.\"https://mirror.example\"]");
        Assert.Equal(meant ? 2 : 1, Endpoints("r.example:5000/a").Count);
    }

    [Theory]
    [InlineData("[host.\"ftp://x\"]")]
    [InlineData("[host.\"https://x\"]\n capabilities = [\"fly\"]")]
    [InlineData("[host.\"https://x\"]\n skip_verify = 1")]
    [InlineData("[host.\"https://x\"]\n rewrite = {}")]
    [InlineData("[host.\"https://x\"]\n dial_timeout = \"soon\"")]
    [InlineData("[host.\"https://x\"]\n [host.\"https://x\".header]\n X = \"a\\nb\"")]
    [InlineData("server = \"https://user:secret@x\"")]
    [InlineData("unknown = true")]
    [InlineData("server = ")]
    [InlineData("server = \"a\"\nserver = \"b\"")]
    public void What_is_not_understood_is_refused_by_name(string toml)
    {
        Hosts("r.example", toml);
        Assert.Equal(ErrorIds.RegistryConfigInvalid, Assert.Throws<ContainerException>(() => Endpoints("r.example/a")).Id);
    }

    [Fact]
    public void Registries_conf_rewrites_blocks_and_names_mirrors()
    {
        File.WriteAllText(RegistriesFile, """
            unqualified-search-registries = ["first.example", "docker.io"]
            [[registry]]
            prefix = "old.example/team"
            location = "new.example/other"
            [[registry.mirror]]
            location = "mirror.example/cache"
            insecure = true
            [[registry.mirror]]
            location = "digests.example"
            pull-from-mirror = "digest-only"
            [[registry]]
            location = "bad.example"
            blocked = true
            [[registry]]
            prefix = "*.wild.example"
            insecure = true
            """);
        Directory.CreateDirectory(RegistriesFile + ".d");
        File.WriteAllText(RegistriesFile + ".d/10-names.conf", "[aliases]\n\"tool\" = \"quay.example/x/tool\"\n");
        Assert.Equal(["https://mirror.example/v2/ cache/a", "http://mirror.example/v2/ cache/a", "https://new.example/v2/ other/a"], Endpoints("old.example/team/a:1").Select(e => $"{e.Base} {e.Repository}"));
        Assert.Contains(Endpoints($"old.example/team/a@{Digest.Of("x"u8)}"), e => e.Base.Host == "digests.example" && e.Repository == "a");
        Assert.Equal("https://old.example/v2/ teams/a", Endpoints("old.example/teams/a").Select(e => $"{e.Base} {e.Repository}").Single());
        Assert.Equal(ErrorIds.RegistryBlocked, Assert.Throws<ContainerException>(() => Endpoints("bad.example/a")).Id);
        Assert.Equal(["https", "http"], Endpoints("a.wild.example/b").Select(e => e.Base.Scheme));
        var conf = RegistriesConf.Load(RegistriesFile);
        Assert.Equal(["first.example/thing:1", "docker.io/library/thing:1"], conf.Candidates("thing:1").Select(c => c.ToString()));
        Assert.Equal(["quay.example/x/tool:2"], conf.Candidates("tool:2").Select(c => c.ToString()));
        Assert.Equal(["r.example/a:latest"], conf.Candidates("r.example/a").Select(c => c.ToString()));
        Assert.Equal(["docker.io/library/busybox:latest"], RegistriesConf.Load(null).Candidates("busybox").Select(c => c.ToString()));
    }

    [Theory]
    [InlineData("[registries.search]\nregistries = ['docker.io']")]
    [InlineData("short-name-mode = \"guess\"")]
    [InlineData("[[registry]]\ninsecure = true")]
    [InlineData("[[registry]]\nlocation = \"a.example\"\ninsecur = true")]
    [InlineData("[[registry]]\nlocation = \"a.example\"\n[[registry.mirror]]\nlocation = \"b\"\npull-from-mirror = \"never\"")]
    public void A_registries_conf_that_is_not_understood_is_refused(string toml)
    {
        File.WriteAllText(RegistriesFile, toml);
        Assert.Equal(ErrorIds.RegistryConfigInvalid, Assert.Throws<ContainerException>(() => Endpoints("a.example/a")).Id);
    }

    [Fact]
    public async Task A_mirror_is_asked_first_and_the_registry_when_it_fails()
    {
        var mirror = Http();
        var registry = Https();
        var made = registry.AddImage("a", "1", ["layer"]);
        Trust(registry, $"[host.\"{mirror.Address}\"]\n");
        Store(registry.Host, "alice", "s3cret-word");
        await ReceiveAsync(registry, "a:1");
        Assert.Contains("GET /v2/a/manifests/1", mirror.Lines);
        Assert.All(mirror.Requests, r => Assert.Equal((registry.Host, null), (r.Query["ns"], r.Header("authorization"))));

        // One that lies about a layer is passed over as well, and what it said is not kept.
        Engine.Images.Remove($"{registry.Host}/a:1", containerNamespace: "t");
        mirror.AddImage("a", "1", ["layer"]);
        mirror.Hook = request => request.Path.EndsWith(made.Layers[0]) ? new TestResponse(200, "liars"u8.ToArray()) : null;
        registry.Forget();
        await ReceiveAsync(registry, "a:1");
        Assert.Equal([$"GET /v2/a/blobs/{made.Layers[0]}"], registry.Lines);
    }

    [Fact]
    public async Task A_registry_that_is_said_to_be_insecure_is_spoken_to_by_http_where_it_has_no_https()
    {
        var plain = Http();
        var unverified = Https();
        plain.AddImage("a", "1", ["layer"]);
        await Failing(ErrorIds.RegistryNotTrusted, Engine.Images.ReceiveAsync($"{plain.Host}/a:1", Pull(), Limit));
        File.WriteAllText(RegistriesFile, $"[[registry]]\nlocation = \"{plain.Host}\"\ninsecure = true\n[[registry]]\nlocation = \"{unverified.Host}\"\ninsecure = true\n");
        var name = (await Engine.Images.ReceiveAsync($"{plain.Host}/a:1", Pull(), Limit)).Reference!;
        foreach (var registry in new[] { plain, unverified })
        {
            await Engine.Images.PublishAsync(name, new ImagePushOptions { ContainerNamespace = "t", Target = $"{registry.Host}/b:1" }, Limit);
            Assert.Equal(["1"], (await Engine.Registries.TagsAsync($"{registry.Host}/b", new RegistryOptions(), Limit).ToListAsync(Limit)).Select(t => t.Tag));
            await Engine.Registries.RemoveAsync($"{registry.Host}/b:1", new RegistryOptions(), Limit);
        }
        // What the file says of these two holds for no third.
        var other = Https();
        await Failing(ErrorIds.RegistryNotTrusted, Engine.Images.ReceiveAsync($"{other.Host}/a:1", Pull(), Limit));
    }

    [Fact]
    public async Task A_short_name_is_looked_for_in_the_registries_of_the_file_in_their_order()
    {
        var first = Http();
        var second = Http();
        second.AddImage("shop/tool", "1", ["layer"]);
        File.WriteAllText(RegistriesFile, $"unqualified-search-registries = [\"{first.Host}\", \"{second.Host}\"]");
        var image = await Engine.Images.ReceiveAsync("shop/tool:1", Pull(http: true), Limit);
        Assert.Equal($"{second.Host}/shop/tool:1", image.Reference);
        Assert.Equal(["GET /v2/shop/tool/manifests/1"], first.Lines);
        first.AddImage("shop/tool", "1", ["another layer"]);
        Assert.Equal($"{first.Host}/shop/tool:1", (await Engine.Images.ReceiveAsync("shop/tool:1", Pull(http: true), Limit)).Reference);
    }

    [Fact]
    public async Task A_certificate_is_trusted_by_its_authority_alone()
    {
        var registry = Https();
        registry.AddImage("a", "1", ["layer"]);
        await Failing(ErrorIds.RegistryNotTrusted, ReceiveAsync(registry, "a:1"));
        Assert.Empty(registry.Requests);
        await ReceiveAsync(registry, "a:1", o => o.SkipCertificateCheck = true);
        Trust(registry);
        await ReceiveAsync(registry, "a:1");
        using var other = new TestCertificates();
        File.WriteAllText(Path.Combine(HostsFolder, registry.Host, "ca.pem"), other.Authority.ExportCertificatePem());
        await Failing(ErrorIds.RegistryNotTrusted, ReceiveAsync(registry, "a:1"));
        File.WriteAllText(Path.Combine(HostsFolder, registry.Host, "ca.pem"), "nothing");
        await Failing(ErrorIds.RegistryConfigInvalid, ReceiveAsync(registry, "a:1"));
    }

    [Fact]
    public async Task A_certificate_for_another_name_is_not_taken()
    {
        // Issued for a client: no name of a server in it that fits, and not made for one.
        var registry = Own(new TestRegistry(Certificates.Client));
        Trust(registry);
        await Failing(ErrorIds.RegistryNotTrusted, ReceiveAsync(registry, "a:1"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_client_s_certificate_is_shown_where_it_is_configured(bool toml)
    {
        var registry = Own(new TestRegistry(Certificates.Server, Certificates.Authority));
        registry.AddImage("a", "1", ["layer"]);
        var folder = Directory.CreateDirectory(Path.Combine(HostsFolder, registry.Host)).FullName;
        File.WriteAllText(Path.Combine(folder, "ca.crt"), Certificates.Authority.ExportCertificatePem());
        await Assert.ThrowsAsync<ContainerException>(() => ReceiveAsync(registry, "a:1"));
        File.WriteAllText(Path.Combine(folder, "me.cert"), Certificates.Client.ExportCertificatePem());
        File.WriteAllText(Path.Combine(folder, "me.key"), TestCertificates.KeyOf(Certificates.Client));
        // Without a hosts.toml by the names of the files, as docker and podman have them.
        if (toml) { File.WriteAllText(Path.Combine(folder, "hosts.toml"), "ca = \"ca.crt\"\nclient = [[\"me.cert\", \"me.key\"]]\n"); }
        await ReceiveAsync(registry, "a:1");
    }

    [Theory]
    [InlineData("https://r.example/", "http://proxy:3128/")]
    [InlineData("http://r.example/", "http://plain/")]
    [InlineData("https://127.0.0.1:5000/", null)]
    [InlineData("https://localhost:5000/", null)]
    [InlineData("https://no.example/", null)]
    [InlineData("https://sub.no.example/", null)]
    [InlineData("https://notno.example/", "http://proxy:3128/")]
    [InlineData("https://10.1.2.3/", null)]
    [InlineData("https://port.example:8443/", null)]
    [InlineData("https://port.example/", "http://proxy:3128/")]
    public void Proxies_are_those_of_the_environment(string address, string? expected)
    {
        var variables = new Dictionary<string, string> { ["HTTPS_PROXY"] = "proxy:3128", ["http_proxy"] = "http://plain:80", ["NO_PROXY"] = "no.example,10.0.0.0/8,port.example:8443" };
        var proxy = new EnvironmentProxy(variables.GetValueOrDefault);
        var uri = new Uri(address);
        Assert.Equal(expected, proxy.IsBypassed(uri) ? null : proxy.GetProxy(uri)?.ToString());
        Assert.True(new EnvironmentProxy(_ => null).IsBypassed(uri));
    }

    [Fact]
    public async Task A_proxy_of_the_environment_is_used_as_it_is_at_this_moment()
    {
        var proxy = Http();
        proxy.AddImage("a", "1", ["layer"]);
        // Nobody else's: the other tests are on loopback, which goes by no proxy.
        var before = Environment.GetEnvironmentVariable("http_proxy");
        Environment.SetEnvironmentVariable("http_proxy", proxy.Address);
        try { await Engine.Images.ReceiveAsync("registry.invalid/a:1", Pull(http: true), Limit); }
        finally { Environment.SetEnvironmentVariable("http_proxy", before); }
        Assert.All(proxy.Requests, r => Assert.Equal("registry.invalid", r.Header("host")));
    }

    [Fact]
    public async Task Https_goes_through_a_tunnel_of_the_proxy_and_is_verified_all_the_same()
    {
        var registry = Https();
        registry.AddImage("a", "1", ["layer"]);
        using var proxy = new TestTunnel(registry.Host, "user", "pass word");
        var before = Environment.GetEnvironmentVariable("https_proxy");
        Environment.SetEnvironmentVariable("https_proxy", $"http://user:pass%20word@{proxy.Host}");
        try
        {
            // The proxy does not stand for the registry: its certificate is looked at behind it.
            await Failing(ErrorIds.RegistryNotTrusted, Engine.Images.ReceiveAsync("registry.invalid/a:1", Pull(), Limit));
            Assert.Empty(registry.Requests);
            Hosts("registry.invalid", "ca = \"ca.pem\"");
            await Engine.Images.ReceiveAsync("registry.invalid/a:1", Pull(), Limit);
        }
        finally { Environment.SetEnvironmentVariable("https_proxy", before); }
        Environment.SetEnvironmentVariable("https_proxy", $"http://user:another%20word@{proxy.Host}");
        try
        {
            var refused = await Failing(ErrorIds.RegistryUnavailable, Engine.Images.ReceiveAsync("registry.invalid/a:2", Pull(), Limit));
            Assert.DoesNotContain("another", refused.ToString(), StringComparison.Ordinal);
        }
        finally { Environment.SetEnvironmentVariable("https_proxy", before); }
        Assert.Equal(["CONNECT registry.invalid:443 HTTP/1.1"], proxy.Asked.Distinct());
        Assert.NotEmpty(registry.Requests);
        Assert.All(registry.Requests, r => Assert.Equal(("registry.invalid", null), (r.Header("host"), r.Header("proxy-authorization"))));
        Assert.DoesNotContain(Log, line => line.Contains("pass", StringComparison.Ordinal));
    }

    [Fact]
    public void Toml_is_read()
    {
        var found = TomlReader.Read(Encoding.UTF8.GetBytes("""
            # a comment
            title = "a \"quoted\" \u00e9\t" # another
            'literal key' = 'C:\no\escape'
            a.b."c.d" = 1_000
            hex = 0xff
            real = 1.5
            many = [ 1, 2, # in between
              3, ]
            inline = { x = 1, y = { z = [true, false] } }
            text = QQQ
            first \
               second
            QQQ
            [table]
            x = true
            [[list]]
            name = "one"
            [list.sub]
            deep = 1
            [[list]]
            name = "two"
            """.Replace("QQQ", "\"\"\"")));
        Assert.Equal("a \"quoted\" é\t", found["title"]);
        Assert.Equal(@"C:\no\escape", found["literal key"]);
        Assert.Equal(1000L, ((Dictionary<string, object>)((Dictionary<string, object>)found["a"])["b"])["c.d"]);
        Assert.Equal((255L, 1.5), ((long)found["hex"], (double)found["real"]));
        Assert.Equal([1L, 2L, 3L], (List<object>)found["many"]);
        Assert.Equal("first second\n", found["text"]);
        Assert.Equal(["one", "two"], ((List<object>)found["list"]).Select(t => ((Dictionary<string, object>)t)["name"]));
    }

    [Theory]
    [InlineData("a")]
    [InlineData("a =")]
    [InlineData("a = 1 b = 2")]
    [InlineData("a = \"open")]
    [InlineData("a = [1")]
    [InlineData("[a")]
    [InlineData("[a]\n[a]")]
    [InlineData("a = 1\n[a]")]
    [InlineData("a = {x = 1}\n[a.y]")]
    [InlineData("a = \"\\q\"")]
    [InlineData("a = \"\\ud800\"")]
    [InlineData("a = 2020-01-01")]
    [InlineData("= 1")]
    public void Toml_that_is_none_is_refused(string text) => Assert.Throws<InvalidDataException>(() => TomlReader.Read(Encoding.UTF8.GetBytes(text)));

    const string Alphabet = "ab=[]{}\"'\\\n .#,1u";

    [Fact]
    public void Toml_ends_however_deep_it_is()
    {
        Assert.Throws<InvalidDataException>(() => TomlReader.Read(Encoding.UTF8.GetBytes("a = " + new string('[', 100_000))));
        Assert.Throws<InvalidDataException>(() => TomlReader.Read(Encoding.UTF8.GetBytes(string.Join('.', Enumerable.Repeat("a", 100_000)) + " = 1")));
        Assert.Throws<InvalidDataException>(() => TomlReader.Read([0xff, 0xfe]));
        var random = new Random(1);
        for (var i = 0; i < 5000; i++)
        {
            var text = string.Concat(Enumerable.Range(0, random.Next(40)).Select(_ => Alphabet[random.Next(Alphabet.Length)]));
            try { TomlReader.Read(Encoding.UTF8.GetBytes(text)); }
            catch (InvalidDataException) { }
        }
    }
}
