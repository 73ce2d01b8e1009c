using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsData.Compare, "Container")]
[OutputType(typeof(ContainerChange))]
public sealed class CompareContainerCommand : ActingCmdlet
{
    protected override void ProcessRecord()
    {
        foreach (Container container in FindContainers())
            Try(container.Id, () => WriteObject(Wait(token => Engine.Containers.CompareAsync(container.Id, container.ContainerNamespace, token)), enumerateCollection: true));
    }
}
