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
        if (ShouldWrite(target, Engine.Cgroups.PlanRemove(path, Recurse, Force).Select(folder => "rmdir " + folder)))
            Engine.Cgroups.Remove(path, Recurse, Force);
    }
}
