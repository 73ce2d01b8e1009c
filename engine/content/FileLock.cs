using Containers.Linux;
using Microsoft.Win32.SafeHandles;

namespace Containers;

/// <summary>A lock by <c>flock(2)</c> on a file of the store that is made where it is missing: given back by the kernel when the holder dies.</summary>
sealed class FileLock : IDisposable
{
    readonly SafeFileHandle file;
    readonly string path;

    FileLock(SafeFileHandle file, string path)
    {
        this.file = file;
        this.path = path;
    }

    internal SafeFileHandle Handle => file;

    public void Dispose() => file.Dispose();

    /// <summary>Removes the file while it is locked: whoever waits for it finds that it is gone, and makes a new one.</summary>
    internal void RemoveAndDispose()
    {
        Mono.Unix.Native.Syscall.unlink(path);
        file.Dispose();
    }

    /// <summary>For moments: blocks the thread.</summary>
    internal static FileLock Take(string path, bool shared = false)
    {
        while (true)
        {
            var file = Open(path);
            if (Lock(file, shared ? Libc.LOCK_SH : Libc.LOCK_EX) && IsCurrent(file, path)) { return new FileLock(file, path); }
            file.Dispose();
        }
    }

    /// <returns>Null when another holds it.</returns>
    internal static FileLock? TryTake(string path) => TryLock(Open(path), path);

    /// <returns>Null when another holds it, or it is gone.</returns>
    internal static FileLock? TryTakeExisting(string path)
    {
        var fd = Libc.open(path, Libc.O_RDWR | Libc.O_CLOEXEC | Libc.O_NOFOLLOW);
        if (fd >= 0) { return TryLock(new SafeFileHandle(fd, ownsHandle: true), path); }
        return Libc.errno == Libc.ENOENT ? null : throw Folders.Unavailable(path, new LinuxException("open", path, Libc.errno));
    }

    static FileLock? TryLock(SafeFileHandle file, string path)
    {
        if (Lock(file, Libc.LOCK_EX | Libc.LOCK_NB) && IsCurrent(file, path)) { return new FileLock(file, path); }
        file.Dispose();
        return null;
    }

    /// <summary>For as long as it takes, on a thread of its own, and cancellable.</summary>
    internal static async Task<FileLock> TakeAsync(string path, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        if (TryTake(path) is { } free) { return free; }
        var waiting = Task.Factory.StartNew(() => Take(path), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        try { return await waiting.WaitAsync(cancel).ConfigureAwait(false); }
        catch (OperationCanceledException)
        {
            // flock cannot be cancelled: the thread gets the lock later and gives it back at once.
            _ = waiting.ContinueWith(t => t.Result.Dispose(), CancellationToken.None, TaskContinuationOptions.OnlyOnRanToCompletion, TaskScheduler.Default);
            throw;
        }
    }

    static SafeFileHandle Open(string path)
    {
        var fd = Libc.open(path, Libc.O_RDWR | Libc.O_CREAT | Libc.O_CLOEXEC | Libc.O_NOFOLLOW, 0x180);
        return fd >= 0 ? new SafeFileHandle(fd, ownsHandle: true) : throw Folders.Unavailable(path, new LinuxException("open", path, Libc.errno));
    }

    static bool Lock(SafeFileHandle file, int operation)
    {
        while (Libc.flock((int)file.DangerousGetHandle(), operation) != 0)
        {
            if (Libc.errno == Libc.EWOULDBLOCK) { return false; }
            if (Libc.errno != Libc.EINTR) { throw new LinuxException("flock", null, Libc.errno); }
        }
        return true;
    }

    static bool IsCurrent(SafeFileHandle file, string path) =>
        Libc.statx((int)file.DangerousGetHandle(), Libc.STATX_INO, out var held) == 0
        && Libc.statx(Libc.AT_FDCWD, path, Libc.AT_SYMLINK_NOFOLLOW, Libc.STATX_INO, out var there) == 0
        && held.stx_ino == there.stx_ino && held.stx_dev_major == there.stx_dev_major && held.stx_dev_minor == there.stx_dev_minor;
}
