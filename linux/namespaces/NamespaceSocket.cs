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
        // Its owner may have closed it meanwhile: then this is the last close, and waits for what is unsent as long as the owner has said. Nobody is to hold us up by that.
        if (Lingers(socket))
            new Thread(() => Libc.close(socket)) { IsBackground = true }.Start();
        else
            Libc.close(socket);
        return space;
    }

    static bool Lingers(int socket)
    {
        int* linger = stackalloc int[2];
        uint length = 2 * sizeof(int);
        return Libc.getsockopt(socket, Libc.SOL_SOCKET, Libc.SO_LINGER, linger, &length) == 0 && linger[0] != 0 && linger[1] != 0;
    }
}
