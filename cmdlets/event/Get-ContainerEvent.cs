using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Get, "ContainerEvent")]
[OutputType(typeof(ContainerEvent))]
public sealed class GetContainerEventCommand : EventCmdlet
{
    [Parameter]
    public DateTimeOffset? Until { get; set; }

    protected override void ProcessRecord()
    {
        Prepare();
        Try(ContainerNamespace, () =>
        {
            foreach (ContainerEvent one in Engine.Events.Read(ContainerNamespace))
            {
                if (Stopping)
                    return;
                if (Wanted(one) && (Until is null || one.Time <= Until))
                    WriteObject(one);
            }
        });
    }
}
