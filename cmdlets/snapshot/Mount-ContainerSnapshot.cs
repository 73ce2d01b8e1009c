using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsData.Mount, "ContainerSnapshot", SupportsShouldProcess = true)]
[OutputType(typeof(ContainerMountedSnapshot))]
public sealed class MountContainerSnapshotCommand : SnapshotCmdlet
{
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [ArgumentCompleter(typeof(SnapshotCompleter))]
    public string Key { get; set; } = "";

    [Parameter(Mandatory = true, Position = 1)]
    [Alias("LiteralPath", "Destination")]
    public string Path { get; set; } = "";

    protected override void ProcessRecord() => Try(Key, () =>
    {
        string path = HostPath(Path);
        if (ShouldProcess($"{Key} on {path}", "Mount-ContainerSnapshot"))
            WriteObject(Wait(token => Engine.Snapshots.MountAsync(Key, path, ContainerNamespace, token)));
    });
}
