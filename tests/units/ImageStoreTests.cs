using System.Text;
using System.Text.Json;
using Xunit;

namespace Containers.Tests.Units;

/// <summary>Content, names and leases: what is seen is whole, and what is needed stays. Nothing is unpacked here.</summary>
public sealed class ImageStoreTests : IDisposable
{
    readonly string folder = Directory.CreateTempSubdirectory("images-").FullName;
    readonly ContainerEngine engine;

    public ImageStoreTests()
    {
        File.SetUnixFileMode(folder, (UnixFileMode)0x1c0);
        engine = NewEngine();
        engine.Containers.OpenForWriting();
    }

    ContainerEngine NewEngine() => new(new ContainerHostOptions { Root = Path.Combine(folder, "root"), RunRoot = Path.Combine(folder, "run") });

    public void Dispose() => Directory.Delete(folder, recursive: true);

    static CancellationToken Limit => new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;

    string Layout(string name, params (string Name, string Text)[] images)
    {
        var path = Path.Combine(folder, name);
        Directory.CreateDirectory(Path.Combine(path, "blobs/sha256"));
        var entries = images.Select(image =>
        {
            var layer = Blob(path, Encoding.UTF8.GetBytes(image.Text));
            var config = Blob(path, JsonSerializer.SerializeToUtf8Bytes(new { os = "linux", architecture = "amd64", rootfs = new { type = "layers", diff_ids = new[] { layer.digest } } }));
            var manifest = Blob(path, JsonSerializer.SerializeToUtf8Bytes(new
            {
                schemaVersion = 2, config = new { mediaType = MediaTypes.Config, config.digest, config.size }, layers = new[] { new { mediaType = MediaTypes.Layer, layer.digest, layer.size } },
            }));
            return new { mediaType = MediaTypes.Manifest, manifest.digest, manifest.size, annotations = new Dictionary<string, string> { ["org.opencontainers.image.ref.name"] = image.Name } };
        }).ToArray();
        File.WriteAllBytes(Path.Combine(path, "index.json"), JsonSerializer.SerializeToUtf8Bytes(new { schemaVersion = 2, manifests = entries }));
        File.WriteAllText(Path.Combine(path, "oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}");
        return path;
    }

    static (string digest, int size) Blob(string path, byte[] content)
    {
        var digest = Digest.Of(content);
        File.WriteAllBytes(Path.Combine(path, "blobs/sha256", digest.Hex), content);
        return (digest.ToString(), content.Length);
    }

    Task<IReadOnlyList<ContainerImage>> Import(string path) => engine.Images.ImportAsync(path, new ImageImportOptions { NoUnpack = true, ContainerNamespace = "t" }, cancel: Limit);

    [Fact]
    public async Task Content_gets_its_name_only_when_it_is_what_was_said()
    {
        var content = "some content"u8.ToArray();
        var (digest, size) = await engine.Content.PutAsync(new MemoryStream(content), null, null, 1000, null, Limit);
        Assert.Equal((Digest.Of(content), content.LongLength), (digest, size));
        Assert.True(await engine.Content.VerifyAsync(digest, Limit));
        Assert.Equal((UnixFileMode)0x180, File.GetUnixFileMode(engine.Content.Find(digest)!.Path));

        var other = Digest.Of("other"u8);
        await Failing(ErrorIds.DigestMismatch, engine.Content.PutAsync(new MemoryStream(content), other, null, 1000, null, Limit));
        await Failing(ErrorIds.SizeMismatch, engine.Content.PutAsync(new MemoryStream("other"u8.ToArray()), other, 4, 1000, null, Limit));
        await Failing(ErrorIds.SizeMismatch, engine.Content.PutAsync(new MemoryStream("other"u8.ToArray()), other, 6, 1000, null, Limit));
        await Failing(ErrorIds.SizeMismatch, engine.Content.PutAsync(new MemoryStream(new byte[5000]), null, null, 1000, null, Limit));
        Assert.Null(engine.Content.Find(other));
        Assert.Empty(Directory.GetFileSystemEntries(Path.Combine(folder, "root/content/ingest")));
    }

    [Fact]
    public async Task Content_by_sha512_is_content()
    {
        var content = "some content"u8.ToArray();
        var digest = Digest.Of("sha512", content);
        var path = Path.Combine(folder, "root/content/blobs/sha512", digest.Hex);
        Assert.Equal(digest, (await engine.Content.PutAsync(new MemoryStream(content), digest, content.Length, 1000, null, Limit)).Digest);
        Assert.Equal(content, File.ReadAllBytes(path));
        Assert.True(await engine.Content.VerifyAsync(digest, Limit));
        File.WriteAllText(path, "same lengths");
        Assert.False(await engine.Content.VerifyAsync(digest, Limit));
        await Failing(ErrorIds.DigestMismatch, engine.Content.PutAsync(new MemoryStream(content), Digest.Of("sha512", "other"u8), null, 1000, null, Limit));
        Assert.Equal(digest.ToString(), Assert.Single(engine.Content.List()).Digest);
        foreach (var bad in new[] { "sha512:" + new string('a', 64), "sha256:" + new string('a', 128), "sha512:" + new string('A', 128), "sha384:" + new string('a', 96), "sha512:../../x" }) { Assert.False(Digest.TryParse(bad, out _)); }

        // An image whose layer and configuration are named so.
        var layout = Layout("l", ("one:1", "layer one"));
        var index = File.ReadAllText(Path.Combine(layout, "index.json"));
        Directory.CreateDirectory(Path.Combine(layout, "blobs/sha512"));
        string Renamed(string text, string of)
        {
            var old = Path.Combine(layout, "blobs/sha256", of);
            var named = Digest.Of("sha512", File.ReadAllBytes(old));
            File.Move(old, Path.Combine(layout, "blobs/sha512", named.Hex));
            return text.Replace("sha256:" + of, named.ToString());
        }
        var manifestPath = Directory.GetFiles(Path.Combine(layout, "blobs/sha256")).Single(file => File.ReadAllText(file).Contains("\"layers\":["));
        using var parsed = JsonDocument.Parse(File.ReadAllText(manifestPath));
        var manifest = File.ReadAllText(manifestPath);
        var configHex = parsed.RootElement.GetProperty("config").GetProperty("digest").GetString()![7..];
        var layerHex = parsed.RootElement.GetProperty("layers")[0].GetProperty("digest").GetString()![7..];
        manifest = Renamed(Renamed(manifest, configHex), layerHex);
        File.Delete(manifestPath);
        var (name, size) = Blob(layout, Encoding.UTF8.GetBytes(manifest));
        using var entry = JsonDocument.Parse(index);
        var before = entry.RootElement.GetProperty("manifests")[0];
        File.WriteAllText(Path.Combine(layout, "index.json"), index.Replace(before.GetProperty("digest").GetString()!, name).Replace($"\"size\":{before.GetProperty("size").GetInt32()}", $"\"size\":{size}"));
        var image = Assert.Single(await Import(layout));
        Assert.StartsWith("sha512:", Assert.Single(image.Layers).Digest);
        Assert.True((await engine.Images.TestAsync("one:1", read: true, "t", Limit)).IsComplete);
        engine.Images.Remove("one:1", containerNamespace: "t");
        engine.Storage.Collect();
        Assert.Empty(engine.Content.List());
    }

    [Fact]
    public async Task What_images_share_is_counted_once()
    {
        await Import(Layout("l", ("one:1", "the same layer"), ("two:1", "the same layer"), ("three:1", "another layer")));
        var stray = engine.Content.Put("stray"u8.ToArray());
        var line = engine.Storage.Measure().Single(m => m.Type == "Content");
        var files = new DirectoryInfo(Path.Combine(folder, "root/content/blobs/sha256")).GetFiles();
        // Two are the same image by two names: one manifest, one configuration, one layer.
        Assert.Equal((7, 6, files.Sum(file => file.Length), 5L), (line.Count, line.Active, line.Size, line.Reclaimable));
        Assert.Equal(7, files.Length);
        engine.Images.Remove("one:1", containerNamespace: "t");
        Assert.Equal((6, 6), (engine.Storage.Measure().Single(m => m.Type == "Content") is var rest ? (rest.Count, rest.Active) : default));
        Assert.Null(engine.Content.Find(stray));
    }

    static async Task Failing(string id, Task work) => Assert.Equal(id, (await Assert.ThrowsAsync<ContainerException>(() => work)).Id);

    [Fact]
    public async Task An_ingest_goes_on_where_another_ended()
    {
        var content = Encoding.UTF8.GetBytes(string.Concat(Enumerable.Range(0, 10_000)));
        var digest = Digest.Of(content);
        using (var first = await Ingest.ResumeAsync(engine.Paths, digest, Limit)) { first.Write(content.AsSpan(0, 5000)); }
        using (var second = await Ingest.ResumeAsync(engine.Paths, digest, Limit))
        {
            Assert.Equal(5000, second.Length);
            // One at a time: another waits.
            using var soon = new CancellationTokenSource(TimeSpan.FromMilliseconds(100));
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Ingest.ResumeAsync(engine.Paths, digest, soon.Token));
            second.Write(content.AsSpan(5000));
            Assert.Equal(digest, second.Commit(digest));
        }
        Assert.True(await engine.Content.VerifyAsync(digest, Limit));
    }

