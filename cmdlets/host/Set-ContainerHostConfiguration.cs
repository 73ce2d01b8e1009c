using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Set, "ContainerHostConfiguration", SupportsShouldProcess = true)]
[OutputType(typeof(ContainerConfigurationItem))]
public sealed class SetContainerHostConfigurationCommand : ContainerCmdlet
{
    [Parameter(Mandatory = true, Position = 0, ValueFromPipelineByPropertyName = true)]
    [ArgumentCompleter(typeof(ConfigurationCompleter))]
    public string Name { get; set; } = "";

    [Parameter(Mandatory = true, Position = 1, ValueFromPipelineByPropertyName = true)]
    [AllowNull]
    [AllowEmptyString]
    public object? Value { get; set; }

    [Parameter]
    public SwitchParameter User { get; set; }

    [Parameter]
    public SwitchParameter PassThru { get; set; }

    protected override void ProcessRecord() => Try(Name, () =>
    {
        string? text = Value is null ? null : Arguments.Text(Value);
        ContainerConfigurationItem then = ContainerHostConfiguration.Preview(Name, text, User);
        string file = User ? ContainerHostConfiguration.UserFile : ContainerHostConfiguration.SystemFile;
        // Another source may come before this file.
        if (!ShouldProcess($"{then.Name} in {file}; then '{then.Value}' counts, from {then.File ?? (then.Source == ContainerConfigurationSource.Environment ? "$" + then.Variable : "the defaults")}",
            text is null ? "Remove setting" : $"Set to '{text}'"))
            return;
        ContainerConfigurationItem now = ContainerHostConfiguration.Set(Name, text, User);
        if (PassThru)
            WriteObject(now);
    });
}
