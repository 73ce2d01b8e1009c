using System.Formats.Tar;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Xunit;

namespace Containers.Tests.Units;

/// <summary>Formats that are rare: what may stand in a layout or an archive is taken, or refused by its name, and comes out again as it went in.</summary>
public sealed class ImageFormatTests : IDisposable
{
    static readonly JsonSerializerOptions Json = new() { DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull };

    readonly string folder = Directory.CreateTempSubdirectory("formats-").FullName;
    readonly string layout;
    readonly ContainerEngine engine;

    public ImageFormatTests()
    {
        File.SetUnixFileMode(folder, (UnixFileMode)0x1c0);
        layout = Path.Combine(folder, "layout");
        Directory.CreateDirectory(Path.Combine(layout, "blobs/sha256"));
        File.WriteAllText(Path.Combine(layout, "oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}");
        engine = NewEngine("root");
    }

    ContainerEngine NewEngine(string root) => new(new ContainerHostOptions { Root = Path.Combine(folder, root), RunRoot = Path.Combine(folder, "run") });

    public void Dispose() => Directory.Delete(folder, recursive: true);

    static CancellationToken Limit => new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;

    sealed record Part(string MediaType, string Digest, long Size)
    {
        public object? Platform { get; init; }
        public string? Data { get; init; }
        public string[]? Urls { get; init; }
        public Dictionary<string, string>? Annotations { get; init; }

        public object Json => new { mediaType = MediaType, digest = Digest, size = Size, platform = Platform, data = Data, urls = Urls, annotations = Annotations };
    }

    Part Blob(string type, byte[] content)
    {
        var digest = Digest.Of(content);
        File.WriteAllBytes(Path.Combine(layout, "blobs/sha256", digest.Hex), content);
        return new Part(type, digest.ToString(), content.Length);
    }

    Part Document(string type, object value) => Blob(type, JsonSerializer.SerializeToUtf8Bytes(value, Json));

    /// <summary>A part whose bytes stand in its descriptor and nowhere else.</summary>
    Part Embedded(Part part, byte[]? other = null)
    {
        var file = Path.Combine(layout, "blobs/sha256", Digest.Parse(part.Digest).Hex);
        var content = File.ReadAllBytes(file);
        File.Delete(file);
        return part with { Data = Convert.ToBase64String(other ?? content) };
    }

    Part Config(string architecture, string? variant, params Part[] layers) =>
        Document(MediaTypes.Config, new { os = "linux", architecture, variant, rootfs = new { type = "layers", diff_ids = layers.Select(l => l.Digest) } });

    Part Manifest(Part config, params Part[] layers) => Document(MediaTypes.Manifest, new { schemaVersion = 2, mediaType = MediaTypes.Manifest, config = config.Json, layers = layers.Select(l => l.Json) });

    Part Image(string text, string architecture = "amd64", string? variant = null)
    {
        var layer = Blob(MediaTypes.Layer, Encoding.UTF8.GetBytes(text));
        return Manifest(Config(architecture, variant, layer), layer);
    }

    Part Index(params Part[] children) => Document(MediaTypes.Index, new { schemaVersion = 2, mediaType = MediaTypes.Index, manifests = children.Select(c => c.Json) });

    static object Linux(string architecture, string? variant = null) => new { os = "linux", architecture, variant };

    string Write(params (string Name, Part Image)[] images)
    {
        File.WriteAllBytes(Path.Combine(layout, "index.json"), JsonSerializer.SerializeToUtf8Bytes(new
        {
            schemaVersion = 2, manifests = images.Select(i => (i.Image with { Annotations = new() { ["org.opencontainers.image.ref.name"] = i.Name } }).Json),
        }, Json));
        return layout;
    }

    string Packed()
    {
        var archive = Path.Combine(folder, "layout.tar");
        File.Delete(archive);
        TarFile.CreateFromDirectory(layout, archive, includeBaseDirectory: false);
        return archive;
    }

    async Task<ContainerImage> Import(string path, string? platform = null, ContainerEngine? to = null) =>
        (await (to ?? engine).Images.ImportAsync(path, new ImageImportOptions { NoUnpack = true, ContainerNamespace = "t", Platform = platform }, cancel: Limit))[0];

    async Task Refused(string id, string path)
    {
        Assert.Equal(id, (await Assert.ThrowsAsync<ContainerException>(() => Import(path))).Id);
        Assert.Empty(engine.Images.List("t"));
        Assert.Empty(engine.Content.List());
    }

    [Theory]
    [InlineData("linux/arm/v7", "linux/arm/v6")]
    [InlineData("linux/arm/v5", "linux/arm/v5")]
    [InlineData("linux/amd64/v3", "linux/amd64/v2")]
    [InlineData("linux/amd64", "linux/amd64")]
    public async Task An_index_in_an_index_has_the_nearest_variant(string wanted, string found)
    {
        var arm = Index(Image("five", "arm", "v5") with { Platform = Linux("arm", "v5") }, Image("six", "arm", "v6") with { Platform = Linux("arm", "v6") });
        // The inner one says nothing of its children: their configurations do.
        var amd = Index(Image("plain"), Image("two", "amd64", "v2"));
        Write(("deep:1", Index(arm, amd)));
        foreach (var path in new[] { layout, Packed() })
        {
            var image = await Import(path, wanted);
            Assert.Equal(found, image.Platform);
            Assert.Equal(4, image.Platforms.Count);
            Assert.True((await engine.Images.TestAsync("deep:1", read: true, "t", Limit)).IsComplete);
            engine.Images.Remove("deep:1", containerNamespace: "t");
            Assert.Empty(engine.Content.List());
        }
    }

    [Fact]
    public async Task A_platform_that_only_a_better_machine_runs_is_not_taken()
    {
        Write(("six:1", Index(Image("seven", "arm", "v7") with { Platform = Linux("arm", "v7") })));
        Assert.Equal(ErrorIds.PlatformNotFound, (await Assert.ThrowsAsync<ContainerException>(() => Import(layout, "linux/arm/v6"))).Id);
        Assert.Empty(engine.Content.List());
    }

    [Fact]
    public async Task What_stands_in_a_descriptor_needs_no_file()
    {
        var layer = Blob(MediaTypes.Layer, "a layer"u8.ToArray());
        var manifest = Manifest(Embedded(Config("amd64", null, layer)), Embedded(layer));
        Write(("whole:1", Embedded(Index(Embedded(manifest)))));
        Assert.Empty(Directory.GetFiles(Path.Combine(layout, "blobs/sha256")));
        foreach (var path in new[] { layout, Packed() })
        {
            var image = await Import(path);
            Assert.Equal(layer.Digest, image.Layers[0].Digest);
            Assert.True((await engine.Images.TestAsync("whole:1", read: true, "t", Limit)).IsComplete);
            engine.Images.Remove("whole:1", containerNamespace: "t");
        }
    }

    [Fact]
    public async Task What_stands_in_a_descriptor_and_is_something_else_is_refused()
    {
        var layer = Blob(MediaTypes.Layer, "a layer"u8.ToArray());
        var config = Config("amd64", null, layer);
        Write(("bad:1", Manifest(config, Embedded(layer, "another"u8.ToArray()))));
        await Refused(ErrorIds.ImageInvalid, layout);
        await Refused(ErrorIds.ImageInvalid, Packed());
        Write(("bad:1", Manifest(config, layer with { Data = "no base 64" })));
        await Refused(ErrorIds.ImageInvalid, layout);
    }

    [Theory]
    [InlineData("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")]
    [InlineData("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip")]
    public async Task A_foreign_layer_is_refused_by_name_whether_it_is_there_or_not(string type)
    {
        var layer = Blob(type, "elsewhere"u8.ToArray()) with { Urls = ["http://127.0.0.1:1/layer"] };
        Write(("foreign:1", Manifest(Config("amd64", null, layer), layer)));
        await Refused(ErrorIds.NotSupported, layout);
        File.Delete(Path.Combine(layout, "blobs/sha256", Digest.Parse(layer.Digest).Hex));
        await Refused(ErrorIds.NotSupported, layout);
        await Refused(ErrorIds.NotSupported, Packed());
    }

    [Fact]
    public async Task Schema_1_is_refused_by_name()
    {
        Write(("old:1", Document("application/vnd.docker.distribution.manifest.v1+prettyjws", new { schemaVersion = 1, fsLayers = Array.Empty<object>() })));
        await Refused(ErrorIds.NotSupported, layout);
        // And where nobody says what it is.
        Write(("old:1", Document(MediaTypes.Manifest, new { schemaVersion = 1, fsLayers = Array.Empty<object>() })));
        await Refused(ErrorIds.NotSupported, Packed());
    }

    /// <summary>An index of two platforms with an attestation, an artifact of 1.1 that refers to it, and a plain image: in, out and in again.</summary>
    [Fact]
    public async Task What_is_exported_is_what_came_and_the_same_bytes_each_time()
    {
        var amd = Image("amd") with { Platform = Linux("amd64") };
        var statement = Blob("application/vnd.in-toto+json", "{}"u8.ToArray());
        var attestation = Manifest(Config("unknown", null), statement) with { Platform = new { os = "unknown", architecture = "unknown" }, Annotations = new() { ["vnd.docker.reference.type"] = "attestation-manifest", ["vnd.docker.reference.digest"] = amd.Digest } };
        var index = Index(amd, Image("arm", "arm64") with { Platform = Linux("arm64") }, attestation);
        var empty = Blob("application/vnd.oci.empty.v1+json", "{}"u8.ToArray());
        var artifact = Document(MediaTypes.Manifest, new
        {
            schemaVersion = 2, mediaType = MediaTypes.Manifest, artifactType = "application/x.sbom", config = empty.Json, layers = new[] { Blob("text/plain", "a list"u8.ToArray()).Json },
            subject = (index with { Platform = null }).Json, annotations = new Dictionary<string, string> { ["made.by"] = "me" },
        });
        Write(("both:1", index), ("sbom:1", artifact), ("plain:1", Image("plain")));
        await Import(layout);
        var names = new[] { "both:1", "sbom:1", "plain:1" };
        var exports = new[] { "one", "two" }.Select(name => Path.Combine(folder, name)).ToArray();
        await engine.Images.ExportAsync(names, exports[0] + ".tar", containerNamespace: "t", cancel: Limit);
        await engine.Images.ExportAsync(names, exports[0], folder: true, containerNamespace: "t", cancel: Limit);

        // Another store, filled from that, writes the same; so all of it went through.
        foreach (var from in new[] { exports[0] + ".tar", exports[0] })
        {
            var other = NewEngine("other" + Path.GetExtension(from));
            await Import(from, to: other);
            Assert.Equal(engine.Content.List().Select(c => (c.Digest, c.Size)), other.Content.List().Select(c => (c.Digest, c.Size)));
            Assert.Equal([index.Digest, artifact.Digest], new[] { "both:1", "sbom:1" }.Select(name => other.Images.Get(name, "t").Digest));
            await other.Images.ExportAsync(names, exports[1] + ".tar", containerNamespace: "t", cancel: Limit);
            Assert.Equal(File.ReadAllBytes(exports[0] + ".tar"), File.ReadAllBytes(exports[1] + ".tar"));
            File.Delete(exports[1] + ".tar");
        }

        // One platform alone has neither the other nor what says something of it.
        await engine.Images.ExportAsync(["both:1"], exports[1], folder: true, platform: "linux/arm64", containerNamespace: "t", cancel: Limit);
        Assert.Equal(3, Directory.GetFiles(Path.Combine(exports[1], "blobs/sha256")).Length);
        Assert.Equal("linux/arm64/v8", (await Import(exports[1], to: NewEngine("arm"))).Platform);
    }
}