    [Fact]
    public async Task What_is_used_is_kept_and_the_rest_is_freed()
    {
        await Import(Layout("l", ("one:1", "layer one"), ("two:1", "layer two")));
        Assert.Equal(6, engine.Content.List().Count());
        engine.Images.Remove("one:1", containerNamespace: "t");
        Assert.Equal(3, engine.Content.List().Count());
        Assert.Equal(["docker.io/library/two:1"], engine.Images.ListNames("t"));

        var stray = engine.Content.Put("stray"u8.ToArray());
        using (Lease.Take(engine.Paths))
        {
            // Stored before the lease and not used since: nobody's.
            File.SetLastWriteTimeUtc(engine.Paths.Blob(stray), DateTime.UtcNow.AddHours(-1));
            var fresh = engine.Content.Put("fresh"u8.ToArray());
            Assert.Equal([stray.ToString()], engine.Storage.Find().Select(g => g.Name));
            Assert.True(engine.Content.Use(stray));
            Assert.Empty(engine.Storage.Collect());
            Assert.NotNull(engine.Content.Find(fresh));
        }
        Assert.Equal(2, engine.Storage.Collect().Count);
        engine.Images.Remove("two:1", containerNamespace: "t");
        Assert.Empty(engine.Content.List());
        Assert.False(Directory.Exists(Path.Combine(folder, "root/images/t")));
    }

