using Containers.Linux;

namespace Containers;

/// <summary>How a writable or readable state of layers is kept in a folder of its own. Layers themselves are the same for all drivers.</summary>
abstract class SnapshotDriver
{
    internal const string OverlayName = "overlayfs";

    /// <summary>All that there are. The first that the store can have is the default.</summary>
    internal static IReadOnlyList<SnapshotDriver> All { get; } = [new OverlayDriver(), new BtrfsDriver(), new NativeDriver()];

    internal abstract string Name { get; }

    /// <summary>Its folder has everything when it is committed, and not only what is different; it can be mounted with maps of ids then.</summary>
    internal abstract bool IsWhole { get; }

    /// <summary>Why the store cannot have it; null when it can.</summary>
    internal abstract string? Refusal(HostPaths paths);

    /// <summary>Fills an empty folder with what it needs: <c>upper</c>, which becomes a layer when it is committed, and more.</summary>
    /// <param name="below">Folders of layers, the topmost first.</param>
    internal abstract Task MakeAsync(ContainerEngine engine, object target, string folder, IReadOnlyList<string> below, bool writable, CancellationToken cancel);

    internal abstract ContainerSnapshotMount Mount(string folder, IReadOnlyList<string> below, bool writable);

    /// <summary>The driver that is named, or else the best one for the store.</summary>
    /// <param name="whole">One of those that keep a whole tree.</param>
    /// <exception cref="ContainerException"><c>NotSupported</c>.</exception>
    internal static SnapshotDriver Choose(ContainerEngine engine, string? name, bool whole = false)
    {
        // One that is configured for all others is no wish for this.
        if (name is null && engine.Options.Snapshotter is { } configured && (!whole || Named(configured) is not { IsWhole: false })) { name = configured; }
        if (name is null) { return All.First(driver => (driver.IsWhole || !whole) && driver.Refusal(engine.Paths) is null); }
        if (Named(name) is not { } named) { throw new ContainerException(ErrorIds.NotSupported, $"There is no snapshotter '{name}' here: say one of {string.Join(", ", Names)}.", name, ContainerErrorCategory.NotImplemented); }
        return named.Refusal(engine.Paths) is not { } refusal ? named : throw new ContainerException(ErrorIds.NotSupported,
            $"The store '{engine.Paths.Root}' cannot have writable layers of {name}: {refusal}. Leave the snapshotter out to have one that works there, or use another store by CONTAINERS_ROOT.", name, ContainerErrorCategory.NotImplemented);
    }

    /// <summary>The driver that has made something that is there.</summary>
    internal static SnapshotDriver Of(string? name) => Named(name ?? OverlayName) ??
        throw new ContainerException(ErrorIds.NotSupported, $"It was made by the snapshotter '{name}', which this version does not have. Use a newer version of the module.", name, ContainerErrorCategory.NotImplemented);

    internal static IReadOnlyList<string> Names => [.. All.Select(driver => driver.Name)];

    static SnapshotDriver? Named(string name) => All.FirstOrDefault(driver => driver.Name == name);

    /// <summary>The folder that is written to.</summary>
    internal static string Upper(string folder) => Path.Combine(folder, "upper");

    /// <summary>A folder of a path in a list that overlayfs takes: a colon separates them there.</summary>
    internal static string Escape(string path) => path.Replace("\\", "\\\\").Replace(":", "\\:");

    // Seen from inside it is the root folder: any user of a container passes through it.
    private protected static string MakeUpper(string folder, IReadOnlyList<string> below)
    {
        var upper = Upper(folder);
        Folders.Make(upper);
        if (below.Count > 0) { SnapshotStore.CopyRoot(below[0], upper); }
        else { File.SetUnixFileMode(upper, (UnixFileMode)0x1ed); }
        return upper;
    }

    private protected static ContainerSnapshotMount Bind(string folder, bool writable) => new("bind", folder, ["rbind", writable ? "rw" : "ro"]);
}

/// <summary>Layers under a writable one, by the kernel's overlayfs: nothing is copied before it is changed.</summary>
sealed class OverlayDriver : SnapshotDriver
{
    internal override string Name => OverlayName;
    internal override bool IsWhole => false;
    internal override string? Refusal(HostPaths paths) => StoreProbe.Refusal(paths, Name, StoreProbe.Overlay);

    internal override Task MakeAsync(ContainerEngine engine, object target, string folder, IReadOnlyList<string> below, bool writable, CancellationToken cancel)
    {
        MakeUpper(folder, below);
        if (writable && below.Count > 0) { Folders.Make(Path.Combine(folder, "work")); }
        return Task.CompletedTask;
    }

    internal override ContainerSnapshotMount Mount(string folder, IReadOnlyList<string> below, bool writable)
    {
        if (below.Count == 0) { return Bind(Upper(folder), writable); }
        if (!writable && below.Count == 1) { return Bind(below[0], writable); }
        var lower = $"lowerdir={string.Join(':', below.Select(Escape))}";
        // What redirect_dir and metacopy write is no layer of an image.
        return new ContainerSnapshotMount("overlay", "overlay", writable ? [lower, $"upperdir={Upper(folder)}", $"workdir={Path.Combine(folder, "work")}", "redirect_dir=off", "metacopy=off"] : [lower]);
    }
}

/// <summary>A copy of all layers together: for stores where overlayfs cannot write. Files share their blocks where the file system can (reflink).</summary>
sealed class NativeDriver : SnapshotDriver
{
    internal override string Name => "native";
    internal override bool IsWhole => true;
    internal override string? Refusal(HostPaths paths) => null;

    internal override async Task MakeAsync(ContainerEngine engine, object target, string folder, IReadOnlyList<string> below, bool writable, CancellationToken cancel)
    {
        var upper = MakeUpper(folder, below);
        if (below.Count > 0) { await TreeCopier.RunAsync(engine, target, below, null, upper, cancel).ConfigureAwait(false); }
    }

    internal override ContainerSnapshotMount Mount(string folder, IReadOnlyList<string> below, bool writable) => Bind(Upper(folder), writable);
}
