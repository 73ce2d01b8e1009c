using Containers.Linux;
using Containers.Linux.Cgroups;
using Containers.Linux.Oci;

namespace Containers;

/// <summary>What to change of a cgroup's limits: null leaves one as it is, -1 takes it away.</summary>
public sealed class CgroupLimitChange
{
    public long? Memory { get; set; }

    /// <summary>Memory and swap together.</summary>
    public long? MemorySwap { get; set; }

    public long? MemoryReservation { get; set; }

    /// <summary>Processors, such as 0.5.</summary>
    public double? Cpu { get; set; }

    /// <summary>1–10000.</summary>
    public long? CpuWeight { get; set; }

    public string? CpuSet { get; set; }
    public string? MemorySet { get; set; }
    public long? ProcessLimit { get; set; }
    public IReadOnlyList<ContainerIoLimit>? IoLimit { get; set; }
}

/// <summary>Control groups as objects: one for each path, whatever hierarchies have it.</summary>
public sealed class ContainerCgroups
{
    const int Deepest = 256;

    readonly ContainerEngine engine;

    internal ContainerCgroups(ContainerEngine engine) => this.engine = engine;

    /// <summary>The group of this path.</summary>
    /// <exception cref="ContainerException"><c>CgroupNotFound</c>, <c>InvalidArgument</c>, <c>CgroupUnavailable</c>.</exception>
    public Cgroup Get(string path) => Guard(path, () =>
    {
        var group = Existing(path);
        return Describe(group, Owners());
    });

    /// <summary>The group of this path and those below it; one level without <paramref name="recurse"/>.</summary>
    /// <exception cref="ContainerException"><c>CgroupNotFound</c>, <c>InvalidArgument</c>, <c>CgroupUnavailable</c>.</exception>
    public IReadOnlyList<Cgroup> List(string path = "/", bool recurse = false) => Guard(path, () =>
    {
        var group = Existing(path);
        var owners = Owners();
        var all = new List<Cgroup> { Describe(group, owners) };
        Walk(group, recurse ? Deepest : 1, all, owners);
        return all;
    });

    /// <summary>The group that a process is in, by the first hierarchy with controllers.</summary>
    /// <exception cref="ContainerException"><c>CgroupNotFound</c>.</exception>
    public Cgroup ForProcess(int processId) => Guard(processId.ToString(), () =>
    {
        if (!ProcessCgroup.TryRead(processId, out var lines)) { throw new CgroupException("CgroupNotFound", $"there is no process {processId}"); }
        var host = CgroupHost.Detect();
        foreach (var line in lines)
        {
            if (host.Kind == CgroupKind.V2 ? line.Hierarchy == 0 : line.Hierarchy != 0 && !line.Controllers.StartsWith("name=", StringComparison.Ordinal))
            {
                return Describe(host.Group(line.Path), Owners());
            }
        }
        throw new CgroupException("CgroupNotFound", $"process {processId} is in no group of a controller");
    });

    /// <summary>The group of a container that has a task.</summary>
    /// <exception cref="ContainerException"><c>ContainerNotFound</c>, <c>CgroupNotFound</c>.</exception>
    public Cgroup ForContainer(string id, string? containerNamespace = null) => Get(PathOf(id, containerNamespace));

    /// <summary>The path of a container's group, whether or not it is there.</summary>
    /// <exception cref="ContainerException"><c>ContainerNotFound</c>, <c>CgroupNotFound</c>.</exception>
    public string PathOf(string id, string? containerNamespace = null)
    {
        var record = engine.Containers.Load(engine.NamespaceOr(containerNamespace), id);
        return PathOf(record) ?? throw new ContainerException(ErrorIds.CgroupNotFound,
            $"The spec of container '{id}' names no absolute cgroup path, so that its runtime chose one by itself.", id, ContainerErrorCategory.ObjectNotFound);
    }

    /// <summary>The limits that are set.</summary>
    /// <exception cref="ContainerException"><c>CgroupNotFound</c>.</exception>
    public CgroupLimit GetLimit(string path) => Guard(path, () =>
    {
        var group = Existing(path);
        var limits = group.ReadLimits();
        return new CgroupLimit
        {
            Path = group.Path,
            Memory = limits.Memory,
            MemorySwap = limits.MemorySwap,
            MemoryReservation = limits.MemoryReservation,
            Cpu = limits is { CpuQuota: { } quota, CpuPeriod: { } period } && period > TimeSpan.Zero ? quota / period : null,
            CpuWeight = limits.CpuWeight,
            CpuSet = limits.Cpus,
            MemorySet = limits.MemoryNodes,
            ProcessLimit = limits.Pids,
            Container = OwnerOf(group.Path, Owners()),
        };
    });

    /// <summary>Changes limits of a group that exists and answers with what is set then.</summary>
    /// <exception cref="ContainerException"><c>CgroupNotFound</c>, <c>InvalidArgument</c>; <c>HostRefused</c>: the kernel does not take it.</exception>
    public CgroupLimit SetLimit(string path, CgroupLimitChange change)
    {
        Guard(path, () =>
        {
            var group = Existing(path);
            group.Apply(ResourceSpec.Change(change));
            return true;
        });
        return GetLimit(path);
    }