    [Fact]
    public void Locks_of_the_killed_are_swept_and_those_of_the_living_are_not()
    {
        var snapshots = engine.Paths.Snapshots;
        var named = Path.Combine(engine.Paths.NamedSnapshots, "t");
        Folders.Make(named);
        string[] dead = [Path.Combine(snapshots, ".lock-" + new string('a', 32)), Path.Combine(named, ".lock-s")];
        foreach (var path in dead) { File.WriteAllBytes(path, []); }
        var living = Path.Combine(snapshots, ".lock-" + new string('b', 32));
        using (FileLock.Take(living))
        {
            engine.Storage.Collect();
            Assert.All(dead, path => Assert.False(File.Exists(path)));
            Assert.Equal([Path.GetFileName(living)], Folders.Entries(snapshots).Where(name => name.StartsWith('.')));
        }
        engine.Storage.Collect();
        Assert.DoesNotContain(Folders.Entries(snapshots), name => name.StartsWith('.'));
    }

    /// <summary>Others take and remove locks of the same names all the time: two never have one at once.</summary>
    [Fact]
    public async Task A_sweep_never_takes_a_lock_from_under_its_holder()
    {
        Folders.Make(engine.Paths.Snapshots);
        var path = Path.Combine(engine.Paths.Snapshots, ".lock-" + new string('c', 32));
        var (holders, most, done) = (0, 0, 0);
        var workers = Enumerable.Range(0, 3).Select(_ => Task.Run(async () =>
        {
            for (var round = 0; round < 200; round++)
            {
                var held = await FileLock.TakeAsync(path, Limit);
                most = Math.Max(most, Interlocked.Increment(ref holders));
                if (round % 2 == 0) { await Task.Yield(); }
                Interlocked.Decrement(ref holders);
                // As one that ends, and as one that is killed.
                if (round % 3 == 0) { held.RemoveAndDispose(); }
                else { held.Dispose(); }
                Interlocked.Increment(ref done);
            }
        })).ToArray();
        while (!Task.WhenAll(workers).IsCompleted) { engine.Snapshots.Sweep(); }
        await Task.WhenAll(workers);
        Assert.Equal((1, 600), (most, done));
        engine.Snapshots.Sweep();
        Assert.False(File.Exists(path));
    }

