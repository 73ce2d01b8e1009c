using Containers.Linux.Cgroups;

namespace Containers;

/// <summary>Control groups as objects.</summary>
public sealed partial class ContainerCgroups
{
    readonly ContainerEngine engine;

    internal ContainerCgroups(ContainerEngine engine) => this.engine = engine;

    /// <summary>Every process in a container's group and below it.</summary>
    internal List<int> ProcessesOf(ContainerRecord record) =>
        record.Spec.Linux?.CgroupsPath is { } path && path.StartsWith('/') && path.Length > 1 ? CgroupHost.Detect().Group(path).Processes(recursive: true) : [];
}
