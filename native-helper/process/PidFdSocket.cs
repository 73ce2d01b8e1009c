using Containers.Linux;

namespace Psrun.Processes;

/// <summary>--pidfd-socket: where a descriptor of the new process is sent (SCM_RIGHTS), for a caller that does not trust pids.</summary>
static class PidFdSocket
{
    public static void Send(string path, int pid)
    {
        int socket = ConsoleSocket.Connect(path, "--pidfd-socket");
        int pidfd = Libc.pidfd_open(pid, 0);
        if (pidfd < 0 || DescriptorMessage.Send(socket, "pidfd"u8, [pidfd]) < 0)
            throw new PsrunException($"--pidfd-socket: {path}: {Errnos.Text(Libc.errno)}");
        Libc.close(pidfd);
        Libc.close(socket);
    }
}
