using Containers.Linux;
using Containers.Linux.Cgroups;
using Containers.Linux.Oci;
using Psrun.Processes;
using Psrun.Rootfs;
using Psrun.Systemd;

namespace Psrun.State;

/// <summary>The container's control group, in every hierarchy of the host.</summary>
sealed class CgroupSetup
{
    static CgroupHost? s_host;
    static bool s_disabled;

    static CgroupHost Host => s_host ??= CgroupHost.Detect();

    readonly ControlGroup _group;
    readonly SystemdUnit? _unit;
    bool _made;

    CgroupSetup(ControlGroup group, SystemdUnit? unit)
    {
        _group = group;
        _unit = unit;
    }

    public string Path => _group.Path;

    /// <summary>Set where systemd keeps the group.</summary>
    public KeptUnit? Unit => _unit == null ? null : new KeptUnit(_unit.Name, SystemdDriver.ForUser);

    /// <summary>--systemd-cgroup and --cgroup-manager: who makes the groups of new containers.</summary>
    public static void Configure(bool systemd, string? manager)
    {
        if (systemd && manager is not (null or "systemd"))
            throw new PsrunException($"--cgroup-manager: \"{manager}\" and --systemd-cgroup exclude each other");
        s_disabled = manager == "disabled";
        if (systemd || manager == "systemd")
            SystemdDriver.Ask();
        else if (manager is not (null or "cgroupfs" or "disabled"))
            throw new PsrunException($"--cgroup-manager: \"{manager}\" is none of cgroupfs, systemd, disabled");
    }

    /// <summary>
    /// The group that the bundle names; null where the caller wants none. Nothing is made yet: its path is on record first, so that what a killed creation made is found.
    /// </summary>
    public static CgroupSetup? Find(Spec spec, string id)
    {
        try
        {
            if (s_disabled)
            {
                RefuseLimits(spec.Linux!, "--cgroup-manager is disabled");
                return null;
            }
            if (!SystemdDriver.Asked)
                return new CgroupSetup(Host.Group(CgroupPath.Resolve(spec.Linux?.CgroupsPath, id)), null);
            SystemdUnit unit = SystemdUnit.Parse(spec.Linux?.CgroupsPath, id, SystemdDriver.ForUser);
            return new CgroupSetup(Host.Group(SystemdDriver.PathOf(unit, SystemdDriver.ForUser)), unit);
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
            Apply(resources);
        }
        catch (CgroupException e)
        {
            throw new PsrunException(e.Message);
        }
    }

    /// <summary>
    /// In a user namespace there is no making of devices, and a user may give the kernel no rules about them.
    /// </summary>
    void Apply(LinuxResources? resources)
    {
        if (Rootless.Active && resources != null)
            resources.Devices = null;
        _group.Apply(resources, create: !Rootless.Active);
    }

    /// <summary>Puts the waiting init into the unit that is made around it. Nothing to do for a group of our own, which the init enters by itself.</summary>
    public void Enter(int pid, string id, LinuxResources? resources)
    {
        if (_unit == null)
            return;
        // Refused: there is one of that name, another's. After any other failure it may be there, and is ours.
        bool refused = false;
        try
        {
            SystemdDriver.Start(_unit, SystemdDriver.ForUser, id, pid, resources, Host.Kind == CgroupKind.V2);
        }
        catch (BusException e)
        {
            refused = true;
            throw new PsrunException(e.Message);
        }
        finally
        {
            _made = !refused;
        }
        try
        {
            _group.Create();
            // Of v1's hierarchies systemd uses only some; a slice takes no process at its start.
            if (Host.Kind != CgroupKind.V2 || _unit.IsSlice)
                _group.Attach(pid);
            Apply(resources);
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
        // systemd makes it around a process: see Enter.
        if (_unit != null)
            return true;
        try
        {
            Create(linux.Resources);
            return true;
        }
        catch (LinuxException e) when (Rootless.Active && e.Errno is Libc.EACCES or Libc.EPERM or Libc.EROFS)
        {
            if (!string.IsNullOrEmpty(linux.CgroupsPath))
                throw new PsrunException("linux.cgroupsPath: " + e.Message);
            RefuseLimits(linux, "this user may not make one: " + e.Message);
            return false;
        }
    }

    static void RefuseLimits(LinuxConfig linux, string why)
    {
        if (linux.Resources is { } r && (r.Memory ?? r.Cpu ?? r.Pids ?? r.BlockIo ?? r.Network ?? (object?)r.HugepageLimits ?? r.Rdma ?? (object?)r.Unified) != null)
            throw new PsrunException("linux.resources: limits need a control group, and " + why);
    }

    public CgroupEntry? OpenEntry() => _unit == null ? new(_group) : null;

    public void Remove()
    {
        if (!_made)
            return;
        if (Unit is { } unit)
            SystemdDriver.Stop(unit);
        _group.Remove();
    }

    /// <summary>SIGKILL to all in it, unless it was there before, and others may be in it.</summary>
    public void KillMade()
    {
        if (_made)
            SignalAll(Path, Libc.SIGKILL);
    }

    public CgroupMountSource MountSource(bool ownNamespace) => MountSource(_group, ownNamespace);

    public static CgroupMountSource MountSourceAt(string path, bool ownNamespace) => MountSource(Host.Group(path), ownNamespace);

    static CgroupMountSource MountSource(ControlGroup group, bool ownNamespace)
    {
        var source = new CgroupMountSource
        {
            OwnNamespace = ownNamespace,
            UnifiedOnly = Host.Kind == CgroupKind.V2,
            UnifiedFolder = Host.Unified is { } unified ? group.FolderIn(unified) : null,
        };
        foreach (CgroupHierarchy hierarchy in Host.Hierarchies)
            if (hierarchy.Version == 1)
                source.V1.Add(new CgroupMount(hierarchy.Name, System.IO.Path.GetFileName(hierarchy.MountPoint), group.FolderIn(hierarchy)));
        return source;
    }

    /// <summary>The folder by which all processes of a group are stopped at once; null on a host that has no freezer.</summary>
    public static string? FreezerFolder(string path)
    {
        CgroupHierarchy? freezer = Host.Find("freezer") ?? (Host.Kind == CgroupKind.V2 ? Host.Unified : null);
        return freezer == null ? null : Host.Group(path).FolderIn(freezer);
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

    public static void Update(string path, KeptUnit? unit, LinuxResources resources)
    {
        ControlGroup group = Host.Group(path);
        if (!group.Exists)
            throw new PsrunException($"update: the container's cgroup {path} is gone");
        group.Update(resources);
        if (unit == null)
            return;
        SystemdDriver.Update(unit.Value, resources, Host.Kind == CgroupKind.V2);
        // It rounds, and has just written what it knows.
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
