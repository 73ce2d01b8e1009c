using Containers.Linux;
using Mono.Unix.Native;

namespace Containers;

/// <summary>Files and folders of the store: 0600 and 0700, replaced whole, on disk before anybody is told.</summary>
static class Folders
{
    internal const UnixFileMode PrivateFile = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    internal const UnixFileMode PrivateFolder = PrivateFile | UnixFileMode.UserExecute;

    /// <summary>Makes a folder and its missing parents with mode 0700.</summary>
    internal static void Make(string path)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                // One by one: .NET gives the mode to the last alone, and the missing parents what the umask leaves.
                if (Path.GetDirectoryName(path) is { } parent && !Directory.Exists(parent)) { Make(parent); }
                Directory.CreateDirectory(path, PrivateFolder);
                return;
            }
            // It was there for mkdir(2), and had gone with its last content when .NET looked at it.
            catch (IOException) when (attempt < 16 && !Path.Exists(path)) { }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException) { throw Unavailable(path, e); }
        }
    }

    /// <summary>
    /// Makes one of the two roots. An existing one must belong to root or to the caller and be closed to others: what is in it
    /// decides what root runs.
    /// </summary>
    internal static void MakeRoot(string path)
    {
        Make(path);
        if (Syscall.stat(path, out var stat) != 0) { throw Unavailable(path, null); }
        var open = (stat.st_mode & (FilePermissions.S_IWGRP | FilePermissions.S_IWOTH)) != 0;
        if ((stat.st_uid != 0 && stat.st_uid != Syscall.geteuid()) || open)
        {
            throw new ContainerException(ErrorIds.StoreUnavailable,
                $"The folder '{path}' belongs to user {stat.st_uid} or can be written by others, so nothing in it can be trusted. Use a folder of your own with mode 0700.",
                path, ContainerErrorCategory.SecurityError);
        }
    }

    /// <summary>Replaces a file: a new one beside it, on disk, then renamed over it.</summary>
    internal static void Replace(string path, ReadOnlySpan<byte> content)
    {
        var temporary = path + ".new-" + Names.Random();
        try
        {
            WriteNew(temporary, content);
            if (Stdlib.rename(temporary, path) != 0) { throw new IOException($"rename to '{path}': {Stdlib.GetLastError()}"); }
            Sync(Path.GetDirectoryName(path)!);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Syscall.unlink(temporary);
            throw Unavailable(path, e);
        }
    }

    /// <summary>Writes a file that must not exist.</summary>
    /// <param name="wait">Until it is on disk.</param>
    internal static void WriteNew(string path, ReadOnlySpan<byte> content, bool wait = true)
    {
        using var file = new FileStream(path, new FileStreamOptions
        {
            Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = PrivateFile, BufferSize = 0,
        });
        file.Write(content);
        if (wait) { file.Flush(flushToDisk: true); }
    }

    /// <summary>Makes renames and new names in a folder survive a power cut.</summary>
    internal static void Sync(string folder)
    {
        var fd = Syscall.open(folder, OpenFlags.O_RDONLY | OpenFlags.O_DIRECTORY);
        if (fd < 0) { return; }
        Syscall.fsync(fd);
        Syscall.close(fd);
    }

    /// <summary>The content of a small file of the store; null when it is not there. Never follows a link at its end.</summary>
    /// <exception cref="ContainerException"><c>StoreDamaged</c>: no regular file, or longer than <paramref name="most"/> bytes; <c>StoreUnavailable</c>.</exception>
    internal static byte[]? Read(string path, int most)
    {
        try { return ReadRegular(path, most, Libc.O_NOFOLLOW); }
        catch (InvalidDataException e)
        {
            throw new ContainerException(ErrorIds.StoreDamaged, $"The file '{path}' {e.Message}. It was not written by this module: look at it and remove it.",
                path, ContainerErrorCategory.InvalidData);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { throw Unavailable(path, e); }
    }

    /// <summary>The content of a small file that the user named, links followed; null when it is not there.</summary>
    /// <exception cref="InvalidDataException">No regular file, or longer than <paramref name="most"/> bytes.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    internal static byte[]? ReadOfUser(string path, int most) => ReadRegular(path, most, 0);

    static byte[]? ReadRegular(string path, int most, int flags)
    {
        // O_NONBLOCK: opening a FIFO would wait for somebody to write to it.
        var fd = Libc.open(path, Libc.O_RDONLY | Libc.O_CLOEXEC | Libc.O_NONBLOCK | Libc.O_NOCTTY | flags);
        if (fd < 0)
        {
            var errno = Libc.errno;
            if (errno is Libc.ENOENT or Libc.ENOTDIR) { return null; }
            if (errno == Libc.ELOOP) { throw new InvalidDataException(flags == 0 ? "is a loop of links" : "is a link"); }
            throw new IOException("cannot be opened: " + new LinuxException("open", path, errno).Message);
        }
        using var handle = new Microsoft.Win32.SafeHandles.SafeFileHandle(fd, ownsHandle: true);
        if (Libc.statx(fd, Libc.STATX_TYPE, out var stat) != 0 || (stat.stx_mode & Libc.S_IFMT) != Libc.S_IFREG) { throw new InvalidDataException("is no regular file"); }
        var length = RandomAccess.GetLength(handle);
        if (length > most) { throw new InvalidDataException($"is {length} bytes long; at most {most} are expected there"); }
        var content = new byte[length];
        var read = 0;
        while (read < content.Length)
        {
            var n = RandomAccess.Read(handle, content.AsSpan(read), read);
            if (n == 0) { break; }
            read += n;
        }
        return read == content.Length ? content : content[..read];
    }

    /// <summary>The names in a folder; none when it is not there, or no longer: others make and remove it at any time.</summary>
    internal static string[] Entries(string path)
    {
        try { return Directory.EnumerateFileSystemEntries(path).Select(entry => Path.GetFileName(entry)).ToArray(); }
        catch (DirectoryNotFoundException) { return []; }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { throw Unavailable(path, e); }
    }

    /// <summary>Removes a folder with all that is in it, without following links; one that is gone already is no error.</summary>
    internal static void RemoveTree(string path)
    {
        // Not by .NET, which cannot name what is no UTF-8, as a layer or a container may have it.
        if (FolderTree.Remove(Libc.AT_FDCWD, [.. System.Text.Encoding.UTF8.GetBytes(path), 0]) != 0) { throw Unavailable(path, new LinuxException("remove", path, Libc.errno)); }
    }

    /// <summary>
    /// Removes what a crash left: folders <c>.new-*</c> and <c>.del-*</c> whose file <c>lock</c> nobody holds. Only the one who holds the lock removes.
    /// </summary>
    /// <param name="awaitWriters">Waits for programs that outlived the one that began such a folder.</param>
    internal static void SweepUnowned(string parent, Action<string> awaitWriters)
    {
        foreach (var name in Entries(parent))
        {
            var folder = Path.Combine(parent, name);
            if (!name.StartsWith(".new-", StringComparison.Ordinal) && !name.StartsWith(".del-", StringComparison.Ordinal)) { continue; }
            if (Syscall.rmdir(folder) == 0) { continue; }
            var file = Path.Combine(folder, "lock");
            using var held = FileLock.TryTakeExisting(file);
            // A removal that was cut off may have got as far as the lock.
            var cutOff = name.StartsWith(".del-", StringComparison.Ordinal) && !File.Exists(file);
            if (held is null && !cutOff) { continue; }
            awaitWriters(folder);
            RemoveTree(folder);
        }
    }

    /// <summary>Removes a folder if it is empty.</summary>
    internal static void RemoveIfEmpty(string path) => Syscall.rmdir(path);

    internal static ContainerException Unavailable(string path, Exception? inner) => new(ErrorIds.StoreUnavailable,
        $"Cannot use '{path}': {inner?.Message ?? Stdlib.GetLastError().ToString()}. Check who owns it, that the disk is not full or read-only, or set CONTAINERS_ROOT and CONTAINERS_RUN.",
        path, inner is UnauthorizedAccessException ? ContainerErrorCategory.PermissionDenied : ContainerErrorCategory.ResourceUnavailable, inner);
}
