namespace Containers.Linux;

/// <summary>A bridge of the network namespace that the caller is in.</summary>
public static unsafe class BridgeInterface
{
    /// <summary>Takes a bridge down and away, with what is plugged into it left in place; one that is not there is no error, and what is no bridge is left alone.</summary>
    /// <param name="name">1 to 15 bytes.</param>
    /// <exception cref="LinuxException">The kernel refuses. Without CAP_NET_ADMIN nothing is done: that is told apart from what is no bridge by nothing.</exception>
    public static void Remove(string name)
    {
        int length = System.Text.Encoding.UTF8.GetByteCount(name);
        if (length is 0 or > 15)
            throw new LinuxException("bridge", name, Libc.EINVAL);
        int socket = Libc.socket(Libc.AF_INET, Libc.SOCK_DGRAM | Libc.SOCK_CLOEXEC, 0);
        LinuxException.Check(socket, "socket", name);
        try
        {
            ifreq request = default;
            System.Text.Encoding.UTF8.GetBytes(name, new Span<byte>(request.ifr_name, 16));
            // Asked first whether it is a bridge: anything else of that name would be taken down below. One that is up answers EBUSY.
            if (Libc.ioctl(socket, Libc.SIOCBRDELBR, request.ifr_name) == 0)
                return;
            int errno = Libc.errno;
            if (errno is Libc.EPERM or Libc.ENXIO or Libc.ENODEV or Libc.ENOPKG or Libc.ENOTTY)
                return;
            if (errno != Libc.EBUSY)
                throw new LinuxException("remove bridge", name, errno);
            if (Libc.ioctl(socket, Libc.SIOCGIFFLAGS, &request) != 0)
                return;
            request.ifr_flags &= ~Libc.IFF_UP;
            LinuxException.Check(Libc.ioctl(socket, Libc.SIOCSIFFLAGS, &request), "take down bridge", name);
            LinuxException.Check(Libc.ioctl(socket, Libc.SIOCBRDELBR, request.ifr_name), "remove bridge", name);
        }
        finally
        {
            Libc.close(socket);
        }
    }
}
