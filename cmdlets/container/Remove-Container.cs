using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Remove, "Container", SupportsShouldProcess = true)]
public sealed class RemoveContainerCommand : ManyCmdlet
{
    [Parameter]
    public SwitchParameter Force { get; set; }

    protected override void ProcessRecord()
    {
        if (IsTaken)
            return;
        foreach (Container container in FindContainers())
        {
            if (ShouldProcess(container.Id, "Remove-Container"))
                Each(container.Id, token => Engine.Containers.RemoveAsync(container.Id, Force, container.ContainerNamespace, token));
        }
    }
}
