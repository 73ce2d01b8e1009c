using System.Text;

namespace Containers.Tests.Runtime;

/// <summary>A terminal's master: what was printed, and what is typed.</summary>
sealed class TerminalMaster(int fd) : IDisposable
{
    readonly StringBuilder text = new();

    /// <summary>Reads until <paramref name="awaited"/> was printed, and gives all that was read so far.</summary>
    public string ReadUntil(string awaited)
    {
        Span<byte> buffer = stackalloc byte[4096];
        while (!text.ToString().Contains(awaited))
        {
            Assert.True(Native.WaitReadable(fd, TimeSpan.FromSeconds(30)), $"'{awaited}' was not printed, but: {text}");
            var count = Native.read(fd, buffer, buffer.Length);
            Assert.True(count > 0, $"the terminal was closed before '{awaited}': {text}");
            text.Append(Encoding.UTF8.GetString(buffer[..(int)count]));
        }
        return text.ToString();
    }

    public void Type(string line)
    {
        var bytes = Encoding.UTF8.GetBytes(line);
        Assert.Equal(bytes.Length, Native.write(fd, bytes, bytes.Length));
    }

    public void Dispose() => Native.close(fd);
}

/// <summary>The terminal that a user sits at: the test holds the master, the runtime gets <see cref="User"/> for its standard streams.</summary>
sealed class PseudoTerminal : IDisposable
{
    // ioctl_tty(2), by number: the test's own.
    const nuint UnlockPair = 0x40045431, OpenPeer = 0x5441, SetSize = 0x5414, GetAttributes = 0x5401;
    const uint Canonical = 2, Echo = 8;

    readonly int master;

    public PseudoTerminal(ushort rows = 24, ushort columns = 80)
    {
        master = Native.open("/dev/ptmx", Native.O_RDWR | Native.O_NOCTTY | Native.O_CLOEXEC, 0);
        Span<byte> unlock = stackalloc byte[4];
        unlock.Clear();
        if (master < 0 || Native.ioctl(master, UnlockPair, unlock) != 0)
            throw Native.Failure("/dev/ptmx");
        User = Native.ioctl(master, OpenPeer, Native.O_RDWR | Native.O_NOCTTY | Native.O_CLOEXEC);
        if (User < 0)
            throw Native.Failure("TIOCGPTPEER");
        Master = new TerminalMaster(master);
        Resize(rows, columns);
    }

    public int User { get; }

    public TerminalMaster Master { get; }

    /// <summary>Descriptors for a program that runs in it.</summary>
    public Dictionary<int, int> Streams => new() { [0] = User, [1] = User, [2] = User };

    public void Resize(ushort rows, ushort columns)
    {
        Span<ushort> size = [rows, columns, 0, 0];
        if (Native.ioctl(master, SetSize, System.Runtime.InteropServices.MemoryMarshal.AsBytes(size)) != 0)
            throw Native.Failure("TIOCSWINSZ");
    }

    /// <summary>Neither edits lines nor echoes.</summary>
    public bool IsRaw => (Attributes[3] & (Canonical | Echo)) == 0;

    /// <summary>The kernel's struct termios: four words of flags, then line discipline and control characters.</summary>
    public uint[] Attributes
    {
        get
        {
            var attributes = new uint[16];
            if (Native.ioctl(User, GetAttributes, System.Runtime.InteropServices.MemoryMarshal.AsBytes(attributes.AsSpan())) != 0)
                throw Native.Failure("TCGETS");
            return attributes;
        }
    }

    public void Dispose()
    {
        Native.close(User);
        Master.Dispose();
    }
}
