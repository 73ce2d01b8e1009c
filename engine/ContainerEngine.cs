namespace Containers;

/// <summary>
/// The way in: containers, tasks, logs and the kernel's own objects of one host. It holds no state of its own, so any number
/// may exist, in any number of processes and threads: the files and the kernel have the truth.
/// </summary>
public sealed class ContainerEngine
{
    public ContainerEngine(ContainerHostOptions? options = null)
    {
        Options = options ?? ContainerHostOptions.FromEnvironment();
        Names.Namespace(Options.ContainerNamespace);
        Paths = new HostPaths(Options);
        Content = new ContentStore(this);
        Snapshots = new SnapshotStore(this);
        Images = new ImageStore(this);
        Storage = new ContainerStorage(this);
        Registries = new ContainerRegistries(this);
        Containers = new ContainerStore(this);
        Volumes = new ContainerVolumes(this);
        ContainerNamespaces = new ContainerNamespaces(this);
        Tasks = new ContainerTasks(this);
        Events = new ContainerEvents(this);
        Items = new ContainerItems(this);
        Logs = new ContainerLogs(this);
        Cgroups = new ContainerCgroups(this);
        Namespaces = new LinuxNamespaces(this);
        Networks = new ContainerNetworks(this);
        Measurements = new ContainerMeasurements(this);
        Services = new ContainerServices(this);
        Host = new ContainerHost(this);
    }

    public ContainerHostOptions Options { get; }
    public ContainerStore Containers { get; }
    public ContainerVolumes Volumes { get; }
    public ContainerNamespaces ContainerNamespaces { get; }
    public ImageStore Images { get; }
    public ContentStore Content { get; }
    public SnapshotStore Snapshots { get; }
    public ContainerStorage Storage { get; }
    public ContainerRegistries Registries { get; }
    public ContainerTasks Tasks { get; }
    public ContainerEvents Events { get; }
    public ContainerItems Items { get; }
    public ContainerLogs Logs { get; }
    public ContainerCgroups Cgroups { get; }
    public LinuxNamespaces Namespaces { get; }
    public ContainerNetworks Networks { get; }
    public ContainerMeasurements Measurements { get; }
    public ContainerServices Services { get; }
    public ContainerHost Host { get; }

    /// <summary>The version of this library, which is the module's.</summary>
    public static string Version => typeof(ContainerEngine).Assembly.GetName().Version!.ToString(3);

    internal HostPaths Paths { get; }

    /// <summary>The named container namespace, or the default one, validated.</summary>
    internal string NamespaceOr(string? ns) => ns is null ? Options.ContainerNamespace : Names.Namespace(ns);
}