    /// <summary>Every process in a container's group and below it.</summary>
    internal List<int> ProcessesOf(ContainerRecord record) => PathOf(record) is { } path ? CgroupHost.Detect().Group(path).Processes(recursive: true) : [];

    /// <summary>Null where the runtime places the group, or where the record names none that could be there.</summary>
    internal static string? PathOf(ContainerRecord record)
    {
        if (record.Spec.Linux?.CgroupsPath is not { } path || !path.StartsWith('/')) { return null; }
        try { return CgroupPath.Normalize(path) is var normal && normal != "/" ? normal : null; }
        catch (CgroupException) { return null; }
    }

    /// <summary>A group that others live in would be killed with the container: one of the user's choice has to be free.</summary>
    /// <exception cref="ContainerException"><c>CgroupUnavailable</c>.</exception>
    internal static void RefuseShared(ContainerRecord record)
    {
        if (PathOf(record) is not { } path || path == HostPaths.CgroupPath(record.Namespace, record.Id)) { return; }
        Guard(path, () =>
        {
            var group = CgroupHost.Detect().Group(path);
            return group.Exists && group.Processes(recursive: true).Count > 0
                ? throw new ContainerException(ErrorIds.CgroupUnavailable, $"The cgroup '{path}' of container '{record.Id}' has processes of others in it, and would be ended with the container. Choose another.",
                    path, ContainerErrorCategory.ResourceBusy)
                : true;
        });
    }

    internal static ControlGroup Existing(string path)
    {
        var group = CgroupHost.Detect().Group(path);
        return group.Exists ? group : throw new CgroupException("CgroupNotFound", $"there is no group '{path}'");
    }

    static void Walk(ControlGroup group, int levels, List<Cgroup> all, Dictionary<string, string> owners)
    {
        if (levels == 0) { return; }
        var names = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var hierarchy in group.Host.Hierarchies)
        {
            try
            {
                foreach (var folder in Directory.EnumerateDirectories(group.FolderIn(hierarchy))) { names.Add(Path.GetFileName(folder)); }
            }
            catch (DirectoryNotFoundException) { }
        }
        foreach (var name in names)
        {
            var child = group.Host.Group(group.Path == "/" ? "/" + name : $"{group.Path}/{name}");
            if (!child.Exists) { continue; }
            all.Add(Describe(child, owners));
            Walk(child, levels - 1, all, owners);
        }
    }

    static Cgroup Describe(ControlGroup group, Dictionary<string, string> owners)
    {
        var controllers = new List<string>();
        CgroupHierarchy? first = null;
        foreach (var hierarchy in group.Host.Hierarchies)
        {
            if (!Directory.Exists(group.FolderIn(hierarchy))) { continue; }
            // Where the controllers are is where one looks.
            if (first is null || first.Controllers.Count == 0 && hierarchy.Controllers.Count > 0) { first = hierarchy; }
            controllers.AddRange(hierarchy.Controllers);
        }
        if (first is null) { throw new CgroupException("CgroupNotFound", $"there is no group '{group.Path}'"); }
        return new Cgroup
        {
            Path = group.Path,
            Hierarchy = first.MountPoint,
            Version = first.Version,
            Controllers = controllers,
            ProcessCount = group.Processes().Count,
            Frozen = group.Path == "/" ? null : group.Frozen,
            Container = OwnerOf(group.Path, owners),
        };
    }

    // Container by cgroup path, over all container namespaces; a damaged record hides its own container alone.
    Dictionary<string, string> Owners()
    {
        var owners = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var ns in ContainerStore.RunNamespaces(engine.Paths))
        {
            foreach (var id in ContainerStore.ChildNames(engine.Paths.RunNamespaceFolder(ns)))
            {
                try
                {
                    if (PathOf(engine.Containers.Load(ns, id)) is { } path) { owners.TryAdd(path, id); }
                }
                catch (ContainerException) { }
            }
        }
        return owners;
    }

    static string? OwnerOf(string path, Dictionary<string, string> owners)
    {
        for (var part = path; part.Length > 1; part = part[..Math.Max(part.LastIndexOf('/'), 0)])
        {
            if (owners.TryGetValue(part, out var id)) { return id; }
        }
        return null;
    }

    internal static T Guard<T>(string target, Func<T> work)
    {
        try { return work(); }
        catch (CgroupException e)
        {
            var (id, category) = e.Id switch
            {
                "CgroupNotFound" => (ErrorIds.CgroupNotFound, ContainerErrorCategory.ObjectNotFound),
                "InvalidCgroupPath" => (ErrorIds.InvalidArgument, ContainerErrorCategory.InvalidArgument),
                "CgroupLimitRefused" or "CgroupNotSupported" => (ErrorIds.HostRefused, ContainerErrorCategory.InvalidOperation),
                _ => (ErrorIds.CgroupUnavailable, ContainerErrorCategory.ResourceUnavailable),
            };
            throw new ContainerException(id, $"Cgroup '{target}': {e.Message}. Get-Cgroup lists groups, Test-ContainerHost tells which controllers work.", target, category, e);
        }
        catch (LinuxException e)
        {
            throw new ContainerException(ErrorIds.CgroupUnavailable, $"Cgroup '{target}': {e.Message}. Are you root?", target, ContainerErrorCategory.PermissionDenied, e);
        }
    }
}
