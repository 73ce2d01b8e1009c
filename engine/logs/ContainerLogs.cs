namespace Containers;

/// <summary>What containers printed.</summary>
public sealed partial class ContainerLogs
{
    readonly ContainerEngine engine;

    internal ContainerLogs(ContainerEngine engine) => this.engine = engine;
}
