using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsData.Mount, "ContainerImage", SupportsShouldProcess = true)]
[OutputType(typeof(ContainerImageMount))]
public sealed class MountContainerImageCommand : ImageCmdlet
{
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true)]
    [Alias("Image", "Name")]
    [ArgumentCompleter(typeof(ImageCompleter))]
    public string Reference { get; set; } = "";

    [Parameter(Mandatory = true, Position = 1)]
    [Alias("LiteralPath", "Destination")]
    public string Path { get; set; } = "";

    [Parameter]
    public SwitchParameter Writable { get; set; }

    [Parameter]
    public string? Platform { get; set; }

    protected override void ProcessRecord() => Try(Reference, () =>
    {
        string path = HostPath(Path);
        if (ShouldProcess($"{Reference} on {path}", "Mount-ContainerImage"))
            WriteObject(WithProgress($"Mounting {Reference}", (view, token) => Engine.Images.MountAsync(Reference, path, Writable, Platform, ContainerNamespace, view, token)));
    });
}
