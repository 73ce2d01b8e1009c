using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.New, "ContainerMount")]
[OutputType(typeof(ContainerMount))]
public sealed class NewContainerMountCommand : ContainerCmdlet
{
    [Parameter(Position = 0, ValueFromPipelineByPropertyName = true)]
    public string? Source { get; set; }

    [Parameter(Mandatory = true, Position = 1, ValueFromPipelineByPropertyName = true)]
    public string? Target { get; set; }

    [Parameter(ValueFromPipelineByPropertyName = true)]
    public ContainerMountType Type { get; set; }

    [Parameter(ValueFromPipelineByPropertyName = true)]
    public SwitchParameter ReadOnly { get; set; }

    [Parameter(ValueFromPipelineByPropertyName = true)]
    public string? SubPath { get; set; }

    [Parameter]
    [ValidateRange(1L, long.MaxValue)]
    public long? Size { get; set; }

    [Parameter]
    public string[] Option { get; set; } = [];

    // The engine checks and completes it as it does with a mount that was said in words.
    protected override void ProcessRecord() => Try(Target, () => WriteObject(ContainerMount.From(new ContainerMount
    {
        Type = Type,
        Source = Source,
        Target = Target!,
        SubPath = SubPath,
        ReadOnly = ReadOnly,
        Options = Size is { } size ? [.. Option, $"size={size}"] : Option,
    }, HostPath)));
}
