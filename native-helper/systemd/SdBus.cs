using System.Runtime.InteropServices;
using System.Text;
using Containers.Linux;

namespace Psrun.Systemd;

/// <summary>A call that systemd, or the bus to it, answered with an error.</summary>
sealed class BusException(string name, string message) : Exception(message)
{
    /// <summary>The D-Bus error's name, or the system's error as text.</summary>
    public string Name { get; } = name;
}

/// <summary>
/// A connection to systemd over D-Bus, through libsystemd's sd-bus (sd-bus(3)), which is loaded here and nowhere else: only who asks for the systemd driver needs it.
/// </summary>
sealed unsafe class SdBus : IDisposable
{
    const string Service = "org.freedesktop.systemd1", Manager = "org.freedesktop.systemd1.Manager", Path = "/org/freedesktop/systemd1";
    const ulong Timeout = 30_000_000;

    static nint s_library;

    nint _bus;

    SdBus(nint bus) => _bus = bus;

    public static bool IsAvailable => Load();

    /// <param name="user">The user's own systemd instead of the host's.</param>
    public static SdBus Open(bool user)
    {
        if (!Load())
            throw new PsrunException("systemd: libsystemd.so.0 cannot be loaded");
        nint bus;
        int result = user
            ? ((delegate* unmanaged<nint*, int>)Function("sd_bus_open_user"))(&bus)
            : ((delegate* unmanaged<nint*, int>)Function("sd_bus_open_system"))(&bus);
        if (result >= 0)
        {
            var opened = new SdBus(bus);
            opened.WatchJobs();
            return opened;
        }
        // Without a message bus systemd itself listens, for its own user alone.
        string folder = user ? Environment.GetEnvironmentVariable("XDG_RUNTIME_DIR") ?? "" : "/run";
        return new SdBus(OpenPrivate($"unix:path={folder}/systemd/private", result));
    }

    static nint OpenPrivate(string address, int before)
    {
        nint bus;
        int result = ((delegate* unmanaged<nint*, int>)Function("sd_bus_new"))(&bus);
        if (result < 0)
            throw new PsrunException($"systemd: {Errnos.Text(-result)}");
        fixed (byte* text = Text(address))
            result = ((delegate* unmanaged<nint, byte*, int>)Function("sd_bus_set_address"))(bus, text);
        if (result >= 0)
            result = ((delegate* unmanaged<nint, int>)Function("sd_bus_start"))(bus);
        if (result >= 0)
            return bus;
        ((delegate* unmanaged<nint, nint>)Function("sd_bus_unref"))(bus);
        throw new PsrunException($"systemd cannot be reached: message bus: {Errnos.Text(-before)}; {address}: {Errnos.Text(-result)}");
    }

    /// <summary>A message bus hands on only the signals that somebody asked for.</summary>
    void WatchJobs()
    {
        using BusMessage call = Call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch");
        call.Append($"type='signal',sender='{Service}',path='{Path}',interface='{Manager}',member='JobRemoved'");
        Send(call, "AddMatch").Dispose();
    }

    /// <summary>A call of the manager's method.</summary>
    public BusMessage Call(string method) => Call(Service, Path, Manager, method);

    BusMessage Call(string service, string path, string of, string method)
    {
        nint message;
        fixed (byte* s = Text(service), p = Text(path), i = Text(of), m = Text(method))
            Check(((delegate* unmanaged<nint, nint*, byte*, byte*, byte*, byte*, int>)Function("sd_bus_message_new_method_call"))(_bus, &message, s, p, i, m), method);
        return new BusMessage(message);
    }

    /// <summary>Sends and waits for the answer.</summary>
    /// <exception cref="BusException">An answer that is an error.</exception>
    public BusMessage Send(BusMessage call, string what)
    {
        // sd_bus_error: name, message, and whether they are to be freed.
        nint* error = stackalloc nint[3];
        new Span<nint>(error, 3).Clear();
        nint reply = 0;
        int result = ((delegate* unmanaged<nint, nint, ulong, nint*, nint*, int>)Function("sd_bus_call"))(_bus, call.Handle, Timeout, error, &reply);
        if (result >= 0)
            return new BusMessage(reply);
        string name = Marshal.PtrToStringUTF8(error[0]) ?? Errnos.Text(-result);
        string words = Marshal.PtrToStringUTF8(error[1]) ?? Errnos.Text(-result);
        ((delegate* unmanaged<nint*, void>)Function("sd_bus_error_free"))(error);
        throw new BusException(name, $"systemd: {what}: {words}");
    }

    /// <summary>Sends a call that begins a job, and waits until that is over.</summary>
    /// <returns>How it ended: "done", or what kept it from that.</returns>
    public string SendAndAwaitJob(BusMessage call, string what)
    {
        string job;
        using (BusMessage reply = Send(call, what))
            job = reply.ReadText('o');
        long until = Environment.TickCount64 + (long)(Timeout / 1000);
        var process = (delegate* unmanaged<nint, nint*, int>)Function("sd_bus_process");
        var wait = (delegate* unmanaged<nint, ulong, int>)Function("sd_bus_wait");
        while (true)
        {
            nint received = 0;
            int result = Check(process(_bus, &received), what);
            using var message = new BusMessage(received);
            if (message.IsSignal(Manager, "JobRemoved"))
            {
                message.ReadNumber('u');
                if (message.ReadText('o') == job)
                {
                    message.ReadText('s');
                    return message.ReadText('s');
                }
            }
            if (result > 0)
                continue;
            long left = until - Environment.TickCount64;
            if (left <= 0)
                throw new PsrunException($"systemd: {what}: not done within {Timeout / 1_000_000} s");
            result = wait(_bus, (ulong)left * 1000);
            if (result != -Libc.EINTR)
                Check(result, what);
        }
    }

    /// <summary>A property of the manager's that is text.</summary>
    public string Property(string name) => Property(Path, Manager, name);

    /// <summary>A property of one of systemd's objects that is text.</summary>
    public string Property(string path, string of, string name)
    {
        byte* value;
        fixed (byte* s = Text(Service), p = Text(path), i = Text(of), m = Text(name))
            Check(((delegate* unmanaged<nint, byte*, byte*, byte*, byte*, nint, byte**, int>)Function("sd_bus_get_property_string"))(_bus, s, p, i, m, 0, &value), name);
        string text = Marshal.PtrToStringUTF8((nint)value) ?? "";
        NativeMemory.Free(value);
        return text;
    }

    static bool Load() => s_library != 0 || NativeLibrary.TryLoad("libsystemd.so.0", out s_library);

    public static nint Function(string name) =>
        NativeLibrary.TryGetExport(s_library, name, out nint function) ? function : throw new PsrunException($"systemd: this libsystemd.so.0 has no {name}");

    public static int Check(int result, string what) => result >= 0 ? result : throw new PsrunException($"systemd: {what}: {Errnos.Text(-result)}");

    public static byte[] Text(string text)
    {
        byte[] bytes = new byte[Encoding.UTF8.GetByteCount(text) + 1];
        Encoding.UTF8.GetBytes(text, bytes);
        return bytes;
    }

    public void Dispose()
    {
        if (_bus != 0)
            ((delegate* unmanaged<nint, nint>)Function("sd_bus_unref"))(_bus);
        _bus = 0;
    }
}
