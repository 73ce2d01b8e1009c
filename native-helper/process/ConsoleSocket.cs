using System.Text;
using Containers.Linux;

namespace Psrun.Processes;

/// <summary>--console-socket: where the master of a terminal is sent (SCM_RIGHTS); and other sockets that a path names.</summary>
static unsafe class ConsoleSocket
{
    /// <param name="option">What named the path, for the message.</param>
    public static int Connect(string path, string option = "--console-socket")
    {
        string full = Path.GetFullPath(path, Program.InvocationFolder);
        int folder = Libc.open(Path.GetDirectoryName(full) ?? "/", Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_CLOEXEC);
        if (folder < 0)
            throw new PsrunException($"{option}: {full}: {Errnos.Text(Libc.errno)}");
        if (!sockaddr_un.TryMake(Encoding.UTF8.GetBytes($"/proc/self/fd/{folder}/{Path.GetFileName(full)}"), out sockaddr_un address))
            throw new PsrunException($"{option}: {full}: name too long");
        int socket = Libc.socket(Libc.AF_UNIX, Libc.SOCK_STREAM | Libc.SOCK_CLOEXEC, 0);
        if (socket < 0 || Libc.connect(socket, &address, (uint)sizeof(sockaddr_un)) < 0)
            throw new PsrunException($"{option}: {full}: {Errnos.Text(Libc.errno)}");
        Libc.close(folder);
        return socket;
    }
}
