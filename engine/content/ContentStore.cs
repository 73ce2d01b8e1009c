using Containers.Linux;
using Mono.Unix.Native;

namespace Containers;

/// <summary>A blob of the store.</summary>
public sealed class ContainerContent
{
    public required string Digest { get; init; }

    /// <summary>Bytes.</summary>
    public required long Size { get; init; }

    /// <summary>When it was stored, or last used by an import, a pull or an unpack.</summary>
    public required DateTimeOffset UsedAt { get; init; }

    public required string Path { get; init; }

    public override string ToString() => Digest;
}

/// <summary>
/// Blobs by their digest, in the folders of an OCI image layout (image-spec, image-layout.md): <c>content/blobs/sha256/…</c>. What has
/// its name there is whole, verified and on disk.
/// </summary>
public sealed class ContentStore
{
    const int Chunk = 1 << 20;

    readonly HostPaths paths;

    internal ContentStore(ContainerEngine engine) => paths = engine.Paths;

    /// <summary>All blobs in the order of their digests.</summary>
    public IEnumerable<ContainerContent> List()
    {
        foreach (var algorithm in new[] { "sha256", "sha512" })
        {
            var folder = Path.Combine(paths.Blobs, algorithm);
            if (!Directory.Exists(folder)) { continue; }
            var files = Directory.GetFiles(folder);
            Array.Sort(files, StringComparer.Ordinal);
            foreach (var file in files)
            {
                if (Digest.TryParse($"{algorithm}:{Path.GetFileName(file)}", out var digest) && Find(digest) is { } content) { yield return content; }
            }
        }
    }

    /// <summary>The blob, or null when it is not there.</summary>
    public ContainerContent? Find(Digest digest)
    {
        var path = paths.Blob(digest);
        var file = new FileInfo(path);
        return !file.Exists ? null : new ContainerContent { Digest = digest.ToString(), Size = file.Length, UsedAt = new DateTimeOffset(file.LastWriteTimeUtc), Path = path };
    }

    /// <summary>Whether the blob is there; from now on the caller's lease keeps it.</summary>
    internal bool Use(Digest digest)
    {
        var path = paths.Blob(digest);
        if (!File.Exists(path)) { return false; }
        using var collecting = FileLock.Take(paths.CollectionLock, shared: true);
        try
        {
            File.SetLastWriteTimeUtc(path, DateTime.UtcNow);
            return true;
        }
        catch (FileNotFoundException) { return false; }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { throw Folders.Unavailable(path, e); }
    }

    /// <summary>Opens a blob. Its content was verified when it was stored; <see cref="VerifyAsync"/> does so again.</summary>
    /// <exception cref="ContainerException"><c>ContentNotFound</c>.</exception>
    public FileStream OpenRead(Digest digest)
    {
        // Not by name: every share mode of .NET takes a flock of its own, and the one who stored the blob may hold its lock still.
        var fd = Libc.open(paths.Blob(digest), Libc.O_RDONLY | Libc.O_CLOEXEC | Libc.O_NOFOLLOW | Libc.O_NONBLOCK);
        if (fd >= 0) { return new FileStream(new Microsoft.Win32.SafeHandles.SafeFileHandle(fd, ownsHandle: true), FileAccess.Read, bufferSize: 0); }
        throw Libc.errno is Libc.ENOENT or Libc.ENOTDIR ? NotFound(digest) : Folders.Unavailable(paths.Blob(digest), new LinuxException("open", paths.Blob(digest), Libc.errno));
    }

    /// <summary>A small blob such as a manifest, verified.</summary>
    /// <exception cref="ContainerException"><c>ContentNotFound</c>, <c>DigestMismatch</c>; <c>ImageInvalid</c>: longer than <paramref name="most"/> bytes.</exception>
    internal byte[] ReadSmall(Digest digest, int most)
    {
        using var file = OpenRead(digest);
        if (file.Length > most) { throw TooLarge(digest, file.Length, most); }
        var content = new byte[file.Length];
        file.ReadExactly(content);
        using var hash = Digest.NewHash(digest.Algorithm);
        hash.AppendData(content);
        var found = Digest.From(digest.Algorithm, hash.GetHashAndReset());
        return found == digest ? content : throw Mismatch(digest, found);
    }

    /// <summary>Reads a blob again and compares.</summary>
    /// <returns>Whether it is what its name says.</returns>
    public async Task<bool> VerifyAsync(Digest digest, CancellationToken cancel = default)
    {
        await using var file = OpenRead(digest);
        using var hash = Digest.NewHash(digest.Algorithm);
        var buffer = new byte[Chunk];
        int n;
        while ((n = await file.ReadAsync(buffer, cancel).ConfigureAwait(false)) > 0) { hash.AppendData(buffer, 0, n); }
        return Digest.From(digest.Algorithm, hash.GetHashAndReset()) == digest;
    }

    /// <summary>Stores small content whose digest follows from it.</summary>
    /// <param name="named">Its digest, where that is not sha256.</param>
    internal Digest Put(byte[] content, Digest? named = null)
    {
        var digest = named ?? Digest.Of(content);
        if (Use(digest)) { return digest; }
        using var ingest = Ingest.Begin(paths, digest.Algorithm);
        ingest.Write(content);
        ingest.Commit(digest);
        return digest;
    }

    /// <summary>Stores what a stream has.</summary>
    /// <param name="expected">What it must be; null takes what comes, by sha256.</param>
    /// <param name="size">How long it must be; null when nobody said.</param>
    /// <param name="most">More is refused.</param>
    /// <exception cref="ContainerException"><c>DigestMismatch</c>, <c>SizeMismatch</c>, <c>StoreUnavailable</c>.</exception>
    internal async Task<(Digest Digest, long Size)> PutAsync(Stream source, Digest? expected, long? size, long most, Action<long>? progress, CancellationToken cancel)
    {
        using var ingest = Ingest.Begin(paths, expected?.Algorithm ?? "sha256");
        var buffer = new byte[Chunk];
        int n;
        while ((n = await source.ReadAsync(buffer, cancel).ConfigureAwait(false)) > 0)
        {
            if (ingest.Length + n > (size ?? most)) { throw Length(expected, size ?? most, ingest.Length + n); }
            ingest.Write(buffer.AsSpan(0, n));
            progress?.Invoke(ingest.Length);
        }
        if (size is { } told && ingest.Length != told) { throw Length(expected, told, ingest.Length); }
        var length = ingest.Length;
        return (ingest.Commit(expected), length);
    }

    internal void Delete(Digest digest) => Syscall.unlink(paths.Blob(digest));

    internal static ContainerException NotFound(Digest digest) => new(ErrorIds.ContentNotFound,
        $"The content {digest} is not in the store. Import the image that it belongs to again.", digest.ToString(), ContainerErrorCategory.ObjectNotFound);

    internal static ContainerException Mismatch(Digest expected, Digest found) => new(ErrorIds.DigestMismatch,
        $"The content is {found}, and should be {expected}. It was damaged or changed on its way: get it again.", expected.ToString(), ContainerErrorCategory.InvalidData);

    internal static ContainerException TooLarge(Digest digest, long size, long most) => new(ErrorIds.ImageInvalid,
        $"The content {digest} has {size} bytes; at most {most} are taken there.", digest.ToString(), ContainerErrorCategory.InvalidData);

    static ContainerException Length(Digest? expected, long told, long found) => new(ErrorIds.SizeMismatch,
        $"The content {expected} should have {told} bytes, and has {(found > told ? "more" : found.ToString())}. It was damaged or changed on its way: get it again.",
        expected?.ToString(), ContainerErrorCategory.InvalidData);
}
