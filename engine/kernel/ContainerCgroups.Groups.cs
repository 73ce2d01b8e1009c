using System.Globalization;
using Containers.Linux;
using Containers.Linux.Cgroups;

namespace Containers;

public sealed partial class ContainerCgroups
{
    static readonly TimeSpan ShortWait = TimeSpan.FromSeconds(1);

    /// <summary>Plans a group that is to be made.</summary>
    /// <param name="controllers">On v1 only in the hierarchies of these, on v2 only these enabled; null for all.</param>
    /// <param name="threaded">For single threads (v2).</param>
    /// <exception cref="ContainerException"><c>InvalidArgument</c>, <c>CgroupExists</c>, <c>CgroupNotSupported</c>.</exception>
    public CgroupMakePlan PlanMake(string path, IReadOnlyCollection<string>? controllers = null, bool threaded = false) => Guard(path, () =>
    {
        var group = Host.Group(Host.PathOf(path));
        foreach (var controller in controllers ?? [])
        {
            if (Host.Require(controller) is { Version: 2 } && Host.Kind != CgroupKind.V2) { throw new CgroupNotSupportedException(controller, "it is mounted on no v1 hierarchy of this hybrid host"); }
        }
        if (group.Exists)
        {
            throw new ContainerException(ErrorIds.CgroupExists, $"Cgroup '{group.Path}' is there already. Choose another path, or take the one that is there with Get-Cgroup.", group.Path, ContainerErrorCategory.ResourceExists);
        }
        if (threaded) { _ = group.ThreadedStep; }
        return new CgroupMakePlan(group, controllers, threaded, group.MissingFolders(controllers, isNew: true));
    });

    /// <summary>Makes a group, with its missing parents, in every hierarchy; all of it or nothing.</summary>
    /// <exception cref="ContainerException"><c>CgroupExists</c>, <c>CgroupNotPermitted</c>, <c>CgroupReadOnly</c>, <c>CgroupThreaded</c>, <c>CgroupUnavailable</c>.</exception>
    public Cgroup Make(CgroupMakePlan plan) => Guard(plan.Path, () =>
    {
        var (group, missing) = (plan.Group, plan.Missing);
        try
        {
            group.Create(plan.Controllers);
            if (plan.Threaded) { group.MakeThreaded(); }
        }
        catch
        {
            for (var i = missing.Count - 1; i >= 0; i--) { Libc.rmdir(missing[i]); }
            throw;
        }
        group.MarkAsOurs();
        // Parents that were not there are ours as well.
        for (var slash = group.Path.LastIndexOf('/'); slash > 0; slash = group.Path.LastIndexOf('/', slash - 1))
        {
            var parent = Host.Group(group.Path[..slash]);
            if (!Host.Hierarchies.Any(hierarchy => missing.Contains(parent.FolderIn(hierarchy)))) { break; }
            parent.MarkAsOurs();
        }
        return Describe(group);
    });

    /// <summary>Plans a removal, and refuses one that may not be.</summary>
    /// <param name="recurse">Also those below it.</param>
    /// <param name="force">Also what was not made here, and what has processes.</param>
    /// <exception cref="ContainerException"><c>CgroupNotFound</c>; <c>CgroupBusy</c>; <c>CgroupNotOurs</c>; <c>CgroupProtected</c>: process 1, or this process, is in it.</exception>
    public CgroupRemovePlan PlanRemove(string path, bool recurse = false, bool force = false) => Guard(path, () =>
    {
        var group = Find(path);
        RefuseProtected(group, "removed");
        var below = group.Below();
        if (below.Count > 0 && !recurse)
        {
            throw new ContainerException(ErrorIds.CgroupBusy, $"Cgroup '{group.Path}' has {below.Count} groups below it. -Recurse removes them too.", group.Path, ContainerErrorCategory.ResourceBusy);
        }
        below.Insert(0, group.Path);
        if (!force)
        {
            foreach (var one in below)
            {
                if (!Host.Group(one).IsOurs)
                {
                    throw new ContainerException(ErrorIds.CgroupNotOurs, $"Cgroup '{one}' was not made by New-Cgroup. -Force removes it all the same; containers' groups go with Remove-Container.", one, ContainerErrorCategory.InvalidOperation);
                }
            }
            if (group.Processes(recursive: true) is { Count: > 0 } pids)
            {
                throw new ContainerException(ErrorIds.CgroupBusy, $"Cgroup '{group.Path}' has {pids.Count} processes in it, {string.Join(", ", pids.Take(5))}{(pids.Count > 5 ? " …" : "")}. Stop-Cgroup ends them, as -Force does.",
                    group.Path, ContainerErrorCategory.ResourceBusy);
            }
        }
        var folders = new List<string>();
        for (var i = below.Count - 1; i >= 0; i--) { folders.AddRange(Host.Group(below[i]).Folders()); }
        return new CgroupRemovePlan(group, recurse, force, folders);
    });

    /// <summary>Removes a group. Processes in it are killed with <see cref="CgroupRemovePlan.Force"/>.</summary>
    /// <exception cref="ContainerException"><c>CgroupBusy</c>: something came into it meanwhile, or does not end; <c>CgroupNotPermitted</c>, <c>CgroupReadOnly</c>.</exception>
    public void Remove(CgroupRemovePlan plan) => Guard(plan.Path, () =>
    {
        if (plan.Force) { plan.Group.Kill(); }
        // Without -Recurse just these folders: a child that was made meanwhile is then in the way, and stays.
        if (!plan.Recurse && !plan.Force)
        {
            foreach (var folder in plan.Folders)
            {
                if (Libc.rmdir(folder) != 0 && Libc.errno != Libc.ENOENT) { throw new LinuxException("rmdir", folder, Libc.errno); }
            }
        }
        else { plan.Group.Remove(wait: plan.Force ? TimeSpan.FromSeconds(10) : ShortWait); }
        return true;
    });

