using System.Text;
using System.Text.Json;
using Xunit;

namespace Containers.Tests.Units;

/// <summary>Pulling: what comes is what was asked for, once, and only what is needed.</summary>
public sealed class PullTests : RegistryTest
{
    static readonly object Amd64 = new { os = "linux", architecture = "amd64" };
    static readonly object Arm64 = new { os = "linux", architecture = "arm64" };

    [Fact]
    public async Task An_image_comes_whole_and_under_its_name()
    {
        var registry = Http();
        var made = registry.AddImage("shop/web", "1", ["layer one", "layer two"]);
        var image = await ReceiveAsync(registry, "shop/web:1");
        Assert.Equal($"{registry.Host}/shop/web:1", image.Reference);
        Assert.Equal(made.Digest, image.Digest);
        Assert.Equal(made.Layers, image.Layers.Select(l => l.Digest));
        Assert.True((await Engine.Images.TestAsync(image.Reference!, read: true, "t", Limit)).IsComplete);
        Assert.Empty(Folders.Entries(Engine.Paths.Ingests));
        Assert.Contains(Log, line => line.StartsWith($"GET {registry.Address}/v2/shop/web/manifests/1 200"));
        var accepted = registry.Requests.First(r => r.Path.EndsWith("/manifests/1")).Header("accept")!;
        foreach (var type in new[] { MediaTypes.Index, MediaTypes.Manifest, MediaTypes.DockerIndex, MediaTypes.DockerManifest }) { Assert.Contains(type, accepted); }
    }

    [Fact]
    public async Task What_is_there_is_not_fetched_again()
    {
        var registry = Http();
        registry.AddImage("a", "1", ["shared", "one"]);
        registry.AddImage("a", "2", ["shared", "two"]);
        await ReceiveAsync(registry, "a:1");
        registry.Forget();
        await ReceiveAsync(registry, "a:2");
        Assert.Equal(2, registry.Requests.Count(r => r.Path.Contains("/blobs/"))); // its configuration and its own layer
        registry.Forget();
        await ReceiveAsync(registry, "a:2");
        Assert.Equal(["GET /v2/a/manifests/2"], registry.Lines);
    }

    [Fact]
    public async Task Of_an_index_one_platform_or_all_of_them_come()
    {
        var registry = Http();
        var amd = registry.AddImage("multi", null, ["amd layer"]);
        var arm = registry.AddImage("multi", null, ["arm layer"], "arm64");
        var index = registry.AddIndex("multi", "1", (amd.Digest, amd.Size, Amd64, null), (arm.Digest, arm.Size, Arm64, null));
        var image = await ReceiveAsync(registry, "multi:1", o => o.Platform = "linux/arm64");
        Assert.Equal((index, arm.Digest, "linux/arm64/v8"), (image.Digest, image.ManifestDigest, image.Platform));
        Assert.DoesNotContain(registry.Lines, line => line.Contains(amd.Digest));
        Assert.Equal(ErrorIds.PlatformNotFound, (await Assert.ThrowsAsync<ContainerException>(() => ReceiveAsync(registry, "multi:1", o => o.Platform = "linux/s390x"))).Id);
        image = await ReceiveAsync(registry, "multi:1", o => o.AllPlatforms = true);
        Assert.Equal(["linux/amd64", "linux/arm64/v8"], image.Platforms.Order());
        Assert.Equal(["linux/amd64", "linux/arm64/v8"], (await Engine.Images.TestAsync("" + image.Reference, read: true, "t", Limit)).Platforms.Order());
    }

    [Fact]
    public async Task An_index_in_an_index_without_platforms_is_looked_into()
    {
        var registry = Http();
        var arm = registry.AddImage("deep", null, ["arm layer"], "arm64");
        var inner = registry.AddIndex("deep", null, (arm.Digest, arm.Size, null, null));
        var length = registry.Manifests[$"deep/{inner}"].Content.Length;
        registry.AddIndex("deep", "1", (inner, length, null, MediaTypes.Index));
        var image = await ReceiveAsync(registry, "deep:1", o => o.Platform = "linux/arm64");
        Assert.Equal(arm.Digest, image.ManifestDigest);
    }

    [Fact]
    public async Task By_digest_it_has_no_other_name_and_is_found_by_it()
    {
        var registry = Http();
        var made = registry.AddImage("a", "1", ["layer"]);
        var image = await ReceiveAsync(registry, $"a@{made.Digest}");
        Assert.Null(image.Reference);
        Assert.Equal(made.Digest, Engine.Images.Get($"{registry.Host}/a@{made.Digest}", "t").Digest);
        Assert.Equal(ErrorIds.ImageNotFound, (await Assert.ThrowsAsync<ContainerException>(() => ReceiveAsync(registry, $"a@{Digest.Of("x"u8)}"))).Id);
    }

