using Containers.Linux;

namespace Containers;

/// <summary>
/// The folders that an image wants kept apart from its layers (image-spec, config.md, "Volumes"). Each container gets such a folder of its own, with
/// what the image has there, which goes with the container.
/// </summary>
static class ImageVolumes
{
    const int Most = 100;
    const int LongestPath = 4095;

    const string Hides = "it would hide what every container needs";

    // A volume there would hide what every container needs.
    static readonly string[] s_kept = ["/proc", "/sys", "/dev"];

    /// <summary>The image's volumes that nothing else is mounted on, parents first.</summary>
    /// <exception cref="ContainerException"><c>ImageInvalid</c>.</exception>
    internal static List<string> Of(ImageStore.Prepared image, IReadOnlyList<ContainerMount>? mounts)
    {
        var paths = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var text in image.Settings.Volumes?.Keys ?? Enumerable.Empty<string>())
        {
            var parts = text.Split('/', StringSplitOptions.RemoveEmptyEntries).Where(part => part != ".").ToList();
            var path = "/" + string.Join('/', parts);
            if (!text.StartsWith('/') || text.Length > LongestPath || parts.Count == 0 || parts.Contains("..") || text.Any(char.IsControl)) { throw Invalid(image.Name, text, "that is no absolute path of a folder"); }
            if (IsKept(path)) { throw Invalid(image.Name, text, Hides); }
            paths.Add(path);
        }
        if (paths.Count > Most) { throw Invalid(image.Name, $"{paths.Count}", $"that many are more than {Most}"); }
        return [.. paths.Where(path => mounts?.Any(mount => mount.Target.TrimEnd('/') == path) != true).OrderBy(path => path.Count(c => c == '/')).ThenBy(path => path, StringComparer.Ordinal)];
    }

    /// <summary>The mounts of these volumes.</summary>
    /// <param name="folder">The container's.</param>
    /// <param name="mapped">With the maps of the container's user namespace, as its root.</param>
    internal static IEnumerable<ContainerMount> Mounts(IReadOnlyList<string> volumes, string folder, bool mapped) =>
        volumes.Select((path, i) => new ContainerMount { Type = ContainerMountType.Bind, Source = Folder(folder, i), Target = path, Options = mapped ? ["idmap"] : [] });

    internal static string Folder(string folder, int number) => Path.Combine(folder, "volumes", $"{number}");

    /// <summary>Makes the folders. Links of the image on the way to one are followed inside its layers, and lead nowhere else (CVE-2022-23648).</summary>
    /// <param name="layers">Folders of the image's layers, the topmost first.</param>
    /// <param name="folder">The container's, as it is called now.</param>
    internal static async Task FillAsync(ContainerEngine engine, ContainerRecord record, IReadOnlyList<string> layers, string folder, CancellationToken cancel)
    {
        using var merged = new LayeredFolder(layers);
        for (var i = 0; i < record.Volumes!.Count; i++)
        {
            var own = Folder(folder, i);
            Folders.Make(own);
            if (merged.Find(record.Volumes[i], followLast: true) is not { } found)
            {
                File.SetUnixFileMode(own, (UnixFileMode)0x1ed);
                continue;
            }
            // Where a link of the image leads counts as well.
            var real = "/" + System.Text.Encoding.UTF8.GetString(found.Path.AsSpan(0, found.Path.Length - 1));
            if (real == "/." || IsKept(real)) { throw Invalid(record.Image!, record.Volumes[i], Hides); }
            if (!found.IsFolder) { throw new ContainerException(ErrorIds.ImageInvalid, $"The image '{record.Image}' has the volume '{record.Volumes[i]}', which is no folder in it. Mount something else there, or use another image.", record.Image, ContainerErrorCategory.InvalidData); }
            await TreeCopier.RunAsync(engine, record.Image!, layers, record.Volumes[i], own, cancel).ConfigureAwait(false);
        }
    }

    /// <summary>Says in the spec where the volumes are now: the container's folder has its id in its path.</summary>
    internal static void Place(ContainerRecord record, string folder)
    {
        for (var i = 0; i < (record.Volumes?.Count ?? 0); i++)
        {
            if (record.Spec.Mounts?.Find(mount => mount.Destination == record.Volumes![i] && mount.Type == "bind") is { } mount) { mount.Source = Folder(folder, i); }
        }
    }

    /// <summary>Waits until no psrun that belonged to a killed process fills volumes here any more.</summary>
    internal static void AwaitWriters(string folder)
    {
        foreach (var name in Folders.Entries(Path.Combine(folder, "volumes"))) { SnapshotStore.AwaitWriter(Path.Combine(folder, "volumes", name)); }
    }

    static bool IsKept(string path) => s_kept.Any(kept => path == kept || path.StartsWith(kept + "/", StringComparison.Ordinal));

    static ContainerException Invalid(string image, string volume, string why) => new(ErrorIds.ImageInvalid,
        $"The image '{image}' has the volume '{ShimErrors.Printable(volume)}': {why}. Use another image.", image, ContainerErrorCategory.InvalidData);
}
