namespace Containers;

/// <summary>Linux namespaces as objects.</summary>
public sealed partial class LinuxNamespaces
{
    readonly ContainerEngine engine;

    internal LinuxNamespaces(ContainerEngine engine) => this.engine = engine;
}
