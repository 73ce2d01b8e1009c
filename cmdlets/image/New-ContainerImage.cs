using System.Collections;
using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.New, "ContainerImage", SupportsShouldProcess = true)]
[OutputType(typeof(ContainerImage))]
public sealed class NewContainerImageCommand : ImageCmdlet, IJobCmdlet
{
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("Id", "ContainerId")]
    [ArgumentCompleter(typeof(ContainerIdCompleter))]
    public string Container { get; set; } = "";

    [Parameter(Position = 1)]
    [Alias("Tag", "Name")]
    public string? Reference { get; set; }

    [Parameter]
    public string? Author { get; set; }

    [Parameter]
    public string? Comment { get; set; }

    [Parameter]
    [AllowEmptyCollection]
    public string[]? Entrypoint { get; set; }

    [Parameter]
    [AllowEmptyCollection]
    public string[]? ArgumentList { get; set; }

    [Parameter]
    public IDictionary? Environment { get; set; }

    [Parameter]
    public string? WorkingDirectory { get; set; }

    [Parameter]
    public string? User { get; set; }

    [Parameter]
    public IDictionary? Label { get; set; }

    [Parameter]
    public DateTimeOffset? CreatedAt { get; set; }

    [Parameter]
    public SwitchParameter NoPause { get; set; }

    [Parameter]
    public SwitchParameter AsJob { get; set; }

    protected override void ProcessRecord()
    {
        if (!IsTaken)
            Try(Container, CommitOne);
    }

    void CommitOne()
    {
        if (!ShouldProcess($"{Container} as {Reference ?? "an image without a name"}", "New-ContainerImage"))
            return;
        var options = new ImageCommitOptions
        {
            Reference = Reference, ContainerNamespace = ContainerNamespace, Author = Author, Comment = Comment, Entrypoint = Entrypoint, ArgumentList = ArgumentList,
            Environment = Arguments.Table(Environment), WorkingDirectory = WorkingDirectory, User = User, Label = Arguments.Table(Label), CreatedAt = CreatedAt, NoPause = NoPause,
        };
        WriteObject(WithProgress($"Making an image of {Container}", (view, token) => Engine.Images.CommitAsync(Container, options, view, token)));
    }
}
