namespace Containers;

/// <summary>Control groups as objects.</summary>
public sealed partial class ContainerCgroups
{
    readonly ContainerEngine engine;

    internal ContainerCgroups(ContainerEngine engine) => this.engine = engine;
}
