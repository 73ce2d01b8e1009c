using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Containers;

/// <summary>How a container becomes an image. What is left out is as in the image that it was made from.</summary>
public sealed class ImageCommitOptions
{
    public string? Reference { get; set; }
    public string? ContainerNamespace { get; set; }
    public string? Author { get; set; }
    public string? Comment { get; set; }

    /// <summary>Replaces the image's, and its arguments too where <see cref="ArgumentList"/> is left out.</summary>
    public IReadOnlyList<string>? Entrypoint { get; set; }

    public IReadOnlyList<string>? ArgumentList { get; set; }

    /// <summary>Is added to the image's.</summary>
    public IReadOnlyDictionary<string, string>? Environment { get; set; }

    public string? WorkingDirectory { get; set; }
    public string? User { get; set; }

    /// <summary>Are added to the image's.</summary>
    public IReadOnlyDictionary<string, string>? Label { get; set; }

    /// <summary>Now by default. The same content at the same time is the same image.</summary>
    public DateTimeOffset? CreatedAt { get; set; }

    /// <summary>Lets a running container go on meanwhile.</summary>
    public bool NoPause { get; set; }
}

public sealed partial class ImageStore
{
    /// <summary>
    /// Makes an image of what a container has written: the layers that it was made from, and one more with what is different. A container over
    /// a root filesystem becomes an image of one layer. A running container stands still meanwhile.
    /// </summary>
    /// <exception cref="ContainerException"><c>ContainerNotFound</c>, <c>InvalidReference</c>, <c>PackFailed</c>, <c>ContentNotFound</c> …</exception>
    public async Task<ContainerImage> CommitAsync(string id, ImageCommitOptions options, IProgress<ImageProgress>? progress = null, CancellationToken cancel = default)
    {
        var ns = engine.NamespaceOr(options.ContainerNamespace);
        var name = options.Reference is null ? null : Nameable(options.Reference);
        engine.Containers.OpenForWriting();
        return await WholeAsync(async () =>
        {
            using var held = await engine.Containers.LockAsync(ns, id, cancel).ConfigureAwait(false);
            var record = engine.Containers.Load(ns, id);
            var image = await StillAsync(ns, id, options.NoPause, () => CommitLockedAsync(record, options, cancel), cancel).ConfigureAwait(false);
            await CompleteAsync(image, name ?? id, null, unpack: true, progress, cancel).ConfigureAwait(false);
            return Describe(Put(ns, image, name, replace: true), ns, null);
        }).ConfigureAwait(false);
    }

    async Task<T> StillAsync<T>(string ns, string id, bool noPause, Func<Task<T>> work, CancellationToken cancel)
    {
        if (noPause || engine.Tasks.StateOf(ns, id) != ContainerTaskState.Running) { return await work().ConfigureAwait(false); }
        await engine.Tasks.PauseAsync(id, ns, cancel).ConfigureAwait(false);
        try { return await work().ConfigureAwait(false); }
        finally
        {
            try { await engine.Tasks.ResumeAsync(id, ns, CancellationToken.None).ConfigureAwait(false); }
            // Killed meanwhile, or resumed by somebody else.
            catch (ContainerException e) when (e.Id is ErrorIds.TaskNotRunning or ErrorIds.TaskNotPaused or ErrorIds.TaskNotFound) { }
        }
    }

    async Task<Descriptor> CommitLockedAsync(ContainerRecord record, ImageCommitOptions options, CancellationToken cancel)
    {
        var tree = ContainerTree.Of(engine, record);
        var below = record.Layers is null ? null : Below(record);
        var (layer, diffId, entries) = await PackAsync(record.Id, tree, below is null ? Packer.Kind.Whole : Packer.Kind.Changes, cancel).ConfigureAwait(false);
        var oci = below is null || below.Descriptor.MediaType != MediaTypes.DockerManifest;
        var config = below is null ? NewConfig() : JsonNode.Parse(engine.Content.ReadSmall(Digest.Parse(below.Manifest.Config!.Digest), ImageGraph.LargestConfig))!.AsObject();
        Change(config, options, record, below?.Manifest.Layers?.Count ?? 0, entries > 0 ? diffId : null);
        var stored = Put(JsonSerializer.SerializeToUtf8Bytes(config, ImageJson.Default.JsonObject), oci ? MediaTypes.Config : MediaTypes.DockerConfig);
        var manifest = new ManifestRecord
        {
            SchemaVersion = 2, MediaType = oci ? MediaTypes.Manifest : MediaTypes.DockerManifest, Config = stored, Layers = [.. below?.Manifest.Layers ?? []], Annotations = below?.Manifest.Annotations,
        };
        if (entries > 0)
        {
            layer.MediaType = oci ? MediaTypes.Layer + "+gzip" : MediaTypes.DockerLayer + ".gzip";
            manifest.Layers.Add(layer);
        }
        return Put(JsonSerializer.SerializeToUtf8Bytes(manifest, ImageJson.Default.ManifestRecord), manifest.MediaType);
    }

