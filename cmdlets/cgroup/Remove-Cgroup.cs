using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Remove, "Cgroup", DefaultParameterSetName = ByPath, SupportsShouldProcess = true)]
public sealed class RemoveCgroupCommand : ActingGroupCmdlet
{
    [Parameter]
    public SwitchParameter Recurse { get; set; }

    [Parameter]
    public SwitchParameter Force { get; set; }

    protected override void Process(string path, string target)
    {
        CgroupRemovePlan plan = Engine.Cgroups.PlanRemove(path, Recurse, Force);
        IEnumerable<string> folders = plan.Folders.Select(folder => "rmdir " + folder);
        if (ShouldWrite(target, Force ? KillPlan(path).Concat(folders) : folders))
            Engine.Cgroups.Remove(plan);
    }

    protected override void ProcessUnit(string unit)
    {
        // What is not there is said first.
        string path = Engine.Cgroups.PathOfUnit(unit);
        throw new ContainerException(ErrorIds.NotSupported, $"-Unit {unit}: systemd makes and removes the groups of its units, such as {path}. Use systemctl stop {unit}.", unit, ContainerErrorCategory.NotImplemented);
    }
}
