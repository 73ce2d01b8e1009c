namespace Containers.Linux;

/// <summary>
/// Makes a network namespace that no process is in: a thread of its own leaves for a new one (unshare(2) moves the calling thread alone), brings its loopback up, binds it to a
/// file and ends.
/// </summary>
public static unsafe class NetworkNamespace
{
    /// <param name="place">An existing empty file that the namespace is mounted on.</param>
    /// <exception cref="LinuxException">CAP_SYS_ADMIN is missing, or a limit of namespaces is reached (user_namespaces(7)). Nothing is mounted then.</exception>
    public static void Make(string place)
    {
        LinuxException? failed = null;
        var maker = new Thread(() => failed = New(place)) { IsBackground = true };
        maker.Start();
        maker.Join();
        if (failed is not null)
            throw failed;
    }

    // The thread is not to be used for anything else: it stays in the new namespace.
    static LinuxException? New(string place)
    {
        if (Libc.unshare(Libc.CLONE_NEWNET) != 0)
            return new LinuxException("unshare", "network namespace", Libc.errno);
        int socket = Libc.socket(Libc.AF_INET, Libc.SOCK_DGRAM | Libc.SOCK_CLOEXEC, 0);
        if (socket < 0)
            return new LinuxException("socket", place, Libc.errno);
        ifreq request = default;
        "lo"u8.CopyTo(new Span<byte>(request.ifr_name, 16));
        request.ifr_flags = Libc.IFF_UP | Libc.IFF_RUNNING;
        int errno = Libc.ioctl(socket, Libc.SIOCSIFFLAGS, &request) != 0 ? Libc.errno : 0;
        Libc.close(socket);
        if (errno != 0)
            return new LinuxException("bring up the loopback interface", place, errno);
        return Libc.mount("/proc/thread-self/ns/net", place, null, Libc.MS_BIND, null) != 0 ? new LinuxException("mount", place, Libc.errno) : null;
    }
}
