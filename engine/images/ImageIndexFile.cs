using System.Text.Json;
using Mono.Unix.Native;

namespace Containers;

/// <summary>
/// The images of a container namespace: the <c>index.json</c> of an OCI image layout whose blobs are the store's, so that other tools
/// read it as it stands. It is replaced whole by rename: readers never wait and see one state or the next, writers take turns by a lock.
/// </summary>
sealed class ImageIndexFile(HostPaths paths)
{
    internal const string NameAnnotation = "org.opencontainers.image.ref.name";
    internal const string CreatedAnnotation = "pscontainers.created";
    internal const string UpdatedAnnotation = "pscontainers.updated";
    internal const string LabelPrefix = "pscontainers.label.";
    const int Longest = 64 << 20;

    internal List<Descriptor> Load(string ns)
    {
        var path = Path.Combine(paths.ImageFolder(ns), "index.json");
        var content = Folders.Read(path, Longest);
        if (content is null) { return []; }
        try
        {
            var index = JsonSerializer.Deserialize(content, ImageJson.Default.ManifestRecord);
            if (index?.SchemaVersion != 2) { throw new JsonException("it has no schemaVersion 2"); }
            return index.Manifests ?? [];
        }
        catch (JsonException e)
        {
            throw new ContainerException(ErrorIds.StoreDamaged, $"'{path}' cannot be read: {e.Message}. Restore it, or remove it: the images of this container namespace are then to be had again.",
                path, ContainerErrorCategory.InvalidData, e);
        }
    }

    /// <summary>Changes the images of a namespace: all of the change or nothing.</summary>
    /// <param name="change">Changes the list and answers whether it did.</param>
    internal void Update(string ns, Func<List<Descriptor>, bool> change)
    {
        using var held = FileLock.Take(paths.ImagesLock);
        var images = Load(ns);
        if (!change(images)) { return; }
        var folder = paths.ImageFolder(ns);
        if (images.Count == 0)
        {
            // The last one takes the folder along; a reader sees none, which is right.
            Syscall.unlink(Path.Combine(folder, "index.json"));
            Folders.RemoveTree(folder);
            return;
        }
        Folders.Make(folder);
        images.Sort((a, b) => string.CompareOrdinal(SortKey(a), SortKey(b)));
        var layout = Path.Combine(folder, "oci-layout");
        if (!File.Exists(layout)) { Folders.Replace(layout, "{\"imageLayoutVersion\":\"1.0.0\"}"u8); }
        Syscall.symlink("../../content/blobs", Path.Combine(folder, "blobs"));
        var index = new ManifestRecord { SchemaVersion = 2, MediaType = MediaTypes.Index, Manifests = images };
        Folders.Replace(Path.Combine(folder, "index.json"), JsonSerializer.SerializeToUtf8Bytes(index, ImageJson.Default.ManifestRecord));
    }

    internal static string? NameOf(Descriptor image) => image.Annotations?.GetValueOrDefault(NameAnnotation);

    internal IReadOnlyList<string> Namespaces() => ContainerStore.ChildNames(paths.AllImages);

    static string SortKey(Descriptor image) => NameOf(image) is { } name ? "0" + name : "1" + image.Digest;
}
