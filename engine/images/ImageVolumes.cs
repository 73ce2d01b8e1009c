using Containers.Linux;

namespace Containers;

/// <summary>
/// The folders that an image wants kept apart from its layers (image-spec, config.md, "Volumes"), and volumes that the user gave no name. Each container gets such
/// a folder of its own, with what the image has there, which goes with the container.
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

    /// <summary>The mounts with the folders of those volumes that have no name, and the targets of these, in the order of the folders.</summary>
    /// <param name="folder">The container's.</param>
    /// <param name="mapped">With the maps of the container's user namespace, as its root.</param>
    internal static (List<ContainerMount> Mounts, List<string> Volumes) Own(IReadOnlyList<ContainerMount> mounts, string folder, bool mapped)
    {
        var volumes = new List<string>();
        var placed = new List<ContainerMount>();
        foreach (var mount in mounts)
        {
            if (mount is not { Type: ContainerMountType.Volume, Source: null })
            {
                placed.Add(mount);
                continue;
            }
            if (IsKept(mount.Target)) { throw ContainerMount.Bad(mount, Hides); }
            List<string> options = [.. mount.Options];
            if (mapped && !options.Contains("idmap")) { options.Add("idmap"); }
            placed.Add(mount.Placed(ContainerMountType.Bind, Folder(folder, volumes.Count), options, readOnly: false));
            volumes.Add(mount.Target);
        }
        return (placed, volumes);
    }

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
            var whose = record.Image ?? record.RootfsPath!;
            if (real == "/." || IsKept(real)) { throw Invalid(whose, record.Volumes[i], Hides); }
            if (!found.IsFolder) { throw new ContainerException(ErrorIds.ImageInvalid, $"The volume '{record.Volumes[i]}' is no folder in '{whose}'. Mount something else there, or use another image.", whose, ContainerErrorCategory.InvalidData); }
            await TreeCopier.RunAsync(engine, whose, layers, record.Volumes[i], own, cancel).ConfigureAwait(false);
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
