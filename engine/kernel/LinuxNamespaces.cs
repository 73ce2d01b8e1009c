using Containers.Linux;

namespace Containers;

/// <summary>Linux namespaces as objects.</summary>
public sealed class LinuxNamespaces
{
    readonly ContainerEngine engine;

    internal LinuxNamespaces(ContainerEngine engine) => this.engine = engine;

    /// <summary>
    /// The namespaces that processes are in, or that a bind mount in this process's mount namespace holds; one object for each. What a
    /// caller may not look at, and what vanishes meanwhile, is left out.
    /// </summary>
    /// <param name="type">One type; null for all.</param>
    /// <param name="processId">Those of this process alone.</param>
    /// <param name="containerId">Those of this container's program alone.</param>
    /// <param name="containerNamespace">Where that container is; without an id, all containers of the host are matched.</param>
    /// <exception cref="ContainerException"><c>NamespaceNotFound</c>: no such process; <c>ContainerNotFound</c>, <c>TaskNotFound</c>, <c>TaskNotRunning</c>.</exception>
    public IReadOnlyList<LinuxNamespace> List(LinuxNamespaceType? type = null, int? processId = null, string? containerId = null, string? containerNamespace = null)
    {
        if (containerId is not null)
        {
            var task = engine.Tasks.Get(containerId, containerNamespace);
            processId = task.ProcessId ?? throw ShimErrors.NotRunning(containerId);
        }
        HashSet<ulong>? wanted = null;
        if (processId is { } pid)
        {
            if (!TryLinks(pid, out var links))
            {
                throw new ContainerException(ErrorIds.NamespaceNotFound, $"There is no process {pid}, or its namespaces may not be looked at.", pid, ContainerErrorCategory.ObjectNotFound);
            }
            wanted = [.. links.Where(IsOwn).Select(l => l.Id)];
        }

        var found = new Dictionary<ulong, Members>();
        AddProcesses(found, wanted);
        AddMounts(found, wanted);
        var containers = Containers();
        var result = new List<LinuxNamespace>();
        foreach (var (id, members) in found)
        {
            if (type is null || members.Type == type) { result.Add(Build(id, members, containers)); }
        }
        result.Sort((a, b) => a.Type != b.Type ? a.Type.CompareTo(b.Type) : a.Id.CompareTo(b.Id));
        return result;
    }

    sealed class Members
    {
        internal required LinuxNamespaceType Type;
        internal int? Lowest;
        internal int Count;
        internal string? Mount;
    }

    // What a process's children will get is not what it is in.
    static bool IsOwn(NamespaceLink link) => !link.File.EndsWith("_for_children", StringComparison.Ordinal);

    // EACCES: a process with more capabilities than this one may not be looked at.
    static bool TryLinks(int pid, out List<NamespaceLink> links)
    {
        try { return NamespaceLink.TryReadAll(pid, out links); }
        catch (LinuxException)
        {
            links = [];
            return false;
        }
    }

    static void AddProcesses(Dictionary<ulong, Members> found, HashSet<ulong>? wanted)
    {
        foreach (var pid in ProcessList.Read())
        {
            if (!TryLinks(pid, out var links)) { continue; }
            foreach (var link in links)
            {
                if (!IsOwn(link) || wanted?.Contains(link.Id) == false || !TryType(link.Type, out var type)) { continue; }
                if (!found.TryGetValue(link.Id, out var members)) { found.Add(link.Id, members = new Members { Type = type }); }
                members.Count++;
                members.Lowest = members.Lowest is { } lowest ? Math.Min(lowest, pid) : pid;
            }
        }
    }

    static void AddMounts(Dictionary<ulong, Members> found, HashSet<ulong>? wanted)
    {
        foreach (var mount in MountInfo.ReadSelf())
        {
            if (mount.Type != "nsfs") { continue; }
            // "net:[4026532000]"
            var colon = mount.Root.IndexOf(":[", StringComparison.Ordinal);
            if (colon < 0 || !mount.Root.EndsWith(']') || !TryType(mount.Root[..colon], out var type)) { continue; }
            if (!ulong.TryParse(mount.Root.AsSpan(colon + 2, mount.Root.Length - colon - 3), out var id) || wanted?.Contains(id) == false) { continue; }
            if (!found.TryGetValue(id, out var members)) { found.Add(id, members = new Members { Type = type }); }
            members.Mount ??= mount.MountPoint;
        }
    }

    static unsafe LinuxNamespace Build(ulong id, Members members, Dictionary<ulong, string> containers)
    {
        var path = members.Lowest is { } pid ? $"/proc/{pid}/ns/{File(members.Type)}" : members.Mount!;
        ulong? owner = null, parent = null;
        uint? user = null;
        var fd = Libc.open(path, Libc.O_RDONLY | Libc.O_CLOEXEC | Libc.O_NONBLOCK);
        if (fd >= 0)
        {
            owner = Related(fd, Libc.NS_GET_USERNS);
            if (members.Type is LinuxNamespaceType.Pid or LinuxNamespaceType.User) { parent = Related(fd, Libc.NS_GET_PARENT); }
            uint uid;
            if (members.Type == LinuxNamespaceType.User && Libc.ioctl(fd, Libc.NS_GET_OWNER_UID, &uid) == 0) { user = uid; }
            _ = Libc.close(fd);
        }
        string? command = null;
        if (members.Lowest is { } first && ProcessStrings.TryReadComm(first, out var comm)) { command = comm; }
        return new LinuxNamespace
        {
            Type = members.Type,
            Id = id,
            Holder = members.Lowest is null ? LinuxNamespaceHolder.Mount : LinuxNamespaceHolder.Process,
            HolderPath = path,
            ProcessId = members.Lowest,
            ProcessCount = members.Count,
            Command = command,
            OwnerId = owner,
            ParentId = parent,
            OwnerUserId = user,
            Container = containers.GetValueOrDefault(id),
        };
    }

    // Null where the related one lies outside of what this process may see.
    static unsafe ulong? Related(int fd, int question)
    {
        var other = Libc.ioctl(fd, (nuint)question, null);
        if (other < 0) { return null; }
        ulong? id = Libc.statx(other, Libc.STATX_INO, out var stat) == 0 ? stat.stx_ino : null;
        _ = Libc.close(other);
        return id;
    }

    // A namespace belongs to the container that it was made for, not to those that joined it, nor to a host that it was borrowed from.
    Dictionary<ulong, string> Containers()
    {
        var owners = new Dictionary<ulong, string>();
        foreach (var ns in ContainerStore.ChildNames(engine.Paths.RunRoot))
        {
            foreach (var task in engine.Tasks.List(ns))
            {
                if (task.ProcessId is not { } pid || !TryLinks(pid, out var links)) { continue; }
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

    static string File(LinuxNamespaceType type) => type.ToString().ToLowerInvariant();

    static bool TryType(string text, out LinuxNamespaceType type)
    {
        type = default;
        foreach (var one in Enum.GetValues<LinuxNamespaceType>())
        {
            if (File(one) != text) { continue; }
            type = one;
            return true;
        }
        return false;
    }
}
