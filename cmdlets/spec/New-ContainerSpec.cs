using System.Management.Automation;
using Containers.Linux.Oci;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.New, "ContainerSpec")]
[OutputType(typeof(Spec))]
public sealed class NewContainerSpecCommand : CreateCmdlet
{
    [Parameter]
    public string? RootfsPath { get; set; }

    protected override void ProcessRecord() => Try(null, () =>
    {
        ContainerCreateOptions options = SpecOptions();
        options.RootfsPath = RootfsPath is null ? null : HostPath(RootfsPath);
        // What runc spec writes too; a spec without a program is no spec.
        options.ArgumentList ??= ["sh"];
        WriteObject(Engine.Containers.NewSpec(options));
    });
}
