using System.Text.Json;
using Containers.Linux.Cgroups;

namespace Containers;

/// <summary>What systemd will be told about one of its units: <see cref="ContainerCgroups.PlanUnitLimit"/>.</summary>
public sealed class CgroupUnitPlan
{
    internal CgroupUnitPlan(string unit, string path, bool runtime, IReadOnlyList<string> properties) => (Unit, Path, Runtime, Properties) = (unit, path, runtime, properties);

    public string Unit { get; }

    /// <summary>Of its group.</summary>
    public string Path { get; }

    /// <summary>Until the machine starts anew; else systemd keeps it in a file.</summary>
    public bool Runtime { get; }

    /// <summary>As <c>MemoryMax=67108864</c>, in their order; empty when all is as it was asked for.</summary>
    public IReadOnlyList<string> Properties { get; }
}

/// <summary>Units of systemd, which alone writes their groups. psrun speaks D-Bus for us.</summary>
public sealed partial class ContainerCgroups
{
    const string SystemdRuns = "/run/systemd/system";

    /// <summary>The path of a unit's group.</summary>
    /// <param name="unit">Such as <c>nginx.service</c>; without an ending a service.</param>
    /// <exception cref="ContainerException"><c>UnitNotFound</c>; <c>CgroupNotFound</c>: it does not run; <c>SystemdNotRunning</c>, <c>HelperNotFound</c>, <c>InvalidArgument</c>.</exception>
    public string PathOfUnit(string unit)
    {
        if (SystemdUnit.FullName(unit) is not { } name)
        {
            throw new ContainerException(ErrorIds.InvalidArgument, $"'{ShimErrors.Printable(unit)}' is no name of a unit; one is like nginx.service.", unit, ContainerErrorCategory.InvalidArgument);
        }
        return AskOfUnit(name, ["unit", "show", "--", name]);
    }

    /// <summary>Plans a change of a unit's limits: what can be known to fail, and what systemd has no property for, is refused here.</summary>
    /// <exception cref="ContainerException">As <see cref="PathOfUnit"/> and <see cref="PlanLimit"/>.</exception>
    public CgroupUnitPlan PlanUnitLimit(string unit, CgroupLimitChange change, bool runtime = false) => PlanOfUnit(unit, _ => change, runtime);

    /// <summary>Plans to take limits of a unit away.</summary>
    /// <param name="names">Null for all that are set.</param>
    /// <exception cref="ContainerException">As <see cref="PathOfUnit"/> and <see cref="PlanClear"/>.</exception>
    public CgroupUnitPlan PlanUnitClear(string unit, IReadOnlyCollection<CgroupLimitName>? names = null, bool runtime = false) => PlanOfUnit(unit, group => group.Clearing(names), runtime);

    /// <summary>Tells systemd, which takes all of it or nothing, and waits until it has written the files.</summary>
    /// <exception cref="ContainerException"><c>CgroupLimitRefused</c>: a property that this systemd does not know; <c>CgroupNotPermitted</c>; as <see cref="PathOfUnit"/>.</exception>
    public void Apply(CgroupUnitPlan plan)
    {
        if (plan.Properties.Count == 0) { return; }
        AskOfUnit(plan.Unit, ["unit", "set", .. plan.Runtime ? ["--runtime"] : Array.Empty<string>(), .. plan.Properties.SelectMany(property => new[] { "--property", property }), "--", plan.Unit]);
    }

    /// <summary>Lets systemd stop all processes of a unit, until <see cref="ThawUnit"/>.</summary>
    /// <exception cref="ContainerException"><c>CgroupNotSupported</c>: not on the v2 tree, or an old systemd; <c>CgroupProtected</c>; as <see cref="PathOfUnit"/>.</exception>
    public Cgroup FreezeUnit(string unit) => FreezeUnit(unit, frozen: true);

    /// <summary>Lets them go on.</summary>
    /// <exception cref="ContainerException">As <see cref="FreezeUnit(string)"/>.</exception>
    public Cgroup ThawUnit(string unit) => FreezeUnit(unit, frozen: false);

    Cgroup FreezeUnit(string unit, bool frozen)
    {
        PlanFreezeUnit(unit, frozen);
        var name = SystemdUnit.FullName(unit)!;
        var path = AskOfUnit(name, ["unit", frozen ? "freeze" : "thaw", "--", name]);
        return Guard(name, () => Describe(Find(path)));
    }

