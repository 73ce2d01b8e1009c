using Containers.Linux;
using Containers.Linux.Cgroups;
using Containers.Linux.Oci;
using Psrun.Rootfs;

namespace Psrun.State;

/// <summary>The container's control group, in every hierarchy of the host.</summary>
sealed class CgroupSetup
{
    static CgroupHost? s_host;

    static CgroupHost Host => s_host ??= CgroupHost.Detect();

    readonly ControlGroup _group;
    bool _made;

    CgroupSetup(ControlGroup group) => _group = group;

    public string Path => _group.Path;

    /// <summary>The group that the bundle names. Nothing is made yet: its path is on record first, so that what a killed creation made is found.</summary>
    public static CgroupSetup Find(Spec spec, string id)
    {
        try
        {
            return new CgroupSetup(Host.Group(CgroupPath.Resolve(spec.Linux?.CgroupsPath, id)));
        }
        catch (CgroupException e)
        {
            throw new PsrunException("linux.cgroupsPath: " + e.Message);
        }
    }

    public void Create(LinuxResources? resources)
    {
        try
        {
            // One that is there already is shared: it is used, and not taken away when this creation fails.
            _made = _group.Create();
            _group.Apply(resources, create: true);
        }
        catch (CgroupException e)
        {
            throw new PsrunException(e.Message);
        }
    }

    public CgroupEntry OpenEntry() => new(_group);

    public void Remove()
    {
        if (_made)
            _group.Remove();
    }

    public CgroupMountSource MountSource(bool ownNamespace)
    {
        var source = new CgroupMountSource
        {
            OwnNamespace = ownNamespace,
            UnifiedOnly = Host.Kind == CgroupKind.V2,
            UnifiedFolder = Host.Unified is { } unified ? _group.FolderIn(unified) : null,
        };
        foreach (CgroupHierarchy hierarchy in Host.Hierarchies)
            if (hierarchy.Version == 1)
                source.V1.Add(new CgroupMount(hierarchy.Name, System.IO.Path.GetFileName(hierarchy.MountPoint), _group.FolderIn(hierarchy)));
        return source;
    }

    public static CgroupEntry OpenEntryOf(string path) => new(Host.Group(path));

    public static bool IsFrozen(string path)
    {
        ControlGroup group = Host.Group(path);
        return group.Exists && group.Frozen;
    }

    public static void Freeze(string path, bool frozen)
    {
        ControlGroup group = Host.Group(path);
        if (!group.Exists)
            return;
        if (frozen)
            group.Freeze();
        else if (group.Frozen)
            group.Thaw();
    }

    public static ControlGroup At(string path) => Host.Group(path);

    public static void Update(string path, LinuxResources resources)
    {
        ControlGroup group = Host.Group(path);
        if (!group.Exists)
            throw new PsrunException($"update: the container's cgroup {path} is gone");
        group.Update(resources);
    }

    public static List<int> Processes(string path) => Host.Group(path).Processes(recursive: true);

    /// <summary>Whether there was a process to signal.</summary>
    public static bool SignalAll(string path, int signal)
    {
        ControlGroup group = Host.Group(path);
        if (!group.Exists)
            return false;
        List<int> pids = group.Processes(recursive: true);
        if (signal == Libc.SIGKILL)
        {
            if (pids.Count > 0)
                group.Kill();
            return pids.Count > 0;
        }
        foreach (int pid in pids)
            Libc.kill(pid, signal);
        return pids.Count > 0;
    }

    public static void RemoveAt(string path) => Host.Group(path).Remove();
}
