using System.Security.Cryptography;
using Containers.Linux;
using Microsoft.Win32.SafeHandles;
using Mono.Unix.Native;

namespace Containers;

/// <summary>Content on its way into the store: hashed while it is written, on disk before it gets its name, gone when it is not committed.</summary>
sealed class Ingest : IDisposable
{
    readonly HostPaths paths;
    readonly string path;
    readonly FileLock file;
    readonly IncrementalHash hash;
    readonly string algorithm;
    readonly bool keep;
    bool done;
    bool refused;

    Ingest(HostPaths paths, string path, FileLock file, string algorithm, bool keep)
    {
        this.paths = paths;
        this.path = path;
        this.file = file;
        this.algorithm = algorithm;
        this.keep = keep;
        hash = Digest.NewHash(algorithm);
    }

    internal long Length { get; private set; }

    internal static Ingest Begin(HostPaths paths, string algorithm = "sha256")
    {
        Folders.Make(paths.Ingests);
        var path = Path.Combine(paths.Ingests, "new-" + Names.Random());
        return new Ingest(paths, path, FileLock.Take(path), algorithm, keep: false);
    }

    /// <summary>An ingest that can be gone on with: what an earlier one left is read again and hashed. Waits for another process that has the same in hand.</summary>
    internal static async Task<Ingest> ResumeAsync(HostPaths paths, Digest digest, CancellationToken cancel)
    {
        Folders.Make(paths.Ingests);
        var path = Path.Combine(paths.Ingests, $"{digest.Algorithm}-{digest.Hex}");
        var ingest = new Ingest(paths, path, await FileLock.TakeAsync(path, cancel).ConfigureAwait(false), digest.Algorithm, keep: true);
        // From now on the caller's lease keeps it, also when nothing more is to be written.
        File.SetLastWriteTimeUtc(path, DateTime.UtcNow);
        var buffer = new byte[1 << 20];
        int n;
        while ((n = RandomAccess.Read(ingest.file.Handle, buffer, ingest.Length)) > 0)
        {
            cancel.ThrowIfCancellationRequested();
            ingest.hash.AppendData(buffer, 0, n);
            ingest.Length += n;
        }
        return ingest;
    }

    internal void Write(ReadOnlySpan<byte> content)
    {
        try { RandomAccess.Write(file.Handle, content, Length); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Half of what does not fit would keep the disk full.
            refused = true;
            throw Folders.Unavailable(path, e);
        }
        hash.AppendData(content);
        Length += content.Length;
    }

    /// <summary>Begins anew.</summary>
    internal void Reset()
    {
        if (Libc.ftruncate((int)file.Handle.DangerousGetHandle(), 0) != 0) { throw Folders.Unavailable(path, new LinuxException("ftruncate", path, Libc.errno)); }
        hash.GetHashAndReset();
        Length = 0;
    }

    /// <summary>Where psrun writes what it hashes itself; ends with <see cref="Publish"/> in place of <see cref="Commit"/>.</summary>
    internal string FilePath => path;

    /// <summary>Gives the content its name.</summary>
    /// <exception cref="ContainerException"><c>DigestMismatch</c>: nothing stays of it.</exception>
    internal Digest Commit(Digest? expected)
    {
        var found = Digest.From(algorithm, hash.GetHashAndReset());
        if (expected is { } wanted && found != wanted)
        {
            Reset();
            throw ContentStore.Mismatch(wanted, found);
        }
        Publish(found);
        return found;
    }

    /// <summary>Gives what is in the file the name that follows from it.</summary>
    internal void Publish(Digest found)
    {
        var target = paths.Blob(found);
        Folders.Make(Path.GetDirectoryName(target)!);
        if (Libc.fsync((int)file.Handle.DangerousGetHandle()) != 0) { throw Folders.Unavailable(path, new LinuxException("fsync", path, Libc.errno)); }
        // It may take the place of the same content, which others have used meanwhile under leases that are younger than what was written here.
        using (FileLock.Take(paths.CollectionLock, shared: true))
        {
            if (Stdlib.rename(path, target) != 0) { throw Folders.Unavailable(target, null); }
            File.SetLastWriteTimeUtc(target, DateTime.UtcNow);
        }
        Folders.Sync(Path.GetDirectoryName(target)!);
        done = true;
    }

    void Remove()
    {
        file.RemoveAndDispose();
        done = true;
    }

    public void Dispose()
    {
        hash.Dispose();
        // There is nothing to go on with where nothing is.
        if (!done && (!keep || refused || Length == 0)) { Remove(); }
        file.Dispose();
    }
}
