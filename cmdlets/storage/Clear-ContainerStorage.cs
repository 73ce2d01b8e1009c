using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Clear, "ContainerStorage", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
[OutputType(typeof(ContainerGarbage))]
public sealed class ClearContainerStorageCommand : EngineCmdlet
{
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    protected override void EndProcessing() => Try(null, () =>
    {
        IReadOnlyList<ContainerGarbage> garbage = Engine.Storage.Find();
        if (garbage.Count == 0)
            return;
        // What nothing needs is freed as a whole or not at all: each piece is named, one answer counts for all.
        string plan = string.Join(Environment.NewLine, garbage.Select(one => $"{one} ({one.Size} bytes)"));
        if (ShouldProcess(plan, "Clear-ContainerStorage"))
        {
            garbage = Engine.Storage.Collect();
            if (PassThru)
                WriteObject(garbage, enumerateCollection: true);
        }
    });
}
