using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsData.Export, "ContainerImage", SupportsShouldProcess = true)]
[OutputType(typeof(FileSystemInfo))]
public sealed class ExportContainerImageCommand : ImageCmdlet, IJobCmdlet
{
    readonly List<string> names = [];

    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true)]
    [Alias("Image", "Name")]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(ImageCompleter))]
    public string[] Reference { get; set; } = [];

    [Parameter(Mandatory = true, Position = 1)]
    [Alias("LiteralPath", "Destination")]
    public string Path { get; set; } = "";

    [Parameter]
    public SwitchParameter Directory { get; set; }

    [Parameter]
    public string? Platform { get; set; }

    [Parameter]
    public SwitchParameter PassThru { get; set; }

    [Parameter]
    public SwitchParameter Force { get; set; }

    [Parameter]
    public SwitchParameter AsJob { get; set; }

    protected override void ProcessRecord()
    {
        if (!IsTaken)
            names.AddRange(FindImages(Reference).Select(ImageName.Of));
    }

    protected override void EndProcessing()
    {
        base.EndProcessing();
        if (names.Count == 0)
            return;
        Try(Path, () =>
        {
            string path = HostPath(Path);
            if (!Directory && !Force && File.Exists(path))
                throw new ContainerException(ErrorIds.ExportFailed, $"The file '{path}' exists. Choose another, or use -Force to replace it.", path, ContainerErrorCategory.ResourceExists);
            if (!ShouldProcess($"{string.Join(", ", names)} to {path}", "Export-ContainerImage"))
                return;
            WithProgress($"Exporting to {path}", async (view, token) =>
            {
                await Engine.Images.ExportAsync(names, path, Directory, Platform, ContainerNamespace, view, token).ConfigureAwait(false);
                return true;
            });
            if (PassThru)
                WriteObject(Directory ? new DirectoryInfo(path) : new FileInfo(path));
        });
    }
}
