using System.Collections;
using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsData.Save, "ContainerSnapshot", SupportsShouldProcess = true)]
[OutputType(typeof(ContainerSnapshot))]
public sealed class SaveContainerSnapshotCommand : SnapshotCmdlet
{
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [ArgumentCompleter(typeof(SnapshotCompleter))]
    public string Key { get; set; } = "";

    [Parameter(Mandatory = true, Position = 1)]
    public string Name { get; set; } = "";

    [Parameter]
    public IDictionary? Label { get; set; }

    [Parameter]
    public SwitchParameter PassThru { get; set; }

    protected override void ProcessRecord() => Try(Key, () =>
    {
        if (!ShouldProcess($"{Key} as {Name}", "Save-ContainerSnapshot"))
            return;
        ContainerSnapshot saved = Wait(token => Snapshots.CommitAsync(Name, Key, Arguments.Table(Label), token));
        if (PassThru)
            WriteObject(saved);
    });
}
