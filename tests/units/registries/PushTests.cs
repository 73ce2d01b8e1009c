using System.Text.Json;
using Xunit;

namespace Containers.Tests.Units;

/// <summary>Pushing, and what is done in a registry beside that.</summary>
public sealed class PushTests : RegistryTest
{
    readonly TestRegistry source;
    readonly TestRegistry registry;

    public PushTests()
    {
        source = Http();
        registry = Http();
    }

    internal ImagePushOptions Push(string? target = null, Action<ImagePushOptions>? more = null)
    {
        var options = new ImagePushOptions { ContainerNamespace = "t", PlainHttp = true, Target = target is null ? null : $"{registry.Host}/{target}", Log = Note };
        more?.Invoke(options);
        return options;
    }

    async Task<string> HaveAsync(string name, params string[] layers)
    {
        source.AddImage(name.Split(':')[0], name.Split(':')[1], layers);
        return (await ReceiveAsync(source, name)).Reference!;
    }

    [Fact]
    public async Task Blobs_come_first_and_the_name_last()
    {
        var name = await HaveAsync("a:1", "one", "two");
        var pushed = await Engine.Images.PublishAsync(name, Push("shop/a:2"), Limit);
        Assert.Equal(($"{registry.Host}/shop/a:2", 3, 0), (pushed.Reference, pushed.Sent, pushed.Skipped));
        Assert.Equal("PUT /v2/shop/a/manifests/2", registry.Lines.Last());
        Assert.Equal(source.Manifests["a/1"].Content, registry.Manifests["shop/a/2"].Content);
        Assert.All(registry.Requests.Where(r => r.Method == "PUT" && r.Path.Contains("/uploads/")), r => Assert.Equal(("application/octet-stream", "a/b"), (r.Header("content-type"), r.Query["state"])));
        // What was pushed can be pulled.
        Engine.Images.Remove(name, containerNamespace: "t");
        Assert.Equal(pushed.Digest, (await ReceiveAsync(registry, "shop/a:2")).Digest);
    }

    [Fact]
    public async Task What_the_registry_has_is_not_sent()
    {
        var name = await HaveAsync("a:1", "one", "two");
        await Engine.Images.PublishAsync(name, Push("a:1"), Limit);
        registry.Forget();
        var again = await Engine.Images.PublishAsync(name, Push("a:2"), Limit);
        Assert.Equal((0, 3, 0L), (again.Sent, again.Skipped, again.SentBytes));
        Assert.DoesNotContain(registry.Lines, l => l.StartsWith("POST"));
        Assert.Equal(3, registry.Lines.Count(l => l.StartsWith("HEAD")));
    }

    [Fact]
    public async Task What_another_repository_has_is_taken_from_there()
    {
        registry.AddImage("base", "1", ["shared"]);
        await ReceiveAsync(registry, "base:1");
        var name = await HaveAsync("a:1", "shared", "own");
        var pushed = await Engine.Images.PublishAsync(name, Push("a:1"), Limit);
        // The layer; the configurations differ.
        Assert.Equal((2, 1), (pushed.Sent, pushed.Skipped));
        var mount = registry.Requests.Single(r => r.Query.ContainsKey("mount"));
        Assert.Equal((Digest.Of("shared"u8).ToString(), "base"), (mount.Query["mount"], mount.Query["from"]));
    }

    [Fact]
    public async Task A_mount_that_is_not_done_or_not_allowed_becomes_an_upload()
    {
        registry.AddImage("base", "1", ["shared"]);
        await ReceiveAsync(registry, "base:1");
        var name = await HaveAsync("a:1", "shared", "own");
        foreach (var status in new[] { 202, 403, 405 })
        {
            registry.Stored.Keys.Where(k => k.StartsWith("a@")).ToList().ForEach(k => registry.Stored.TryRemove(k, out _));
            registry.Hook = request => !request.Query.ContainsKey("mount") ? null : new TestResponse(status, null, ("Location", "/v2/a/blobs/uploads/unused"));
            Assert.Equal(3, (await Engine.Images.PublishAsync(name, Push("a:1"), Limit)).Sent);
        }
    }

