using System.Text.Json;
using Mono.Unix.Native;

namespace Containers;

public sealed partial class ImageStore
{
    /// <summary>
    /// Writes images as an OCI layout: into a new or empty folder, or into an archive, which is a docker-archive as well. The same images give
    /// the same bytes.
    /// </summary>
    /// <param name="names">Names or digests.</param>
    /// <param name="path">Absolute. With <paramref name="folder"/> the layout's folder, otherwise the archive, which is replaced when it is whole.</param>
    /// <param name="platform">That one alone; null writes all that the store has.</param>
    /// <exception cref="ContainerException"><c>ImageNotFound</c>, <c>PlatformNotFound</c>, <c>ContentNotFound</c>, <c>ExportFailed</c>.</exception>
    public async Task ExportAsync(IReadOnlyList<string> names, string path, bool folder = false, string? platform = null, string? containerNamespace = null, IProgress<ImageProgress>? progress = null, CancellationToken cancel = default)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        var wanted = platform is null ? null : ImagePlatform.Parse(platform);
        engine.Containers.OpenForWriting();
        using var lease = Lease.Take(paths);
        var index = new List<Descriptor>();
        var docker = new List<DockerArchiveRecord>();
        var blobs = new SortedDictionary<string, long>(StringComparer.Ordinal);
        foreach (var image in names.Select(name => Find(name, ns)).DistinctBy(i => (i.Digest, ImageIndexFile.NameOf(i)))) { Collect(image, wanted, index, docker, blobs); }
        var layout = "{\"imageLayoutVersion\":\"1.0.0\"}"u8.ToArray();
        var indexJson = JsonSerializer.SerializeToUtf8Bytes(new ManifestRecord { SchemaVersion = 2, MediaType = MediaTypes.Index, Manifests = index }, ImageJson.Default.ManifestRecord);
        var dockerJson = docker.Count == 0 ? null : JsonSerializer.SerializeToUtf8Bytes(docker, ImageJson.Default.ListDockerArchiveRecord);
        try
        {
            if (folder) { await WriteFolderAsync(path, layout, indexJson, blobs, progress, cancel).ConfigureAwait(false); }
            else { await WriteArchiveAsync(path, layout, indexJson, dockerJson, blobs, progress, cancel).ConfigureAwait(false); }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ContainerException(ErrorIds.ExportFailed, $"'{path}' cannot be written: {e.Message} Check free space and rights.", path, ContainerErrorCategory.WriteError, e);
        }
    }

    void Collect(Descriptor image, ImagePlatform? platform, List<Descriptor> index, List<DockerArchiveRecord> docker, SortedDictionary<string, long> blobs)
    {
        var name = ImageIndexFile.NameOf(image);
        var manifests = graph.Manifests(image);
        var root = image.Bare();
        if (platform is not null)
        {
            var one = ForPlatform(image, name ?? image.Digest!, platform);
            manifests = [one];
            root = one.Descriptor.Bare();
            Add(one.Descriptor);
        }
        else
        {
            var documents = new List<Digest>();
            graph.Manifests(image, null, documents);
            foreach (var document in documents) { blobs[document.ToString()] = engine.Content.Find(document)!.Size; }
        }
        var any = false;
        foreach (var manifest in manifests)
        {
            // Of an index, platforms that were never brought here are left out; the index itself stays as it is, or it would be another.
            if (manifests.Count > 1 && manifest.Blobs.Any(b => engine.Content.Find(Digest.Parse(b.Digest)) is null)) { continue; }
            foreach (var blob in manifest.Blobs) { Add(blob); }
            any = true;
        }
        if (!any) { throw ContentStore.NotFound(Digest.Parse(image.Digest)); }
        if (name is not null) { root.Annotations = new Dictionary<string, string>(StringComparer.Ordinal) { ["io.containerd.image.name"] = name, [ImageIndexFile.NameAnnotation] = name }; }
        index.Add(root);
        if (Choose(manifests, platform) is { IsImage: true, Config: not null } chosen && chosen.Blobs.All(b => blobs.ContainsKey(b.Digest!)))
        {
            var record = docker.Find(d => d.Config == BlobName(chosen.Manifest.Config!.Digest!));
            if (record is null)
            {
                record = new DockerArchiveRecord { Config = BlobName(chosen.Manifest.Config!.Digest!), Layers = [.. (chosen.Manifest.Layers ?? []).Select(l => BlobName(l.Digest!))] };
                docker.Add(record);
            }
            if (name is not null) { (record.RepoTags ??= []).Add(ImageReference.Parse(name).Familiar); }
        }

        void Add(Descriptor descriptor)
        {
            var digest = Digest.Parse(descriptor.Digest);
            if (!engine.Content.Use(digest)) { throw ContentStore.NotFound(digest); }
            blobs[descriptor.Digest!] = engine.Content.Find(digest)!.Size;
        }
    }

    static string BlobName(string digest) => "blobs/" + digest.Replace(':', '/');

    async Task WriteArchiveAsync(string path, byte[] layout, byte[] index, byte[]? docker, SortedDictionary<string, long> blobs, IProgress<ImageProgress>? progress, CancellationToken cancel)
    {
        var temporary = $"{path}.new-{Names.Random()}";
        var done = false;
        try
        {
            await using (var file = new FileStream(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 0))
            {
                var archive = new ArchiveWriter(file);
                await archive.FolderAsync("blobs", cancel).ConfigureAwait(false);
                foreach (var algorithm in blobs.Keys.Select(d => d[..6]).Distinct()) { await archive.FolderAsync("blobs/" + algorithm, cancel).ConfigureAwait(false); }
                await WriteBlobsAsync(blobs, async (name, source, size) => await archive.FileAsync(name, source, size, cancel).ConfigureAwait(false), progress, cancel).ConfigureAwait(false);
                await archive.FileAsync("index.json", index, cancel).ConfigureAwait(false);
                if (docker is not null) { await archive.FileAsync("manifest.json", docker, cancel).ConfigureAwait(false); }
                await archive.FileAsync("oci-layout", layout, cancel).ConfigureAwait(false);
                await archive.EndAsync(cancel).ConfigureAwait(false);
                file.Flush(flushToDisk: true);
            }
            if (Stdlib.rename(temporary, path) != 0) { throw new IOException($"rename: {Stdlib.GetLastError()}."); }
            done = true;
        }
        finally
        {
            if (!done) { Syscall.unlink(temporary); }
        }
    }

    async Task WriteFolderAsync(string path, byte[] layout, byte[] index, SortedDictionary<string, long> blobs, IProgress<ImageProgress>? progress, CancellationToken cancel)
    {
        var existed = Directory.Exists(path);
        if (existed && Directory.EnumerateFileSystemEntries(path).Any())
        {
            throw new ContainerException(ErrorIds.ExportFailed, $"The folder '{path}' is not empty. Name a new or an empty one.", path, ContainerErrorCategory.ResourceExists);
        }
        var done = false;
        try
        {
            foreach (var algorithm in blobs.Keys.Select(d => d[..6]).Distinct()) { Directory.CreateDirectory(Path.Combine(path, "blobs", algorithm)); }
            await WriteBlobsAsync(blobs, async (name, source, _) =>
            {
                await using var file = new FileStream(Path.Combine(path, name), FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 0);
                await source.CopyToAsync(file, 1 << 20, cancel).ConfigureAwait(false);
            }, progress, cancel).ConfigureAwait(false);
            await File.WriteAllBytesAsync(Path.Combine(path, "oci-layout"), layout, cancel).ConfigureAwait(false);
            // Last: a layout without it is none.
            await File.WriteAllBytesAsync(Path.Combine(path, "index.json"), index, cancel).ConfigureAwait(false);
            done = true;
        }
        finally
        {
            if (!done && !existed) { Folders.RemoveTree(path); }
            else if (!done)
            {
                foreach (var name in new[] { "blobs", "oci-layout", "index.json" }) { Folders.RemoveTree(Path.Combine(path, name)); }
            }
        }
    }

    async Task WriteBlobsAsync(SortedDictionary<string, long> blobs, Func<string, Stream, long, Task> write, IProgress<ImageProgress>? progress, CancellationToken cancel)
    {
        foreach (var (digest, size) in blobs)
        {
            cancel.ThrowIfCancellationRequested();
            progress?.Report(new ImageProgress("Writing", digest, 0, size, false));
            await using var source = engine.Content.OpenRead(Digest.Parse(digest));
            await write(BlobName(digest), source, size).ConfigureAwait(false);
            progress?.Report(new ImageProgress("Writing", digest, size, size, true));
        }
    }
}
