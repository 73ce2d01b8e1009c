using Containers.Linux;

namespace Psrun;

/// <summary>Ends the process when nobody reads its answer any more: whoever started it was killed, and its work belongs to nobody.</summary>
static unsafe class Reader
{
    public static void EndWithout()
    {
        var watcher = new Thread(Watch, 64 << 10) { IsBackground = true };
        watcher.Start();
    }

    static void Watch()
    {
        // Without events asked for, the end of a pipe's reader alone is told (POLLERR); of a file or a terminal never anything.
        var output = new pollfd { fd = 1 };
        while (Libc.poll(&output, 1, -1) < 0 && Libc.errno == Libc.EINTR)
        {
        }
        if ((output.revents & Libc.POLLERR) != 0)
            Libc._exit(1);
    }
}
