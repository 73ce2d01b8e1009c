using Containers.Linux;
using Containers.Linux.Oci;

namespace Psrun.Processes;

/// <summary>
/// A program with a terminal that psrun stays with, without --console-socket: psrun's own terminal is put into raw mode and its bytes go to the
/// container's and back, until the program has ended.
/// </summary>
sealed unsafe class TerminalRelay : IDisposable
{
    const int BufferSize = 8192;

    readonly int _host;
    readonly bool _ownsHost;
    int _near, _far;
    bool _inputOpen = true, _outputOpen = true, _masterOpen = true;

    TerminalRelay(int host, bool ownsHost, int near, int far)
    {
        _host = host;
        _ownsHost = ownsHost;
        _near = near;
        _far = far;
    }

    /// <summary>Where the child sends the terminal's master, as to a console socket.</summary>
    public int Socket => _far;

    /// <summary>Finds psrun's terminal; the program's gets its size before the program can ask for it.</summary>
    public static TerminalRelay Open(Process process)
    {
        int host = -1;
        bool owns = false;
        // Some of the three may be redirected.
        for (int fd = 2; fd >= 0 && host < 0; fd--)
            if (IsTerminal(fd))
                host = fd;
        if (host < 0)
        {
            host = Libc.open("/dev/tty", Libc.O_RDWR | Libc.O_NOCTTY | Libc.O_CLOEXEC);
            owns = true;
            if (host < 0)
                throw new PsrunException("process.terminal: needs --console-socket, or a terminal that psrun itself runs in");
        }
        winsize size;
        if (Libc.ioctl(host, Libc.TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0)
            process.ConsoleSize = new ConsoleSize { Height = size.ws_row, Width = size.ws_col };
        int* pair = stackalloc int[2];
        if (Libc.socketpair(Libc.AF_UNIX, Libc.SOCK_STREAM | Libc.SOCK_CLOEXEC, 0, pair) < 0)
            throw new PsrunException($"process.terminal: {Errnos.Text(Libc.errno)}");
        return new TerminalRelay(host, owns, pair[0], pair[1]);
    }

    static bool IsTerminal(int fd)
    {
        termios t;
        return Libc.tcgetattr(fd, &t) == 0;
    }

    /// <summary>Passes bytes on until process <paramref name="pid"/>, a child not yet waited for, has ended and what it wrote was read.</summary>
    public void Pump(int pid)
    {
        int master = Receive();
        int pidfd = Libc.pidfd_open(pid, 0);
        Libc.fcntl(master, Libc.F_SETFL, Libc.fcntl(master, Libc.F_GETFL) | Libc.O_NONBLOCK);
        Foreground.FollowSize(_host, master);
        termios before;
        bool raw = Libc.tcgetattr(_host, &before) == 0;
        if (raw)
        {
            termios t = before;
            Libc.cfmakeraw(&t);
            Libc.tcsetattr(_host, &t);
        }
        try
        {
            Loop(master, pidfd);
        }
        finally
        {
            Foreground.FollowSize(-1, -1);
            if (raw)
                Libc.tcsetattr(_host, &before);
            Libc.close(pidfd);
            Libc.close(master);
        }
    }

    int Receive()
    {
        CloseFar();
        Span<byte> data = stackalloc byte[64];
        Span<int> descriptors = stackalloc int[1];
        if (DescriptorMessage.Receive(_near, data, descriptors, out int received) < 0 || received != 1)
            throw new PsrunException("process.terminal: the terminal did not arrive");
        return descriptors[0];
    }

    void Loop(int master, int pidfd)
    {
        byte* output = stackalloc byte[BufferSize];
        byte* input = stackalloc byte[BufferSize];
        int from = 0, until = 0;
        pollfd* polls = stackalloc pollfd[3];
        while (true)
        {
            // What was typed waits until the program's terminal has room; meanwhile its output still flows, or both sides would wait for each other.
            polls[0].fd = _inputOpen && from == until ? 0 : -1;
            polls[0].events = (short)Libc.POLLIN;
            polls[1].fd = _masterOpen ? master : -1;
            polls[1].events = (short)(Libc.POLLIN | (from < until ? Libc.POLLOUT : 0));
            polls[2].fd = pidfd;
            polls[2].events = (short)Libc.POLLIN;
            if (Libc.poll(polls, 3, -1) < 0)
            {
                if (Libc.errno == Libc.EINTR)
                    continue;
                throw new PsrunException($"poll: {Errnos.Text(Libc.errno)}");
            }
            if ((polls[1].revents & Libc.POLLIN) != 0)
                CopyOutput(master, output);
            else if ((polls[1].revents & (Libc.POLLHUP | Libc.POLLERR)) != 0)
                _masterOpen = false;
            if (polls[2].revents != 0)
            {
                while (CopyOutput(master, output))
                {
                }
                return;
            }
            if ((polls[1].revents & Libc.POLLOUT) != 0)
            {
                nint n = Libc.write(master, input + from, (nuint)(until - from));
                if (n > 0)
                    from += (int)n;
                else if (Libc.errno is not (Libc.EAGAIN or Libc.EINTR))
                    from = until;
            }
            if (polls[0].revents != 0)
            {
                nint n = Libc.read(0, input, BufferSize);
                from = 0;
                until = n > 0 ? (int)n : 0;
                if (n == 0 || n < 0 && Libc.errno is not (Libc.EAGAIN or Libc.EINTR))
                {
                    _inputOpen = false;
                    until = EndOfInput(master, input);
                }
            }
        }
    }

    /// <summary>Input that comes from a file ends; a program at a terminal learns that by its end-of-file character.</summary>
    static int EndOfInput(int master, byte* input)
    {
        termios t;
        if (Libc.tcgetattr(master, &t) < 0 || (t.c_lflag & Libc.ICANON) == 0)
            return 0;
        input[0] = t.c_cc[Libc.VEOF];
        return 1;
    }

    /// <summary>Whether there was something.</summary>
    bool CopyOutput(int master, byte* output)
    {
        nint n = Libc.read(master, output, BufferSize);
        if (n <= 0)
            return false;
        for (nint done = 0; _outputOpen && done < n;)
        {
            nint written = Libc.write(1, output + done, (nuint)(n - done));
            if (written > 0)
                done += written;
            else if (Libc.errno == Libc.EAGAIN)
                WaitForRoom();
            else if (Libc.errno != Libc.EINTR)
                _outputOpen = false;
        }
        return true;
    }

    /// <summary>Whoever shares our standard output may have made it non-blocking.</summary>
    static void WaitForRoom()
    {
        pollfd room;
        room.fd = 1;
        room.events = (short)Libc.POLLOUT;
        room.revents = 0;
        Libc.poll(&room, 1, -1);
    }

    void CloseFar()
    {
        if (_far >= 0)
            Libc.close(_far);
        _far = -1;
    }

    public void Dispose()
    {
        CloseFar();
        if (_near >= 0)
            Libc.close(_near);
        _near = -1;
        if (_ownsHost)
            Libc.close(_host);
    }
}
