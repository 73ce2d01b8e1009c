using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsData.Mount, "CgroupHierarchy", DefaultParameterSetName = "V1", SupportsShouldProcess = true)]
[OutputType(typeof(CgroupHierarchyInfo))]
public sealed class MountCgroupHierarchyCommand : EngineCmdlet
{
    [Parameter(Mandatory = true, Position = 0)]
    public string? Path { get; set; }

    [Parameter(ParameterSetName = "V1")]
    [ArgumentCompleter(typeof(ControllerCompleter))]
    public string[]? Controller { get; set; }

    [Parameter(ParameterSetName = "V1")]
    public string? Name { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = "V2")]
    public SwitchParameter Unified { get; set; }

    protected override void ProcessRecord()
    {
        Try(Path, () =>
        {
            string folder = System.IO.Path.TrimEndingDirectorySeparator(HostPath(Path!));
            string? options = Unified ? null : Engine.Cgroups.PlanMount(Controller ?? [], Name);
            if (ShouldProcess(folder, options is null ? "mount -t cgroup2" : $"mount -t cgroup -o {options}"))
                WriteObject(Engine.Cgroups.Mount(folder, options));
        });
    }
}
