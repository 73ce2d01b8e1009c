using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>The program at listenerPath: takes the descriptor and answers in the kernel's place (seccomp_unotify(2)).</summary>
sealed partial class SeccompListener : IDisposable
{
    const uint Receive = 0xc0502100, Send = 0xc0182101;
    const int MsgCmsgCloexec = 0x40000000;

    readonly Socket listener;
    int descriptor = -1;

    public string Path { get; }

    /// <summary>The ContainerProcessState that came with the descriptor.</summary>
    public JsonObject State { get; private set; } = [];

    public SeccompListener(string folder)
    {
        Path = System.IO.Path.Combine(folder, "seccomp-" + Guid.NewGuid().ToString("N")[..8] + ".sock");
        listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(Path));
        listener.Listen(4);
    }

    /// <summary>Takes the next process's descriptor.</summary>
    public unsafe void Take()
    {
        if (descriptor >= 0)
            Native.close(descriptor);
        Assert.True(listener.Poll(TimeSpan.FromSeconds(30), SelectMode.SelectRead), "nobody came to the listener's socket");
        using var connection = listener.Accept();
        var data = new byte[16384];
        Span<byte> control = stackalloc byte[64];
        control.Clear();
        nint length;
        fixed (byte* dataStart = data, controlStart = control)
        {
            var vector = new Native.IoVec { Base = (nint)dataStart, Length = (nuint)data.Length };
            var message = new Native.MsgHdr { Iov = (nint)(&vector), IovLength = 1, Control = (nint)controlStart, ControlLength = 64 };
            connection.Blocking = true;
            length = Native.recvmsg((int)connection.Handle, ref message, MsgCmsgCloexec);
        }
        Assert.Equal((20UL, 1, 1), (MemoryMarshal.Read<ulong>(control), MemoryMarshal.Read<int>(control[8..]), MemoryMarshal.Read<int>(control[12..])));
        descriptor = MemoryMarshal.Read<int>(control[16..]);
        State = JsonNode.Parse(data.AsSpan(0, (int)length))!.AsObject();
    }

    /// <summary>Waits for a call and answers it: an error number, or a result.</summary>
    /// <returns>The call's number and the caller's pid.</returns>
    public unsafe (int Number, int Pid) Answer(int errno, long result = 0)
    {
        Assert.True(Native.WaitReadable(descriptor, TimeSpan.FromSeconds(30)), "no call came");
        byte* notification = stackalloc byte[80];
        new Span<byte>(notification, 80).Clear();
        Assert.Equal(0, ioctl(descriptor, Receive, notification));
        byte* response = stackalloc byte[24];
        *(ulong*)response = *(ulong*)notification;
        *(long*)(response + 8) = result;
        *(int*)(response + 16) = -errno;
        *(int*)(response + 20) = 0;
        Assert.Equal(0, ioctl(descriptor, Send, response));
        return (*(int*)(notification + 16), *(int*)(notification + 8));
    }

    public void Dispose()
    {
        if (descriptor >= 0)
            Native.close(descriptor);
        listener.Dispose();
        File.Delete(Path);
    }

    [LibraryImport("libc", SetLastError = true)]
    private static unsafe partial int ioctl(int fd, nuint request, void* argument);
}
