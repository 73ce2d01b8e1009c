using Containers.Linux;
using Microsoft.Win32.SafeHandles;

namespace Containers;

/// <summary>Waits for descriptors that .NET has no wait for, on a thread of their own; ends at once on cancellation.</summary>
static class Waiting
{
    /// <summary>Waits until the descriptor can be read.</summary>
    /// <returns>False when the time was over first.</returns>
    internal static async Task<bool> ForAsync(SafeFileHandle handle, TimeSpan? timeout, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        var milliseconds = timeout is { } span ? (int)Math.Clamp(span.TotalMilliseconds, 0, int.MaxValue) : -1;
        using var wake = new SafeFileHandle(LinuxException.Check(Libc.eventfd(0, Libc.EFD_CLOEXEC | Libc.EFD_NONBLOCK), "eventfd"), ownsHandle: true);
        using var registration = cancel.Register(() => Wake(wake));
        var ready = await Task.Factory.StartNew(() => Poll(handle, wake, milliseconds), CancellationToken.None,
            TaskCreationOptions.LongRunning | TaskCreationOptions.DenyChildAttach, TaskScheduler.Default).ConfigureAwait(false);
        cancel.ThrowIfCancellationRequested();
        return ready;
    }

    /// <summary>Waits until the process has ended; one that is gone already, or is another by now, has.</summary>
    /// <returns>False when the time was over first.</returns>
    internal static async Task<bool> ForProcessAsync(int pid, ulong startTime, TimeSpan? timeout, CancellationToken cancel)
    {
        var fd = Libc.pidfd_open(pid, 0);
        if (fd < 0) { return true; }
        using var handle = new SafeFileHandle(fd, ownsHandle: true);
        // Opened first, looked at then: from here on the descriptor and the number mean the same process.
        if (!ProcessTruth.IsAlive(pid, startTime)) { return true; }
        return await ForAsync(handle, timeout, cancel).ConfigureAwait(false);
    }

    /// <summary>Sends a signal to exactly this process. One that is gone is no error.</summary>
    internal static void Signal(int pid, ulong startTime, int signal)
    {
        var fd = Libc.pidfd_open(pid, 0);
        if (fd < 0) { return; }
        using var handle = new SafeFileHandle(fd, ownsHandle: true);
        if (ProcessTruth.IsAlive(pid, startTime)) { PidFd.Send(handle, signal); }
    }

    static unsafe bool Poll(SafeFileHandle handle, SafeFileHandle wake, int milliseconds)
    {
        var fds = stackalloc pollfd[2];
        fds[0] = new pollfd { fd = (int)handle.DangerousGetHandle(), events = Libc.POLLIN };
        fds[1] = new pollfd { fd = (int)wake.DangerousGetHandle(), events = Libc.POLLIN };
        var until = milliseconds < 0 ? long.MaxValue : Environment.TickCount64 + milliseconds;
        while (true)
        {
            var left = milliseconds < 0 ? -1 : (int)Math.Max(0, until - Environment.TickCount64);
            var n = Libc.poll(fds, 2, left);
            if (n < 0 && Libc.errno == Libc.EINTR) { continue; }
            return n > 0 && fds[0].revents != 0;
        }
    }

    static unsafe void Wake(SafeFileHandle wake)
    {
        ulong one = 1;
        Libc.write((int)wake.DangerousGetHandle(), &one, sizeof(ulong));
    }
}
