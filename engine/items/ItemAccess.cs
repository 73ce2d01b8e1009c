using System.Text.Json;
using System.Text.Json.Serialization;

namespace Containers;

/// <summary>What psrun says of a copy: docs/item.md.</summary>
sealed class ItemAnswer
{
    public long? Entries { get; set; }
    public ShimError? Error { get; set; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(ItemAnswer))]
[JsonSerializable(typeof(List<ShimMount>))]
sealed partial class ItemJson : JsonSerializerContext;

public sealed partial class ContainerItems
{
    /// <summary>How psrun gets to a root; with the container's lock where nothing runs in it.</summary>
    /// <param name="before">What psrun does first: nothing, or a change into a user namespace.</param>
    sealed class Opened(IReadOnlyList<string> toRead, IReadOnlyList<string> toWrite, Func<UserLookup> users, FileLock? held, IReadOnlyList<string>? before = null) : IDisposable
    {
        internal IReadOnlyList<string> Before => before ?? [];
        internal IReadOnlyList<string> ToRead => toRead;
        internal IReadOnlyList<string> ToWrite => toWrite;
        internal Func<UserLookup> Users => users;

        internal Opened Again() => new(toRead, toWrite, users, null, before);

        public void Dispose() => held?.Dispose();
    }

    bool Same(ContainerItem one, ContainerItem other) =>
        one.ContainerId is not null && one.ContainerId == other.ContainerId && engine.NamespaceOr(one.ContainerNamespace) == engine.NamespaceOr(other.ContainerNamespace);

    async Task<Opened> OpenAsync(ContainerItem item, CancellationToken cancel)
    {
        if (item.ContainerId is null) { return new Opened([], [], () => new UserLookup("/"), null); }
        var ns = engine.NamespaceOr(item.ContainerNamespace);
        var id = Names.Id(item.ContainerId);
        var mapped = HasOwnIds(engine.Containers.Load(ns, id));
        if (engine.Tasks.RootOf(ns, id) is { } running) { return Of(running, mapped); }

        var held = await engine.Containers.LockAsync(ns, id, cancel).ConfigureAwait(false);
        try
        {
            // It may have been started meanwhile. Otherwise nobody starts it until the copy is done: a writable layer is mounted once at a time.
            if (engine.Tasks.RootOf(ns, id) is { } now)
            {
                held.Dispose();
                return Of(now, mapped);
            }
            await engine.Tasks.AwaitShimAsync(ns, id, cancel).ConfigureAwait(false);
            return Stopped(engine.Containers.Load(ns, id), held);
        }
        catch
        {
            held.Dispose();
            throw;
        }
    }

    static bool HasOwnIds(ContainerRecord record) => record.IdMapped || record.Spec.Linux?.UidMappings is { Count: > 0 };

    // Through a mount with maps a file of the host's root can have no owner: as root of the container's own user namespace psrun has the ids that it sees there.
    static Opened Of((int Pid, ulong StartTime) process, bool mapped)
    {
        string[] arguments = ["--pid", $"{process.Pid}", "--start-time", $"{process.StartTime}"];
        string[]? before = mapped ? ["namespace", "exec", "--join", $"user=/proc/{process.Pid}/ns/user", "/proc/self/exe"] : null;
        return new Opened(arguments, arguments, () => new UserLookup($"/proc/{process.Pid}/root"), null, before);
    }

    Opened Stopped(ContainerRecord record, FileLock held)
    {
        // On disk files have the owners that they have inside, where a mount maps them; a bundle's have others.
        if (HasOwnIds(record) && !record.IdMapped)
        {
            throw new ContainerException(ErrorIds.NotSupported, $"The container '{record.Id}' has ids of its own, and its files belong to other ones while it does not run. Start it, and copy then.",
                record.Id, ContainerErrorCategory.NotImplemented);
        }
        var folders = ContainerTree.Of(engine, record);
        ImageVolumes.Place(record, engine.Paths.ContainerFolder(record.Namespace, record.Id));
        // The writable layer is named before the mount hides its folder, for this program alone; and volumes are not in it.
        var root = record.Overlay ? engine.Paths.OverlayFolder(record.Namespace, record.Id) : record.RootfsPath!;
        var binds = new List<ShimMount>();
        foreach (var one in record.Spec.Mounts ?? [])
        {
            var options = one.Options ?? [];
            var recursive = options.Contains("rbind");
            if ((one.Type == "bind" || recursive || options.Contains("bind")) && one is { Source: { Length: > 0 } source, Destination: { Length: > 0 } destination } && (Directory.Exists(source) || File.Exists(source)))
            {
                List<string> kept = [.. recursive ? ["rbind"] : Array.Empty<string>(), .. options.Where(option => option == "ro" || option.StartsWith("X-mount.subdir=", StringComparison.Ordinal))];
                binds.Add(new ShimMount { Type = "bind", Source = source, Target = destination, Options = kept });
            }
        }
        return new Opened(Arguments(writable: false), Arguments(writable: true), () => new UserLookup(record.Id, folders.Whole), held);

        // A writable layer is mounted once at a time, also where a container is copied from and to.
        List<string> Arguments(bool writable)
        {
            List<string> arguments = ["--folder", root];
            if (record.Overlay) { arguments.AddRange(["--mounts", Json([ContainerTasks.RootMount(engine, record, root, writable, mapped: false)])]); }
            if (binds.Count > 0) { arguments.AddRange(["--binds", Json(binds)]); }
            return arguments;
        }
    }

    static string Json(List<ShimMount> mounts) => JsonSerializer.Serialize(mounts, ItemJson.Default.ListShimMount);
}

public sealed partial class ContainerTasks
{
    /// <summary>The first process of a task that has not ended; null without one.</summary>
    internal (int Pid, ulong StartTime)? RootOf(string ns, string id) =>
        files.Read(ns, id) is { InitLives: true, Record: { } record, Task.State: ContainerTaskState.Created or ContainerTaskState.Running or ContainerTaskState.Paused } ? (record.Pid, record.PidStartTime) : null;

    /// <summary>Waits until the shim of a task that has ended is gone, and its mounts with it.</summary>
    internal async Task AwaitShimAsync(string ns, string id, CancellationToken cancel)
    {
        if (files.Read(ns, id) is { ShimLives: true, Record: { } record }) { await Waiting.ForProcessAsync(record.ShimPid, record.ShimStartTime, ShimEnds, cancel).ConfigureAwait(false); }
    }
}
