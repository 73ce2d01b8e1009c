using System.Globalization;
using System.Text;
using Containers.Linux;
using Containers.Linux.Oci;
using Psrun.State;

namespace Psrun.Processes;

/// <summary>
/// sd_notify(3) for a program in a container, where psrun was given NOTIFY_SOCKET: the program gets a socket of its own below /run/notify, and that it is ready is
/// passed on in psrun's words, with the pid that the service manager is to watch. As runc and crun do it.
/// </summary>
sealed unsafe class NotifySocket : IDisposable
{
    /// <summary>Where the container finds its socket.</summary>
    public const string Folder = "/run/notify";

    const int LongestMessage = 4096, BarrierMilliseconds = 30_000;

    readonly string _host;
    readonly int _socket;

    NotifySocket(string host, int socket)
    {
        _host = host;
        _socket = socket;
    }

    static string? Host => Environment.GetEnvironmentVariable("NOTIFY_SOCKET") is { Length: > 0 } host ? host : null;

    /// <summary>Before the plan is laid: the container gets a folder of the state's, into which <see cref="Listen"/> puts the socket.</summary>
    /// <returns>The tree for the mount that was added last; -1 when nobody is to be told, or the child can make it by itself.</returns>
    public static int AddTo(Spec spec, List<string> environment, StateFolder folder)
    {
        if (Host is not { } host)
            return -1;
        if (host[0] is not ('/' or '@'))
            throw new PsrunException($"NOTIFY_SOCKET: \"{host}\" is neither a path nor an abstract name");
        Address(host, out _);
        environment.RemoveAll(entry => entry.StartsWith("NOTIFY_SOCKET=", StringComparison.Ordinal));
        environment.Add($"NOTIFY_SOCKET={Folder}/{StateFolder.NotifyName}");
        (spec.Mounts ??= []).Add(new Mount { Destination = Folder, Type = "bind", Source = folder.Path + "/" + StateFolder.NotifyFolder, Options = ["bind", "nosuid", "noexec", "nodev", "ro"] });
        return folder.OpenNotifyTree();
    }

    /// <summary>Before the program runs. Null when nobody is to be told, or the container was made without a place for the socket.</summary>
    public static NotifySocket? Listen(StateFolder folder) => Host is { } host && folder.TryListenForNotify() is >= 0 and int socket ? new(host, socket) : null;

    /// <summary>Waits until the program is ready, or has ended, and tells the service manager to watch the container's init from now on.</summary>
    public void PassUntilReady(int pid, ulong startTime)
    {
        int pidfd = InitProcess.OpenPidFd(pid, startTime);
        Pass(pidfd, pid, untilReady: true);
        Libc.close(pidfd);
    }

    /// <summary>For a program that psrun stays with: passes on every time that it is ready, until it ends. psrun remains the process to watch.</summary>
    public Thread PassOn(int pid)
    {
        int pidfd = Libc.pidfd_open(pid, 0);
        var thread = new Thread(() =>
        {
            Pass(pidfd, Environment.ProcessId, untilReady: false);
            Libc.close(pidfd);
        }) { IsBackground = true };
        thread.Start();
        return thread;
    }

    /// <param name="pidfd">-1: the program has ended, and only what it has said already counts.</param>
    void Pass(int pidfd, int mainPid, bool untilReady)
    {
        byte[] message = new byte[LongestMessage];
        pollfd* polls = stackalloc pollfd[2];
        polls[0].fd = _socket;
        polls[1].fd = pidfd;
        polls[0].events = polls[1].events = Libc.POLLIN;
        while (true)
        {
            if (Libc.poll(polls, 2, pidfd < 0 ? 0 : -1) < 0)
            {
                if (Libc.errno == Libc.EINTR)
                    continue;
                throw new PsrunException($"NOTIFY_SOCKET: poll: {Errnos.Text(Libc.errno)}");
            }
            if (polls[0].revents == 0)
                return;
            // Descriptors that come along are not taken, and so closed: that answers a barrier of the program's own.
            nint length;
            fixed (byte* p = message)
                length = Libc.recv(_socket, p, LongestMessage, Libc.MSG_DONTWAIT);
            if (length <= 0 || !IsReady(message.AsSpan(0, (int)length)))
                continue;
            Tell(mainPid);
            if (untilReady)
                return;
        }
    }

    static bool IsReady(ReadOnlySpan<byte> message)
    {
        foreach (Range line in message.Split((byte)'\n'))
            if (message[line].SequenceEqual("READY=1"u8))
                return true;
        return false;
    }

    void Tell(int mainPid)
    {
        int socket = Libc.socket(Libc.AF_UNIX, Libc.SOCK_DGRAM | Libc.SOCK_CLOEXEC, 0);
        uint size = Address(_host, out sockaddr_un address);
        int* ends = stackalloc int[2];
        try
        {
            if (socket < 0 || Libc.connect(socket, &address, size) < 0
                || DescriptorMessage.Send(socket, Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"MAINPID={mainPid}\nREADY=1")), []) < 0)
            {
                Log.Warning($"NOTIFY_SOCKET: {_host}: {Errnos.Text(Libc.errno)}");
                return;
            }
            // The manager looks for the sender when it reads: psrun must not end before that (sd_notify_barrier(3)).
            if (Libc.pipe2(ends, Libc.O_CLOEXEC) < 0 || DescriptorMessage.Send(socket, "BARRIER=1"u8, [ends[1]]) < 0)
                return;
            Libc.close(ends[1]);
            pollfd closed = new() { fd = ends[0] };
            while (Libc.poll(&closed, 1, BarrierMilliseconds) < 0 && Libc.errno == Libc.EINTR)
            {
            }
            Libc.close(ends[0]);
        }
        finally
        {
            Libc.close(socket);
        }
    }

    /// <summary>An abstract name begins with a NUL, for which @ stands, and is as long as it is told (unix(7)).</summary>
    static uint Address(string host, out sockaddr_un address)
    {
        byte[] name = Encoding.UTF8.GetBytes(host);
        if (!sockaddr_un.TryMake(name, out address))
            throw new PsrunException($"NOTIFY_SOCKET: {host}: name too long");
        if (name[0] != (byte)'@')
            return (uint)sizeof(sockaddr_un);
        address.sun_path[0] = 0;
        return (uint)(sizeof(short) + name.Length);
    }

    public void Dispose() => Libc.close(_socket);
}
