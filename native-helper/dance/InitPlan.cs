using Containers.Linux;
using Containers.Linux.Oci;
using Psrun.Processes;
using Psrun.Rootfs;

namespace Psrun.Dance;

/// <summary>What the init's plan needs beside the bundle: everything here was opened or found by the parent.</summary>
sealed class InitOptions
{
    public required string Id;
    public required string Bundle, Rootfs;
    public required Namespaces Namespaces;
    public required CgroupMountSource Cgroups;
    /// <summary>Null without a control group (rootless).</summary>
    public required State.CgroupEntry? CgroupEntry;
    /// <summary>The tasks files of its groups of resctrl.</summary>
    public required List<int> ResctrlFiles;
    public required List<string> Environment;
    /// <summary>Descriptors of the namespaces that are joined, in the order of <see cref="Namespaces.Joined"/>.</summary>
    public List<int> JoinedDescriptors = [];
    /// <summary>Trees that the parent made for mounts with id maps, by the mount's index.</summary>
    public Dictionary<int, int> MappedTrees = [];
    /// <summary>The listening socket on which `start` is awaited; -1 to run at once.</summary>
    public int StartSocket = -1;
    /// <summary>The locked state folder: a clone shares the lock, and would hold it when its parent is killed.</summary>
    public required int Lock;
    /// <summary>A connection to the console socket; -1 without a terminal.</summary>
    public int Console = -1;
    /// <summary>Files for the container's state as JSON, the standard input of the hooks that the child runs; -1 without such hooks.</summary>
    public int CreateHookState = -1, StartHookState = -1;
    public SystemCallFilter? Filter;
    public int PreservedDescriptors;
    public bool NoPivot, NoKeyring, SetGroupsAllowed = true;
}

/// <summary>The way of a container's init from clone to execve: docs/flow.md tells the same story in words.</summary>
static unsafe class InitPlan
{
    /// <summary>Where the child stops for its parent.</summary>
    public const int PointJoin = 1, PointHooks = 2, PointCreated = 3, PointExecute = 4;

