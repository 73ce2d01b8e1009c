using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Get, "CgroupLimit", DefaultParameterSetName = ById)]
[OutputType(typeof(CgroupLimit))]
public sealed class GetCgroupLimitCommand : LimitCmdlet
{
    protected override void Process(string path, string target) => WriteObject(Engine.Cgroups.GetLimit(path));
}
