using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.New, "Cgroup", SupportsShouldProcess = true)]
[OutputType(typeof(Cgroup))]
public sealed class NewCgroupCommand : EngineCmdlet
{
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    public string[]? Path { get; set; }

    [Parameter]
    [ArgumentCompleter(typeof(ControllerCompleter))]
    public string[]? Controller { get; set; }

    [Parameter]
    public SwitchParameter Threaded { get; set; }

    protected override void ProcessRecord()
    {
        foreach (string path in Path!)
        {
            Try(path, () =>
            {
                CgroupMakePlan plan = Engine.Cgroups.PlanMake(path, Controller, Threaded);
                string steps = string.Join(Environment.NewLine, plan.Steps.Select(step => "  " + step));
                if (ShouldProcess($"Performing the operation \"New-Cgroup\" on target \"{path}\":{Environment.NewLine}{steps}", $"Make {path}?", "New-Cgroup"))
                    WriteObject(Engine.Cgroups.Make(plan));
            });
        }
    }
}
