using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsDiagnostic.Measure, "ContainerStorage")]
[OutputType(typeof(ContainerStorageMeasurement))]
public sealed class MeasureContainerStorageCommand : EngineCmdlet
{
    protected override void EndProcessing() => Try(null, () => WriteObject(Engine.Storage.Measure(), enumerateCollection: true));
}