    /// <summary>The call that <see cref="FreezeUnit(string)"/> or <see cref="ThawUnit"/> makes.</summary>
    /// <exception cref="ContainerException">As <see cref="PathOfUnit"/>; <c>CgroupProtected</c>.</exception>
    public IReadOnlyList<string> PlanFreezeUnit(string unit, bool frozen)
    {
        var path = PathOfUnit(unit);
        return Guard(unit, () =>
        {
            if (frozen) { RefuseProtected(Find(path), "frozen"); }
            return new[] { frozen ? "FreezeUnit" : "ThawUnit" };
        });
    }

    CgroupUnitPlan PlanOfUnit(string unit, Func<ControlGroup, CgroupLimitChange> changeOf, bool runtime)
    {
        var path = PathOfUnit(unit);
        var name = SystemdUnit.FullName(unit)!;
        return Guard(name, () =>
        {
            var group = Find(path);
            var change = changeOf(group);
            var properties = UnitLimits.Of(change, group.ReadLimits(), Host.Kind == CgroupKind.V2, File.ReadAllText("/proc/devices"));
            // Ranges, what is in use, what the parent has: systemd would find out no better, and the kernel's refusal goes to its journal.
            _ = group.PlanLimits(change);
            return new CgroupUnitPlan(name, group.Path, runtime, properties);
        });
    }

    string AskOfUnit(string unit, IEnumerable<string> arguments)
    {
        if (!Directory.Exists(SystemdRuns))
        {
            throw new ContainerException(ErrorIds.SystemdNotRunning, $"Unit '{unit}': systemd does not run on this host, so that there are no units. Name a control group by -Path.", unit, ContainerErrorCategory.ResourceUnavailable);
        }
        var (load, active, path) = HelperCall.Run(engine.Host.FindHelper(), arguments, answer => (Text(answer, "loadState"), Text(answer, "activeState"), Text(answer, "controlGroup")), (id, words) => UnitFailure(unit, id, words));
        if (load == "not-found") { throw UnitNotFound(unit); }
        return path ?? throw new ContainerException(ErrorIds.CgroupNotFound,
            $"Unit '{unit}' has no control group: " + (active == "active" ? "its kind has no processes. Name one such as nginx.service." : $"it is {ShimErrors.Printable(active ?? "unknown")}. Start it with systemctl start {unit}; systemctl set-property changes what does not run."), unit, ContainerErrorCategory.ObjectNotFound);

        static string? Text(JsonElement answer, string name) => answer.GetProperty(name).GetString();
    }

    static ContainerException UnitNotFound(string unit) => new(ErrorIds.UnitNotFound, $"systemd has no unit '{unit}'. systemctl list-units --all tells those it has.", unit, ContainerErrorCategory.ObjectNotFound);

    static ContainerException UnitFailure(string unit, string id, string words) => id switch
    {
        "UnitNotFound" => UnitNotFound(unit),
        "NotPermitted" => new ContainerException(ErrorIds.CgroupNotPermitted, $"Unit '{unit}': {words}. Be root: systemd lets nobody else change its units.", unit, ContainerErrorCategory.PermissionDenied),
        "Refused" => new ContainerException(ErrorIds.CgroupLimitRefused, $"Unit '{unit}': {words}. Nothing of it was changed; systemctl --version tells how old this systemd is.", unit, ContainerErrorCategory.InvalidOperation),
        "NotSupported" => new ContainerException(ErrorIds.CgroupNotSupported, $"Unit '{unit}': {words}. systemd freezes units on the v2 tree alone, from its version 246 on.", unit, ContainerErrorCategory.NotImplemented),
        "SystemdUnavailable" => new ContainerException(ErrorIds.SystemdNotRunning, $"Unit '{unit}': {words}. Its group can be named by -Path all the same, such as /system.slice/{unit}.", unit, ContainerErrorCategory.ResourceUnavailable),
        _ => new ContainerException(ErrorIds.ShimFailed, $"Unit '{unit}': psrun could not ask systemd: {words}.", unit, ContainerErrorCategory.InvalidOperation),
    };
}
