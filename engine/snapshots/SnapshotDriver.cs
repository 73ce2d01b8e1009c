using Containers.Linux;

namespace Containers;

/// <summary>How a writable or readable state of layers is kept in a folder of its own. Layers themselves are the same for all drivers.</summary>
abstract class SnapshotDriver
{
    internal const string OverlayName = "overlayfs";
    internal const string NativeName = "native";

    internal abstract string Name { get; }

    /// <summary>Its folder has everything when it is committed, and not only what is different.</summary>
    internal abstract bool IsWhole { get; }

    /// <summary>Fills an empty folder with what it needs: <c>upper</c>, which becomes a layer when it is committed, and more.</summary>
    /// <param name="below">Folders of layers, the topmost first.</param>
    internal abstract Task MakeAsync(ContainerEngine engine, object target, string folder, IReadOnlyList<string> below, bool writable, CancellationToken cancel);

    internal abstract ContainerSnapshotMount Mount(string folder, IReadOnlyList<string> below, bool writable);

    /// <summary>The driver that is named, or else the best one for the store.</summary>
    /// <exception cref="ContainerException"><c>NotSupported</c>.</exception>
    internal static SnapshotDriver Choose(ContainerEngine engine, string? name)
    {
        name ??= engine.Options.Snapshotter;
        switch (name)
        {
            case NativeName:
                return new NativeDriver();
            case null:
                return OverlayProbe.Refusal(engine.Paths) is null ? new OverlayDriver() : new NativeDriver();
            case OverlayName:
                return OverlayProbe.Refusal(engine.Paths) is not { } refusal ? new OverlayDriver() : throw new ContainerException(ErrorIds.NotSupported,
                    $"The store '{engine.Paths.Root}' cannot have writable layers of overlayfs: {refusal}. Use the snapshotter 'native', which copies, or another store by CONTAINERS_ROOT.", name, ContainerErrorCategory.NotImplemented);
            default:
                throw new ContainerException(ErrorIds.NotSupported, $"There is no snapshotter '{name}' here: say 'overlayfs' or 'native'.", name, ContainerErrorCategory.NotImplemented);
        }
    }

    /// <summary>The driver that has made something that is there.</summary>
    internal static SnapshotDriver Of(string? name) => name switch
    {
        null or OverlayName => new OverlayDriver(),
        NativeName => new NativeDriver(),
        _ => throw new ContainerException(ErrorIds.NotSupported, $"It was made by the snapshotter '{name}', which this version does not have. Use a newer version of the module.", name, ContainerErrorCategory.NotImplemented),
    };

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
    internal override string Name => NativeName;
    internal override bool IsWhole => true;

    internal override async Task MakeAsync(ContainerEngine engine, object target, string folder, IReadOnlyList<string> below, bool writable, CancellationToken cancel)
    {
        var upper = MakeUpper(folder, below);
        if (below.Count > 0) { await TreeCopier.RunAsync(engine, target, below, null, upper, cancel).ConfigureAwait(false); }
    }

    internal override ContainerSnapshotMount Mount(string folder, IReadOnlyList<string> below, bool writable) => Bind(Upper(folder), writable);
}

/// <summary>Whether overlayfs can write in the store: asked of the kernel by a mount that is made nowhere, once for each store.</summary>
static class OverlayProbe
{
    static readonly System.Collections.Concurrent.ConcurrentDictionary<string, string> s_answers = new(StringComparer.Ordinal);

    /// <summary>Null when it can, else why not.</summary>
    internal static string? Refusal(HostPaths paths)
    {
        var answer = s_answers.GetOrAdd(paths.Root, _ => Ask(paths) ?? "");
        return answer.Length == 0 ? null : answer;
    }

    static string? Ask(HostPaths paths)
    {
        Folders.Make(paths.Snapshots);
        // As a layer that is being unpacked: left alone while its lock is held, and swept when its maker was killed.
        var name = "probe" + Names.Random();
        var folder = Path.Combine(paths.Snapshots, ".new-" + name);
        using var held = FileLock.Take(Path.Combine(paths.Snapshots, ".lock-" + name));
        try
        {
            foreach (var one in new[] { "lower", "upper", "work" }) { Folders.Make(Path.Combine(folder, one)); }
            return Mount(folder);
        }
        finally
        {
            Folders.RemoveTree(folder);
            held.RemoveAndDispose();
        }
    }

    static string? Mount(string folder)
    {
        var fd = Libc.fsopen("overlay", Libc.FSOPEN_CLOEXEC);
        if (fd < 0) { return Libc.errno == Libc.ENODEV ? "this kernel has no overlayfs" : new LinuxException("fsopen", "overlay", Libc.errno).Message; }
        List<int> opened = [fd];
        try
        {
            foreach (var (key, name) in new[] { ("lowerdir", "lower"), ("upperdir", "upper"), ("workdir", "work") })
            {
                var path = Path.Combine(folder, name);
                opened.Add(LinuxException.Check(Libc.open(path, Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_CLOEXEC), "open", path));
                // By its descriptor: nothing in the path has to be escaped.
                if (Libc.fsconfig(fd, Libc.FSCONFIG_SET_STRING, key, $"/proc/self/fd/{opened[^1]}", 0) != 0) { return Failed(key); }
            }
            return Libc.fsconfig(fd, Libc.FSCONFIG_CMD_CREATE, null, null, 0) == 0 ? null : Failed("create");
        }
        finally
        {
            foreach (var one in opened) { Libc.close(one); }
        }

        // A full disk, say, is no answer.
        string Failed(string what)
        {
            var errno = Libc.errno;
            var error = new LinuxException("fsconfig", what, errno);
            return errno is Libc.EINVAL or Libc.EOPNOTSUPP or Libc.ENOSYS or Libc.EPERM or Libc.EACCES or Libc.ENODEV ? $"its file system is refused ({error.Message})" : throw Folders.Unavailable(folder, error);
        }
    }
}
