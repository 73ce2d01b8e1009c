using System.Text.Json;
using Containers.Linux.Oci;
using Mono.Unix.Native;

namespace Containers;

/// <summary>Containers as files: see docs/design.md, "Files".</summary>
public sealed partial class ContainerStore
{
    const int Format = 1;
    const int LongestRecord = 32 << 20;
    const int CreateAttempts = 16;
    const string TransientName = "transient";

    readonly ContainerEngine engine;
    readonly HostPaths paths;

    internal ContainerStore(ContainerEngine engine)
    {
        this.engine = engine;
        paths = engine.Paths;
    }

    /// <summary>Makes a container: all of it or nothing. Nothing runs yet.</summary>
    /// <exception cref="ContainerException"><c>ContainerExists</c>, <c>InvalidId</c>, <c>RootfsNotFound</c>, <c>InvalidSpec</c>, <c>InvalidMount</c>,
    /// <c>ImageNotFound</c>, <c>PlatformNotFound</c>, <c>NetworkNotSupported</c>, <c>UserNotFound</c>, <c>RuntimeNotFound</c>, <c>StoreUnavailable</c> …</exception>
    public async Task<Container> CreateAsync(ContainerCreateOptions options, CancellationToken cancel = default)
    {
        cancel.ThrowIfCancellationRequested();
        var ns = engine.NamespaceOr(options.ContainerNamespace);
        var id = options.Id is null ? Names.Random() : Names.Id(options.Id);
        OpenForWriting();
        if (Directory.Exists(paths.ContainerFolder(ns, id))) { throw Exists(id, ns); }

        // Until the container is on record, which then keeps the image's layers.
        var images = options is { Spec: null, Bundle: null } ? (options.Mount ?? []).Where(mount => mount.Type == ContainerMountType.Image).ToList() : [];
        using var lease = options.Image is null && images.Count == 0 ? null : Lease.Take(paths);
        var image = options.Image is null ? null
            : await engine.Images.PrepareAsync(options, ns, cancel).ConfigureAwait(false);
        using var volumes = await engine.Volumes.HoldAsync(ns, options is { Spec: null, Bundle: null } ? options.Mount : null, cancel).ConfigureAwait(false);
        var uses = await UsesAsync(images, options, ns, cancel).ConfigureAwait(false);
        var record = RecordBuilder.Build(engine, options, image, volumes, uses, ns, id);
        cancel.ThrowIfCancellationRequested();
        await engine.Volumes.FillAsync(volumes, record, options.Mount, cancel).ConfigureAwait(false);
        Folders.Make(paths.NamespaceFolder(ns));
        Folders.SweepUnowned(paths.NamespaceFolder(ns), AwaitWriters);
        await SaveAsync(record, options.Transient, cancel).ConfigureAwait(false);
        engine.Events.Tell(ns, ContainerEventType.Created, id, ContainerEvents.Labels(record));
        return ToContainer(record, ContainerTaskState.None);
    }

    // Got as the container's own image is.
    async Task<List<ImageUse>> UsesAsync(List<ContainerMount> mounts, ContainerCreateOptions options, string ns, CancellationToken cancel)
    {
        var uses = new List<ImageUse>();
        foreach (var mount in mounts)
        {
            var one = options.Copy();
            one.Image = mount.Source;
            var image = await engine.Images.PrepareAsync(one, ns, cancel).ConfigureAwait(false);
            uses.Add(new ImageUse { Name = image.Name, Target = mount.Target, ManifestDigest = image.ManifestDigest, Layers = [.. image.Layers] });
        }
        return uses;
    }

    /// <summary>The spec that a container of these options would get; nothing is made. A root filesystem that is not named is taken to be empty.</summary>
    /// <exception cref="ContainerException">As <see cref="CreateAsync"/>, as far as the spec goes.</exception>
    public Spec NewSpec(ContainerCreateOptions options)
    {
        var ns = engine.NamespaceOr(options.ContainerNamespace);
        var id = options.Id is null ? Names.Random() : Names.Id(options.Id);
        var rootfs = options.RootfsPath ?? "rootfs";
        return SpecBuilder.Build(options, new UserLookup(rootfs), rootfs, id, RecordBuilder.CgroupPath(options.CgroupParent, ns, id), [], []);
    }

