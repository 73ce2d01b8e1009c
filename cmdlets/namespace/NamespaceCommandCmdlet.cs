using System.Collections;
using System.Management.Automation;

namespace Containers.Cmdlets;

/// <summary>What running a program in namespaces and entering them have in common.</summary>
public abstract class NamespaceCommandCmdlet : TenantCmdlet
{
    [Parameter(ValueFromRemainingArguments = true)]
    [AllowEmptyCollection]
    [AllowEmptyString]
    [AllowNull]
    public object[]? ArgumentList { get; set; }

    [Parameter]
    public LinuxNamespaceType[]? Type { get; set; }

    [Parameter]
    public SwitchParameter Root { get; set; }

    [Parameter]
    public string? WorkingDirectory { get; set; }

    [Parameter]
    public string? User { get; set; }

    [Parameter]
    [Alias("Env")]
    public IDictionary? Environment { get; set; }

    [Parameter]
    public SwitchParameter PassThru { get; set; }

    private protected NamespaceTarget Target(object? value) => NamespaceTargets.From(value, ContainerNamespace, HostPath);

    private protected NamespaceCommandOptions Options(IReadOnlyList<NamespaceTarget> targets) => new()
    {
        Targets = targets,
        Types = Type,
        ArgumentList = Arguments.Flat(ArgumentList) ?? [],
        Root = Root,
        WorkingDirectory = WorkingDirectory,
        HostFolder = SessionState.Path.CurrentFileSystemLocation.ProviderPath,
        User = User,
        Environment = Arguments.Table(Environment),
    };
}
