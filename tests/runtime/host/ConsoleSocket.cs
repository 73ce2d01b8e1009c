using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Containers.Tests.Runtime;

/// <summary>The receiving end of <c>--console-socket</c>: gets the terminal's master by SCM_RIGHTS (unix(7)) and reads from it.</summary>
sealed class ConsoleSocket : IDisposable
{
    const int MsgCmsgCloexec = 0x40000000;

    readonly Socket listener;
    TerminalMaster? master;

    public string Path { get; }

    public ConsoleSocket(string folder)
    {
        Path = System.IO.Path.Combine(folder, "tty-" + Guid.NewGuid().ToString("N")[..8] + ".sock");
        listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(Path));
        listener.Listen(1);
    }

    /// <summary>Waits for the runtime to connect and takes the descriptor that it sends.</summary>
    public unsafe void Receive()
    {
        Assert.True(listener.Poll(TimeSpan.FromSeconds(30), SelectMode.SelectRead), "nobody came to the console socket");
        using var connection = listener.Accept();
        Span<byte> data = stackalloc byte[4096], control = stackalloc byte[64];
        control.Clear();
        fixed (byte* dataStart = data, controlStart = control)
        {
            var vector = new Native.IoVec { Base = (nint)dataStart, Length = (nuint)data.Length };
            var message = new Native.MsgHdr { Iov = (nint)(&vector), IovLength = 1, Control = (nint)controlStart, ControlLength = 64 };
            connection.Blocking = true;
            Assert.True(Native.recvmsg((int)connection.Handle, ref message, MsgCmsgCloexec) > 0, "the message has no byte");
        }
        // struct cmsghdr: size_t cmsg_len, int cmsg_level (SOL_SOCKET), int cmsg_type (SCM_RIGHTS), then one int
        Assert.Equal((20UL, 1, 1), (MemoryMarshal.Read<ulong>(control), MemoryMarshal.Read<int>(control[8..]), MemoryMarshal.Read<int>(control[12..])));
        master = new TerminalMaster(MemoryMarshal.Read<int>(control[16..]));
    }

    /// <inheritdoc cref="TerminalMaster.ReadUntil"/>
    public string ReadUntil(string awaited) => master!.ReadUntil(awaited);

    public void Type(string line) => master!.Type(line);

    public void Dispose()
    {
        master?.Dispose();
        listener.Dispose();
        File.Delete(Path);
    }
}
