using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.New, "Container", DefaultParameterSetName = FromRootfs, SupportsShouldProcess = true)]
[OutputType(typeof(Container))]
public sealed class NewContainerCommand : StoredCmdlet
{
    protected override void ProcessRecord()
    {
        Try(Id, () =>
        {
            ContainerCreateOptions options = StoredOptions();
            if (ShouldProcess(Planned, "New-Container"))
                WriteObject(Begin((pump, token) => CreateAsync(options, pump, token)).Finish());
        });
    }
}