    /// <summary>Eight at once import, tag, read and remove images that share layers: nobody fails, and nothing of a listed image is ever missing.</summary>
    [Fact]
    public async Task Many_at_once_lose_nothing()
    {
        var layouts = Enumerable.Range(0, 4).Select(i => Layout($"l{i}", ($"i{i}:1", "shared"), ($"j{i}:1", $"own {i}"))).ToArray();
        var until = DateTime.UtcNow.AddSeconds(Environment.GetEnvironmentVariable("CONTAINERS_TEST_LONG") == "1" ? 60 : 4);
        var done = 0;
        await Task.WhenAll(Enumerable.Range(0, 8).Select(worker => Task.Run(async () =>
        {
            var random = new Random(worker);
            var own = NewEngine();
            while (DateTime.UtcNow < until)
            {
                var i = random.Next(4);
                foreach (var image in await own.Images.ImportAsync(layouts[i], new ImageImportOptions { NoUnpack = true, ContainerNamespace = "t" }, cancel: Limit)) { Assert.NotNull(image.ManifestDigest); }
                try
                {
                    own.Images.Tag($"i{i}:1", $"t{worker}:{i}", force: true, "t");
                    Assert.True((await own.Images.TestAsync($"t{worker}:{i}", read: true, "t", Limit)).IsComplete);
                    own.Images.Remove($"t{worker}:{i}", containerNamespace: "t");
                    own.Images.Remove($"{(random.Next(2) == 0 ? 'i' : 'j')}{i}:1", containerNamespace: "t");
                }
                catch (ContainerException e) when (e.Id == ErrorIds.ImageNotFound) { } // another was quicker
                Interlocked.Increment(ref done);
            }
        })));
        Assert.True(done > 8);
        foreach (var name in engine.Images.ListNames("t"))
        {
            Assert.True((await engine.Images.TestAsync(name, read: true, "t", Limit)).IsComplete);
            engine.Images.Remove(name, containerNamespace: "t");
        }
        // The last names may have gone while another held a lease, which keeps what it might need.
        engine.Storage.Collect();
        Assert.Empty(engine.Content.List());
        Assert.Empty(Directory.GetFileSystemEntries(Path.Combine(folder, "root/leases")));
    }

    [Fact]
    public void A_damaged_list_is_told_and_not_overwritten()
    {
        Directory.CreateDirectory(Path.Combine(folder, "root/images/t"));
        var path = Path.Combine(folder, "root/images/t/index.json");
        File.WriteAllText(path, "{ nonsense");
        Assert.Equal(ErrorIds.StoreDamaged, Assert.Throws<ContainerException>(() => engine.Images.List("t").ToList()).Id);
        Assert.Equal(ErrorIds.StoreDamaged, Assert.Throws<ContainerException>(() => engine.Storage.Collect()).Id);
        Assert.Equal("{ nonsense", File.ReadAllText(path));
    }

    [Theory]
    [InlineData("{\"schemaVersion\":2,\"config\":{\"digest\":\"x\"}}")]
    [InlineData("{\"schemaVersion\":2}")]
    [InlineData("{\"schemaVersion\":3,\"manifests\":[]}")]
    [InlineData("{\"schemaVersion\":2,\"manifests\":[null]}")]
    [InlineData("{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"sha256:../../etc/passwd\"}]}")]
    [InlineData("{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"config\":{},\"layers\":[]}")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("{{{{")]
    public void Malformed_manifests_are_refused(string document)
    {
        var content = Encoding.UTF8.GetBytes(document);
        var digest = engine.Content.Put(content);
        var failure = Assert.Throws<ContainerException>(() => engine.Images.Graph.Manifests(new Descriptor { Digest = digest.ToString(), Size = content.Length }));
        Assert.Equal(ErrorIds.ImageInvalid, failure.Id);
    }

