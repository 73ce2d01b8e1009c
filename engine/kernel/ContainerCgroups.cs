using System.Globalization;
using Containers.Linux;
using Containers.Linux.Cgroups;

namespace Containers;

/// <summary>Control groups as objects: one for each path, whatever hierarchies have it.</summary>
public sealed partial class ContainerCgroups
{
    const int Deepest = 256;

    readonly ContainerEngine engine;
    CgroupHost? host;
    Dictionary<string, (string Namespace, string Id)>? owners;

    internal ContainerCgroups(ContainerEngine engine) => this.engine = engine;

    // Looked for once: a thousand groups in a pipeline are found in the same hierarchies.
    CgroupHost Host => host ??= CgroupHost.Detect();

    /// <summary>Forgets what it knows of hierarchies and containers, for whoever keeps an engine for long.</summary>
    public void Refresh() => (host, owners) = (null, null);

    /// <summary>The group of this path, or of this folder of a hierarchy.</summary>
    /// <exception cref="ContainerException"><c>CgroupNotFound</c>, <c>InvalidArgument</c>, <c>CgroupUnavailable</c>.</exception>
    public Cgroup Get(string path) => Guard(path, () => Describe(Find(path)));

    /// <summary>The group of this path and those below it; one level without <paramref name="recurse"/>.</summary>
    /// <exception cref="ContainerException"><c>CgroupNotFound</c>, <c>InvalidArgument</c>, <c>CgroupUnavailable</c>.</exception>
    public IReadOnlyList<Cgroup> List(string path = "/", bool recurse = false) => Guard(path, () =>
    {
        var all = new List<Cgroup>();
        foreach (var one in Paths(path, recurse))
        {
            // One that is removed meanwhile is left out.
            try { all.Add(Describe(Host.Group(one))); }
            catch (CgroupException e) when (e.Id == "CgroupNotFound" && one != path) { }
        }
        return all;
    });

    /// <summary>The path of the group and of those below it, each before those below it.</summary>
    /// <exception cref="ContainerException"><c>CgroupNotFound</c>, <c>InvalidArgument</c>, <c>CgroupUnavailable</c>.</exception>
    public IReadOnlyList<string> Paths(string path = "/", bool recurse = false) => Guard(path, () =>
    {
        var group = Find(path);
        List<string> all = [group.Path, .. group.Below(recurse ? Deepest : 1)];
        return all;
    });

    /// <summary>The group that a process is in, by the first hierarchy with controllers.</summary>
    /// <exception cref="ContainerException"><c>CgroupNotFound</c>, <c>ProcessNotFound</c>.</exception>
    public Cgroup ForProcess(int processId) => AllForProcess(processId)[0];

