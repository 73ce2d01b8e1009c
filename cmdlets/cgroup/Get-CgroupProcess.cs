using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Get, "CgroupProcess", DefaultParameterSetName = ByPath)]
[OutputType(typeof(CgroupProcess))]
public sealed class GetCgroupProcessCommand : ActingGroupCmdlet
{
    [Parameter]
    public SwitchParameter Recurse { get; set; }

    [Parameter]
    public SwitchParameter Threaded { get; set; }

    protected override void Process(string path, string target) => WriteObject(Engine.Cgroups.Processes(path, Recurse, Threaded), enumerateCollection: true);
}
