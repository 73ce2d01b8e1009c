using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Remove, "ContainerNamespace", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
public sealed class RemoveContainerNamespaceCommand : EngineCmdlet
{
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("ContainerNamespace")]
    [ArgumentCompleter(typeof(ContainerNamespaceCompleter))]
    public string[] Name { get; set; } = [];

    [Parameter]
    public SwitchParameter Force { get; set; }

    protected override void ProcessRecord()
    {
        foreach (string name in Name)
        {
            Try(name, () =>
            {
                ContainerNamespaceInfo found = Engine.ContainerNamespaces.Get(name);
                string what = found is { Containers: 0, Tasks: 0, Images: 0, Snapshots: 0, Volumes: 0 } || !Force ? name
                    : $"{name} with {found.Containers} containers, {found.Tasks} tasks, {found.Images} images, {found.Snapshots} snapshots and {found.Volumes} volumes";
                if (ShouldProcess(what, "Remove-ContainerNamespace"))
                    Wait(token => Engine.ContainerNamespaces.RemoveAsync(name, Force, token));
            });
        }
    }
}
