using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsData.Export, "ContainerVolume", SupportsShouldProcess = true)]
[OutputType(typeof(FileInfo))]
public sealed class ExportContainerVolumeCommand : TenantCmdlet, IJobCmdlet
{
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [ArgumentCompleter(typeof(VolumeCompleter))]
    public string Name { get; set; } = "";

    [Parameter(Mandatory = true, Position = 1)]
    [Alias("LiteralPath")]
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
            Try(Name, ExportOne);
    }

    void ExportOne()
    {
        string path = HostPath(Path);
        if (!Force && File.Exists(path))
            throw new ContainerException(ErrorIds.ExportFailed, $"The file '{path}' exists. Choose another, or use -Force to replace it.", path, ContainerErrorCategory.ResourceExists);
        if (!ShouldProcess($"{Name} to {path}", "Export-ContainerVolume"))
            return;
        Wait(token => Engine.Volumes.ExportAsync(Name, path, ContainerNamespace, token));
        if (PassThru)
            WriteObject(new FileInfo(path));
    }
}
