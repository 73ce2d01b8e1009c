using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Remove, "ContainerSnapshot", SupportsShouldProcess = true)]
[OutputType(typeof(void))]
public sealed class RemoveContainerSnapshotCommand : SnapshotCmdlet
{
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(SnapshotCompleter))]
    public string[] Key { get; set; } = [];

    protected override void ProcessRecord()
    {
        foreach (ContainerSnapshot snapshot in FindSnapshots(Key).ToList())
        {
            if (ShouldProcess(snapshot.Key, "Remove-ContainerSnapshot"))
                Try(snapshot.Key, () => Wait(token => Snapshots.RemoveAsync(snapshot.Key, token)));
        }
    }
}
