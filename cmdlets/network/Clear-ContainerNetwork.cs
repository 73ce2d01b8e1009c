using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Clear, "ContainerNetwork", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
[OutputType(typeof(ContainerNetworkAttachment))]
public sealed class ClearContainerNetworkCommand : EngineCmdlet
{
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    protected override void EndProcessing() => Try(null, () =>
    {
        var unread = new List<ContainerException>();
        IReadOnlyList<ContainerNetworkAttachment> stale = Wait(token => Engine.Networks.FindStaleAsync(unread.Add, token));
        foreach (ContainerException e in unread)
            WriteError(Errors.Record(e, e.Target));
        foreach (ContainerNetworkAttachment one in stale)
        {
            if (ShouldProcess(one.ToString(), "Clear-ContainerNetwork") && Try(one, () => Wait(token => Engine.Networks.ClearAsync(one, token))) && PassThru)
                WriteObject(one);
        }
    });
}
