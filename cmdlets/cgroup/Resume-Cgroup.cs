using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsLifecycle.Resume, "Cgroup", DefaultParameterSetName = ByPath, SupportsShouldProcess = true)]
[OutputType(typeof(Cgroup))]
public sealed class ResumeCgroupCommand : ActingGroupCmdlet
{
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    protected override void Process(string path, string target)
    {
        if (!ShouldWrite(target, Engine.Cgroups.PlanFreeze(path, frozen: false)))
            return;
        Cgroup now = Engine.Cgroups.Thaw(path);
        if (PassThru)
            WriteObject(now);
    }

    protected override void ProcessUnit(string unit)
    {
        if (!ShouldWrite(unit, Engine.Cgroups.PlanFreezeUnit(unit, frozen: false)))
            return;
        Cgroup now = Engine.Cgroups.ThawUnit(unit);
        if (PassThru)
            WriteObject(now);
    }
}
