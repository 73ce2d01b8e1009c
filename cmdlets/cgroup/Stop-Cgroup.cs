using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsLifecycle.Stop, "Cgroup", DefaultParameterSetName = ByPath, SupportsShouldProcess = true)]
[OutputType(typeof(Cgroup))]
public sealed class StopCgroupCommand : ActingGroupCmdlet
{
    [Parameter]
    [ValidateRange(0d, 86400d)]
    public double TimeoutSec { get; set; } = 10;

    [Parameter]
    public SwitchParameter PassThru { get; set; }

    protected override void Process(string path, string target)
    {
        if (!ShouldWrite(target, KillPlan(path)))
            return;
        Engine.Cgroups.Kill(path, TimeSpan.FromSeconds(TimeoutSec));
        if (PassThru)
            WriteObject(Engine.Cgroups.Get(path));
    }
}
