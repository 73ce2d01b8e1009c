using Containers.Linux;
using Mono.Unix.Native;

namespace Containers;

public sealed partial class ContainerVolumes
{
    const string FillPrefix = ".fill-";

    /// <summary>The volumes of a container that is being made. Until it is on record nobody removes or fills them.</summary>
    internal sealed class Held : IDisposable
    {
        readonly List<FileLock> locks = [];

        internal Dictionary<string, VolumeRecord> Records { get; } = new(StringComparer.Ordinal);

        internal void Add(FileLock held, VolumeRecord record)
        {
            locks.Add(held);
            Records.Add(record.Name, record);
        }

        public void Dispose() => locks.ForEach(held => held.Dispose());
    }

    /// <summary>Takes the volumes that the mounts name; those that are missing are made, as folders of the store.</summary>
    internal async Task<Held> HoldAsync(string ns, IReadOnlyList<ContainerMount>? mounts, CancellationToken cancel)
    {
        var held = new Held();
        try
        {
            // In one order for all, so that no two wait for each other.
            foreach (var name in (mounts ?? []).Where(mount => mount.IsNamedVolume).Select(mount => Names.Volume(mount.Source)).Distinct().Order(StringComparer.Ordinal))
            {
                while (true)
                {
                    var taken = await MakeAsync(ns, name, new ContainerVolumeOptions()).ConfigureAwait(false)
                        ?? await FileLock.TakeExistingAsync(Path.Combine(paths.VolumeFolder(ns, name), "lock"), cancel).ConfigureAwait(false);
                    // It was removed between the one and the other.
                    if (taken is null) { continue; }
                    held.Add(taken, Load(ns, name) ?? throw NotFound(name, ns));
                    break;
                }
            }
            return held;
        }
        catch
        {
            held.Dispose();
            throw;
        }
    }

    /// <summary>The mounts with what their volumes are made of.</summary>
    /// <param name="mapped">The container's ids are mapped: folders are mounted with its maps.</param>
    internal List<ContainerMount> Resolve(Held held, IReadOnlyList<ContainerMount> mounts, bool mapped) => [.. mounts.Select(mount =>
    {
        if (!mount.IsNamedVolume) { return mount; }
        var record = held.Records[mount.Source!];
        var options = mount.Options.Where(option => option is not ("nocopy" or "U")).ToList();
        if (record.IsFolder)
        {
            if (mapped && !options.Contains("idmap")) { options.Add("idmap"); }
            options.AddRange(record.Words.Where(word => word is not ("bind" or "ro" or "rw") && !options.Contains(word)));
            return mount.Placed(ContainerMountType.Bind, DataFolder(record), options, record.Words.Contains("ro"));
        }
        if (mount.SubPath is not null) { throw ContainerMount.Bad(mount, $"the volume '{record.Name}' is a file system of its own kind, of which no part can be mounted"); }
        if (mount.Options.Contains("U")) { throw ContainerMount.Bad(mount, $"the volume '{record.Name}' is no folder whose owner could be changed here"); }
        if (record.Type == "tmpfs")
        {
            options.AddRange(record.Words.Where(word => word is not ("ro" or "rw")));
            return mount.Placed(ContainerMountType.Tmpfs, null, options, record.Words.Contains("ro"));
        }
        if (mapped) { throw ContainerMount.Bad(mount, $"the volume '{record.Name}' is of type {record.Type}, and a container with ids of its own cannot mount one"); }
        var (device, words) = VolumeWords.Nfs(record);
        options.AddRange(words.Where(word => word is not ("ro" or "rw")));
        return mount.Placed(ContainerMountType.Volume, device, options, words.Contains("ro"), record.Type);
    })];

    /// <summary>
    /// Docker's rule: a volume without anything in it gets what the image has at its target, and the owner and mode of that folder, unless <c>nocopy</c> is said.
    /// </summary>
    /// <param name="mounts">As the user said them.</param>
    internal async Task FillAsync(Held held, ContainerRecord record, IReadOnlyList<ContainerMount>? mounts, CancellationToken cancel)
    {
        foreach (var mount in (mounts ?? []).Where(mount => mount.IsNamedVolume))
        {
            var volume = held.Records[mount.Source!];
            if (!volume.IsFolder) { continue; }
            if (!mount.Options.Contains("nocopy")) { await FillAsync(volume, record, mount, cancel).ConfigureAwait(false); }
            if (mount.Options.Contains("U"))
            {
                var user = record.Spec.Process!.User;
                Own(volume, user?.Uid ?? 0, user?.Gid ?? 0);
            }
        }
    }

    async Task FillAsync(VolumeRecord volume, ContainerRecord record, ContainerMount mount, CancellationToken cancel)
    {
        var data = DataFolder(volume);
        if (Folders.Entries(data).Length > 0) { return; }
        var layers = ContainerTree.Below(engine, record);
        using (var merged = new LayeredFolder(layers))
        {
            if (merged.Find(mount.Target, followLast: true) is not { } found) { return; }
            if (!found.IsFolder) { throw ContainerMount.Bad(mount, $"the target '{mount.Target}' is no folder in the root filesystem, and a volume is one"); }
            // Where a link leads to the root, everything would be copied.
            if (found.Path is [(byte)'.', 0]) { return; }
        }
        var target = record.Image ?? record.Id;
        // Who has it mounted at this moment would go on with the folder that is replaced.
        if (volume.Type is not null || Users(volume.Namespace).GetValueOrDefault(volume.Name)?.Any(id => engine.Tasks.Exists(volume.Namespace, id)) == true)
        {
            await TreeCopier.RunAsync(engine, target, layers, mount.Target, data, cancel).ConfigureAwait(false);
            return;
        }
        // All or nothing: a copy that was cut off does not make the volume one with something in it.
        var folder = paths.VolumeFolder(volume.Namespace, volume.Name);
        foreach (var name in Folders.Entries(folder).Where(name => name.StartsWith(FillPrefix, StringComparison.Ordinal)))
        {
            SnapshotStore.AwaitWriter(Path.Combine(folder, name));
            Folders.RemoveTree(Path.Combine(folder, name));
        }
        var fill = Path.Combine(folder, FillPrefix + Names.Random());
        try
        {
            Folders.Make(fill);
            await TreeCopier.RunAsync(engine, target, layers, mount.Target, fill, cancel).ConfigureAwait(false);
            // rename(2) replaces an empty folder, and none that has anything in it.
            if (Stdlib.rename(fill, data) != 0) { throw Folders.Unavailable(data, null); }
            Folders.Sync(folder);
        }
        catch
        {
            Folders.RemoveTree(fill);
            throw;
        }
    }

    // Podman's :U. Containers that have it may change names meanwhile: nothing but descriptors is trusted.
    void Own(VolumeRecord volume, uint uid, uint gid)
    {
        var data = DataFolder(volume);
        var fd = Libc.open(data, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_NOFOLLOW | Libc.O_CLOEXEC);
        if (fd < 0) { throw Folders.Unavailable(data, new LinuxException("open", data, Libc.errno)); }
        try { FolderTree.Own(fd, uid, gid); }
        catch (LinuxException e) { throw Folders.Unavailable(data, e); }
        finally { Libc.close(fd); }
    }
}
