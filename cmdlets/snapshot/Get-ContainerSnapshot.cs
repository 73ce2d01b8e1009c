using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Get, "ContainerSnapshot")]
[OutputType(typeof(ContainerSnapshot))]
public sealed class GetContainerSnapshotCommand : SnapshotCmdlet
{
    [Parameter(Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(SnapshotCompleter))]
    public string[]? Key { get; set; }

    [Parameter]
    public ContainerSnapshotKind[]? Kind { get; set; }

    [Parameter]
    public SwitchParameter Usage { get; set; }

    protected override void ProcessRecord()
    {
        foreach (ContainerSnapshot snapshot in FindSnapshots(Key))
        {
            if (Kind is null || Kind.Contains(snapshot.Kind))
                Try(snapshot.Key, () => WriteObject(Usage ? Engine.Snapshots.Measure(snapshot) : snapshot));
        }
    }
}
