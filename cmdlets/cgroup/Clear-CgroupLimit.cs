using System.Management.Automation;
using Containers.Linux.Cgroups;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Clear, "CgroupLimit", DefaultParameterSetName = ById, SupportsShouldProcess = true)]
[OutputType(typeof(CgroupLimit))]
public sealed class ClearCgroupLimitCommand : LimitCmdlet
{
    [Parameter(Position = 1)]
    public CgroupLimitName[]? Limit { get; set; }

    [Parameter(ParameterSetName = ByUnit)]
    public SwitchParameter Runtime { get; set; }

    [Parameter]
    public SwitchParameter PassThru { get; set; }

    protected override void Process(string path, string target)
    {
        CgroupLimitPlan plan = Engine.Cgroups.PlanClear(path, Limit);
        if (!ShouldWrite(target, plan.Writes.Select(write => write.ToString())))
            return;
        Engine.Cgroups.Apply(plan, StopToken);
        if (PassThru)
            WriteObject(Engine.Cgroups.GetLimit(plan.Path));
    }

    protected override void ProcessUnit(string unit) => ApplyToUnit(Engine.Cgroups.PlanUnitClear(unit, Limit, Runtime), PassThru);
}
