using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsData.Import, "ContainerImage", DefaultParameterSetName = ByPath, SupportsShouldProcess = true)]
[OutputType(typeof(ContainerImage))]
public sealed class ImportContainerImageCommand : ImageCmdlet
{
    const string ByPath = "Path";
    const string ByLiteralPath = "LiteralPath";

    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ParameterSetName = ByPath)]
    [SupportsWildcards]
    public string[] Path { get; set; } = [];

    [Parameter(Mandatory = true, ValueFromPipelineByPropertyName = true, ParameterSetName = ByLiteralPath)]
    [Alias("PSPath", "LP")]
    public string[] LiteralPath { get; set; } = [];

    [Parameter]
    [Alias("Name", "Tag")]
    public string? Reference { get; set; }

    [Parameter]
    public string? Platform { get; set; }

    [Parameter]
    public SwitchParameter NoUnpack { get; set; }

    protected override void ProcessRecord()
    {
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
            ImageProgressView? view = null;
            PumpedWork<IReadOnlyList<ContainerImage>> work = Begin((pump, token) => Engine.Images.ImportAsync(one, new ImageImportOptions
            {
                Reference = Reference, ContainerNamespace = ContainerNamespace, Platform = Platform, NoUnpack = NoUnpack,
            }, view = ShowProgress(pump, $"Importing {one}"), token));
            try
            {
                WriteObject(work.Finish(), enumerateCollection: true);
            }
            finally
            {
                if (!Stopping)
                    view?.End();
            }
        }
    }
}
