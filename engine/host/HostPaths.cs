namespace Containers;

/// <summary>Every path of docs/design.md, "Files". Ids are validated before they come here.</summary>
sealed class HostPaths(ContainerHostOptions options)
{
    internal string Root => options.Root;
    internal string RunRoot => options.RunRoot;
    internal string Format => Path.Combine(Root, "format");
    internal string AllContainers => Path.Combine(Root, "containers");

    internal string Content => Path.Combine(Root, "content");
    internal string Blobs => Path.Combine(Root, "content/blobs");
    internal string Ingests => Path.Combine(Root, "content/ingest");
    internal string Leases => Path.Combine(Root, "leases");
    internal string CollectionLock => Path.Combine(Root, "collection.lock");
    internal string AllImages => Path.Combine(Root, "images");
    internal string ImagesLock => Path.Combine(Root, "images.lock");
    internal string Mounts => Path.Combine(Root, "mounts");
    internal string MountsLock => Path.Combine(Root, "mounts.lock");
    internal string Snapshots => Path.Combine(Root, "snapshots");
    internal string NamedSnapshots => Path.Combine(Root, "snapshots/named");

    /// <summary>Attachments to networks: a folder for each container that has any, a file for each interface.</summary>
    internal string Networks => Path.Combine(Root, "networks");

    /// <summary>Which addresses host-local has given, a folder for each network that was made here.</summary>
    internal string NetworkAddresses => Path.Combine(Root, "addresses");

    internal string Blob(Digest digest) => Path.Combine(Blobs, digest.Algorithm, digest.Hex);
    internal string SnapshotFolder(string ns, string key) => Path.Combine(NamedSnapshots, ns, key);
    internal string ImageFolder(string ns) => Path.Combine(AllImages, ns);

    internal string NamespaceFolder(string ns) => Path.Combine(AllContainers, ns);
    internal string NamespaceRecord(string ns) => Path.Combine(AllContainers, ns, "namespace.json");
    internal string ContainerFolder(string ns, string id) => Path.Combine(AllContainers, ns, id);
    internal string OverlayFolder(string ns, string id) => Path.Combine(ContainerFolder(ns, id), "overlay");
    internal string CheckpointFolder(string ns, string id) => Path.Combine(ContainerFolder(ns, id), "checkpoint");

    /// <summary>The file that a container's log is written to, in the CRI format; null when it cannot be read.</summary>
    internal string? Log(ContainerRecord record) =>
        !record.KeepLog ? null : record.LogUri is { } uri ? new LogUri(uri).File : Path.Combine(ContainerFolder(record.Namespace, record.Id), "log");

    /// <summary>There while the container has a task: <c>{}</c>, and its exit record once it has ended. It outlives the machine's restart.</summary>
    internal string TaskMark(string ns, string id) => Path.Combine(ContainerFolder(ns, id), "task.json");

    internal string AllVolumes => Path.Combine(Root, "volumes");
    internal string VolumeNamespaceFolder(string ns) => Path.Combine(AllVolumes, ns);
    internal string VolumeFolder(string ns, string name) => Path.Combine(AllVolumes, ns, name);

    internal string EventFolder(string ns) => Path.Combine(Root, "events", ns);

    internal string RunNamespaceFolder(string ns) => Path.Combine(RunRoot, ns);
    internal string RunFolder(string ns, string id) => Path.Combine(RunRoot, ns, id);
    internal string RuntimeRoot(string ns) => Path.Combine(RunRoot, ns, ".runtime");

    /// <summary>Kept Linux namespaces, a folder for each type; those of networks are where <c>ip netns</c> has them.</summary>
    internal string KeptNamespaces => Path.Combine(RunRoot, Names.Reserved);

    /// <summary>The cgroup path of a container that was given no other parent.</summary>
    internal static string CgroupPath(string ns, string id) => $"/pscontainers/{ns}/{id}";

    internal static string ShimCgroupPath(string ns, string id) => $"/pscontainers-shim/{ns}/{id}";
}
