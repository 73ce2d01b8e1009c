using Containers.Linux;

namespace Containers;

/// <summary>
/// Snapshots of btrfs. Layers are copied once into a read-only subvolume beside the topmost of them, files sharing their blocks, and whatever is made on
/// these layers is a snapshot of that: one call, however many files there are. It goes with the layer that it lies beside.
/// </summary>
sealed class BtrfsDriver : SnapshotDriver
{
    internal const string UnfinishedName = ".new-merged";
    const string MergedName = "merged";
    const string LockName = ".lock-merged";

    internal override string Name => "btrfs";
    internal override bool IsWhole => true;
    internal override string? Refusal(HostPaths paths) => StoreProbe.Refusal(paths, Name, StoreProbe.Btrfs);

    internal override async Task MakeAsync(ContainerEngine engine, object target, string folder, IReadOnlyList<string> below, bool writable, CancellationToken cancel)
    {
        Folders.Make(folder);
        var upper = Upper(folder);
        try
        {
            if (below.Count > 0 && below[0].StartsWith(engine.Paths.Snapshots + "/", StringComparison.Ordinal))
            {
                Subvolume.Snapshot(await MergedAsync(engine, target, below, cancel).ConfigureAwait(false), upper, readOnly: !writable);
                return;
            }
            MakeSubvolume(upper);
        }
        catch (LinuxException e) { throw Folders.Unavailable(upper, e); }
        // A root filesystem of somebody's own changes, and keeps nothing of ours.
        if (below.Count > 0) { await TreeCopier.RunAsync(engine, target, below, null, upper, cancel).ConfigureAwait(false); }
    }

    internal override ContainerSnapshotMount Mount(string folder, IReadOnlyList<string> below, bool writable) => Bind(Upper(folder), writable);

    /// <summary>The subvolume that has what these layers are together. The caller's lease keeps them, and it with them.</summary>
    static async Task<string> MergedAsync(ContainerEngine engine, object target, IReadOnlyList<string> below, CancellationToken cancel)
    {
        // A snapshot of this driver has been committed.
        if (below.Count == 1 && Subvolume.Is(below[0])) { return below[0]; }
        var home = Path.GetDirectoryName(below[0])!;
        var (merged, unfinished) = (Path.Combine(home, MergedName), Path.Combine(home, UnfinishedName));
        if (Directory.Exists(merged)) { return merged; }
        var held = await FileLock.TakeAsync(Path.Combine(home, LockName), cancel).ConfigureAwait(false);
        try
        {
            if (Directory.Exists(merged)) { return merged; }
            SnapshotStore.RemoveUnfinished(unfinished);
            MakeSubvolume(unfinished);
            await TreeCopier.RunAsync(engine, target, below, null, unfinished, cancel).ConfigureAwait(false);
            Subvolume.SetReadOnly(unfinished, readOnly: true);
            // What has the name is whole and on disk.
            SnapshotStore.SyncFileSystem(home);
            if (Mono.Unix.Native.Stdlib.rename(unfinished, merged) != 0) { throw Folders.Unavailable(merged, null); }
            return merged;
        }
        finally
        {
            Folders.RemoveTree(unfinished);
            held.RemoveAndDispose();
        }
    }

    /// <summary>What somebody who was killed has left beside a layer.</summary>
    internal static IEnumerable<string> Abandoned(string home)
    {
        var unfinished = Path.Combine(home, UnfinishedName);
        return Directory.Exists(unfinished) && SnapshotStore.IsAbandoned(unfinished) ? [unfinished] : [];
    }

    static void MakeSubvolume(string path)
    {
        Subvolume.Create(path);
        File.SetUnixFileMode(path, (UnixFileMode)0x1ed);
    }
}
