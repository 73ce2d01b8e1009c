using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsData.Export, "Container", SupportsShouldProcess = true)]
[OutputType(typeof(FileInfo))]
public sealed class ExportContainerCommand : TenantCmdlet, IJobCmdlet
{
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("ContainerId")]
    [ArgumentCompleter(typeof(ContainerIdCompleter))]
    public string Id { get; set; } = "";

    [Parameter(Mandatory = true, Position = 1)]
    [Alias("LiteralPath", "Destination")]
    public string Path { get; set; } = "";

    [Parameter]
    public SwitchParameter PassThru { get; set; }

    [Parameter]
    public SwitchParameter Force { get; set; }

    [Parameter]
    public SwitchParameter AsJob { get; set; }

    protected override void ProcessRecord()
    {
        if (!IsTaken)
            Try(Id, ExportOne);
    }

    void ExportOne()
    {
        string path = HostPath(Path);
        if (!Force && File.Exists(path))
            throw new ContainerException(ErrorIds.ExportFailed, $"The file '{path}' exists. Choose another, or use -Force to replace it.", path, ContainerErrorCategory.ResourceExists);
        if (!ShouldProcess($"{Id} to {path}", "Export-Container"))
            return;
        Wait(token => Engine.Containers.ExportAsync(Id, path, ContainerNamespace, token));
        if (PassThru)
            WriteObject(new FileInfo(path));
    }
}
