using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsData.Dismount, "CgroupHierarchy", SupportsShouldProcess = true)]
[OutputType(typeof(void))]
public sealed class DismountCgroupHierarchyCommand : EngineCmdlet
{
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    public string[]? Path { get; set; }

    [Parameter]
    public SwitchParameter Force { get; set; }

    protected override void ProcessRecord()
    {
        foreach (string path in Path!)
        {
            Try(path, () =>
            {
                string folder = System.IO.Path.TrimEndingDirectorySeparator(HostPath(path));
                CgroupHierarchyInfo mounted = Engine.Cgroups.PlanDismount(folder, Force);
                if (ShouldProcess(folder, $"umount {(mounted.Version == 2 ? "the v2 tree" : mounted.Hierarchy)}"))
                    Engine.Cgroups.Dismount(folder, Force);
            });
        }
    }
}
