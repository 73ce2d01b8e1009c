using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsData.Import, "ContainerImage", DefaultParameterSetName = ByPath, SupportsShouldProcess = true)]
[OutputType(typeof(ContainerImage))]
public sealed class ImportContainerImageCommand : ImageCmdlet, IJobCmdlet
{
    const string ByPath = "Path";
    const string ByLiteralPath = "LiteralPath";
    const string OfRootfs = "Rootfs";

    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ParameterSetName = ByPath)]
    [SupportsWildcards]
    public string[] Path { get; set; } = [];

    [Parameter(Mandatory = true, ValueFromPipelineByPropertyName = true, ParameterSetName = ByLiteralPath)]
    [Alias("PSPath", "LP")]
    public string[] LiteralPath { get; set; } = [];

    [Parameter(Mandatory = true, ParameterSetName = OfRootfs)]
    [Alias("Rootfs")]
    public string? RootfsPath { get; set; }

    [Parameter(ParameterSetName = ByPath)]
    [Parameter(ParameterSetName = ByLiteralPath)]
    [Parameter(Mandatory = true, ParameterSetName = OfRootfs)]
    [Alias("Name", "Tag")]
    public string? Reference { get; set; }

    [Parameter]
    public string? Platform { get; set; }

    [Parameter(ParameterSetName = ByPath)]
    [Parameter(ParameterSetName = ByLiteralPath)]
    public SwitchParameter NoUnpack { get; set; }

    [Parameter]
    public SwitchParameter AsJob { get; set; }

    protected override void ProcessRecord()
    {
        if (IsTaken)
            return;
        if (RootfsPath is not null)
        {
            Try(RootfsPath, () => Import(RootfsPath));
            return;
        }
        foreach (string path in ParameterSetName == ByPath ? Path : LiteralPath)
            Try(path, () => Import(path));
    }

    void Import(string path)
    {
        IEnumerable<string> paths = ParameterSetName == ByPath ? SessionState.Path.GetResolvedProviderPathFromPSPath(path, out _) : [HostPath(path)];
        foreach (string one in paths)
        {
            if (!ShouldProcess(one, "Import-ContainerImage"))
                continue;
            var options = new ImageImportOptions { Reference = Reference, ContainerNamespace = ContainerNamespace, Platform = Platform, NoUnpack = NoUnpack };
            IReadOnlyList<ContainerImage> images = WithProgress<IReadOnlyList<ContainerImage>>($"Importing {one}", async (view, token) =>
                RootfsPath is null ? await Engine.Images.ImportAsync(one, options, view, token).ConfigureAwait(false)
                    : [await Engine.Images.ImportRootfsAsync(one, options, view, token).ConfigureAwait(false)]);
            WriteObject(images, enumerateCollection: true);
        }
    }
}
