using Containers.Linux;
using Microsoft.Win32.SafeHandles;

namespace Containers;

/// <summary>
/// A lock by <c>flock(2)</c> on a file or folder of ours: given back by the kernel when the holder dies, and never inherited, because descriptors are
/// closed on exec. A lock file may be removed by whoever holds it; a lock on a file that is gone guards nothing and is never handed out.
/// </summary>
sealed class FileLock : IDisposable
{
    const int PrivateFile = 0x180; // 0600

    static readonly int own = Libc.O_RDWR | Libc.O_CLOEXEC | Libc.O_NOFOLLOW;

    readonly SafeFileHandle file;
    readonly string path;

    FileLock(SafeFileHandle file, string path)
    {
        this.file = file;
        this.path = path;
    }

    internal SafeFileHandle Handle => file;

    public void Dispose() => file.Dispose();

    /// <summary>Removes the file while it is locked: whoever waits for it finds that it is gone.</summary>
    internal void RemoveAndDispose()
    {
        Mono.Unix.Native.Syscall.unlink(path);
        file.Dispose();
    }

    /// <summary>For moments: blocks the thread. The file is made where it is missing.</summary>
    internal static FileLock Take(string path, bool shared = false)
    {
        while (true)
        {
            if (TryLock(Open(path, own | Libc.O_CREAT)!, path, shared ? Libc.LOCK_SH : Libc.LOCK_EX) is { } held) { return held; }
        }
    }

    /// <summary>For as long as it takes, on a thread of its own, and cancellable. The file is made where it is missing.</summary>
    internal static async Task<FileLock> TakeAsync(string path, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        return TryTake(path) ?? (await OnOwnThread(() => Take(path), cancel).ConfigureAwait(false))!;
    }

    /// <summary>Waits for the lock as <see cref="TakeAsync"/> does, and makes no file.</summary>
    /// <returns>Null when the file is not there, or was removed by the one who held it.</returns>
    internal static async Task<FileLock?> TakeExistingAsync(string path, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        return TryTakeExisting(path) ?? await OnOwnThread(() => Open(path, own) is { } file ? TryLock(file, path, Libc.LOCK_EX) : null, cancel).ConfigureAwait(false);
    }

    /// <summary>For moments: blocks the thread. Nothing is made, and a folder that is removed meanwhile is no error.</summary>
    /// <returns>Null when the folder is not there.</returns>
    internal static FileLock? TakeFolder(string path)
    {
        if (Open(path, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_CLOEXEC) is not { } folder) { return null; }
        Lock(folder, Libc.LOCK_EX);
        return new FileLock(folder, path);
    }

    /// <summary>The file is made where it is missing.</summary>
    /// <returns>Null when another holds it.</returns>
    internal static FileLock? TryTake(string path) => TryLock(Open(path, own | Libc.O_CREAT)!, path, Libc.LOCK_EX | Libc.LOCK_NB);

    /// <returns>Null when another holds it, or it is gone.</returns>
    internal static FileLock? TryTakeExisting(string path) => Open(path, own) is { } file ? TryLock(file, path, Libc.LOCK_EX | Libc.LOCK_NB) : null;

    /// <returns>Null when somebody else was quicker, or the folder for it is gone.</returns>
    internal static FileLock? Make(string path) => Open(path, own | Libc.O_CREAT | Libc.O_EXCL) is { } file ? TryLock(file, path, Libc.LOCK_EX | Libc.LOCK_NB) : null;

    static async Task<FileLock?> OnOwnThread(Func<FileLock?> take, CancellationToken cancel)
    {
        var waiting = Task.Factory.StartNew(take, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        try { return await waiting.WaitAsync(cancel).ConfigureAwait(false); }
        catch (OperationCanceledException)
        {
            // flock cannot be cancelled: the thread gets the lock later and gives it back at once.
            _ = waiting.ContinueWith(t => t.Result?.Dispose(), CancellationToken.None, TaskContinuationOptions.OnlyOnRanToCompletion, TaskScheduler.Default);
            throw;
        }
    }

    // Not by FileStream: every share mode of .NET takes a flock of its own.
    static SafeFileHandle? Open(string path, int flags)
    {
        var fd = Libc.open(path, flags, PrivateFile);
        if (fd >= 0) { return new SafeFileHandle(fd, ownsHandle: true); }
        var errno = Libc.errno;
        // Only who makes a file where there is none, and takes one that is there, has no answer but the lock.
        return errno is Libc.ENOENT or Libc.EEXIST && (flags & (Libc.O_CREAT | Libc.O_EXCL)) != Libc.O_CREAT ? null : throw Folders.Unavailable(path, new LinuxException("open", path, errno));
    }

    static FileLock? TryLock(SafeFileHandle file, string path, int operation)
    {
        if (Lock(file, operation) && IsCurrent(file, path)) { return new FileLock(file, path); }
        file.Dispose();
        return null;
    }

    static bool Lock(SafeFileHandle file, int operation)
    {
        while (Libc.flock((int)file.DangerousGetHandle(), operation) != 0)
        {
            if (Libc.errno == Libc.EWOULDBLOCK) { return false; }
            if (Libc.errno == Libc.EINTR) { continue; }
            var errno = Libc.errno;
            file.Dispose();
            throw new LinuxException("flock", null, errno);
        }
        return true;
    }

    static bool IsCurrent(SafeFileHandle file, string path) =>
        Libc.statx((int)file.DangerousGetHandle(), Libc.STATX_INO, out var held) == 0
        && Libc.statx(Libc.AT_FDCWD, path, Libc.AT_SYMLINK_NOFOLLOW, Libc.STATX_INO, out var there) == 0
        && held.stx_ino == there.stx_ino && held.stx_dev_major == there.stx_dev_major && held.stx_dev_minor == there.stx_dev_minor;
}