    public static Plan Build(Spec spec, InitOptions options)
    {
        var plan = new Plan();
        Process process = spec.Process!;
        Namespaces namespaces = options.Namespaces;

        plan.Call("let go of the lock", Libc.SYS_close, options.Lock);
        OwnProgram.AddSteps(plan);
        options.CgroupEntry?.AddSteps(plan);
        Affinity.AddFinal(plan, null);
        State.CgroupEntry.AddWrites(plan, options.ResctrlFiles, "linux.intelRdt: enter the group");
        if (namespaces.Joined.Count > 0)
            AddJoin(plan, options);

        plan.Call("start a session", Libc.SYS_setsid);
        // The parent writes the id maps and puts this process on record now.
        plan.Do("wait for the parent", StepKind.Sync, PointJoin, 1);

        bool userNamespace = namespaces.Has(Libc.CLONE_NEWUSER);
        if (userNamespace)
        {
            if (options.SetGroupsAllowed)
                plan.Call("drop groups", Libc.SYS_setgroups, 0, 0);
            plan.Call("become the container's root", Libc.SYS_setresgid, 0, 0, 0);
            plan.Call("become the container's root", Libc.SYS_setresuid, 0, 0, 0);
            // A change of user makes /proc/self root's; the files below are written by its owner again.
            plan.Call("own /proc/self", Libc.SYS_prctl, Libc.PR_SET_DUMPABLE, 1);
        }
        else if (!namespaces.IsNew(Libc.CLONE_NEWPID))
        {
            // Others see this process already: they must not look into what still is psrun (CVE-2016-9962).
            plan.Call("hide from the pid namespace", Libc.SYS_prctl, Libc.PR_SET_DUMPABLE, 0);
        }
        // Not a flag of clone: the new namespace's root is the group in which this call finds us.
        if (namespaces.IsNew(Libc.CLONE_NEWCGROUP))
            plan.Call("linux.namespaces: cgroup", Libc.SYS_unshare, Libc.CLONE_NEWCGROUP);
        if (namespaces.IsNew(Libc.CLONE_NEWTIME))
            AddTimeNamespace(plan, spec);
        if (!options.NoKeyring)
        {
            Selinux.AddKeyLabel(plan, process);
            plan.Call("join a session keyring", Libc.SYS_keyctl, Libc.KEYCTL_JOIN_SESSION_KEYRING, plan.Text("_ses." + options.Id))->Tolerated0 = Libc.ENOSYS;
        }
        if (namespaces.IsNew(Libc.CLONE_NEWNET))
            AddLoopback(plan);
        AddNames(plan, spec, namespaces);

        nint* root = RootPlan.AddTree(plan, spec, options.Rootfs, namespaces.IsNew(Libc.CLONE_NEWNS), userNamespace || Rootless.Active, options.Cgroups, options.MappedTrees);
        Sysctl.Add(plan, spec, namespaces);
        Limits.Add(plan, process);
        MemoryPolicy.Add(plan, spec.Linux?.MemoryPolicy);

        if (HookRunner.NeedParent(spec.Hooks))
            plan.Do("wait for the hooks", StepKind.Sync, PointHooks, 1);
        HookRunner.AddInContainer(plan, "createContainer", spec.Hooks?.CreateContainer, options.CreateHookState);
        AppArmor.Add(plan, process);
        Selinux.AddExec(plan, process);

        if (options.Console >= 0)
            Terminal.Add(plan, root, options.Console, process, bindConsole: true);
        RootPlan.AddHiding(plan, root, spec);
        if (!namespaces.IsNew(Libc.CLONE_NEWNS))
            PivotRoot.AddChange(plan, root);
        else if (options.NoPivot)
            PivotRoot.AddMove(plan, root);
        else
            PivotRoot.Add(plan, root);
        RootPlan.AddPropagation(plan, root, spec);
        plan.Close(root);
        plan.CloseOthers(options.PreservedDescriptors, options.StartSocket, options.StartHookState, options.Filter?.Listener ?? -1);

        Limits.AddPersonality(plan, spec.Linux?.Personality);
        ProgramSteps.AddWorkingDirectory(plan, process.Cwd!, make: true);
        if (options.Console < 0)
            StandardStreams.AddOwner(plan, process.User?.Uid ?? 0);
        Identity.Add(plan, process, options.SetGroupsAllowed, options.Filter != null);
        nint* program = ProgramSteps.AddFind(plan, process.Args!, options.Environment);
        if (options.StartSocket >= 0)
        {
            plan.Call("take the name of a waiting init", Libc.SYS_prctl, Libc.PR_SET_NAME, plan.Text(System.Text.Encoding.ASCII.GetString(State.InitProcess.WaitingName)));
            plan.Do("tell that all is made", StepKind.Sync, PointCreated, 1);
            plan.Do("wait for start", StepKind.AwaitStart, options.StartSocket);
        }
        HookRunner.AddInContainer(plan, "startContainer", spec.Hooks?.StartContainer, options.StartHookState);
        ProgramSteps.AddExecute(plan, program, process.Args!, options.Environment, options.PreservedDescriptors, options.Filter, parentWaits: options.StartSocket < 0);
        return plan;
    }

    /// <summary>The flags for the first clone: none when namespaces are joined, for then a second clone makes the new ones inside the joined ones.</summary>
    public static nint FirstCloneFlags(Namespaces namespaces) => namespaces.Joined.Count > 0 ? 0 : CloneFlags(namespaces);

    static nint CloneFlags(Namespaces namespaces) => namespaces.New & ~(Libc.CLONE_NEWCGROUP | Libc.CLONE_NEWTIME);