    /// <summary>The groups that a process is in, one for each path: on v1 it may be elsewhere in each hierarchy. Each has only the controllers by which the
    /// process is in it.</summary>
    /// <exception cref="ContainerException"><c>ProcessNotFound</c>.</exception>
    public IReadOnlyList<Cgroup> AllForProcess(int processId) => Guard(processId.ToString(CultureInfo.InvariantCulture), () =>
    {
        if (processId <= 0 || !ProcessCgroup.TryRead(processId, out var lines)) { throw new CgroupException("ProcessNotFound", $"there is no process {processId}"); }
        var paths = new List<(string Path, List<CgroupHierarchy> In)>();
        foreach (var hierarchy in Host.Hierarchies)
        {
            var line = lines.FindIndex(l => hierarchy.Version == 2 ? l.IsVersion2 : !l.IsVersion2 && l.Controllers == hierarchy.Name);
            // What lies outside of our cgroup namespace, or is removed, cannot be reached by any path.
            if (line < 0 || lines[line].Path.StartsWith("/..", StringComparison.Ordinal) || lines[line].Path.EndsWith(" (deleted)", StringComparison.Ordinal)) { continue; }
            var at = paths.FindIndex(p => p.Path == lines[line].Path);
            if (at < 0) { paths.Add((lines[line].Path, [hierarchy])); }
            else { paths[at].In.Add(hierarchy); }
        }
        if (paths.Count == 0) { throw new CgroupException("CgroupNotFound", $"process {processId} is in no group that can be seen from here"); }
        // A group of its own says more than the root, and one with controllers more than one without.
        paths.Sort((a, b) => Weight(b).CompareTo(Weight(a)));
        return paths.ConvertAll(p => Describe(Host.Group(p.Path), p.In));

        static int Weight((string Path, List<CgroupHierarchy> In) p) => (p.Path == "/" ? 0 : 1000) + p.In.Sum(hierarchy => hierarchy.Controllers.Count);
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

    /// <summary>The same for a task. Where its first process is in the usual place the record, whose spec takes longer to read than all else, is left alone.</summary>
    internal string PathOf(ContainerTask task)
    {
        var usual = HostPaths.CgroupPath(task.ContainerNamespace, task.ContainerId);
        return task.ProcessId is { } pid && ProcessCgroup.TryRead(pid, out var lines) && lines.Exists(line => line.Path == usual) ? usual : PathOf(task.ContainerId, task.ContainerNamespace);
    }

    /// <summary>Every process in a container's group and below it.</summary>
    internal List<int> ProcessesOf(ContainerRecord record) => PathOf(record) is { } path ? CgroupHost.Detect().Group(path).Processes(recursive: true) : [];

    /// <summary>Every process in a group and below it.</summary>
    /// <exception cref="ContainerException"><c>CgroupNotFound</c>, <c>CgroupUnavailable</c>.</exception>
    internal static List<int> ProcessesIn(string path) => Guard(path, () => Existing(path).Processes(recursive: true));

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

    /// <summary>A group that is there, by its path or by one of its folders.</summary>
    ControlGroup Find(string path)
    {
        var group = Host.Group(Host.PathOf(path));
        return group.Exists ? group : throw new CgroupException("CgroupNotFound", $"there is no group '{group.Path}'");
    }

    Cgroup Describe(ControlGroup group) => Describe(group, Host.Hierarchies);

    Cgroup Describe(ControlGroup group, IReadOnlyList<CgroupHierarchy> among)
    {
        var controllers = new List<string>();
        var folders = new List<string>();
        CgroupHierarchy? first = null;
        foreach (var hierarchy in among)
        {
            var folder = group.FolderIn(hierarchy);
            if (!Directory.Exists(folder)) { continue; }
            folders.Add(folder);
            // Where the controllers are is where one looks.
            if (first is null || first.Controllers.Count == 0 && hierarchy.Controllers.Count > 0) { first = hierarchy; }
            controllers.AddRange(hierarchy.Version == 2 ? group.EnabledIn(hierarchy) : hierarchy.Controllers);
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
            Container = OwnerOf(group.Path),
            Folders = folders,
            Type = group.Type,
        };
    }

    // Container by cgroup path, over all container namespaces; a damaged record hides its own container alone.
    Dictionary<string, (string Namespace, string Id)> Owners()
    {
        if (owners is not null) { return owners; }
        owners = new(StringComparer.Ordinal);
        foreach (var ns in ContainerStore.RunNamespaces(engine.Paths))
        {
            foreach (var id in ContainerStore.ChildNames(engine.Paths.RunNamespaceFolder(ns)))
            {
                try
                {
                    if (PathOf(engine.Containers.Load(ns, id)) is { } path) { owners.TryAdd(path, (ns, id)); }
                }
                catch (ContainerException) { }
            }
        }
        return owners;
    }

    string? OwnerOf(string path)
    {
        for (var part = path; part.Length > 1; part = part[..Math.Max(part.LastIndexOf('/'), 0)])
        {
            if (Owners().TryGetValue(part, out var owner)) { return owner.Id; }
        }
        return null;
    }

    internal static T Guard<T>(string target, Func<T> work)
    {
        try { return work(); }
        catch (CgroupException e) { throw Failure(target, e); }
        catch (LinuxException e) { throw Failure(target, e); }
    }

    static ContainerException Failure(string target, LinuxException e)
    {
        var (id, category, why) = e.Errno switch
        {
            Libc.EACCES or Libc.EPERM => (ErrorIds.CgroupNotPermitted, ContainerErrorCategory.PermissionDenied, "Be root, or work below a group that was delegated to this user."),
            Libc.EROFS => (ErrorIds.CgroupReadOnly, ContainerErrorCategory.PermissionDenied, "The hierarchy is mounted read-only: remount it with mount -o remount,rw, or work where it is writable."),
            Libc.EAGAIN => (ErrorIds.CgroupUnavailable, ContainerErrorCategory.ResourceUnavailable, "A group above it allows no more groups (cgroup.max.descendants, cgroup.max.depth)."),
            Libc.EBUSY => (ErrorIds.CgroupBusy, ContainerErrorCategory.ResourceBusy, "Stop-Cgroup ends what is in it."),
            _ => (ErrorIds.CgroupUnavailable, ContainerErrorCategory.ResourceUnavailable, "Test-ContainerHost tells which controllers work."),
        };
        return new ContainerException(id, $"Cgroup '{target}': {e.Message}. {why}", target, category, e);
    }

    static ContainerException Failure(string target, CgroupException e)
    {
        const string Lists = " Get-Cgroup lists the groups that are there.";
        var (id, category, wayOut) = e.Id switch
        {
            "CgroupNotFound" => (ErrorIds.CgroupNotFound, ContainerErrorCategory.ObjectNotFound, Lists),
            "ProcessNotFound" => (ErrorIds.ProcessNotFound, ContainerErrorCategory.ObjectNotFound, " Get-Process lists those that are there."),
            "InvalidCgroupPath" => (ErrorIds.InvalidArgument, ContainerErrorCategory.InvalidArgument, " A path is like /jobs/night."),
            "InvalidLimit" => (ErrorIds.InvalidArgument, ContainerErrorCategory.InvalidArgument, ""),
            "CgroupLimitRefused" => (ErrorIds.CgroupLimitRefused, ContainerErrorCategory.InvalidOperation, ""),
            "CgroupNotSupported" => (ErrorIds.CgroupNotSupported, ContainerErrorCategory.NotImplemented, " Get-CgroupController tells what this host has."),
            "CgroupNotPermitted" => (ErrorIds.CgroupNotPermitted, ContainerErrorCategory.PermissionDenied, ""),
            "CgroupReadOnly" => (ErrorIds.CgroupReadOnly, ContainerErrorCategory.PermissionDenied, ""),
            "CgroupThreaded" => (ErrorIds.CgroupThreaded, ContainerErrorCategory.InvalidOperation, ""),
            "CgroupBusy" => (ErrorIds.CgroupBusy, ContainerErrorCategory.ResourceBusy, ""),
            _ => (ErrorIds.CgroupUnavailable, ContainerErrorCategory.ResourceUnavailable, Lists),
        };
        // What is not there is the process, and no group.
        var message = e.Id == "ProcessNotFound" ? char.ToUpperInvariant(e.Message[0]) + e.Message[1..] : $"Cgroup '{target}': {e.Message}";
        return new ContainerException(id, $"{message}.{wayOut}", target, category, e);
    }
}