    [Fact]
    public async Task Layers_go_beside_one_another_up_to_the_limit()
    {
        var name = await HaveAsync("many:1", [.. Enumerable.Range(0, 12).Select(i => $"layer {i}")]);
        int now = 0, most = 0;
        using var both = new ManualResetEventSlim();
        registry.Hook = request =>
        {
            if (request.Method != "PUT" || !request.Path.Contains("/uploads/")) { return null; }
            lock (both) { most = Math.Max(most, ++now); }
            // The first waits until another has come, which proves that they are not one after another.
            if (most >= 2) { both.Set(); }
            both.Wait(TimeSpan.FromSeconds(30), Limit);
            lock (both) { now--; }
            return null;
        };
        await Engine.Images.PublishAsync(name, Push("many:1", o => o.Parallel = 4), Limit);
        Assert.InRange(most, 2, 4);
        Assert.Equal(5, new ImagePushOptions().Parallel);
    }

    [Fact]
    public async Task A_large_layer_goes_in_parts_and_goes_on_where_it_broke()
    {
        Use(new RegistryLimits { Backoff = TimeSpan.FromMilliseconds(10), UploadPart = 1000 });
        var layer = string.Concat(Enumerable.Range(0, 1000));
        var name = await HaveAsync("a:1", layer);
        var fails = 1;
        registry.Hook = request => request.Method == "PATCH" && request.Header("content-range")!.StartsWith("1000-") && fails-- > 0 ? new TestResponse(500) : null;
        await Engine.Images.PublishAsync(name, Push("a:1"), Limit);
        Assert.Equal(layer.Length, registry.Blobs[Digest.Of(System.Text.Encoding.UTF8.GetBytes(layer)).ToString()].Length);
        var ranges = registry.Requests.Where(r => r.Method == "PATCH").Select(r => r.Header("content-range")).ToList();
        Assert.Equal(["0-999", "1000-1999", "1000-1999", "2000-2889"], ranges);
        Assert.Single(registry.Requests, r => r.Method == "GET" && r.Path.Contains("/uploads/"));
    }

    [Fact]
    public async Task A_registry_says_how_small_a_part_may_be()
    {
        Use(new RegistryLimits { Backoff = TimeSpan.FromMilliseconds(10), UploadPart = 200 });
        var name = await HaveAsync("a:1", new string('x', 1000));
        registry.Hook = request => request.Method == "POST" ? new TestResponse(202, null, ("Location", "/v2/a/blobs/uploads/" + Begin(request)), ("OCI-Chunk-Min-Length", "600")) : null;
        await Engine.Images.PublishAsync(name, Push("a:1"), Limit);
        Assert.Equal(["0-599", "600-999"], registry.Requests.Where(r => r.Method == "PATCH").Select(r => r.Header("content-range")));

        string Begin(TestRequest request)
        {
            var answer = registry.AnswerTo(request);
            return answer.Headers.First(h => h.Name == "Location").Value.Split("uploads/")[1];
        }
    }

    [Fact]
    public async Task A_session_that_is_lost_is_begun_anew()
    {
        var name = await HaveAsync("a:1", "layer");
        var fails = 2;
        registry.Hook = request => request.Method == "PUT" && request.Path.Contains("/uploads/") && fails-- > 0 ? new TestResponse(500) : null;
        await Engine.Images.PublishAsync(name, Push("a:1", o => o.Parallel = 1), Limit);
        Assert.Equal(4, registry.Lines.Count(l => l.StartsWith("POST")));
    }

