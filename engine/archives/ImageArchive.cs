using System.IO.Compression;
using System.Text.Json;
using Containers.Linux;

namespace Containers;

/// <summary>
/// Reads images out of a folder or an archive into the content store: OCI layouts, and docker-archives of every age. What it gives are
/// names and descriptors; nothing is listed as an image yet.
/// </summary>
sealed class ImageArchive(ContainerEngine engine, IProgress<ImageProgress>? progress)
{
    const int LargestDocument = 16 << 20;
    const int MostImages = 1000;

    internal sealed record Found(string? Name, Descriptor Descriptor);

    /// <summary>The images of a layout folder, or of an archive: plain, gzip or zstd.</summary>
    /// <exception cref="ContainerException"><c>ArchiveInvalid</c>, <c>DigestMismatch</c>, <c>ImageInvalid</c> …</exception>
    internal async Task<List<Found>> ReadAsync(string path, CancellationToken cancel)
    {
        try
        {
            if (Directory.Exists(path)) { return await ReadFolderAsync(path, cancel).ConfigureAwait(false); }
            var file = Open(path);
            await using var told = new ToldStream(file, read => progress?.Report(new ImageProgress("Reading", path, read, file.CanSeek ? file.Length : null, false)));
            var found = await ReadArchiveAsync(path, Decompress(told), cancel).ConfigureAwait(false);
            progress?.Report(new ImageProgress("Reading", path, told.Count, told.Count, true));
            return found;
        }
        catch (Exception e) when (e is InvalidDataException or JsonException or EndOfStreamException) { throw Invalid(path, e.Message, e); }
        catch (NotSupportedException e) { throw new ContainerException(ErrorIds.NotSupported, $"'{path}': {e.Message}.", path, ContainerErrorCategory.NotInstalled, e); }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new ContainerException(ErrorIds.ArchiveNotFound, $"There is no file or folder '{path}' to import.", path, ContainerErrorCategory.ObjectNotFound, e);
        }
        catch (Exception e) when (e is UnauthorizedAccessException or (IOException and not LinuxException))
        {
            throw new ContainerException(ErrorIds.ArchiveInvalid, $"'{path}' cannot be read: {e.Message}", path, ContainerErrorCategory.ReadError, e);
        }
    }

    /// <summary>
    /// Makes an image of one layer from a root filesystem: an archive, which is stored as it is, or a folder. It has no program of its own.
    /// </summary>
    /// <exception cref="ContainerException"><c>ArchiveNotFound</c>, <c>ArchiveInvalid</c>, <c>PackFailed</c>.</exception>
    internal async Task<Descriptor> FromRootfsAsync(string path, ImagePlatform platform, CancellationToken cancel)
    {
        try
        {
            var (layer, size, diffId) = Directory.Exists(path) ? await PackedAsync(path, cancel).ConfigureAwait(false) : await StoredAsync(path, cancel).ConfigureAwait(false);
            progress?.Report(new ImageProgress("Reading", path, size, size, true));
            var config = Put(new ImageConfigRecord
            {
                // Of the file, so that the same file gives the same image.
                Created = new DateTimeOffset(File.GetLastWriteTimeUtc(path)), Os = platform.Os, Architecture = platform.Architecture, Variant = platform.Variant,
                Config = new ImageRunRecord(), Rootfs = new RootfsRecord { Type = "layers", DiffIds = [diffId.ToString()] },
            }, ImageJson.Default.ImageConfigRecord);
            var manifest = Put(new ManifestRecord
            {
                SchemaVersion = 2, MediaType = MediaTypes.Manifest, Config = new Descriptor { MediaType = MediaTypes.Config, Digest = config.Digest.ToString(), Size = config.Size },
                Layers = [new Descriptor { MediaType = LayerType(layer).Replace(MediaTypes.DockerLayer, MediaTypes.Layer).Replace(".gzip", "+gzip").Replace(".zstd", "+zstd"), Digest = layer.ToString(), Size = size }],
            }, ImageJson.Default.ManifestRecord);
            return new Descriptor { MediaType = MediaTypes.Manifest, Digest = manifest.Digest.ToString(), Size = manifest.Size };
        }
        catch (InvalidDataException e) { throw Invalid(path, e.Message, e); }
        catch (NotSupportedException e) { throw new ContainerException(ErrorIds.NotSupported, $"'{path}': {e.Message}.", path, ContainerErrorCategory.NotInstalled, e); }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new ContainerException(ErrorIds.ArchiveNotFound, $"There is no file '{path}' to import.", path, ContainerErrorCategory.ObjectNotFound, e);
        }
        catch (Exception e) when (e is UnauthorizedAccessException or (IOException and not LinuxException))
        {
            throw new ContainerException(ErrorIds.ArchiveInvalid, $"'{path}' cannot be read: {e.Message}", path, ContainerErrorCategory.ReadError, e);
        }
    }

    async Task<(Digest Layer, long Size, Digest DiffId)> StoredAsync(string path, CancellationToken cancel)
    {
        await using var file = Open(path);
        var (layer, size) = await engine.Content.PutAsync(file, null, null, long.MaxValue, done => progress?.Report(new ImageProgress("Reading", path, done, file.CanSeek ? file.Length : null, false)), cancel).ConfigureAwait(false);
        return (layer, size, await UncompressedAsync(layer, cancel).ConfigureAwait(false));
    }

    async Task<(Digest Layer, long Size, Digest DiffId)> PackedAsync(string path, CancellationToken cancel)
    {
        using var ingest = Ingest.Begin(engine.Paths);
        var packed = await Packer.WriteAsync(engine, path, Packer.Kind.Whole, new ContainerTree([path], Writable: false, Copied: false), compress: true, ingest.FilePath, cancel).ConfigureAwait(false);
        ingest.Publish(Digest.Parse(packed.Digest));
        return (Digest.Parse(packed.Digest), packed.Stored, Digest.Parse(packed.DiffId));
    }

    static FileStream Open(string path) => new(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, FileOptions.SequentialScan);

    (Digest Digest, long Size) Put<T>(T record, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type)
    {
        var content = JsonSerializer.SerializeToUtf8Bytes(record, type);
        return (engine.Content.Put(content), content.Length);
    }

    async Task<Digest> UncompressedAsync(Digest layer, CancellationToken cancel)
    {
        await using var stream = Decompress(engine.Content.OpenRead(layer));
        using var hash = Digest.NewHash("sha256");
        var buffer = new byte[1 << 20];
        long total = 0;
        int n;
        while ((n = await stream.ReadAsync(buffer, cancel).ConfigureAwait(false)) > 0)
        {
            total += n;
            if (total > engine.Options.Limits.LayerBytes)
            {
                throw new ContainerException(ErrorIds.LayerTooLarge, $"The archive has more than {engine.Options.Limits.LayerBytes} bytes uncompressed. CONTAINERS_LAYER_BYTES raises the limit.", layer.ToString(), ContainerErrorCategory.InvalidData);
            }
            hash.AppendData(buffer, 0, n);
        }
        return Digest.From("sha256", hash.GetHashAndReset());
    }

    internal static Stream Decompress(Stream stream)
    {
        var peeked = new PeekedStream(stream);
        var head = peeked.Head;
        if (head.StartsWith((ReadOnlySpan<byte>)[0x1f, 0x8b])) { return new GZipStream(peeked, CompressionMode.Decompress); }
        var skippable = head.Length == 4 && (head[0] & 0xf0) == 0x50 && head[1] == 0x2a && head[2] == 0x4d && head[3] == 0x18;
        return skippable || head.StartsWith((ReadOnlySpan<byte>)[0x28, 0xb5, 0x2f, 0xfd]) ? new ZstdStream(peeked) : peeked;
    }

    async Task<List<Found>> ReadArchiveAsync(string path, Stream stream, CancellationToken cancel)
    {
        var documents = new Dictionary<string, byte[]>(StringComparer.Ordinal);
        var stored = new Dictionary<string, (Digest Digest, long Size)>(StringComparer.Ordinal);
        var links = new Dictionary<string, string>(StringComparer.Ordinal);
        await using (stream)
        {
            var archive = new ArchiveReader(stream);
            while (await archive.NextAsync(cancel).ConfigureAwait(false) is { } entry)
            {
                if (entry.Link is not null)
                {
                    links[entry.Name] = ArchiveReader.Clean(entry.Link.StartsWith('/') ? entry.Link : $"{Path.GetDirectoryName(entry.Name)}/{entry.Link}");
                }
                else if (entry.Name is "index.json" or "manifest.json" or "oci-layout") { documents[entry.Name] = await SmallAsync(entry, cancel).ConfigureAwait(false); }
                // Docker's bookkeeping of its first format, which manifest.json has replaced.
                else if (Path.GetFileName(entry.Name) is "json" or "VERSION" or "repositories") { }
                else { stored[entry.Name] = await StoreAsync(entry, cancel).ConfigureAwait(false); }
            }
        }
        if (documents.ContainsKey("oci-layout") && documents.TryGetValue("index.json", out var index))
        {
            var found = Layout(path, documents["oci-layout"], index);
            foreach (var image in found) { await CopyAsync(null, image.Descriptor, 0, [], cancel).ConfigureAwait(false); }
            return found;
        }
        if (documents.TryGetValue("manifest.json", out var manifest)) { return Docker(path, manifest, stored, links); }
        throw Invalid(path, "it has neither the index.json of an OCI layout nor the manifest.json of a docker-archive. A root filesystem is imported with -RootfsPath", null);
    }

    static async Task<byte[]> SmallAsync(ArchiveReader.Entry entry, CancellationToken cancel)
    {
        if (entry.Size > LargestDocument) { throw new InvalidDataException($"its {entry.Name} has {entry.Size} bytes; at most {LargestDocument} are taken"); }
        var content = new byte[entry.Size];
        await entry.Data!.ReadExactlyAsync(content, cancel).ConfigureAwait(false);
        return content;
    }

    async Task<(Digest, long)> StoreAsync(ArchiveReader.Entry entry, CancellationToken cancel)
    {
        var parts = entry.Name.Split('/');
        Digest? expected = parts.Length == 3 && parts[0] == "blobs" && Digest.TryParse($"{parts[1]}:{parts[2]}", out var named) ? named : null;
        if (expected is { } known && engine.Content.Use(known)) { return (known, engine.Content.Find(known)!.Size); }
        return await engine.Content.PutAsync(entry.Data!, expected, entry.Size, entry.Size, null, cancel).ConfigureAwait(false);
    }

    async Task<List<Found>> ReadFolderAsync(string path, CancellationToken cancel)
    {
        var layout = Folders.ReadOfUser(Path.Combine(path, "oci-layout"), LargestDocument);
        var index = Folders.ReadOfUser(Path.Combine(path, "index.json"), LargestDocument);
        if (layout is null || index is null) { throw Invalid(path, "the folder is no OCI layout: it has no oci-layout and index.json. A root filesystem is imported with -RootfsPath", null); }
        var found = Layout(path, layout, index);
        foreach (var image in found) { await CopyAsync(path, image.Descriptor, 0, [], cancel).ConfigureAwait(false); }
        return found;
    }

    // What an index names and the folder does not have is of a platform that nobody put there. Of an archive all is stored, but for what descriptors bring along.
    async Task CopyAsync(string? folder, Descriptor descriptor, int depth, HashSet<string> seen, CancellationToken cancel)
    {
        var digest = Digest.Parse(descriptor.Digest);
        if (depth > ImageGraph.Deepest || seen.Count > ImageGraph.MostManifests) { throw ImageGraph.Invalid(digest, "its indexes are too many, or lie too deep in one another"); }
        if (!seen.Add(digest.ToString()) || !await BlobAsync(folder, descriptor, cancel).ConfigureAwait(false)) { return; }
        if (descriptor.MediaType is { } type && !MediaTypes.IsIndex(type) && !MediaTypes.IsManifest(type)) { return; }
        var record = engine.Images.Graph.Read(descriptor);
        foreach (var child in record.Manifests ?? []) { await CopyAsync(folder, child, depth + 1, seen, cancel).ConfigureAwait(false); }
        // Two at a time: one waits for the disk while the other is hashed.
        var atOnce = new ParallelOptions { MaxDegreeOfParallelism = 2, CancellationToken = cancel };
        var blobs = ((IEnumerable<Descriptor?>)[record.Config, .. record.Layers ?? []]).OfType<Descriptor>();
        await Parallel.ForEachAsync(blobs, atOnce, async (blob, stop) => await BlobAsync(folder, blob, stop).ConfigureAwait(false)).ConfigureAwait(false);
    }

    async Task<bool> BlobAsync(string? folder, Descriptor descriptor, CancellationToken cancel)
    {
        var (digest, size) = (Digest.Parse(descriptor.Digest), descriptor.Size);
        if (engine.Content.Use(digest)) { return true; }
        if (ImageGraph.Embedded(descriptor) is { } content)
        {
            engine.Content.Put(content, digest);
            return true;
        }
        if (folder is null) { return false; }
        var file = Path.Combine(folder, "blobs", digest.Algorithm, digest.Hex);
        if (!File.Exists(file)) { return false; }
        await using var source = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, FileOptions.SequentialScan);
        await engine.Content.PutAsync(source, digest, size, size, done => progress?.Report(new ImageProgress("Reading", digest.ToString(), done, size, false)), cancel).ConfigureAwait(false);
        progress?.Report(new ImageProgress("Reading", digest.ToString(), size, size, true));
        return true;
    }

    static List<Found> Layout(string path, byte[] layout, byte[] index)
    {
        var version = JsonSerializer.Deserialize(layout, ImageJson.Default.LayoutRecord)?.ImageLayoutVersion;
        if (version != "1.0.0") { throw Invalid(path, $"its layout has version '{version}', and 1.0.0 is known", null); }
        var record = JsonSerializer.Deserialize(index, ImageJson.Default.ManifestRecord);
        var images = record?.Manifests ?? [];
        if (record?.SchemaVersion != 2 || images.Count == 0) { throw Invalid(path, "its index.json lists no images", null); }
        if (images.Count > MostImages) { throw Invalid(path, $"its index.json lists more than {MostImages} images", null); }
        return [.. images.Select(image => new Found(NameOf(path, image), image))];
    }

    // containerd and docker say the full name; others a name or, as the specification has it, a tag alone: then the layout itself gives the name.
    static string? NameOf(string path, Descriptor image)
    {
        var name = image.Annotations?.GetValueOrDefault("io.containerd.image.name") ?? image.Annotations?.GetValueOrDefault(ImageIndexFile.NameAnnotation);
        if (name is null) { return null; }
        if ((name.Contains('/') || name.Contains(':')) && ImageReference.TryParse(name, out var full)) { return full!.Digest is null ? full.ToString() : null; }
        var own = Path.GetFileName(path.TrimEnd('/')).ToLowerInvariant();
        foreach (var end in new[] { ".gz", ".tgz", ".zst", ".tar" })
        {
            if (own.EndsWith(end, StringComparison.Ordinal)) { own = own[..^end.Length]; }
        }
        return ImageReference.IsTag(name) && ImageReference.TryParse($"{own}:{name}", out var named) ? named!.ToString() : null;
    }

    List<Found> Docker(string path, byte[] manifest, Dictionary<string, (Digest Digest, long Size)> stored, Dictionary<string, string> links)
    {
        var images = JsonSerializer.Deserialize(manifest, ImageJson.Default.ListDockerArchiveRecord) ?? [];
        if (images.Count is 0 or > MostImages) { throw Invalid(path, $"its manifest.json lists {images.Count} images", null); }
        var found = new List<Found>();
        foreach (var image in images)
        {
            var config = Part(image.Config);
            var record = new ManifestRecord
            {
                SchemaVersion = 2, MediaType = MediaTypes.DockerManifest,
                Config = new Descriptor { MediaType = MediaTypes.DockerConfig, Digest = config.Digest.ToString(), Size = config.Size },
                Layers = [.. (image.Layers ?? []).Select(name => Part(name)).Select(layer => new Descriptor { MediaType = LayerType(layer.Digest), Digest = layer.Digest.ToString(), Size = layer.Size })],
            };
            var document = JsonSerializer.SerializeToUtf8Bytes(record, ImageJson.Default.ManifestRecord);
            var descriptor = new Descriptor { MediaType = MediaTypes.DockerManifest, Digest = engine.Content.Put(document).ToString(), Size = document.Length };
            var names = (image.RepoTags ?? []).Where(tag => ImageReference.TryParse(tag, out _)).Select(tag => ImageReference.Parse(tag).ToString()).ToList();
            if (names.Count == 0) { found.Add(new Found(null, descriptor)); }
            found.AddRange(names.Select(name => new Found(name, descriptor)));
        }
        return found;

        (Digest Digest, long Size) Part(string? name)
        {
            var at = ArchiveReader.Clean(name ?? "");
            // Images that share a layer may have it once, and links to it.
            for (var hops = 0; hops < 64 && links.TryGetValue(at, out var target); hops++) { at = target; }
            return stored.TryGetValue(at, out var part) ? part : throw Invalid(path, $"its manifest.json names '{name}', which is not in it", null);
        }
    }

    string LayerType(Digest layer)
    {
        using var file = engine.Content.OpenRead(layer);
        Span<byte> head = stackalloc byte[4];
        var n = file.ReadAtLeast(head, 4, throwOnEndOfStream: false);
        return n >= 2 && head[0] == 0x1f && head[1] == 0x8b ? MediaTypes.DockerLayer + ".gzip"
            : n == 4 && head.SequenceEqual((ReadOnlySpan<byte>)[0x28, 0xb5, 0x2f, 0xfd]) ? MediaTypes.DockerLayer + ".zstd" : MediaTypes.DockerLayer;
    }

    static ContainerException Invalid(string path, string why, Exception? inner) => new(ErrorIds.ArchiveInvalid,
        $"'{path}' is no archive of images that can be read: {why}.", path, ContainerErrorCategory.InvalidData, inner);

    sealed class ToldStream(Stream source, Action<long> tell) : ReadOnlyStream
    {
        long told;

        internal long Count { get; private set; }

        public override int Read(Span<byte> buffer) => Told(source.Read(buffer));
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancel = default) => Told(await source.ReadAsync(buffer, cancel).ConfigureAwait(false));
        protected override void Dispose(bool disposing) => source.Dispose();

        int Told(int n)
        {
            Count += n;
            if (Count - told >= 4 << 20) { tell(told = Count); }
            return n;
        }
    }

    sealed class PeekedStream : ReadOnlyStream
    {
        readonly Stream source;
        readonly byte[] head = new byte[4];
        readonly int length;
        int taken;

        internal PeekedStream(Stream source)
        {
            this.source = source;
            length = source.ReadAtLeast(head, head.Length, throwOnEndOfStream: false);
        }

        internal ReadOnlySpan<byte> Head => head.AsSpan(0, length);

        public override int Read(Span<byte> buffer) => FromHead(buffer) is var n and > 0 ? n : source.Read(buffer);

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancel = default) =>
            FromHead(buffer.Span) is var n and > 0 ? ValueTask.FromResult(n) : source.ReadAsync(buffer, cancel);

        protected override void Dispose(bool disposing) => source.Dispose();

        int FromHead(Span<byte> buffer)
        {
            var n = Math.Min(buffer.Length, length - taken);
            head.AsSpan(taken, n).CopyTo(buffer);
            taken += n;
            return n;
        }
    }
}
