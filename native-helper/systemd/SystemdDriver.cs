using Containers.Linux.Cgroups;
using Containers.Linux.Oci;
using Psrun.Processes;

namespace Psrun.Systemd;

/// <summary>What the state remembers of a container's unit.</summary>
/// <param name="User">Whether the user's own systemd keeps it.</param>
readonly record struct KeptUnit(string Name, bool User);

/// <summary>
/// The systemd cgroup driver: the container's group is that of a scope (or slice) which systemd makes, and which it knows as delegated. Its files are written by us all the
/// same, as every delegate may; systemd is told the limits, because it writes those that it knows whenever it reloads.
/// </summary>
static class SystemdDriver
{
    static bool s_asked;

    /// <summary>--systemd-cgroup, --cgroup-manager systemd. It decides for new containers alone: the others have on record what they are.</summary>
    public static bool Asked => s_asked;

    public static void Ask() => s_asked = true;

    /// <summary>Whether psrun can do it on this host: systemd runs, and its library is there.</summary>
    public static bool IsAvailable => Directory.Exists("/run/systemd/system") && SdBus.IsAvailable;

    public static bool ForUser => Rootless.Active;

    /// <summary>The unit's group, from the root of the hierarchies.</summary>
    public static string PathOf(SystemdUnit unit, bool user)
    {
        if (!Directory.Exists("/run/systemd/system"))
            throw new PsrunException("--systemd-cgroup: systemd does not run here: there is no /run/systemd/system");
        using SdBus bus = SdBus.Open(user);
        return CgroupPath.Normalize("/" + bus.Property("ControlGroup").Trim('/') + unit.Path);
    }

    /// <summary>Makes the unit around a process that is there and waits.</summary>
    /// <exception cref="BusException">systemd will not, and has made nothing.</exception>
    public static void Start(SystemdUnit unit, bool user, string id, int pid, LinuxResources? resources, bool v2)
    {
        var properties = new List<SystemdProperty>
        {
            new("Description", "s", "container " + id),
            unit.IsSlice ? new("Wants", "as", new[] { unit.Slice }) : new("Slice", "s", unit.Slice),
            // One that has failed, or whose processes have ended, is not kept in memory.
            new("CollectMode", "s", "inactive-or-failed"),
            new("DefaultDependencies", "b", false),
            new("MemoryAccounting", "b", true), new("CPUAccounting", "b", true), new("TasksAccounting", "b", true),
            new(v2 ? "IOAccounting" : "BlockIOAccounting", "b", true),
        };
        if (!unit.IsSlice)
        {
            properties.Add(new("Delegate", "b", true));
            properties.Add(new("PIDs", "au", new[] { (uint)pid }));
        }
        properties.AddRange(SystemdProperties.Of(resources, v2, devices: true, DeviceGroups()));
        using SdBus bus = SdBus.Open(user);
        using BusMessage call = bus.Call("StartTransientUnit");
        call.Append(unit.Name);
        call.Append("replace");
        call.Append(properties);
        call.AppendNoUnits();
        string end = bus.SendAndAwaitJob(call, unit.Name);
        if (end != "done")
            throw new PsrunException($"systemd: {unit.Name}: its start ended with \"{end}\"");
    }

    public static void Update(KeptUnit unit, LinuxResources resources, bool v2)
    {
        List<SystemdProperty> properties = SystemdProperties.Of(resources, v2, devices: false, DeviceGroups());
        if (properties.Count == 0)
            return;
        using SdBus bus = SdBus.Open(unit.User);
        try
        {
            SetProperties(bus, unit.Name, runtime: true, properties);
        }
        catch (BusException e)
        {
            throw new PsrunException(e.Message);
        }
    }

    /// <param name="runtime">Until the machine starts anew; else for good.</param>
    /// <exception cref="BusException">systemd takes none of them.</exception>
    public static void SetProperties(SdBus bus, string unit, bool runtime, IReadOnlyList<SystemdProperty> properties)
    {
        using BusMessage call = bus.Call("SetUnitProperties");
        call.Append(unit);
        call.Append(runtime);
        call.Append(properties);
        bus.Send(call, unit).Dispose();
    }

    /// <summary>A user may not move processes between two of its groups when the one they come from is not its own; its systemd may.</summary>
    public static void Attach(KeptUnit unit, int pid)
    {
        using SdBus bus = SdBus.Open(unit.User);
        using BusMessage call = bus.Call("AttachProcessesToUnit");
        call.Append(unit.Name);
        call.Append("/");
        call.Append([(uint)pid]);
        try
        {
            bus.Send(call, unit.Name).Dispose();
        }
        catch (BusException e)
        {
            throw new PsrunException(e.Message);
        }
    }

    /// <summary>Ends the unit, whose processes have ended already; systemd may have done so by itself. A systemd that does not answer keeps nobody from the rest.</summary>
    public static void Stop(KeptUnit unit)
    {
        try
        {
            using SdBus bus = SdBus.Open(unit.User);
            using BusMessage call = bus.Call("StopUnit");
            call.Append(unit.Name);
            call.Append("replace");
            bus.SendAndAwaitJob(call, unit.Name);
        }
        catch (BusException e) when (e.Name == "org.freedesktop.systemd1.NoSuchUnit")
        {
        }
        catch (Exception e) when (e is BusException or PsrunException)
        {
            Log.Warning(e.Message);
        }
    }

    static string DeviceGroups() => Shim.Files.ReadText("/proc/devices") ?? "";
}
