using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Rename, "Container", SupportsShouldProcess = true)]
[OutputType(typeof(Container))]
public sealed class RenameContainerCommand : TenantCmdlet
{
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("ContainerId")]
    [ArgumentCompleter(typeof(ContainerIdCompleter))]
    public string Id { get; set; } = "";

    [Parameter(Mandatory = true, Position = 1, ValueFromPipelineByPropertyName = true)]
    public string NewId { get; set; } = "";

    [Parameter]
    public SwitchParameter PassThru { get; set; }

    protected override void ProcessRecord() => Try(Id, () =>
    {
        if (!ShouldProcess($"{Id} to {NewId}", "Rename-Container"))
            return;
        Container renamed = Wait(token => Engine.Containers.RenameAsync(Id, NewId, ContainerNamespace, token));
        if (PassThru)
            WriteObject(renamed);
    });
}
