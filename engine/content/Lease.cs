namespace Containers;

/// <summary>
/// Keeps what an operation in progress needs from being collected. A lease is a file that its owner holds locked: everything that was stored
/// or used since it was made is kept while its owner lives, and a lease whose owner died is none.
/// </summary>
sealed class Lease : IDisposable
{
    readonly FileLock file;

    Lease(FileLock file) => this.file = file;

    public void Dispose() => file.RemoveAndDispose();

    internal static Lease Take(HostPaths paths)
    {
        Folders.Make(paths.Leases);
        // A collection that is under way has looked at the leases already: wait for its end, and let none begin in between.
        using var collecting = FileLock.Take(paths.CollectionLock, shared: true);
        return new Lease(FileLock.Take(Path.Combine(paths.Leases, Names.Random())));
    }

    /// <summary>The moment since which everything is kept; null without living leases. Dead ones are removed.</summary>
    internal static DateTime? OldestLiving(HostPaths paths)
    {
        DateTime? oldest = null;
        if (!Directory.Exists(paths.Leases)) { return null; }
        foreach (var path in Directory.EnumerateFiles(paths.Leases))
        {
            if (FileLock.TryTakeExisting(path) is { } dead)
            {
                dead.RemoveAndDispose();
                continue;
            }
            // The lock file is empty and never written: its time is that of its making.
            var made = File.GetLastWriteTimeUtc(path);
            if (oldest is null || made < oldest) { oldest = made; }
        }
        return oldest;
    }
}
