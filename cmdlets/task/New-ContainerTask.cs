using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.New, "ContainerTask", SupportsShouldProcess = true)]
[OutputType(typeof(ContainerTask))]
public sealed class NewContainerTaskCommand : ActingCmdlet
{
    protected override void ProcessRecord()
    {
        foreach (Container container in FindContainers())
        {
            if (ShouldProcess(container.Id, "New-ContainerTask"))
                Try(container.Id, () => WriteObject(Wait(token => Engine.Tasks.CreateAsync(container.Id, container.ContainerNamespace, token))));
        }
    }
}