    static void AddJoin(Plan plan, InitOptions options)
    {
        for (int i = 0; i < options.Namespaces.Joined.Count; i++)
        {
            (string type, nint flag, string path) = options.Namespaces.Joined[i];
            plan.Call($"linux.namespaces: {type}: join {path}", Libc.SYS_setns, options.JoinedDescriptors[i], flag);
            plan.Call(null, Libc.SYS_close, options.JoinedDescriptors[i]);
        }
        // Another mount namespace is entered at its root.
        if (options.Namespaces.Has(Libc.CLONE_NEWNS) && !options.Namespaces.IsNew(Libc.CLONE_NEWNS))
            plan.Call($"enter the bundle {options.Bundle} in the mount namespace", Libc.SYS_chdir, plan.Text(options.Bundle));
        // A process enters a pid namespace only by birth; CLONE_PARENT keeps the newborn psrun's own child.
        clone_args* args = (clone_args*)plan.Allocate(sizeof(clone_args));
        args->flags = (ulong)(CloneFlags(options.Namespaces) | Libc.CLONE_PARENT);
        plan.Do("linux.namespaces", StepKind.CloneSibling, (nint)args, sizeof(clone_args));
    }

    /// <summary>
    /// Offsets can be written only while nobody is in the new namespace (time_namespaces(7)): it is made for the children, set, and then entered by setns.
    /// </summary>
    static void AddTimeNamespace(Plan plan, Spec spec)
    {
        const string words = "linux.namespaces: time";
        plan.Call(words, Libc.SYS_unshare, Libc.CLONE_NEWTIME);
        foreach ((string clock, LinuxTimeOffset offset) in spec.Linux?.TimeOffsets ?? [])
        {
            if (clock is not ("monotonic" or "boottime"))
                throw new PsrunException($"linux.timeOffsets: clock \"{clock}\" is none of monotonic, boottime");
            plan.WriteProc($"linux.timeOffsets: {clock}", "self/timens_offsets", $"{clock} {offset.Secs ?? 0} {offset.Nanosecs ?? 0}\n");
        }
        nint* made = plan.Open(words, Libc.SYS_openat, Libc.AT_FDCWD, plan.Text("/proc/self/ns/time_for_children"), Libc.O_RDONLY | Libc.O_CLOEXEC);
        plan.Call(words, Libc.SYS_setns, made, Libc.CLONE_NEWTIME);
        plan.Close(made);
    }

    static void AddLoopback(Plan plan)
    {
        const string words = "bring up the loopback interface";
        nint* socket = plan.Open(words, Libc.SYS_socket, Libc.AF_INET, Libc.SOCK_DGRAM | Libc.SOCK_CLOEXEC, 0);
        // struct ifreq of netdevice(7): a name of 16 bytes, then the flags.
        byte* request = plan.Allocate(40);
        "lo"u8.CopyTo(new Span<byte>(request, 16));
        *(short*)(request + 16) = 0x41;
        plan.Call(words, Libc.SYS_ioctl, socket, 0x8914, (nint)request);
        plan.Close(socket);
    }

    static void AddNames(Plan plan, Spec spec, Namespaces namespaces)
    {
        bool own = namespaces.Has(Libc.CLONE_NEWUTS);
        if (!string.IsNullOrEmpty(spec.Hostname))
        {
            if (!own)
                throw new PsrunException("hostname: needs a uts namespace");
            plan.Call($"hostname: {spec.Hostname}", Libc.SYS_sethostname, plan.Text(spec.Hostname), System.Text.Encoding.UTF8.GetByteCount(spec.Hostname));
        }
        if (!string.IsNullOrEmpty(spec.Domainname))
        {
            if (!own)
                throw new PsrunException("domainname: needs a uts namespace");
            plan.Call($"domainname: {spec.Domainname}", Libc.SYS_setdomainname, plan.Text(spec.Domainname), System.Text.Encoding.UTF8.GetByteCount(spec.Domainname));
        }
    }
}
