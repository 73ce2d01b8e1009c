using System.Text;
using System.Text.Json;
using Xunit;

namespace Containers.Tests.Units;

/// <summary>A registry that means harm: each attempt ends with a clear error, within the limits of docs/registries.md, and nothing is stored.</summary>
public sealed class HostileTests : RegistryTest
{
    readonly TestRegistry registry;

    public HostileTests()
    {
        registry = Http();
        Use(new RegistryLimits { Backoff = TimeSpan.FromMilliseconds(5), Attempts = 3 });
    }

    async Task<ContainerException> EndsAsync(string id, string name = "a:1", TestRegistry? other = null)
    {
        var clock = System.Diagnostics.Stopwatch.StartNew();
        // One after another: what is cut off beside a failure may be kept to go on with.
        var failure = await Failing(id, ReceiveAsync(other ?? registry, name, o => o.Parallel = 1));
        Assert.True(clock.Elapsed < TimeSpan.FromMinutes(2), $"{clock.Elapsed}");
        Assert.DoesNotContain(failure.Message, c => char.IsControl(c));
        Assert.True(failure.Message.Length < 1500);
        NothingIsStored();
        return failure;
    }

    static TestResponse Raw(string head, Func<Stream, Task>? body = null) => new(0)
    {
        Raw = async stream =>
        {
            await stream.WriteAsync(Encoding.ASCII.GetBytes(head));
            if (body is not null) { await body(stream); }
            await stream.FlushAsync();
        },
    };

    static async Task Endless(Stream stream)
    {
        var zeros = new byte[64 << 10];
        for (var i = 0; i < 100_000; i++) { await stream.WriteAsync(zeros); }
    }

    static async Task EndlessChunks(Stream stream)
    {
        var chunk = Encoding.ASCII.GetBytes("1000\r\n" + new string('x', 0x1000) + "\r\n");
        for (var i = 0; i < 1_000_000; i++) { await stream.WriteAsync(chunk); }
    }

    static async Task Dripping(Stream stream)
    {
        for (var i = 0; i < 10_000; i++)
        {
            await stream.WriteAsync("x"u8.ToArray());
            await stream.FlushAsync();
            await Task.Delay(100);
        }
    }

    void OnManifest(Func<TestRequest, TestResponse?> answer) => registry.Hook = request => request.Path.Contains("/manifests/") ? answer(request) : null;

    void OnLayer(string[] layers, Func<TestRequest, TestResponse?> answer) => registry.Hook = request => layers.Any(request.Path.EndsWith) ? answer(request) : null;

    [Fact]
    public async Task An_endless_manifest_ends()
    {
        OnManifest(_ => Raw("HTTP/1.1 200 OK\r\nContent-Type: " + MediaTypes.Manifest + "\r\nTransfer-Encoding: chunked\r\n\r\n", EndlessChunks));
        await EndsAsync(ErrorIds.RegistryProtocol);
        OnManifest(_ => Raw("HTTP/1.1 200 OK\r\n\r\n", Endless));
        await EndsAsync(ErrorIds.RegistryProtocol);
    }

    [Fact]
    public async Task A_manifest_over_4_MiB_is_refused_and_one_of_4_MiB_is_not()
    {
        var made = registry.AddImage("a", "1", ["layer"]);
        var content = registry.Manifests["a/1"].Content;
        byte[] Padded(int size) => [.. content, .. Enumerable.Repeat((byte)' ', size - content.Length)];
        registry.AddManifest("a", "1", Padded(4 << 20), MediaTypes.Manifest);
        registry.AddManifest("a", "2", Padded((4 << 20) + 1), MediaTypes.Manifest);
        await EndsAsync(ErrorIds.RegistryProtocol, "a:2");
        Assert.Equal(4 << 20, Engine.Content.Find(Digest.Parse((await ReceiveAsync(registry, "a:1")).Digest))!.Size);
    }