    [Fact]
    public async Task A_broken_download_goes_on_where_it_ended()
    {
        var registry = Http();
        var text = string.Concat(Enumerable.Range(0, 200_000));
        var made = registry.AddImage("big", "1", [text]);
        var layer = registry.Blobs[made.Layers[0]];
        var breaks = 2;
        registry.Hook = request => request.Path.EndsWith(made.Layers[0]) && breaks-- > 0 ? Broken(request, layer) : null;
        await ReceiveAsync(registry, "big:1");
        var asked = registry.Requests.Where(r => r.Path.EndsWith(made.Layers[0])).Select(r => r.Header("range")).ToList();
        Assert.Null(asked[0]);
        Assert.Equal(3, asked.Count);
        Assert.All(asked[1..], range => Assert.StartsWith("bytes=", range));
        Assert.True((await Engine.Images.TestAsync($"{registry.Host}/big:1", read: true, "t", Limit)).IsComplete);
    }

    [Fact]
    public async Task Many_at_once_fetch_a_layer_once()
    {
        var registry = Http();
        var made = registry.AddImage("big", "1", [string.Concat(Enumerable.Range(0, 100_000)), "another"]);
        await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => NewEngine(new RegistryLimits()).Images.ReceiveAsync($"{registry.Host}/big:1", Pull(http: true), Limit)));
        foreach (var layer in made.Layers) { Assert.Single(registry.Requests, r => r.Path.EndsWith(layer)); }
        Assert.True((await Engine.Images.TestAsync($"{registry.Host}/big:1", read: true, "t", Limit)).IsComplete);
        Assert.Empty(Folders.Entries(Engine.Paths.Ingests));
        Assert.Empty(Folders.Entries(Engine.Paths.Leases));
    }

    [Fact]
    public async Task A_container_of_what_is_here_needs_no_configuration_of_registries()
    {
        var registry = Http();
        registry.AddImage("library/app", "1", ["layer"]);
        Engine.Images.Tag((await ReceiveAsync(registry, "library/app:1")).Reference!, "app:1", containerNamespace: "t");
        File.WriteAllText(RegistriesFile, "nonsense");
        registry.Forget();
        // Found, and then refused because its layer is no archive, or because nothing is there to unpack it.
        var failure = await Assert.ThrowsAsync<ContainerException>(() => Engine.Containers.CreateAsync(new ContainerCreateOptions { ContainerNamespace = "t", Image = "app:1", Platform = "linux/amd64", Runtime = "/bin/true" }, Limit));
        Assert.NotEqual(ErrorIds.RegistryConfigInvalid, failure.Id);
        await Failing(ErrorIds.RegistryConfigInvalid, Engine.Containers.CreateAsync(new ContainerCreateOptions { ContainerNamespace = "t", Image = "other:1", Runtime = "/bin/true" }, Limit));
        Assert.Empty(registry.Requests);
    }

    // Sends from where it was asked to, at most a third, and hangs up.
    static TestResponse Broken(TestRequest request, byte[] content) => new(0)
    {
        Raw = async stream =>
        {
            var from = request.Header("range") is { } range ? int.Parse(range[6..].TrimEnd('-')) : 0;
            var first = from == 0 ? "HTTP/1.1 200 OK" : $"HTTP/1.1 206 Partial\r\nContent-Range: bytes {from}-{content.Length - 1}/{content.Length}";
            await stream.WriteAsync(Encoding.ASCII.GetBytes($"{first}\r\nContent-Length: {content.Length - from}\r\n\r\n"));
            await stream.WriteAsync(content.AsMemory(from, content.Length / 3));
            await stream.FlushAsync();
        },
    };

    [Fact]
    public async Task Another_process_goes_on_with_what_one_left()
    {
        var registry = Http();
        var made = registry.AddImage("big", "1", [string.Concat(Enumerable.Range(0, 100_000))]);
        var layer = registry.Blobs[made.Layers[0]];
        Engine.Containers.OpenForWriting();
        using (var left = await Ingest.ResumeAsync(Engine.Paths, Digest.Parse(made.Layers[0]), Limit)) { left.Write(layer.AsSpan(0, 1000)); }
        await ReceiveAsync(registry, "big:1");
        Assert.Equal("bytes=1000-", registry.Requests.Single(r => r.Path.EndsWith(made.Layers[0])).Header("range"));
        Assert.Empty(Folders.Entries(Engine.Paths.Ingests));
    }

    [Fact]
    public async Task What_was_left_and_is_wrong_is_fetched_again_from_the_start()
    {
        var registry = Http();
        var made = registry.AddImage("big", "1", [new string('x', 5000)]);
        Engine.Containers.OpenForWriting();
        using (var left = await Ingest.ResumeAsync(Engine.Paths, Digest.Parse(made.Layers[0]), Limit)) { left.Write(new byte[1000]); }
        await ReceiveAsync(registry, "big:1");
        Assert.Equal(["bytes=1000-", null], registry.Requests.Where(r => r.Path.EndsWith(made.Layers[0])).Select(r => r.Header("range")));
    }

    [Fact]
    public async Task A_server_without_ranges_sends_all_of_it_again()
    {
        var registry = Http();
        var made = registry.AddImage("big", "1", [new string('x', 5000)]);
        Engine.Containers.OpenForWriting();
        using (var left = await Ingest.ResumeAsync(Engine.Paths, Digest.Parse(made.Layers[0]), Limit)) { left.Write("xxx"u8); }
        registry.Hook = request => request.Path.EndsWith(made.Layers[0]) ? new TestResponse(200, registry.Blobs[made.Layers[0]]) : null;
        await ReceiveAsync(registry, "big:1");
        Assert.Single(registry.Requests, r => r.Path.EndsWith(made.Layers[0]));
    }

    [Fact]
    public async Task Layers_come_beside_one_another_up_to_the_limit()
    {
        var registry = Http();
        registry.AddImage("many", "1", [.. Enumerable.Range(0, 12).Select(i => $"layer {i}")]);
        int now = 0, most = 0;
        var both = new SemaphoreSlim(0);
        registry.Hook = request =>
        {
            if (!request.Path.Contains("/blobs/")) { return null; }
            var content = registry.Blobs[request.Path[(request.Path.LastIndexOf('/') + 1)..]];
            return new TestResponse(0)
            {
                Raw = async stream =>
                {
                    lock (both) { most = Math.Max(most, ++now); }
                    // The first waits until another has come, which proves that they are not one after another.
                    if (most >= 2) { both.Release(16); }
                    await both.WaitAsync(TimeSpan.FromSeconds(30));
                    lock (both) { now--; }
                    await stream.WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\nContent-Length: {content.Length}\r\nConnection: close\r\n\r\n"));
                    await stream.WriteAsync(content);
                },
            };
        };
        await ReceiveAsync(registry, "many:1", o => o.Parallel = 4);
        Assert.InRange(most, 2, 4);
    }

    [Fact]
    public async Task A_layer_in_its_descriptor_is_not_fetched()
    {
        var registry = Http();
        var config = "{}"u8.ToArray();
        var blob = "embedded"u8.ToArray();
        string Manifest(byte[] data) => JsonSerializer.Serialize(new
        {
            schemaVersion = 2, mediaType = MediaTypes.Manifest, artifactType = "application/x.test",
            config = new { mediaType = "application/vnd.oci.empty.v1+json", digest = Digest.Of(config).ToString(), size = config.Length, data = Convert.ToBase64String(config) },
            layers = new[] { new { mediaType = "text/plain", digest = Digest.Of(blob).ToString(), size = blob.Length, data = Convert.ToBase64String(data) } },
        });
        registry.AddManifest("art", "1", Encoding.UTF8.GetBytes(Manifest(blob)), MediaTypes.Manifest);
        registry.AddManifest("art", "bad", Encoding.UTF8.GetBytes(Manifest("something"u8.ToArray())), MediaTypes.Manifest);
        await Failing(ErrorIds.ImageInvalid, ReceiveAsync(registry, "art:bad"));
        NothingIsStored();
        await ReceiveAsync(registry, "art:1");
        Assert.DoesNotContain(registry.Lines, line => line.Contains("/blobs/"));
        Assert.NotNull(Engine.Content.Find(Digest.Of(blob)));
    }

    [Fact]
    public async Task What_a_server_calls_by_another_type_says_itself_what_it_is()
    {
        var registry = Http();
        var made = registry.AddImage("plain", "1", ["layer"]);
        registry.Hook = request => request.Path.Contains("/manifests/") ? new TestResponse(200, registry.Manifests["plain/1"].Content, ("Content-Type", "application/octet-stream")) : null;
        Assert.Equal(made.Digest, (await ReceiveAsync(registry, "plain:1")).Digest);
    }

    [Fact]
    public async Task Foreign_layers_and_schema_1_are_refused_by_name_and_nobody_is_asked_for_them()
    {
        var registry = Http();
        var elsewhere = Http();
        var config = registry.AddBlob("w", "{}"u8.ToArray());
        registry.AddManifest("w", "1", JsonSerializer.SerializeToUtf8Bytes(new
        {
            schemaVersion = 2, mediaType = MediaTypes.DockerManifest, config = new { mediaType = MediaTypes.DockerConfig, digest = config, size = 2 },
            layers = new[] { new { mediaType = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", digest = Digest.Of("x"u8).ToString(), size = 1, urls = new[] { $"{elsewhere.Address}/layer" } } },
        }), MediaTypes.DockerManifest);
        registry.AddManifest("w", "old", "{\"schemaVersion\":1,\"fsLayers\":[]}"u8.ToArray(), "application/vnd.docker.distribution.manifest.v1+prettyjws");
        await Failing(ErrorIds.NotSupported, ReceiveAsync(registry, "w:1"));
        await Failing(ErrorIds.NotSupported, ReceiveAsync(registry, "w:old"));
        Assert.Empty(elsewhere.Requests);
        NothingIsStored();
    }

    [Fact]
    public async Task What_passes_is_tried_again_and_what_does_not_is_not()
    {
        var registry = Http();
        registry.AddImage("a", "1", ["layer"]);
        var failures = 2;
        registry.Hook = request => request.Path.Contains("/manifests/") && failures-- > 0 ? new TestResponse(503) : null;
        await ReceiveAsync(registry, "a:1");
        Assert.Equal(3, registry.Lines.Count(l => l.Contains("/manifests/1")));

        foreach (var (status, id) in new[] { (400, ErrorIds.RegistryRefused), (403, ErrorIds.RegistryDenied), (404, ErrorIds.ImageNotFound), (418, ErrorIds.RegistryRefused), (429, ErrorIds.RegistryUnavailable), (501, ErrorIds.RegistryUnavailable) })
        {
            registry.Forget();
            registry.Hook = _ => TestRegistry.Error(status, "CODE");
            await Failing(id, ReceiveAsync(registry, "a:1"));
            Assert.Single(registry.Requests);
        }
        registry.Forget();
        registry.Hook = _ => new TestResponse(500);
        await Failing(ErrorIds.RegistryUnavailable, ReceiveAsync(registry, "a:1"));
        Assert.Equal(4, registry.Requests.Count);
    }

    [Fact]
    public async Task A_registry_says_when_to_come_again()
    {
        var registry = Http();
        registry.AddImage("a", "1", ["layer"]);
        var first = true;
        registry.Hook = _ => first && !(first = false) ? new TestResponse(429, null, ("Retry-After", "1")) : null;
        var clock = System.Diagnostics.Stopwatch.StartNew();
        await ReceiveAsync(registry, "a:1");
        Assert.True(clock.Elapsed >= TimeSpan.FromSeconds(0.9));

        registry.Forget();
        registry.Hook = _ => new TestResponse(503, null, ("Retry-After", "3600"));
        await Failing(ErrorIds.RegistryUnavailable, ReceiveAsync(registry, "a:1"));
        Assert.Single(registry.Requests);
    }

    [Fact]
    public async Task A_policy_says_when_a_container_s_image_is_pulled()
    {
        var registry = Http();
        var made = registry.AddImage("app", "1", ["layer"]);
        var name = $"{registry.Host}/app:1";
        ContainerCreateOptions Container(ImagePullPolicy policy) => new() { ContainerNamespace = "t", Image = name, Pull = policy, Platform = "linux/amd64", Registry = new RegistryOptions { PlainHttp = true }, Runtime = "/bin/true" };

        await Failing(ErrorIds.ImageNotFound, Engine.Containers.CreateAsync(Container(ImagePullPolicy.Never), Limit));
        Assert.Empty(registry.Requests);
        // Its layer is no archive: it comes, and does not unpack, wherever psrun is or is not.
        await Assert.ThrowsAsync<ContainerException>(() => Engine.Containers.CreateAsync(Container(ImagePullPolicy.Missing), Limit));
        Assert.Contains(registry.Lines, l => l.EndsWith(made.Layers[0]));

        await ReceiveAsync(registry, "app:1");
        registry.Forget();
        await Assert.ThrowsAsync<ContainerException>(() => Engine.Containers.CreateAsync(Container(ImagePullPolicy.Missing), Limit));
        Assert.Empty(registry.Requests);
        await Assert.ThrowsAsync<ContainerException>(() => Engine.Containers.CreateAsync(Container(ImagePullPolicy.Always), Limit));
        Assert.Equal(["GET /v2/app/manifests/1"], registry.Lines);
    }
}
