using System.Globalization;
using Containers.Linux.Cgroups;
using Psrun.Shim;

namespace Psrun.Systemd;

/// <summary>
/// unit show, set, freeze, thaw: a unit of systemd's, for callers that speak no D-Bus. Prints one line, {"loadState":…,"activeState":…,"controlGroup":…} or {"error":{…}}.
/// </summary>
static class UnitVerb
{
    const string OfUnit = "org.freedesktop.systemd1.Unit";
    const string Infinity = "infinity";

    public static readonly string[] Known = ["runtime", "property="];

    public static int Run(ReadOnlySpan<string> args)
    {
        Options options = Options.Parse(args, Known, limit: int.MaxValue, out int used);
        // After --: a name may begin with a dash, as that of the root slice.
        if ((List<string>)[.. options.Arguments, .. args[used..]] is not [("show" or "set" or "freeze" or "thaw") and { } verb, { } unit])
            throw new PsrunException("unit: needs show, set, freeze or thaw, and one unit");
        var properties = new List<SystemdProperty>();
        foreach (string assignment in options.Values("property"))
            properties.Add(Read(assignment));
        if (verb == "set" ? properties.Count == 0 : properties.Count > 0 || options.Has("runtime"))
            throw new PsrunException(verb == "set" ? "unit set: needs --property" : $"unit {verb}: takes no options");
        byte[] answer;
        int status = 1;
        try
        {
            using SdBus bus = SdBus.Open(user: false);
            if (verb == "set")
                SystemdDriver.SetProperties(bus, unit, options.Has("runtime"), properties);
            else if (verb != "show")
                Freeze(bus, unit, verb == "freeze");
            // Also after a change: systemd answers this one when it has written the files.
            answer = Show(bus, unit);
            status = 0;
        }
        catch (BusException e)
        {
            answer = Json.Error(ErrorId(e.Name), e.Message);
        }
        catch (PsrunException e)
        {
            answer = Json.Error("SystemdUnavailable", e.Message);
        }
        Log.Write(1, [.. answer, (byte)'\n']);
        return status;
    }

    /// <summary>systemd answers when all processes stand still, or go on.</summary>
    static void Freeze(SdBus bus, string unit, bool frozen)
    {
        using BusMessage call = bus.Call(frozen ? "FreezeUnit" : "ThawUnit");
        call.Append(unit);
        bus.Send(call, unit).Dispose();
    }

    static byte[] Show(SdBus bus, string unit)
    {
        string path;
        using (BusMessage call = bus.Call("LoadUnit"))
        {
            call.Append(unit);
            using BusMessage reply = bus.Send(call, unit);
            path = reply.ReadText('o');
        }
        string load = bus.Property(path, OfUnit, "LoadState"), active = bus.Property(path, OfUnit, "ActiveState");
        string? group = KindOf(unit) is { } kind ? bus.Property(path, "org.freedesktop.systemd1." + kind, "ControlGroup") : null;
        return Json.Object(w =>
        {
            w.WriteString("loadState", load);
            w.WriteString("activeState", active);
            w.WriteString("controlGroup", group is { Length: > 0 } ? group : null);
        });
    }

    /// <summary>The interface of those kinds that have processes.</summary>
    static string? KindOf(string unit) => unit[(unit.LastIndexOf('.') + 1)..] switch
    {
        "service" => "Service",
        "scope" => "Scope",
        "slice" => "Slice",
        "socket" => "Socket",
        "mount" => "Mount",
        "swap" => "Swap",
        _ => null,
    };

    static string ErrorId(string name) => name switch
    {
        "org.freedesktop.systemd1.NoSuchUnit" => "UnitNotFound",
        "org.freedesktop.DBus.Error.AccessDenied" or "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired" => "NotPermitted",
        "org.freedesktop.DBus.Error.NotSupported" or "org.freedesktop.DBus.Error.UnknownMethod" => "NotSupported",
        "org.freedesktop.systemd1.UnitInactive" or "org.freedesktop.systemd1.UnitBusy" or "org.freedesktop.DBus.Error.InvalidArgs" or "org.freedesktop.DBus.Error.PropertyReadOnly" or "org.freedesktop.DBus.Error.UnknownProperty" => "Refused",
        _ => "SystemdUnavailable",
    };

    /// <param name="assignment">As Containers.Linux.Cgroups.UnitLimits writes them.</param>
    static SystemdProperty Read(string assignment)
    {
        int equals = assignment.IndexOf('=');
        string name = equals > 0 ? assignment[..equals] : assignment, value = equals > 0 ? assignment[(equals + 1)..] : "";
        switch (name)
        {
            case "CPUWeight" when value == "idle":
                return new(name, "t", 0UL);
            case "MemoryMax" or "MemoryHigh" or "MemoryLow" or "MemoryMin" or "MemorySwapMax" or "MemoryLimit" or "TasksMax" or "CPUQuotaPerSecUSec" or "CPUWeight" or "IOWeight":
                return new(name, "t", Number(name, value));
            case "AllowedCPUs" or "AllowedMemoryNodes":
                return new(name, "ay", value.Length == 0 ? [] : SystemdProperties.Bits(name, value));
            case "DevicePolicy":
                return new(name, "s", value);
            case "DeviceAllow":
                return new(name, "a(ss)", value.Length == 0 ? Array.Empty<(string, string)>() : [Pair(name, value)]);
            case "IOReadBandwidthMax" or "IOWriteBandwidthMax" or "IOReadIOPSMax" or "IOWriteIOPSMax" or "IODeviceLatencyTargetUSec":
                (string device, string rate) = Pair(name, value);
                return new(name, "a(st)", new[] { (device, Number(name, rate)) });
            default:
                throw new PsrunException($"--property: \"{name}\" is none that can be set");
        }
    }

    static (string First, string Second) Pair(string name, string value)
    {
        int blank = value.LastIndexOf(' ');
        return blank > 0 ? (value[..blank], value[(blank + 1)..]) : throw new PsrunException($"--property {name}: \"{value}\" is not two words");
    }

    static ulong Number(string name, string value) => value == Infinity ? ulong.MaxValue
        : ulong.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out ulong number) ? number
        : throw new PsrunException($"--property {name}: \"{value}\" is neither a number nor {Infinity}");
}
