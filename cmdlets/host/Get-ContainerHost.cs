using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Get, "ContainerHost")]
[OutputType(typeof(ContainerHostInfo))]
public sealed class GetContainerHostCommand : EngineCmdlet
{
    protected override void ProcessRecord() => Try(null, () => WriteObject(Engine.Host.GetInfo()));
}
