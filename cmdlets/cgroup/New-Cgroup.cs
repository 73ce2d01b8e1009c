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
                IReadOnlyList<string> folders = Engine.Cgroups.PlanMake(path, Controller);
                string plan = string.Join(Environment.NewLine, folders.Select(folder => "  mkdir " + folder));
                if (ShouldProcess($"Performing the operation \"New-Cgroup\" on target \"{path}\":{Environment.NewLine}{plan}", $"Make {path}?", "New-Cgroup"))
                    WriteObject(Engine.Cgroups.Make(path, Controller, Threaded));
            });
        }
    }
}