    static void RefuseProtected(ControlGroup group, string what)
    {
        var why = group.Protection ?? (group.HoldsUs ? "this PowerShell is in it" : null);
        if (why is not null) { throw new ContainerException(ErrorIds.CgroupProtected, $"Cgroup '{group.Path}' is not {what}: {why}. Nothing at or above the groups of process 1 and of this process is.", group.Path, ContainerErrorCategory.SecurityError); }
    }

    /// <summary>The writes by which <see cref="Move"/> moves.</summary>
    /// <exception cref="ContainerException"><c>CgroupNotFound</c>.</exception>
    public IReadOnlyList<string> PlanMove(string path, bool thread = false) => Guard(path, () => Find(path).EntryFiles(thread));

    /// <summary>Moves a process, or one thread, into a group: in all hierarchies that have it, or in none.</summary>
    /// <exception cref="ContainerException"><c>ProcessNotFound</c>, <c>CgroupNotFound</c>, <c>CgroupThreaded</c>, <c>CgroupNotPermitted</c>, <c>CgroupLimitRefused</c>.</exception>
    public void Move(string path, int id, bool thread = false) => Guard(path, () =>
    {
        try { Find(path).Move(id, thread); }
        catch (CgroupException e) when (e.Id == "ProcessNotFound") { throw Failure(id.ToString(CultureInfo.InvariantCulture), e); }
        return true;
    });

    /// <summary>Processes in a group, or their threads.</summary>
    /// <param name="recurse">Also of the groups below it.</param>
    /// <exception cref="ContainerException"><c>CgroupNotFound</c>.</exception>
    public IReadOnlyList<CgroupProcess> Processes(string path, bool recurse = false, bool threads = false) => Guard(path, () =>
    {
        var group = Find(path);
        var found = new List<CgroupProcess>();
        foreach (var one in recurse ? [group.Path, .. group.Below()] : new List<string> { group.Path })
        {
            var member = Host.Group(one);
            foreach (var id in threads ? member.Threads() : member.Processes())
            {
                // Whoever has ended meanwhile is left out.
                if (!ProcessStatus.TryRead(id, out var status)) { continue; }
                found.Add(new CgroupProcess { ProcessId = threads ? status.ThreadGroupId : id, ThreadId = threads ? id : null, Command = status.Name, Cgroup = one, Container = OwnerOf(one) });
            }
        }
        return found;
    });

    /// <summary>Stops all processes of a group and below it, until <see cref="Thaw"/>.</summary>
    /// <exception cref="ContainerException"><c>CgroupNotFound</c>; <c>CgroupProtected</c>; <c>CgroupBusy</c>: not all have stopped, and all go on; <c>CgroupNotSupported</c>.</exception>
    public Cgroup Freeze(string path) => Guard(path, () =>
    {
        var group = Find(path);
        RefuseProtected(group, "frozen");
        group.Freeze();
        return Describe(group);
    });

    /// <summary>The write that <see cref="Freeze"/> or <see cref="Thaw"/> makes.</summary>
    /// <exception cref="ContainerException"><c>CgroupNotFound</c>, <c>CgroupProtected</c>, <c>CgroupNotSupported</c>.</exception>
    public IReadOnlyList<string> PlanFreeze(string path, bool frozen) => Guard(path, () =>
    {
        var group = Find(path);
        if (frozen) { RefuseProtected(group, "frozen"); }
        if (Host.Find("freezer") is { Version: 1 } freezer) { return [$"{group.FolderIn(freezer)}/freezer.state: -> {(frozen ? "FROZEN" : "THAWED")}"]; }
        var unified = Host.Unified ?? throw new CgroupNotSupportedException("freezer", "the controller is mounted nowhere on this host");
        List<string> writes = [$"{group.FolderIn(unified)}/cgroup.freeze: -> {(frozen ? 1 : 0)}"];
        return writes;
    });

    /// <summary>Lets them go on.</summary>
    /// <exception cref="ContainerException"><c>CgroupNotFound</c>.</exception>
    public Cgroup Thaw(string path) => Guard(path, () =>
    {
        var group = Find(path);
        group.Thaw();
        return Describe(group);
    });

    /// <summary>The files that <see cref="Kill"/> writes besides its signals.</summary>
    /// <exception cref="ContainerException"><c>CgroupNotFound</c>, <c>CgroupProtected</c>.</exception>
    public IReadOnlyList<string> PlanKill(string path) => Guard(path, () =>
    {
        var group = Find(path);
        RefuseProtected(group, "stopped");
        return group.KillSteps();
    });

    /// <summary>Kills all processes of a group and below it, whatever they fork meanwhile, and waits for their end.</summary>
    /// <returns>How many there were.</returns>
    /// <exception cref="ContainerException"><c>CgroupNotFound</c>; <c>CgroupProtected</c>; <c>CgroupBusy</c>: some had not ended after this time.</exception>
    public int Kill(string path, TimeSpan wait) => Guard(path, () =>
    {
        var group = Find(path);
        RefuseProtected(group, "stopped");
        var count = group.Processes(recursive: true).Count;
        group.Kill();
        return group.WaitEmpty(wait) ? count
            : throw new ContainerException(ErrorIds.CgroupBusy, $"Cgroup '{group.Path}' still has {group.Processes(recursive: true).Count} processes after {wait.TotalSeconds:0.#} s. They are killed, and wait in the kernel for something; try again.",
                group.Path, ContainerErrorCategory.ResourceBusy);
    });
}
