using Containers.Linux;

namespace Containers;

/// <summary>Linux namespaces as objects.</summary>
public sealed partial class LinuxNamespaces
{
    readonly ContainerEngine engine;

    internal LinuxNamespaces(ContainerEngine engine) => this.engine = engine;

    /// <summary>
    /// The namespaces of this host: one object for each, whatever holds it. What a caller may not look at, and what vanishes meanwhile, is left out.
    /// </summary>
    /// <param name="type">One type; null for all.</param>
    /// <param name="processId">Those of this process alone, and those that it gives to its children.</param>
    /// <param name="containerId">Those of this container's program alone.</param>
    /// <param name="containerNamespace">Where that container is; without an id, all containers of the host are matched.</param>
    /// <exception cref="ContainerException"><c>NamespaceNotFound</c>: no such process; <c>ContainerNotFound</c>, <c>TaskNotFound</c>, <c>TaskNotRunning</c>.</exception>
    public IReadOnlyList<LinuxNamespace> List(LinuxNamespaceType? type = null, int? processId = null, string? containerId = null, string? containerNamespace = null)
    {
        var snapshot = Snapshot();
        var all = containerId is not null ? snapshot.OfContainer(containerId, containerNamespace) : processId is { } pid ? snapshot.OfProcess(pid) : snapshot.All;
        return type is null ? all : [.. all.Where(one => one.Type == type)];
    }

    /// <summary>The host as it is now, to be asked several questions.</summary>
    public LinuxNamespaceSnapshot Snapshot() => new(engine);

    /// <summary>Every name that <c>ip netns</c> or <see cref="LinuxNamespaces"/> keeps a namespace by.</summary>
    public IReadOnlyList<string> ListNames() => [.. Enum.GetValues<LinuxNamespaceType>().SelectMany(type => NamespaceStore.NamesOf(engine.Paths, type)).Distinct().Order(StringComparer.Ordinal)];

    /// <summary>What a path leads to.</summary>
    /// <exception cref="ContainerException"><c>NamespaceNotFound</c>: nothing, or no namespace.</exception>
    public (LinuxNamespaceType Type, ulong Id) Identify(string path)
    {
        var fd = NamespaceFile.Open(path, out var file);
        if (fd < 0) { throw NoNamespace(path, Libc.errno); }
        _ = Libc.close(fd);
        return (Type(file.Type!), file.Id);
    }

    internal static ContainerException NoNamespace(string path, int errno) => new(ErrorIds.NamespaceNotFound,
        errno == Libc.EINVAL ? $"'{path}' is not a namespace. Give a bind mount of one, /proc/PID/ns/TYPE or /proc/PID/fd/N." : $"There is no namespace '{path}': {Errnos.Text(errno)}. Get-Namespace lists those that are there.",
        path, errno is Libc.EACCES or Libc.EPERM ? ContainerErrorCategory.PermissionDenied : ContainerErrorCategory.ObjectNotFound);

    /// <summary>As the kernel writes it: the name of the file in /proc/PID/ns.</summary>
    internal static string File(LinuxNamespaceType type) => NamespaceScan.Types[(int)type];

    internal static LinuxNamespaceType Type(string file) => (LinuxNamespaceType)Array.IndexOf(NamespaceScan.Types, file);

    // EACCES: a process with more capabilities than this one may not be looked at.
    internal static bool TryLinks(int pid, out List<NamespaceLink> links)
    {
        try { return NamespaceLink.TryReadAll(pid, out links); }
        catch (LinuxException)
        {
            links = [];
            return false;
        }
    }

    internal static ContainerException NoProcess(int pid) => new(ErrorIds.NamespaceNotFound,
        $"There is no process {pid}, or its namespaces may not be looked at.", pid, ContainerErrorCategory.ObjectNotFound);
}