    [Fact]
    public async Task Manifests_of_more_than_64_MiB_together_are_refused()
    {
        // Twenty nested indexes of nearly four MiB each, beside one another, all to be looked into.
        var children = Enumerable.Range(0, 20).Select(i =>
        {
            var content = Encoding.UTF8.GetBytes("{\"schemaVersion\":2,\"manifests\":[]}" + new string(' ', (4 << 20) - 100 - i));
            return (registry.AddManifest("a", null, content, MediaTypes.Index), content.Length, (object?)null, (string?)MediaTypes.Index);
        }).ToArray();
        registry.AddIndex("a", "1", children);
        await EndsAsync(ErrorIds.ImageInvalid);
        Assert.InRange(registry.Requests.Count, 2, 18);
    }

    [Fact]
    public async Task Indexes_nest_no_deeper_than_eight_and_no_ring_is_followed()
    {
        var made = registry.AddImage("a", null, ["layer"]);
        var inner = (made.Digest, made.Size, (object?)new { os = "linux", architecture = "amd64" }, (string?)null);
        for (var depth = 0; depth < 12; depth++)
        {
            var digest = registry.AddIndex("a", "1", inner);
            inner = (digest, registry.Manifests[$"a/{digest}"].Content.Length, null, MediaTypes.Index);
        }
        await EndsAsync(ErrorIds.ImageInvalid);

        // A digest cannot name itself; a server that answers so is a liar, whatever it says.
        var ring = JsonSerializer.SerializeToUtf8Bytes(new { schemaVersion = 2, mediaType = MediaTypes.Index, manifests = new[] { new { mediaType = MediaTypes.Index, digest = Digest.Of("ring"u8).ToString(), size = 200 } } });
        registry.Forget();
        OnManifest(_ => new TestResponse(200, ring, ("Content-Type", MediaTypes.Index)));
        await EndsAsync(ErrorIds.DigestMismatch);
        Assert.Equal(2, registry.Requests.Count);
    }

    [Fact]
    public async Task An_index_of_more_than_2000_manifests_is_refused()
    {
        var all = Enumerable.Range(0, 2100).Select(i => (Digest.Of(BitConverter.GetBytes(i)).ToString(), 100, (object?)new { os = "linux", architecture = "amd64" }, (string?)null)).ToArray();
        registry.AddIndex("a", "1", all);
        await EndsAsync(ErrorIds.ImageInvalid);
        Assert.Single(registry.Requests);
    }

    [Fact]
    public async Task A_manifest_of_another_digest_or_of_another_size_is_refused()
    {
        var made = registry.AddImage("a", "1", ["layer"]);
        OnManifest(_ => new TestResponse(200, [.. registry.Manifests["a/1"].Content, (byte)' '], ("Content-Type", MediaTypes.Manifest)));
        await EndsAsync(ErrorIds.DigestMismatch, $"a@{made.Digest}");
        OnManifest(_ => new TestResponse(200, registry.Manifests["a/1"].Content, ("Content-Type", MediaTypes.Manifest), ("Docker-Content-Digest", Digest.Of("x"u8).ToString())));
        await EndsAsync(ErrorIds.DigestMismatch);
        registry.Hook = null;
        registry.AddIndex("a", "2", (made.Digest, made.Size + 1, new { os = "linux", architecture = "amd64" }, null));
        await EndsAsync(ErrorIds.SizeMismatch, "a:2");
    }

    [Theory]
    [InlineData("<html>welcome</html>", "text/html")]
    [InlineData("{}", MediaTypes.Manifest)]
    [InlineData("null", MediaTypes.Manifest)]
    [InlineData("{\"schemaVersion\":2,\"config\":{},\"layers\":[],\"manifests\":[]}", MediaTypes.Manifest)]
    [InlineData("{\"schemaVersion\":2,\"manifests\":[]}", MediaTypes.Manifest)]
    [InlineData("{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[]}", MediaTypes.DockerIndex)]
    [InlineData("{\"schemaVersion\":2,\"config\":{\"digest\":\"sha256:../../etc\"},\"layers\":[]}", MediaTypes.Manifest)]
    [InlineData("{\"schemaVersion\":2,\"config\":{\"digest\":\"sha256:0000000000000000000000000000000000000000000000000000000000000000\",\"size\":-1},\"layers\":[]}", MediaTypes.Manifest)]
    public async Task A_manifest_that_is_none_is_refused(string document, string type)
    {
        OnManifest(_ => TestResponse.Text(200, document, ("Content-Type", type)));
        await EndsAsync(ErrorIds.ImageInvalid);
    }

