using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.New, "ContainerService", SupportsShouldProcess = true)]
[OutputType(typeof(ContainerServiceUnit))]
public sealed class NewContainerServiceCommand : ActingCmdlet
{
    [Parameter(Position = 1)]
    [Alias("LiteralPath")]
    public string? Path { get; set; }

    [Parameter]
    public SwitchParameter Enable { get; set; }

    [Parameter]
    public SwitchParameter Force { get; set; }

    protected override void ProcessRecord()
    {
        foreach (Container container in FindContainers())
            Try(container.Id, () => WriteUnit(container));
    }

    void WriteUnit(Container container)
    {
        string target = $"-Id {ServiceCommand.Literal(container.Id)} -ContainerNamespace {ServiceCommand.Literal(container.ContainerNamespace)} -ErrorAction Stop";
        // What runs, or does not, already is what was wanted.
        string start = $"try {{ Start-ContainerTask {target} }} catch {{ if ($_.FullyQualifiedErrorId -notlike 'TaskRunning,*') {{ throw }} }}; exit 0";
        string stop = $"try {{ Stop-ContainerTask {target} }} catch {{ if ($_.FullyQualifiedErrorId -notlike 'TaskNotFound,*') {{ throw }} }}; exit 0";
        ContainerServiceOptions options = ServiceCommand.Options(Path is null ? null : HostPath(Path), Enable, start, stop);
        ContainerServiceUnit unit = Engine.Services.ForContainer(container.Id, options, container.ContainerNamespace);
        WriteVerbose(unit.Content);
        if (!ShouldProcess(unit.Path, "New-ContainerService"))
            return;
        Wait(token => Engine.Services.WriteAsync(unit, Force, token));
        WriteObject(unit);
    }
}
