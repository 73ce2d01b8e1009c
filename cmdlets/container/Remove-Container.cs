using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Remove, "Container", SupportsShouldProcess = true)]
public sealed class RemoveContainerCommand : ActingCmdlet
{
    [Parameter]
    public SwitchParameter Force { get; set; }

    protected override void ProcessRecord()
    {
        foreach (Container container in FindContainers())
        {
            if (ShouldProcess(container.Id, "Remove-Container"))
                Try(container.Id, () => Wait(token => Engine.Containers.RemoveAsync(container.Id, Force, container.ContainerNamespace, token)));
        }
    }
}