    [Fact]
    public async Task A_layer_of_another_digest_is_refused_and_not_kept()
    {
        var made = registry.AddImage("a", "1", ["layer"]);
        OnLayer(made.Layers, _ => new TestResponse(200, "loyer"u8.ToArray()));
        await EndsAsync(ErrorIds.DigestMismatch);
    }

    [Fact]
    public async Task A_layer_of_another_length_is_refused_and_not_kept()
    {
        var made = registry.AddImage("a", "1", [new string('x', 5000)]);
        var layer = registry.Blobs[made.Layers[0]];
        OnLayer(made.Layers, _ => new TestResponse(200, [.. layer, 1]));
        await EndsAsync(ErrorIds.SizeMismatch);
        OnLayer(made.Layers, _ => new TestResponse(200, layer[..4000]));
        await EndsAsync(ErrorIds.SizeMismatch);
        // Without a length that is told: more without end, and less.
        OnLayer(made.Layers, _ => Raw("HTTP/1.1 200 OK\r\n\r\n", Endless));
        await EndsAsync(ErrorIds.SizeMismatch);
        OnLayer(made.Layers, _ => Raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nxxxxx\r\n0\r\n\r\n"));
        await EndsAsync(ErrorIds.SizeMismatch);
    }

    [Fact]
    public async Task A_layer_that_is_said_to_be_huge_is_refused_before_it_comes()
    {
        var config = registry.AddBlob("a", "{\"os\":\"linux\",\"architecture\":\"amd64\"}"u8.ToArray());
        registry.AddManifest("a", "1", JsonSerializer.SerializeToUtf8Bytes(new
        {
            schemaVersion = 2, mediaType = MediaTypes.Manifest, config = new { mediaType = MediaTypes.Config, digest = config, size = 37 },
            layers = new[] { new { mediaType = MediaTypes.Layer, digest = Digest.Of("huge"u8).ToString(), size = 1L << 50 } },
        }), MediaTypes.Manifest);
        await EndsAsync(ErrorIds.LayerTooLarge);
        Assert.DoesNotContain(registry.Lines, l => l.EndsWith(Digest.Of("huge"u8).ToString()));
    }

    [Fact]
    public async Task Another_range_than_was_asked_for_is_refused()
    {
        var made = registry.AddImage("a", "1", [new string('x', 5000)]);
        Engine.Containers.OpenForWriting();
        using (var left = await Ingest.ResumeAsync(Engine.Paths, Digest.Parse(made.Layers[0]), Limit)) { left.Write(new byte[100]); }
        OnLayer(made.Layers, _ => new TestResponse(206, new byte[4900], ("Content-Range", "bytes 0-4899/5000")));
        await EndsAsync(ErrorIds.RegistryProtocol);
        OnLayer(made.Layers, _ => new TestResponse(416));
        await EndsAsync(ErrorIds.RegistryProtocol);
    }

    [Fact]
    public async Task Redirects_in_a_ring_end_and_so_do_those_to_nowhere()
    {
        OnManifest(request => new TestResponse(307, null, ("Location", request.Path + "?again")));
        await EndsAsync(ErrorIds.RegistryProtocol);
        Assert.Equal(6, registry.Requests.Count);
        foreach (var location in new[] { null, "ftp://elsewhere/x", "file:///etc/passwd", "http://user:secret@elsewhere/", "http://[" })
        {
            OnManifest(_ => new TestResponse(302, null, location is null ? [] : [("Location", location)]));
            await EndsAsync(ErrorIds.RegistryProtocol);
        }
    }

    [Fact]
    public async Task From_https_nothing_goes_on_by_http()
    {
        var secure = Https();
        Trust(secure);
        registry.AddImage("a", "1", ["layer"]);
        secure.Hook = request => new TestResponse(302, null, ("Location", registry.Address + request.Path));
        await EndsAsync(ErrorIds.RegistryNotTrusted, other: secure);
        Assert.Empty(registry.Requests);
    }

    [Fact]
    public async Task An_upload_is_not_sent_on_by_http()
    {
        var secure = Https();
        Trust(secure);
        var plain = Http();
        plain.AddImage("a", "1", ["layer"]);
        var name = (await ReceiveAsync(plain, "a:1")).Reference!;
        plain.Forget();
        secure.Hook = request => request.Method == "POST" ? new TestResponse(202, null, ("Location", $"{plain.Address}/v2/a/blobs/uploads/1")) : null;
        await Failing(ErrorIds.RegistryNotTrusted, Engine.Images.PublishAsync(name, new ImagePushOptions { ContainerNamespace = "t", Target = $"{secure.Host}/a:1" }, Limit));
        Assert.Empty(plain.Requests);
    }

    [Fact]
    public async Task Who_does_not_answer_is_given_up()
    {
        Use(new RegistryLimits { Backoff = TimeSpan.FromMilliseconds(5), Answer = TimeSpan.FromSeconds(2), Attempts = 2 });
        OnManifest(_ => Raw("HTTP/1.1 200 OK\r\nX: ", Dripping));
        await EndsAsync(ErrorIds.RegistryTimeout);
        // A document has to be there in time, however it drips.
        OnManifest(_ => Raw("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", Dripping));
        await EndsAsync(ErrorIds.RegistryTimeout);
    }

    [Fact]
    public async Task A_layer_that_drips_is_given_up()
    {
        Use(new RegistryLimits { Slow = TimeSpan.FromSeconds(2) });
        var made = registry.AddImage("a", "1", [new string('x', 500_000)]);
        OnLayer(made.Layers, _ => Raw("HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n", Dripping));
        await Failing(ErrorIds.RegistryTimeout, ReceiveAsync(registry, "a:1", o => o.Parallel = 1));
        // What came of it is kept to go on with, but is no content.
        Assert.Empty(Engine.Content.List());
        Assert.Empty(Engine.Images.List("t"));
        Assert.Single(Folders.Entries(Engine.Paths.Ingests));
    }

    [Fact]
    public async Task A_layer_byte_by_byte_in_new_connections_is_given_up()
    {
        var made = registry.AddImage("a", "1", [new string('x', 500_000)]);
        OnLayer(made.Layers, request =>
        {
            var from = request.Header("range") is { } range ? int.Parse(range[6..].TrimEnd('-')) : 0;
            return Raw((from == 0 ? "HTTP/1.1 200 OK" : $"HTTP/1.1 206 Part\r\nContent-Range: bytes {from}-499999/500000") + $"\r\nContent-Length: {500_000 - from}\r\n\r\nx");
        });
        await Failing(ErrorIds.RegistryUnavailable, ReceiveAsync(registry, "a:1", o => o.Parallel = 1));
        Assert.Equal(3, registry.Requests.Count(r => r.Path.EndsWith(made.Layers[0])));
        Assert.Empty(Engine.Content.List());
    }

    [Theory]
    [InlineData("nonsense\r\n\r\n", ErrorIds.RegistryProtocol)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", null)]
    [InlineData("", ErrorIds.RegistryUnavailable)]
    public async Task What_is_no_HTTP_is_told(string head, string? id)
    {
        registry.Hook = _ => Raw(head);
        var failure = await Assert.ThrowsAsync<ContainerException>(() => ReceiveAsync(registry, "a:1"));
        if (id is not null) { Assert.Equal(id, failure.Id); }
        NothingIsStored();
    }

    [Fact]
    public async Task Headers_without_end_are_refused()
    {
        registry.Hook = _ => Raw("HTTP/1.1 200 OK\r\n" + string.Concat(Enumerable.Range(0, 3000).Select(i => $"X-{i}: {new string('x', 100)}\r\n")) + "\r\n");
        await EndsAsync(ErrorIds.RegistryProtocol);
    }

    [Fact]
    public async Task Who_is_not_there_is_told_at_once()
    {
        // A port that nobody listens on, whatever other tests do meanwhile.
        await Failing(ErrorIds.RegistryUnavailable, Engine.Images.ReceiveAsync("127.0.0.1:1/a:1", Pull(http: true), Limit));
        Assert.DoesNotContain(Log, line => line.StartsWith("once more"));
    }

    [Fact]
    public async Task A_server_without_https_is_told_with_the_way_out()
    {
        var failure = await Failing(ErrorIds.RegistryNotTrusted, Engine.Images.ReceiveAsync($"{registry.Host}/a:1", Pull(), Limit));
        Assert.Contains("-PlainHttp", failure.Message);
        NothingIsStored();
    }

    [Fact]
    public async Task Lists_without_end_or_with_names_that_are_none_are_refused()
    {
        var way = new RegistryOptions { PlainHttp = true };
        var page = 0;
        registry.Hook = _ => TestResponse.Text(200, $"{{\"tags\":[\"t{page}\"]}}", ("Link", $"</v2/a/tags/list?last={page++}>; rel=\"next\""));
        await Failing(ErrorIds.RegistryProtocol, Tags());
        Assert.Equal(RegistryLimits.Pages, registry.Requests.Count);
        registry.Hook = request => TestResponse.Text(200, "{\"tags\":[\"t\"]}", ("Link", "</v2/a/tags/list?n=100>; rel=\"next\""));
        await Failing(ErrorIds.RegistryProtocol, Tags());
        registry.Hook = _ => TestResponse.Text(200, "{\"tags\":[\"t\"]}", ("Link", "<http://127.0.0.1:1/v2/a/tags/list>; rel=\"next\""));
        await Failing(ErrorIds.RegistryProtocol, Tags());
        foreach (var tags in new[] { "[\"../x\"]", "[null]", "[\"a\\u001b[31m\"]", "7" })
        {
            registry.Hook = _ => TestResponse.Text(200, $"{{\"tags\":{tags}}}");
            Assert.DoesNotContain((await Failing(ErrorIds.RegistryProtocol, Tags())).Message, char.IsControl);
        }
        registry.Hook = _ => TestResponse.Text(200, "{\"tags\":null}");
        Assert.Empty(await Engine.Registries.TagsAsync($"{registry.Host}/a", way, Limit).ToListAsync(Limit));

        Task Tags() => Engine.Registries.TagsAsync($"{registry.Host}/a", way, Limit).ToListAsync(Limit).AsTask();
    }

    [Fact]
    public async Task Words_of_a_stranger_are_short_and_printable()
    {
        registry.Hook = _ => TestRegistry.Error(400, "CO\u001bDE", "\u001b[31mred\r\nsecond line\u202e" + new string('x', 100_000));
        await EndsAsync(ErrorIds.RegistryRefused);
        registry.Hook = _ => Raw("HTTP/1.1 400 No\r\n\r\n", Endless);
        await EndsAsync(ErrorIds.RegistryRefused);
    }

    [Fact]
    public async Task Ctrl_C_ends_a_download_at_once()
    {
        var made = registry.AddImage("a", "1", [new string('x', 500_000)]);
        using var stop = new CancellationTokenSource();
        OnLayer(made.Layers, _ => Raw("HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n", async stream =>
        {
            stop.Cancel();
            await Dripping(stream);
        }));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Engine.Images.ReceiveAsync($"{registry.Host}/a:1", Pull(http: true), stop.Token));
        Assert.Empty(Engine.Images.List("t"));
        Assert.Empty(Engine.Content.List());
    }
}
