using Containers.Linux;

namespace Containers;

/// <summary>The namespaces of one moment, from one pass over /proc.</summary>
public sealed class LinuxNamespaceSnapshot
{
    readonly ContainerEngine engine;
    readonly Dictionary<ulong, LinuxNamespace> byId = [];
    readonly List<LinuxNamespace> all = [];

    internal LinuxNamespaceSnapshot(ContainerEngine engine)
    {
        this.engine = engine;
        Dictionary<ulong, NamespaceFound> found;
        try { found = NamespaceScan.Run(); }
        catch (LinuxException e)
        {
            throw new ContainerException(ErrorIds.HostRefused, $"Namespaces cannot be listed: {e.Message}. Is /proc mounted?", "/proc", ContainerErrorCategory.ResourceUnavailable, e);
        }
        var containers = Containers();
        var folders = NamespaceStore.Folders(engine.Paths);
        foreach (var one in found.Values)
        {
            var built = Build(one, containers, folders);
            all.Add(built);
            byId.Add(one.Id, built);
        }
        all.Sort((a, b) => a.Type != b.Type ? a.Type.CompareTo(b.Type) : a.Id.CompareTo(b.Id));
    }

    /// <summary>By type, then by id.</summary>
    public IReadOnlyList<LinuxNamespace> All => all;

    /// <summary>Null when it was not there.</summary>
    public LinuxNamespace? Find(ulong id) => byId.GetValueOrDefault(id);

    /// <summary>Whether every namespace of a process is in it: a process may have come later, or changed over since.</summary>
    public bool Knows(int processId) => processId > 0 && LinuxNamespaces.TryLinks(processId, out var links) && links.All(link => byId.ContainsKey(link.Id));

    /// <summary>Those that a process is in, and those that it gives to its children.</summary>
    /// <exception cref="ContainerException"><c>NamespaceNotFound</c>.</exception>
    public IReadOnlyList<LinuxNamespace> OfProcess(int processId)
    {
        if (processId <= 0 || !LinuxNamespaces.TryLinks(processId, out var links)) { throw LinuxNamespaces.NoProcess(processId); }
        var ids = links.Select(link => link.Id).ToHashSet();
        return [.. all.Where(one => ids.Contains(one.Id))];
    }

    /// <summary>Those that a container's program is in.</summary>
    /// <exception cref="ContainerException"><c>ContainerNotFound</c>, <c>TaskNotFound</c>, <c>TaskNotRunning</c>.</exception>
    public IReadOnlyList<LinuxNamespace> OfContainer(string id, string? containerNamespace = null) =>
        OfProcess(engine.Tasks.Get(id, containerNamespace).ProcessId ?? throw ShimErrors.NotRunning(id));

    internal static LinuxNamespace Build(NamespaceFound one, Dictionary<ulong, string> containers, IReadOnlyList<string> folders)
    {
        var holder = one.Processes > 0 || one.Thread is not null || one.ChildrenOf is not null ? LinuxNamespaceHolder.Process
            : one.Mounts.Count > 0 ? LinuxNamespaceHolder.BindMount
            : one.Descriptors.Count > 0 ? LinuxNamespaceHolder.Descriptor : LinuxNamespaceHolder.Namespace;
        var pid = one.LowestPid ?? one.Thread?.Pid ?? one.ChildrenOf ?? (holder == LinuxNamespaceHolder.Descriptor ? one.Descriptors[0].Pid : null);
        return new LinuxNamespace
        {
            Type = LinuxNamespaces.Type(one.Type),
            Id = one.Id,
            Holder = holder,
            HolderPath = one.Path,
            Name = NameOf(one, folders),
            ProcessId = pid,
            ProcessCount = one.Processes,
            Command = pid is { } first && ProcessStrings.TryReadComm(first, out var comm) ? comm : null,
            OwnerId = one.Owner,
            ParentId = one.Parent,
            OwnerUserId = one.OwnerUser,
            Container = containers.GetValueOrDefault(one.Id),
            BindMounts = Mounts(one),
            Descriptors = [.. one.Descriptors.Select(descriptor => descriptor.ToString())],
        };
    }

    // One of a peer group stands for all: unmounting it unmounts them.
    static List<string> Mounts(NamespaceFound one)
    {
        var paths = new List<string>();
        var groups = new HashSet<(int, string)>();
        foreach (var mount in one.Mounts)
        {
            if (mount.PeerGroup is not { } group || groups.Add((group, Path.GetFileName(mount.Path)))) { paths.Add(mount.Path); }
        }
        return paths;
    }

    static string? NameOf(NamespaceFound one, IReadOnlyList<string> folders)
    {
        foreach (var mount in one.Mounts)
        {
            if (folders.Contains(Path.GetDirectoryName(mount.Path))) { return Path.GetFileName(mount.Path); }
        }
        return null;
    }

    // A namespace belongs to the container that it was made for, not to those that joined it, nor to a host that it was borrowed from.
    Dictionary<ulong, string> Containers()
    {
        var owners = new Dictionary<ulong, string>();
        foreach (var ns in ContainerStore.RunNamespaces(engine.Paths))
        {
            foreach (var task in engine.Tasks.List(ns))
            {
                if (task.ProcessId is not { } pid || !LinuxNamespaces.TryLinks(pid, out var links)) { continue; }
                ContainerRecord record;
                try { record = engine.Containers.Load(ns, task.ContainerId); }
                catch (ContainerException) { continue; }
                foreach (var one in record.Spec.Linux?.Namespaces ?? [])
                {
                    if (one.Path is not null || one.Type is null || record.Joins.ContainsKey(one.Type)) { continue; }
                    var file = one.Type switch { "network" => "net", "mount" => "mnt", _ => one.Type };
                    foreach (var link in links)
                    {
                        if (link.File == file) { owners.TryAdd(link.Id, task.ContainerId); }
                    }
                }
            }
        }
        return owners;
    }
}
