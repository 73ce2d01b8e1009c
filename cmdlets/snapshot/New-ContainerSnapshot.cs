using System.Collections;
using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.New, "ContainerSnapshot", DefaultParameterSetName = OnParent, SupportsShouldProcess = true)]
[OutputType(typeof(ContainerSnapshot))]
public sealed class NewContainerSnapshotCommand : ImageCmdlet
{
    const string OnParent = "Parent";
    const string OnImage = "Image";

    [Parameter(Mandatory = true, Position = 0)]
    public string Key { get; set; } = "";

    [Parameter(Position = 1, ValueFromPipeline = true, ParameterSetName = OnParent)]
    [ArgumentCompleter(typeof(SnapshotCompleter))]
    public string? Parent { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = OnImage)]
    [ArgumentCompleter(typeof(ImageCompleter))]
    public string? Image { get; set; }

    [Parameter(ParameterSetName = OnImage)]
    public string? Platform { get; set; }

    [Parameter]
    public SwitchParameter View { get; set; }

    [Parameter]
    public IDictionary? Label { get; set; }

    [Parameter]
    [ArgumentCompleter(typeof(SnapshotterCompleter))]
    public string? Snapshotter { get; set; }

    protected override void ProcessRecord() => Try(Key, () =>
    {
        if (!ShouldProcess($"{Key} on {Image ?? Parent ?? "nothing"}{(View ? ", to read" : "")}", "New-ContainerSnapshot"))
            return;
        ISnapshotter snapshotter = Engine.Snapshots.Snapshotter(Snapshotter, ContainerNamespace);
        IReadOnlyDictionary<string, string>? labels = Arguments.Table(Label);
        WriteObject(Image is not null
            ? WithProgress($"Unpacking {Image}", (view, token) => Engine.Snapshots.MakeFromImageAsync(snapshotter, Key, Image, View, Platform, labels, ContainerNamespace, view, token))
            : Wait(token => View ? snapshotter.ViewAsync(Key, Parent, labels, token) : snapshotter.PrepareAsync(Key, Parent, labels, token)));
    });
}
