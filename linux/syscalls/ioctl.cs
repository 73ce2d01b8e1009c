using System.Runtime.InteropServices;

namespace Containers.Linux;

/// <summary>&lt;sys/ioctl.h&gt;, &lt;net/if.h&gt;.</summary>
public static unsafe partial class Libc
{
    public const int TCGETS = 0x5401;
    public const int TCSETS = 0x5402;
    public const int TCSETSW = 0x5403;
    public const int TIOCSCTTY = 0x540e;
    public const int TIOCGPGRP = 0x540f;
    public const int TIOCSPGRP = 0x5410;
    public const int TIOCGWINSZ = 0x5413;
    public const int TIOCSWINSZ = 0x5414;
    public const int FIONREAD = 0x541b;
    public const int TIOCNOTTY = 0x5422;
    /// <summary>The number N of /dev/pts/N, as an int.</summary>
    public const uint TIOCGPTN = 0x80045430;
    /// <summary>Points to 0: unlocks the other side of a pseudo-terminal.</summary>
    public const int TIOCSPTLCK = 0x40045431;
    /// <summary>Opens the other side of a pseudo-terminal; the argument is open's flags. Linux 4.13.</summary>
    public const int TIOCGPTPEER = 0x5441;
    /// <summary>&lt;linux/fs.h&gt;: makes this file share the blocks of the one whose descriptor is the argument.</summary>
    public const int FICLONE = 0x40049409;
    /// <summary>A descriptor of the network namespace that a socket belongs to; EPERM without CAP_NET_ADMIN in it. Linux 4.10.</summary>
    public const int SIOCGSKNS = 0x894c;
    public const int SIOCGIFFLAGS = 0x8913;
    public const int SIOCSIFFLAGS = 0x8914;
    /// <summary>&lt;linux/sockios.h&gt;: removes the bridge that the argument names; EBUSY while it is up, ENXIO when there is none, EPERM when it is something else.</summary>
    public const int SIOCBRDELBR = 0x89a1;
    public const int IFF_UP = 0x1;
    public const int IFF_LOOPBACK = 0x8;
    public const int IFF_RUNNING = 0x40;

    [LibraryImport(C, SetLastError = true)]
    public static partial int ioctl(int fd, nuint op, void* arg);
}

/// <summary>struct ifreq, for interface flags.</summary>
[StructLayout(LayoutKind.Explicit, Size = 40)]
public unsafe struct ifreq
{
    /// <summary>Ended by a zero: at most 15 bytes.</summary>
    [FieldOffset(0)] public fixed byte ifr_name[16];
    [FieldOffset(16)] public short ifr_flags;
    [FieldOffset(16)] public int ifr_ifindex;
}
