using Containers.Linux;
using Microsoft.Win32.SafeHandles;
using Mono.Unix.Native;

namespace Containers;

/// <summary>
/// The lock of one container, held by whoever changes it or its task (<c>flock(2)</c>: given back by the kernel when the
/// holder dies, and never inherited, because descriptors are closed on exec).
/// </summary>
sealed class ContainerLock : IDisposable
{
    readonly SafeFileHandle file;

    ContainerLock(SafeFileHandle file) => this.file = file;

    public void Dispose() => file.Dispose();

    /// <summary>Waits for the lock; null when the file is not there, or was removed by the one who held it.</summary>
    internal static async Task<ContainerLock?> AcquireAsync(string path, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        var file = Open(path, 0);
        if (file is null) { return null; }
        if (!TryLock(file))
        {
            // A thread of its own waits: flock cannot be cancelled, so on cancellation the thread is left to get the lock
            // later and to give it back at once.
            var waiting = Task.Factory.StartNew(() => Lock(file), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
            try { await waiting.WaitAsync(cancel).ConfigureAwait(false); }
            catch (OperationCanceledException)
            {
                _ = waiting.ContinueWith(_ => file.Dispose(), TaskScheduler.Default);
                throw;
            }
            catch
            {
                file.Dispose();
                throw;
            }
        }
        if (IsCurrent(file, path)) { return new ContainerLock(file); }
        file.Dispose();
        return null;
    }

    /// <summary>Makes the lock file and takes the lock; null when somebody else was quicker.</summary>
    internal static ContainerLock? Create(string path)
    {
        var file = Open(path, Libc.O_CREAT | Libc.O_EXCL);
        if (file is null) { return null; }
        if (TryLock(file) && IsCurrent(file, path)) { return new ContainerLock(file); }
        file.Dispose();
        return null;
    }

    /// <summary>The lock if nobody holds it; null otherwise, or when there is no such file.</summary>
    internal static ContainerLock? TryAcquire(string path)
    {
        var file = Open(path, 0);
        if (file is null) { return null; }
        if (TryLock(file) && IsCurrent(file, path)) { return new ContainerLock(file); }
        file.Dispose();
        return null;
    }

    // Not by FileStream: every share mode of .NET takes a flock of its own.
    static SafeFileHandle? Open(string path, int create)
    {
        var fd = Libc.open(path, Libc.O_RDWR | Libc.O_CLOEXEC | Libc.O_NOFOLLOW | create, 0x180);
        if (fd >= 0) { return new SafeFileHandle(fd, ownsHandle: true); }
        return Libc.errno is Libc.ENOENT or Libc.EEXIST ? null : throw Folders.Unavailable(path, new LinuxException("open", path, Libc.errno));
    }

    static bool TryLock(SafeFileHandle file) => Libc.flock((int)file.DangerousGetHandle(), Libc.LOCK_EX | Libc.LOCK_NB) == 0;

    static void Lock(SafeFileHandle file)
    {
        while (Libc.flock((int)file.DangerousGetHandle(), Libc.LOCK_EX) != 0)
        {
            if (Libc.errno != Libc.EINTR) { throw new LinuxException("flock", null, Libc.errno); }
        }
    }

    // The one who held the lock may have removed the container meanwhile; then this lock guards nothing.
    static bool IsCurrent(SafeFileHandle file, string path) =>
        Syscall.fstat((int)file.DangerousGetHandle(), out var held) == 0
        && Syscall.lstat(path, out var there) == 0
        && held.st_ino == there.st_ino && held.st_dev == there.st_dev;
}
