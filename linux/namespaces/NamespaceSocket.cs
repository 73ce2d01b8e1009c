using System.Globalization;

namespace Containers.Linux;

/// <summary>
/// The network namespace that a socket belongs to, of any family: it lives as long as the socket, in whatever namespace the process is that has it open. The kernel tells
/// by a copy of the descriptor (pidfd_getfd(2), SIOCGSKNS), which needs CAP_SYS_PTRACE and CAP_NET_ADMIN.
/// </summary>
static unsafe class NamespaceSocket
{
    /// <summary>Whether a path is <c>/proc/PID/fd/N</c> of a socket.</summary>
    internal static bool TryParse(string path, out int pid, out int number)
    {
        pid = number = 0;
        string[] parts = path.Split('/');
        if (parts is not ["", "proc", _, "fd", _] || !int.TryParse(parts[4], NumberStyles.None, CultureInfo.InvariantCulture, out number))
            return false;
        if (parts[2] == "self")
            pid = Environment.ProcessId;
        else if (!int.TryParse(parts[2], NumberStyles.None, CultureInfo.InvariantCulture, out pid))
            return false;
        byte* target = stackalloc byte[8];
        fixed (byte* name = System.Text.Encoding.UTF8.GetBytes(path + "\0"))
            return Libc.readlinkat(Libc.AT_FDCWD, name, target, 8) == 8 && new ReadOnlySpan<byte>(target, 8).SequenceEqual("socket:["u8);
    }

    /// <returns>A descriptor of the namespace, close-on-exec; -1 when it cannot be had.</returns>
    internal static int Open(int pid, int number, out NamespaceFile file)
    {
        file = default;
        int process = Libc.pidfd_open(pid, 0);
        if (process < 0)
            return -1;
        int space = Open(process, number);
        Libc.close(process);
        if (space < 0 || NamespaceFile.TryIdentify(space, out file))
            return space;
        Libc.close(space);
        return -1;
    }

    /// <param name="process">A pidfd.</param>
    internal static int Open(int process, int number)
    {
        int socket = Libc.pidfd_getfd(process, number, 0);
        if (socket < 0)
            return -1;
        int space = Libc.ioctl(socket, Libc.SIOCGSKNS, null);
        Libc.close(socket);
        return space;
    }
}