    [Fact]
    public async Task An_index_goes_whole_or_by_platform()
    {
        var amd = source.AddImage("m", null, ["amd"]);
        var arm = source.AddImage("m", null, ["arm"], "arm64");
        source.AddIndex("m", "1", (amd.Digest, amd.Size, new { os = "linux", architecture = "amd64" }, null), (arm.Digest, arm.Size, new { os = "linux", architecture = "arm64" }, null));
        var name = (await ReceiveAsync(source, "m:1", o => o.Platform = "linux/arm64")).Reference!;
        await Failing(ErrorIds.ContentNotFound, Engine.Images.PublishAsync(name, Push("m:1"), Limit));
        Assert.Empty(registry.Requests);
        Assert.Equal(arm.Digest, (await Engine.Images.PublishAsync(name, Push("m:arm", o => o.Platform = "linux/arm64"), Limit)).Digest);
        await ReceiveAsync(source, "m:1", o => o.AllPlatforms = true);
        await Engine.Images.PublishAsync(name, Push("m:1"), Limit);
        Assert.Equal(["arm", "1"], registry.Manifests.Keys.Where(k => !k.Contains(':')).Select(k => k.Split('/')[1]).OrderDescending());
        Assert.Equal(2, registry.Lines.Count(l => l.Contains("manifests/sha256:")));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_refers_to_an_image_is_listed_by_the_registry_or_by_a_tag(bool api)
    {
        registry.HasReferrers = api;
        var subject = await HaveAsync("a:1", "layer");
        var digest = (await Engine.Images.PublishAsync(subject, Push("a:1"), Limit)).Digest;
        source.AddImage("a", "sbom", ["a list"], subject: new { mediaType = MediaTypes.Manifest, digest, size = source.Manifests["a/1"].Content.Length }, artifactType: "application/x.sbom");
        var sbom = await ReceiveAsync(source, "a:sbom");
        await Engine.Images.PublishAsync(sbom.Reference!, Push("a:sbom"), Limit);
        var way = new RegistryOptions { PlainHttp = true };
        var found = await Engine.Registries.ReferrersAsync($"{registry.Host}/a:1", null, way, Limit);
        Assert.Equal((sbom.Digest, "application/x.sbom"), (found.Single().Digest, found.Single().ArtifactType));
        Assert.Empty(await Engine.Registries.ReferrersAsync($"{registry.Host}/a@{digest}", "application/x.other", way, Limit));
        Assert.Equal(!api, registry.Manifests.ContainsKey($"a/{digest.Replace(':', '-')}"));

        await Engine.Registries.RemoveAsync($"{registry.Host}/a@{sbom.Digest}", way, Limit);
        Assert.Empty(await Engine.Registries.ReferrersAsync($"{registry.Host}/a:1", null, way, Limit));
    }

    [Fact]
    public async Task Referrers_come_page_by_page_and_are_filtered_here_too()
    {
        registry.AddImage("a", "1", ["x"]);
        object One(int i) => new { mediaType = MediaTypes.Manifest, digest = Digest.Of(BitConverter.GetBytes(i)).ToString(), size = 10, artifactType = i % 2 == 0 ? "application/x.even" : "application/x.odd" };
        registry.Hook = request =>
        {
            if (!request.Path.Contains("/referrers/")) { return null; }
            var page = int.Parse(request.Query.GetValueOrDefault("page", "0"));
            var answer = new TestResponse(200, JsonSerializer.SerializeToUtf8Bytes(new { schemaVersion = 2, mediaType = MediaTypes.Index, manifests = Enumerable.Range(page * 3, 3).Select(One) }), ("Content-Type", MediaTypes.Index));
            if (page < 2) { answer.Headers.Add(("Link", $"<{request.Path}?page={page + 1}>; rel=\"next\"")); }
            return answer;
        };
        var way = new RegistryOptions { PlainHttp = true };
        Assert.Equal(9, (await Engine.Registries.ReferrersAsync($"{registry.Host}/a:1", null, way, Limit)).Count);
        Assert.Equal(5, (await Engine.Registries.ReferrersAsync($"{registry.Host}/a:1", "application/x.even", way, Limit)).Count);
        // One of before 1.1 that has a page for everything knows no referrers.
        registry.Hook = request => request.Path.Contains("/referrers/") ? TestResponse.Text(200, "<html>", ("Content-Type", "text/html")) : null;
        Assert.Empty(await Engine.Registries.ReferrersAsync($"{registry.Host}/a:1", null, way, Limit));
    }

    [Fact]
    public async Task Tags_and_repositories_come_page_by_page()
    {
        registry.PageSize = 3;
        for (var i = 0; i < 10; i++) { registry.AddImage($"shop/r{i}", "1", ["x"]); }
        for (var i = 0; i < 10; i++) { registry.AddImage("many", $"v{i}", ["x"]); }
        var way = new RegistryOptions { PlainHttp = true };
        var tags = await Engine.Registries.TagsAsync($"{registry.Host}/many", way, Limit).ToListAsync(Limit);
        Assert.Equal(Enumerable.Range(0, 10).Select(i => $"{registry.Host}/many:v{i}"), tags.Select(t => t.Reference));
        Assert.Equal(4, registry.Lines.Count(l => l.EndsWith("/tags/list")));
        Assert.Equal(11, (await Engine.Registries.CatalogAsync(registry.Host, way, Limit).ToListAsync(Limit)).Count);
    }

    [Fact]
    public async Task Tags_and_manifests_are_removed()
    {
        var made = registry.AddImage("a", "1", ["x"]);
        registry.AddImage("a", "2", ["x"]);
        var way = new RegistryOptions { PlainHttp = true };
        await Engine.Registries.RemoveAsync($"{registry.Host}/a:1", way, Limit);
        Assert.True(registry.Manifests.ContainsKey("a/2"));
        await Failing(ErrorIds.ImageNotFound, Engine.Registries.RemoveAsync($"{registry.Host}/a:1", way, Limit));
        registry.DeletesTags = false;
        await Failing(ErrorIds.RegistryRefused, Engine.Registries.RemoveAsync($"{registry.Host}/a:2", way, Limit));
        await Engine.Registries.RemoveAsync($"{registry.Host}/a@{made.Digest}", way, Limit);
        Assert.Empty(registry.Manifests);
    }

    [Fact]
    public async Task A_failed_push_leaves_no_name_there()
    {
        var name = await HaveAsync("a:1", "one", "two");
        registry.Hook = request => request.Method == "PUT" && request.Path.Contains("/uploads/") ? TestRegistry.Error(400, "DIGEST_INVALID") : null;
        await Failing(ErrorIds.RegistryRefused, Engine.Images.PublishAsync(name, Push("a:1"), Limit));
        Assert.DoesNotContain(registry.Lines, l => l.Contains("/manifests/"));
        await Failing(ErrorIds.ImageNotFound, Engine.Images.PublishAsync("nothere", Push("a:1"), Limit));
        await Failing(ErrorIds.InvalidReference, Engine.Images.PublishAsync(name, Push($"a@{Digest.Of("x"u8)}"), Limit));
    }

    [Theory]
    [InlineData(200, null)]
    [InlineData(202, null)]
    [InlineData(202, "ftp://elsewhere/")]
    public async Task Answers_that_are_none_end_a_push(int status, string? location)
    {
        var name = await HaveAsync("a:1", "one");
        registry.Hook = request => request.Method == "POST" ? new TestResponse(status, null, location is null ? [] : [("Location", location)]) : null;
        await Failing(ErrorIds.RegistryProtocol, Engine.Images.PublishAsync(name, Push("a:1"), Limit));
    }

    [Fact]
    public async Task Progress_tells_each_blob_to_its_end()
    {
        var told = new System.Collections.Concurrent.ConcurrentQueue<ImageProgress>();
        var progress = new Direct(told.Enqueue);
        source.AddImage("a", "1", ["one", "two"]);
        await ReceiveAsync(source, "a:1", o => o.Progress = progress);
        Assert.Equal(3, told.Count(p => p is { Activity: "Downloading", Finished: true } && p.Done == p.Total));
        told.Clear();
        await Engine.Images.PublishAsync($"{source.Host}/a:1", Push("a:1", o => o.Progress = progress), Limit);
        Assert.Equal(3, told.Count(p => p is { Activity: "Uploading", Finished: true }));
    }

    sealed class Direct(Action<ImageProgress> take) : IProgress<ImageProgress>
    {
        public void Report(ImageProgress value) => take(value);
    }
}
