using System.Globalization;
using Containers.Linux;

namespace Psrun.Processes;

/// <summary>
/// Sockets that the caller opened for the program (sd_listen_fds(3)): descriptors from 3 on, told by LISTEN_FDS, and meant for psrun when LISTEN_PID is its own pid. They
/// are handed on, before those of --preserve-fds, as runc does.
/// </summary>
static class SocketActivation
{
    /// <summary>How many; 0 when the variables are not there or are another process's.</summary>
    public static int Count()
    {
        if (Environment.GetEnvironmentVariable("LISTEN_FDS") is not { Length: > 0 } text
            || Environment.GetEnvironmentVariable("LISTEN_PID") != Environment.ProcessId.ToString(CultureInfo.InvariantCulture))
            return 0;
        if (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int count) || count > 1 << 16)
            throw new PsrunException($"LISTEN_FDS: \"{text}\" is not a number of descriptors");
        for (int fd = 3; fd < 3 + count; fd++)
            if (Libc.syscall(Libc.SYS_fcntl, fd, Libc.F_GETFD, 0, 0, 0, 0) < 0)
                throw new PsrunException($"LISTEN_FDS: descriptor {fd} is not open");
        return count;
    }

    /// <summary>The program is process 1 of its own pid namespace; in another one it would take the descriptors for another process's.</summary>
    public static void AddTo(List<string> environment, int count, bool ownPidNamespace)
    {
        if (count == 0)
            return;
        if (!ownPidNamespace)
            Log.Warning("LISTEN_FDS: without a new pid namespace the program cannot be told that the descriptors are for it");
        environment.RemoveAll(entry => entry.StartsWith("LISTEN_FDS=", StringComparison.Ordinal) || entry.StartsWith("LISTEN_PID=", StringComparison.Ordinal)
            || entry.StartsWith("LISTEN_FDNAMES=", StringComparison.Ordinal));
        environment.Add($"LISTEN_FDS={count}");
        environment.Add("LISTEN_PID=1");
        if (Environment.GetEnvironmentVariable("LISTEN_FDNAMES") is { Length: > 0 } names)
            environment.Add("LISTEN_FDNAMES=" + names);
    }
}
