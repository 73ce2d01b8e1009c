using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Get, "Cgroup", DefaultParameterSetName = ByPath)]
[OutputType(typeof(Cgroup))]
public sealed class GetCgroupCommand : GroupCmdlet
{
    [Parameter]
    public SwitchParameter Recurse { get; set; }

    protected override IReadOnlyList<string> WithoutAny => MyInvocation.ExpectingInput ? [] : ["/*"];

    protected override bool AllOfProcess => true;

    protected override void Process(string path, string target)
    {
        if (!Recurse)
            WriteObject(Engine.Cgroups.Get(path));
        else
            WriteObject(Engine.Cgroups.List(path, recurse: true), enumerateCollection: true);
    }

    // With the controllers by which the process is in it, and no others.
    protected override void ProcessGroupOf(Cgroup group)
    {
        if (!Recurse)
            WriteObject(group);
        else
            Process(group.Path, group.Path);
    }
}
