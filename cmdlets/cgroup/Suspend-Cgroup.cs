using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsLifecycle.Suspend, "Cgroup", DefaultParameterSetName = ByPath, SupportsShouldProcess = true)]
[OutputType(typeof(Cgroup))]
public sealed class SuspendCgroupCommand : ActingGroupCmdlet
{
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    protected override void Process(string path, string target)
    {
        if (!ShouldWrite(target, Engine.Cgroups.PlanFreeze(path, frozen: true)))
            return;
        Cgroup now = Engine.Cgroups.Freeze(path);
        if (PassThru)
            WriteObject(now);
    }

    protected override void ProcessUnit(string unit)
    {
        if (!ShouldWrite(unit, Engine.Cgroups.PlanFreezeUnit(unit, frozen: true)))
            return;
        Cgroup now = Engine.Cgroups.FreezeUnit(unit);
        if (PassThru)
            WriteObject(now);
    }
}
