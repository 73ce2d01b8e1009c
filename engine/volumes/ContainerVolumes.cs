using System.Text.Json;
using Mono.Unix.Native;

namespace Containers;

/// <summary>The volumes of the store. See docs/design.md, "Volumes".</summary>
public sealed partial class ContainerVolumes
{
    const int Format = 1;
    const int LongestRecord = 1 << 20;
    const int Attempts = 16;

    readonly ContainerEngine engine;
    readonly HostPaths paths;

    internal ContainerVolumes(ContainerEngine engine)
    {
        this.engine = engine;
        paths = engine.Paths;
    }

    /// <summary>The volume with this name.</summary>
    /// <exception cref="ContainerException"><c>VolumeNotFound</c>, <c>InvalidId</c>.</exception>
    public ContainerVolume Get(string name, string? containerNamespace = null)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        return ToVolume(Load(ns, Names.Volume(name)) ?? throw NotFound(name, ns), Users(ns));
    }

    /// <summary>All volumes of a namespace in the order of their names.</summary>
    public IReadOnlyList<ContainerVolume> List(string? containerNamespace = null)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        var users = Users(ns);
        return [.. ListNames(ns).Select(name => Load(ns, name)).OfType<VolumeRecord>().Select(record => ToVolume(record, users))];
    }

    /// <summary>Names alone: for completion and wildcards.</summary>
    public IReadOnlyList<string> ListNames(string? containerNamespace = null)
    {
        engine.Containers.CheckFormat();
        return ContainerStore.ChildNames(paths.VolumeNamespaceFolder(engine.NamespaceOr(containerNamespace)));
    }

    /// <summary>Makes a volume.</summary>
    /// <exception cref="ContainerException"><c>VolumeExists</c>, <c>InvalidId</c>, <c>InvalidArgument</c>, <c>NotSupported</c>: another driver or type; <c>StoreUnavailable</c>.</exception>
    public ContainerVolume Create(ContainerVolumeOptions options) => CreateAsync(options, null).GetAwaiter().GetResult();

    async Task<ContainerVolume> CreateAsync(ContainerVolumeOptions options, Func<string, Task>? fill)
    {
        var ns = engine.NamespaceOr(options.ContainerNamespace);
        var name = options.Name is null ? Names.Random() : Names.Volume(options.Name);
        VolumeWords.Check(name, options);
        using var held = await MakeAsync(ns, name, options, fill).ConfigureAwait(false) ?? throw new ContainerException(ErrorIds.VolumeExists,
            $"A volume '{name}' exists in container namespace '{ns}' already. Use it as it is, or remove it with Remove-ContainerVolume.", name, ContainerErrorCategory.ResourceExists);
        return Get(name, ns);
    }

    /// <summary>Removes a volume with all that is in it. A folder or device of the host, which its options name, stays as it is.</summary>
    /// <exception cref="ContainerException"><c>VolumeNotFound</c>, <c>InvalidId</c>; <c>VolumeInUse</c>: containers use it, running or not.</exception>
    public async Task RemoveAsync(string name, string? containerNamespace = null, CancellationToken cancel = default)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        var folder = paths.VolumeFolder(ns, Names.Volume(name));
        engine.Containers.CheckFormat();
        // Who makes a container with it holds the lock until the container is on record.
        using var held = await FileLock.TakeExistingAsync(Path.Combine(folder, "lock"), cancel).ConfigureAwait(false) ?? throw NotFound(name, ns);
        if (Users(ns).TryGetValue(name, out var users))
        {
            throw new ContainerException(ErrorIds.VolumeInUse, $"The volume '{name}' is used by {(users.Count == 1 ? "the container" : "the containers")} {string.Join(", ", users)}. Remove {(users.Count == 1 ? "it" : "them")} first.",
                name, ContainerErrorCategory.ResourceBusy);
        }
        var trash = Path.Combine(paths.VolumeNamespaceFolder(ns), ".del-" + Names.Random());
        if (Stdlib.rename(folder, trash) != 0) { throw Folders.Unavailable(folder, null); }
        Folders.Sync(paths.VolumeNamespaceFolder(ns));
        AwaitWriters(trash);
        Folders.RemoveTree(trash);
        Folders.RemoveIfEmpty(paths.VolumeNamespaceFolder(ns));
    }

    /// <summary>The containers that use each volume of a namespace; volumes that none uses are not there.</summary>
    internal Dictionary<string, List<string>> Users(string ns)
    {
        var users = new Dictionary<string, List<string>>(StringComparer.Ordinal);
        foreach (var id in engine.Containers.ListIds(ns))
        {
            foreach (var name in (engine.Containers.TryLoadAny(ns, id)?.VolumeUses ?? []).Select(use => use.Name).Distinct())
            {
                if (!users.TryGetValue(name, out var ids)) { users[name] = ids = []; }
                ids.Add(id);
            }
        }
        return users;
    }

    /// <summary>Makes a volume, and takes its lock.</summary>
    /// <param name="fill">Puts into its folder what is to be there from the beginning.</param>
    /// <returns>Null when there is one of this name.</returns>
    async Task<FileLock?> MakeAsync(string ns, string name, ContainerVolumeOptions options, Func<string, Task>? fill = null)
    {
        engine.Containers.OpenForWriting();
        var parent = paths.VolumeNamespaceFolder(ns);
        var folder = paths.VolumeFolder(ns, name);
        if (Directory.Exists(folder)) { return null; }
        var record = new VolumeRecord
        {
            Name = name, Namespace = ns, Driver = options.Driver, CreatedAt = DateTimeOffset.UtcNow,
            Labels = new(options.Labels ?? new Dictionary<string, string>()), Options = new(options.Options ?? new Dictionary<string, string>()),
        };
        Folders.SweepUnowned(parent, AwaitWriters);
        for (var attempt = 1; ; attempt++)
        {
            var temporary = Path.Combine(parent, ".new-" + Names.Random());
            FileLock? held = null;
            try
            {
                // The parent goes with its last volume, and a sweep may take this folder before it is locked: both mean once more.
                Folders.Make(temporary);
                held = FileLock.Make(Path.Combine(temporary, "lock"));
                if (held is null && attempt < Attempts) { continue; }
                if (record.Type is null)
                {
                    var data = Path.Combine(temporary, "data");
                    Folders.Make(data);
                    File.SetUnixFileMode(data, (UnixFileMode)0x1ed); // 0755
                    if (fill is not null) { await fill(data).ConfigureAwait(false); }
                }
                Folders.WriteNew(Path.Combine(temporary, "volume.json"), JsonSerializer.SerializeToUtf8Bytes(record, VolumeJson.Default.VolumeRecord));
                Folders.Sync(temporary);
                // A volume's folder is never empty, so this rename cannot replace one. The lock goes along under its new name.
                if (Stdlib.rename(temporary, folder) == 0)
                {
                    Folders.Sync(parent);
                    return held;
                }
                var error = Stdlib.GetLastError();
                held?.Dispose();
                Folders.RemoveTree(temporary);
                if (error is Errno.ENOTEMPTY or Errno.EEXIST) { return null; }
                throw new IOException($"rename to '{folder}': {error}");
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                held?.Dispose();
                Folders.RemoveTree(temporary);
                if (e is DirectoryNotFoundException && attempt < Attempts) { continue; }
                throw Folders.Unavailable(folder, e);
            }
            catch
            {
                held?.Dispose();
                Folders.RemoveTree(temporary);
                throw;
            }
        }
    }

    internal VolumeRecord? Load(string ns, string name)
    {
        var path = Path.Combine(paths.VolumeFolder(ns, name), "volume.json");
        if (Folders.Read(path, LongestRecord) is not { } content) { return null; }
        try
        {
            var record = JsonSerializer.Deserialize(content, VolumeJson.Default.VolumeRecord)!;
            if (record.Version > Format)
            {
                throw new ContainerException(ErrorIds.StoreFormatUnsupported, $"'{path}' has format {record.Version}; this version knows formats up to {Format}. Use a newer version of the module, or another store by CONTAINERS_ROOT.",
                    path, ContainerErrorCategory.NotImplemented);
            }
            return record.Name == name && record.Namespace == ns ? record : throw new JsonException($"it is about '{record.Namespace}/{record.Name}'");
        }
        catch (JsonException e)
        {
            throw new ContainerException(ErrorIds.StoreDamaged, $"The record '{path}' cannot be read: {e.Message}. Restore it; the files of the volume are beside it, in 'data'.", name, ContainerErrorCategory.InvalidData, e);
        }
    }

    /// <summary>The host's folder of a volume that is one.</summary>
    internal string DataFolder(VolumeRecord record) => record.Device ?? Path.Combine(paths.VolumeFolder(record.Namespace, record.Name), "data");

    static void AwaitWriters(string folder)
    {
        foreach (var name in Folders.Entries(folder).Where(name => name is "data" || name.StartsWith(FillPrefix, StringComparison.Ordinal))) { SnapshotStore.AwaitWriter(Path.Combine(folder, name)); }
    }

    ContainerVolume ToVolume(VolumeRecord record, Dictionary<string, List<string>> users) => new()
    {
        Name = record.Name,
        ContainerNamespace = record.Namespace,
        Driver = record.Driver,
        CreatedAt = record.CreatedAt,
        Labels = record.Labels,
        Options = record.Options,
        Path = record.IsFolder ? DataFolder(record) : null,
        Containers = users.GetValueOrDefault(record.Name) ?? [],
    };

    internal static ContainerException NotFound(string name, string ns) => new(ErrorIds.VolumeNotFound,
        $"There is no volume '{name}' in container namespace '{ns}'. Get-ContainerVolume lists those that are there.", name, ContainerErrorCategory.ObjectNotFound);
}