    // The manifest that the container was made from, all of which it keeps.
    ImageManifest Below(ContainerRecord record)
    {
        var digest = Digest.Parse(record.ManifestDigest);
        var content = engine.Content.Find(digest) ?? throw ContentStore.NotFound(digest);
        var read = graph.Manifests(new Descriptor { Digest = record.ManifestDigest, Size = content.Size })[0];
        var type = read.Manifest.MediaType is { Length: > 0 } own ? own : MediaTypes.Manifest;
        foreach (var blob in read.Blobs)
        {
            if (!engine.Content.Use(Digest.Parse(blob.Digest))) { throw ContentStore.NotFound(Digest.Parse(blob.Digest)); }
        }
        return read with { Descriptor = new Descriptor { MediaType = type, Digest = record.ManifestDigest, Size = content.Size } };
    }

    async Task<(Descriptor Layer, string DiffId, long Entries)> PackAsync(string target, ContainerTree tree, Packer.Kind kind, CancellationToken cancel)
    {
        using var ingest = Ingest.Begin(paths);
        var packed = await Packer.WriteAsync(engine, target, kind, tree, compress: true, ingest.FilePath, cancel).ConfigureAwait(false);
        var digest = Digest.Parse(packed.Digest);
        if (packed.Entries > 0) { ingest.Publish(digest); }
        return (new Descriptor { Digest = packed.Digest, Size = packed.Stored }, packed.DiffId!, packed.Entries!.Value);
    }

    static JsonObject NewConfig() => new()
    {
        ["architecture"] = ImagePlatform.Host.Architecture, ["os"] = ImagePlatform.Host.Os, ["config"] = new JsonObject(), ["rootfs"] = new JsonObject { ["type"] = "layers", ["diff_ids"] = new JsonArray() },
    };

    // What is not known here, such as a health check, stays as it is.
    static void Change(JsonObject root, ImageCommitOptions o, ContainerRecord record, int layersBelow, string? diffId)
    {
        var created = (o.CreatedAt ?? DateTimeOffset.UtcNow).ToUniversalTime().ToString("yyyy-MM-dd'T'HH:mm:ss.FFFFFFF'Z'", CultureInfo.InvariantCulture);
        root["created"] = created;
        if (o.Author is not null) { root["author"] = o.Author; }
        var config = root["config"] as JsonObject;
        if (config is null) { root["config"] = config = new JsonObject(); }
        if (o.Entrypoint is not null)
        {
            config["Entrypoint"] = Words(o.Entrypoint);
            config.Remove("Cmd");
        }
        if (o.ArgumentList is not null) { config["Cmd"] = Words(o.ArgumentList); }
        if (o.WorkingDirectory is not null) { config["WorkingDir"] = o.WorkingDirectory; }
        if (o.User is not null) { config["User"] = o.User; }
        if (o.Environment is not null) { config["Env"] = Words(Merge(config["Env"] as JsonArray, o.Environment)); }
        if (o.Label is { Count: > 0 })
        {
            var labels = config["Labels"] as JsonObject;
            if (labels is null) { config["Labels"] = labels = new JsonObject(); }
            foreach (var (key, value) in o.Label) { labels[key] = value; }
        }
        if (diffId is not null) { ((JsonArray)root["rootfs"]!["diff_ids"]!).Add((JsonNode)diffId); }
        var step = new JsonObject { ["created"] = created, ["created_by"] = string.Join(' ', record.Spec.Process?.Args ?? []) };
        if (o.Author is not null) { step["author"] = o.Author; }
        if (o.Comment is not null) { step["comment"] = o.Comment; }
        if (diffId is null) { step["empty_layer"] = true; }
        var history = root["history"] as JsonArray;
        if (history is null) { root["history"] = history = new JsonArray(); }
        // An image need not tell its history, and what is told here must not be taken for that of a layer below.
        for (var told = history.Count(h => h?["empty_layer"]?.GetValue<bool>() != true); told < layersBelow; told++) { history.Add((JsonNode)new JsonObject()); }
        history.Add((JsonNode)step);
    }

    static JsonArray Words(IEnumerable<string> words) => new([.. words.Select(word => (JsonNode)word)]);

    static List<string> Merge(JsonArray? before, IReadOnlyDictionary<string, string> more)
    {
        var all = (before ?? []).Select(v => v?.GetValue<string>() ?? "").Where(v => !more.ContainsKey(v.Split('=')[0])).ToList();
        all.AddRange(more.OrderBy(m => m.Key, StringComparer.Ordinal).Select(m => $"{m.Key}={m.Value}"));
        return all;
    }

    Descriptor Put(byte[] document, string mediaType) => new() { MediaType = mediaType, Digest = engine.Content.Put(document).ToString(), Size = document.Length };
}