    [Fact]
    public void Deep_and_endless_indexes_end()
    {
        var inner = "{\"schemaVersion\":2,\"manifests\":[]}"u8.ToArray();
        for (var depth = 0; depth < 12; depth++)
        {
            var digest = engine.Content.Put(inner);
            inner = JsonSerializer.SerializeToUtf8Bytes(new { schemaVersion = 2, manifests = new[] { new { mediaType = MediaTypes.Index, digest = digest.ToString(), size = inner.Length } } });
        }
        var root = engine.Content.Put(inner);
        Assert.Equal(ErrorIds.ImageInvalid, Assert.Throws<ContainerException>(() => engine.Images.Graph.Manifests(new Descriptor { MediaType = MediaTypes.Index, Digest = root.ToString() })).Id);
    }

    /// <summary>Damaged and hostile archives end with a word, and leave nothing. What has no digest over it is changed most. The long run has ten thousand.</summary>
    [Fact]
    public async Task Mutated_archives_end_with_a_word()
    {
        var archive = Path.Combine(folder, "seed.tar");
        await Import(Layout("l", ("one:1", "layer one"), ("two:2", "layer two")));
        await engine.Images.ExportAsync(["one:1", "two:2"], archive, containerNamespace: "t", cancel: Limit);
        foreach (var name in engine.Images.ListNames("t")) { engine.Images.Remove(name, containerNamespace: "t"); }
        var whole = File.ReadAllBytes(archive);
        // Without this name it is a docker-archive.
        var docker = whole.ToArray();
        Encoding.ASCII.GetBytes("no-layout\0").CopyTo(docker, docker.AsSpan().LastIndexOf("oci-layout"u8));
        var documents = whole.AsSpan().LastIndexOf("index.json"u8);
        var runs = Environment.GetEnvironmentVariable("CONTAINERS_TEST_LONG") == "1" ? 10_000 : 150;
        var random = new Random(20_260_101);
        string[] words = ["\"", "{", "}", "null", "-1", "99999999999999999999", "..", "\\u0000", "sha256:", "[[[[", "/", "\0", "blobs/sha256/", "\"config\":{},", "\"manifests\":[],", "1e999"];
        var taken = 0;
        for (var run = 0; run < runs; run++)
        {
            var bytes = (random.Next(2) == 0 ? whole : docker).ToArray();
            for (var changes = random.Next(1, 5); changes > 0; changes--)
            {
                var at = random.Next(4) > 0 ? random.Next(Math.Min(documents, bytes.Length - 65), bytes.Length - 64) : random.Next(bytes.Length - 64);
                switch (random.Next(4))
                {
                    case 0: bytes[at] ^= (byte)(1 << random.Next(8)); break;
                    case 1: Encoding.ASCII.GetBytes(words[random.Next(words.Length)]).CopyTo(bytes, at); break;
                    case 2: bytes.AsSpan(random.Next(bytes.Length - 64), 32).CopyTo(bytes.AsSpan(at)); break;
                    default: if (random.Next(8) == 0) { bytes = bytes[..Math.Max(600, at)]; } break;
                }
            }
            // With right checksums the mutations get further.
            for (var at = 0; at + 512 <= bytes.Length; at += 512)
            {
                if (!bytes.AsSpan(at + 257, 5).SequenceEqual("ustar"u8)) { continue; }
                bytes.AsSpan(at + 148, 8).Fill((byte)' ');
                Encoding.ASCII.GetBytes(Convert.ToString(bytes.AsSpan(at, 512).ToArray().Sum(b => b), 8).PadLeft(6, '0') + "\0 ").CopyTo(bytes, at + 148);
            }
            File.WriteAllBytes(archive, bytes);
            try
            {
                await Import(archive);
                taken++;
            }
            catch (ContainerException) { }
            catch (Exception e) { Assert.Fail($"mutation {run}: {e}"); }
        }
        Assert.True(taken > 0);
        foreach (var image in engine.Images.List("t").ToList()) { engine.Images.Remove(image.Reference ?? image.Digest, force: true, containerNamespace: "t"); }
        engine.Storage.Collect();
        Assert.Empty(engine.Content.List());
        Assert.Empty(Directory.GetFileSystemEntries(Path.Combine(folder, "root/content/ingest")));
        Assert.Equal(["collection.lock", "containers", "content", "format", "images", "images.lock", "leases"], Directory.GetFileSystemEntries(Path.Combine(folder, "root")).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }
}
