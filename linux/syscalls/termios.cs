using System.Runtime.InteropServices;

namespace Containers.Linux;

/// <summary>&lt;asm/termbits.h&gt;, &lt;asm/termios.h&gt;, &lt;pty.h&gt;: terminals through ioctl(2).</summary>
public static unsafe partial class Libc
{
    public const int IGNBRK = 0x1;
    public const int BRKINT = 0x2;
    public const int PARMRK = 0x8;
    public const int ISTRIP = 0x20;
    public const int INLCR = 0x40;
    public const int IGNCR = 0x80;
    public const int ICRNL = 0x100;
    public const int IXON = 0x400;
    public const int OPOST = 0x1;
    public const int ONLCR = 0x4;
    public const int CSIZE = 0x30;
    public const int CS8 = 0x30;
    public const int PARENB = 0x100;
    public const int ISIG = 0x1;
    public const int ICANON = 0x2;
    public const int ECHO = 0x8;
    public const int ECHONL = 0x40;
    public const int IEXTEN = 0x8000;
    public const int VMIN = 6;
    public const int VTIME = 5;
    public const int VEOF = 4;

    public static int tcgetattr(int fd, termios* t) => ioctl(fd, TCGETS, t);

    public static int tcsetattr(int fd, termios* t) => ioctl(fd, TCSETS, t);

    /// <summary>What cfmakeraw(3) does: every byte passes at once and as it is.</summary>
    public static void cfmakeraw(termios* t)
    {
        t->c_iflag &= ~(uint)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
        t->c_oflag &= ~(uint)OPOST;
        t->c_lflag &= ~(uint)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
        t->c_cflag = t->c_cflag & ~(uint)(CSIZE | PARENB) | CS8;
        t->c_cc[VMIN] = 1;
        t->c_cc[VTIME] = 0;
    }

    /// <summary>A new pseudo-terminal's near end, close-on-exec, its far end unlocked.</summary>
    /// <param name="ptmx">/dev/ptmx, or the ptmx of another devpts mount.</param>
    /// <returns>The descriptor, or -1.</returns>
    public static int openpt(string ptmx)
    {
        int fd = open(ptmx, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (fd < 0)
            return -1;
        int unlock = 0;
        if (ioctl(fd, TIOCSPTLCK, &unlock) == 0)
            return fd;
        int cause = errno;
        close(fd);
        Marshal.SetLastPInvokeError(cause);
        return -1;
    }

    /// <summary>The far end of a pseudo-terminal, without a path: right in any mount namespace.</summary>
    public static int openpt_peer(int fd, int flags) => ioctl(fd, TIOCGPTPEER, (void*)(nint)flags);
}

/// <summary>The kernel's struct termios (19 control characters), not libc's.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct termios
{
    public uint c_iflag;
    public uint c_oflag;
    public uint c_cflag;
    public uint c_lflag;
    public byte c_line;
    public fixed byte c_cc[19];
}

/// <summary>A terminal's size in cells.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct winsize
{
    public ushort ws_row;
    public ushort ws_col;
    public ushort ws_xpixel;
    public ushort ws_ypixel;
}
