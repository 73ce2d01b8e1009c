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

    /// <summary>
    /// As <see cref="Create"/>; false for whoever has no right to make groups, when the bundle names neither a group nor a limit: then the container has
    /// none. Its device rules need none, for in a user namespace there is no making of devices.
    /// </summary>
    public bool TryCreate(LinuxConfig linux)
    {
        try
        {
            Create(linux.Resources);
            return true;
        }
        catch (LinuxException e) when (Psrun.Processes.Rootless.Active && e.Errno is Libc.EACCES or Libc.EPERM or Libc.EROFS)
        {
            if (!string.IsNullOrEmpty(linux.CgroupsPath))
                throw new PsrunException("linux.cgroupsPath: " + e.Message);
            if (linux.Resources is { } r && (r.Memory ?? r.Cpu ?? r.Pids ?? r.BlockIo ?? r.Network ?? (object?)r.HugepageLimits ?? r.Rdma ?? (object?)r.Unified) != null)
                throw new PsrunException("linux.resources: limits need a control group, and this user may not make one: " + e.Message);
            return false;
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

    /// <summary>The container's group, or groups below it as exec --cgroup names them: <c>PATH</c> in every hierarchy, or <c>CONTROLLER[,CONTROLLER]:PATH</c>.</summary>
    /// <param name="init">Where the group has children with controllers it takes no processes of its own (v2): then the init's own group below it.</param>
    public static CgroupEntry OpenEntryBelow(string path, IReadOnlyList<string> asked, int init)
    {
        ControlGroup group = Host.Group(path);
        var below = new Dictionary<string, string>();
        foreach (string one in asked)
        {
            int colon = one.IndexOf(':');
            if (colon < 0 && asked.Count > 1)
                throw new PsrunException($"--cgroup: \"{one}\" has no CONTROLLER: in front, and is not alone");
            foreach (string controller in (colon < 0 ? "" : one[..colon]).Split(','))
            {
                if (colon >= 0 && (controller.Length == 0 || Host.Find(controller) == null))
                    throw new PsrunException($"--cgroup: \"{one}\": there is no controller \"{controller}\" here");
                if (!below.TryAdd(controller, one[(colon + 1)..]))
                    throw new PsrunException($"--cgroup: controller {controller} is given twice");
            }
        }
        if (below.Count == 0 && Host.Kind == CgroupKind.V2 && group.HasChildrenWithControllers && OwnGroup(init) is string own && own.StartsWith(path + "/", StringComparison.Ordinal))
            group = Host.Group(own);
        return new CgroupEntry(group, below, sinceMounted: true);
    }

    static string? OwnGroup(int pid)
    {
        foreach (string line in (Shim.Files.ReadText($"/proc/{pid}/cgroup") ?? "").Split('\n'))
            if (line.StartsWith("0::/", StringComparison.Ordinal))
                return line[3..];
        return null;
    }

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
