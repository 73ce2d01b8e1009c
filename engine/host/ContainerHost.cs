namespace Containers;

/// <summary>This machine: what it is, what it can do, where its runtimes are.</summary>
public sealed partial class ContainerHost
{
    readonly ContainerEngine engine;

    internal ContainerHost(ContainerEngine engine) => this.engine = engine;

    /// <summary>The absolute path of an OCI runtime, by name or by absolute path.</summary>
    /// <exception cref="ContainerException"><c>RuntimeNotFound</c>, <c>HelperNotFound</c>, <c>HelperNotTrusted</c>.</exception>
    public string FindRuntime(string runtime) => RuntimeLookup.Find(runtime, engine.Options);

    /// <summary>The psrun program, which is the shim too.</summary>
    /// <exception cref="ContainerException"><c>HelperNotFound</c>, <c>HelperNotTrusted</c>.</exception>
    public string FindHelper() => RuntimeLookup.Helper(engine.Options);
}