    /// <summary>The container with this id.</summary>
    /// <exception cref="ContainerException"><c>ContainerNotFound</c>, <c>InvalidId</c>.</exception>
    public Container Get(string id, string? containerNamespace = null)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        var record = Load(ns, id);
        return ToContainer(record, engine.Tasks.StateOf(ns, id));
    }

    /// <summary>All containers of a namespace in the order of their ids; those that vanish meanwhile are left out.</summary>
    public IEnumerable<Container> List(string? containerNamespace = null)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        foreach (var id in ListIds(ns))
        {
            var record = TryLoad(ns, id, wholly: false);
            if (record is not null) { yield return ToContainer(record, engine.Tasks.StateOf(ns, id)); }
        }
    }

    /// <summary>Ids alone, from file names: for completion and wildcards.</summary>
    public IReadOnlyList<string> ListIds(string? containerNamespace = null)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        CheckFormat();
        return ChildNames(paths.NamespaceFolder(ns));
    }

    /// <summary>The container namespaces that hold containers, or were made to.</summary>
    public IReadOnlyList<string> ListNamespaces()
    {
        CheckFormat();
        return ChildNames(paths.AllContainers);
    }

    /// <summary>Replaces the record of a container whose lock is held.</summary>
    internal void Replace(ContainerRecord record) => Folders.Replace(RecordPath(record.Namespace, record.Id), Write(record));

    /// <summary>Removes a container, its writable layer and its log. A task that is stopped goes with it.</summary>
    /// <param name="force">A running task is killed first.</param>
    /// <exception cref="ContainerException"><c>ContainerNotFound</c>; <c>TaskRunning</c> without <paramref name="force"/>.</exception>
    public async Task RemoveAsync(string id, bool force = false, string? containerNamespace = null, CancellationToken cancel = default)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        using var held = await LockAsync(ns, id, cancel).ConfigureAwait(false);
        if (engine.Tasks.Exists(ns, id)) { await engine.Tasks.RemoveLockedAsync(ns, id, force, cancel).ConfigureAwait(false); }

        // A record that cannot be read must not keep the container: what it has then is taken down by Clear-ContainerNetwork.
        ContainerRecord? record = null;
        try { record = TryLoadAny(ns, id); }
        catch (ContainerException) { }
        if (record is not null) { await engine.Networks.DetachAsync(record, force, cancel).ConfigureAwait(false); }

        // Out of sight in one step: a crash from here on leaves a folder that the next create sweeps away.
        var folder = paths.ContainerFolder(ns, id);
        var trash = Path.Combine(paths.NamespaceFolder(ns), ".del-" + Names.Random());
        // A power cut may undo this, and then all of it: nothing is waited for.
        if (Stdlib.rename(folder, trash) != 0) { throw Folders.Unavailable(folder, null); }
        engine.Events.Tell(ns, ContainerEventType.Removed, id);
        Folders.RemoveTree(trash);
        Folders.RemoveIfEmpty(paths.NamespaceFolder(ns));
    }

    /// <summary>The lock of a container that exists.</summary>
    internal async Task<FileLock> LockAsync(string ns, string id, CancellationToken cancel)
    {
        CheckFormat();
        var folder = paths.ContainerFolder(ns, Names.Id(id));
        return await FileLock.TakeExistingAsync(Path.Combine(folder, "lock"), cancel).ConfigureAwait(false) ?? throw NotFound(id, ns);
    }

    internal bool IsLocked(string ns, string id)
    {
        using var held = FileLock.TryTakeExisting(Path.Combine(paths.ContainerFolder(ns, id), "lock"));
        return held is null;
    }

    internal ContainerRecord Load(string ns, string id)
    {
        Names.Id(id);
        CheckFormat();
        return TryLoad(ns, id) ?? throw NotFound(id, ns);
    }

    /// <param name="wholly">The spec is read now, and not when somebody asks for it.</param>
    ContainerRecord? TryLoad(string ns, string id, bool wholly = true)
    {
        var path = RecordPath(ns, id);
        var content = Folders.Read(path, LongestRecord);
        if (content is null) { return null; }
        // Of a container that was to go with its run: a power cut came first (SaveAsync).
        if (content is [] && File.Exists(Path.Combine(paths.ContainerFolder(ns, id), TransientName))) { return null; }
        try
        {
            var record = ContainerRecord.Read(content);
            if (record.Version > Format) { throw Newer(path, record.Version.ToString()); }
            // Renamed, and cut off before the record was: the folder's name counts.
            if (record.RenamedTo == id) { Rename(record, id); }
            if (record.Id != id || record.Namespace != ns) { throw new JsonException($"it is about '{record.Namespace}/{record.Id}'"); }
            if (wholly) { _ = record.Spec; }
            return record;
        }
        catch (Exception e) when (e is JsonException or SpecException)
        {
            throw new ContainerException(ErrorIds.StoreDamaged, $"The record '{path}' cannot be read: {e.Message}. Restore it, or remove the folder of the container.",
                id, ContainerErrorCategory.InvalidData, e);
        }
    }

    internal Container ToContainer(ContainerRecord record, ContainerTaskState state) => new()
    {
        Id = record.Id,
        ContainerNamespace = record.Namespace,
        Image = record.Image,
        Runtime = record.Runtime,
        CreatedAt = record.CreatedAt,
        Labels = record.Labels,
        Record = record,
        State = state,
        RestartPolicy = record.RestartPolicy,
        Bundle = record.Bundle,
        ImageDigest = record.ImageDigest,
        RootfsPath = record.RootfsPath,
        Overlay = record.Overlay,
        StopSignal = record.StopSignal,
        StopTimeout = TimeSpan.FromSeconds(record.StopTimeoutSec),
        Interactive = record.Stdin,
        LogPath = paths.Log(record),
    };

    /// <param name="transient">It is removed after its run, and need not outlive a power cut: nothing waits for the disk.</param>
    async Task SaveAsync(ContainerRecord record, bool transient, CancellationToken cancel)
    {
        var parent = paths.NamespaceFolder(record.Namespace);
        var folder = paths.ContainerFolder(record.Namespace, record.Id);
        for (var attempt = 1; ; attempt++)
        {
            var temporary = Path.Combine(parent, ".new-" + Names.Random());
            FileLock? held = null;
            try
            {
                // The parent goes with its last container, and a sweep may take this folder before it is locked: both mean once more.
                Folders.Make(temporary);
                held = FileLock.Make(Path.Combine(temporary, "lock"));
                if (held is null && attempt < CreateAttempts) { continue; }
                if (record.Overlay)
                {
                    var below = ContainerTree.Below(engine, record);
                    await SnapshotDriver.Of(record.Snapshotter).MakeAsync(engine, record.Id, Path.Combine(temporary, "overlay"), below, writable: true, cancel).ConfigureAwait(false);
                }
                if (record.Volumes is not null) { await ImageVolumes.FillAsync(engine, record, ContainerTree.Below(engine, record), temporary, cancel).ConfigureAwait(false); }
                if (transient) { Folders.WriteNew(Path.Combine(temporary, TransientName), [], wait: false); }
                Folders.WriteNew(Path.Combine(temporary, "container.json"), Write(record), wait: !transient);
                if (!transient) { Folders.Sync(temporary); }
                // A container's folder is never empty, so this rename cannot replace one.
                if (Stdlib.rename(temporary, folder) == 0)
                {
                    if (!transient) { Folders.Sync(parent); }
                    return;
                }
                var error = Stdlib.GetLastError();
                if (error is Errno.ENOTEMPTY or Errno.EEXIST) { throw Exists(record.Id, record.Namespace); }
                throw new IOException($"rename to '{folder}': {error}");
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                Folders.RemoveTree(temporary);
                if (e is DirectoryNotFoundException && attempt < CreateAttempts) { continue; }
                throw Folders.Unavailable(folder, e);
            }
            catch
            {
                Folders.RemoveTree(temporary);
                throw;
            }
            finally { held?.Dispose(); }
        }
    }

    static void AwaitWriters(string folder)
    {
        SnapshotStore.AwaitWriter(Path.Combine(folder, "overlay/upper"));
        ImageVolumes.AwaitWriters(folder);
    }

    /// <summary>The record, or null when it is gone.</summary>
    internal ContainerRecord? TryLoadAny(string ns, string id) => TryLoad(ns, id, wholly: false);

    internal void OpenForWriting()
    {
        Folders.MakeRoot(paths.Root);
        if (Folders.Read(paths.Format, 64) is null) { Folders.Replace(paths.Format, "1\n"u8); }
        CheckFormat();
        Folders.Make(paths.AllContainers);
    }

    internal void CheckFormat()
    {
        var content = Folders.Read(paths.Format, 64);
        if (content is null) { return; }
        var text = System.Text.Encoding.UTF8.GetString(content).Trim();
        if (text == "1") { return; }
        if (int.TryParse(text, out var version) && version > Format) { throw Newer(paths.Format, text); }
        throw new ContainerException(ErrorIds.StoreDamaged, $"'{paths.Format}' should hold the store's format version and does not. Is CONTAINERS_ROOT the folder that you mean?",
            paths.Format, ContainerErrorCategory.InvalidData);
    }

    string RecordPath(string ns, string id) => Path.Combine(paths.ContainerFolder(ns, id), "container.json");

    static byte[] Write(ContainerRecord record) => JsonSerializer.SerializeToUtf8Bytes(record, StoreJson.Default.ContainerRecord);

    /// <summary>The container namespaces that have a task; beside their folders lies the one of kept Linux namespaces.</summary>
    internal static IEnumerable<string> RunNamespaces(HostPaths paths) => ChildNames(paths.RunRoot).Where(name => name != Names.Reserved);

    internal static IReadOnlyList<string> ChildNames(string folder)
    {
        try
        {
            var names = Directory.GetDirectories(folder).Select(f => Path.GetFileName(f)!).Where(Names.IsValid).ToArray();
            Array.Sort(names, StringComparer.Ordinal);
            return names;
        }
        catch (DirectoryNotFoundException) { return []; }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { throw Folders.Unavailable(folder, e); }
    }

    static ContainerException Newer(string path, string version) => new(ErrorIds.StoreFormatUnsupported,
        $"'{path}' has format {version}; this version knows formats up to {Format}. Use a newer version of the module, or another store by CONTAINERS_ROOT.",
        path, ContainerErrorCategory.NotImplemented);

    static ContainerException Exists(string id, string ns) => new(ErrorIds.ContainerExists,
        $"A container '{id}' exists in container namespace '{ns}' already. Remove it with Remove-Container, or choose another id.",
        id, ContainerErrorCategory.ResourceExists);

    internal static ContainerException NotFound(string id, string ns) => new(ErrorIds.ContainerNotFound,
        $"There is no container '{id}' in container namespace '{ns}'. Get-Container lists those that are there.",
        id, ContainerErrorCategory.ObjectNotFound);
}
