using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsLifecycle.Install, "ContainerRestartService", SupportsShouldProcess = true)]
[OutputType(typeof(ContainerServiceUnit))]
public sealed class InstallContainerRestartServiceCommand : EngineCmdlet
{
    const string Script = "Get-ContainerNamespace | ForEach-Object { Start-ContainerTask -Id * -ContainerNamespace $_.Name -AfterHostRestart -ThrottleLimit 8 -ErrorVariable +failed }; exit [int]($failed.Count -gt 0)";

    [Parameter(Position = 0)]
    [Alias("LiteralPath")]
    public string? Path { get; set; }

    [Parameter]
    public SwitchParameter Force { get; set; }

    [Parameter]
    public SwitchParameter PassThru { get; set; }

    protected override void ProcessRecord() => Try(ContainerServices.RestartUnit, () =>
    {
        ContainerServiceUnit unit = Engine.Services.ForRestarts(ServiceCommand.Options(Path is null ? null : HostPath(Path), enable: true, Script));
        WriteVerbose(unit.Content);
        if (!ShouldProcess(unit.Path, "Install-ContainerRestartService"))
            return;
        Wait(token => Engine.Services.WriteAsync(unit, Force, token));
        if (PassThru)
            WriteObject(unit);
    });
}
