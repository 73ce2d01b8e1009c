using System.Globalization;
using Containers.Linux;
using Containers.Linux.Oci;
using Psrun.Dance;
using Psrun.Processes;
using Psrun.State;

namespace Psrun.Verbs;

/// <summary>What the command line of create, run and restore says.</summary>
sealed class CreationOptions
{
    public required string Root, Id, Bundle;
    public string? PidFile, ConsoleSocket, PidFdSocket;
    public int PreservedDescriptors;
    /// <summary>Those before the preserved ones: LISTEN_FDS.</summary>
    public int ListenDescriptors;
    public bool NoPivot, NoNewKeyring;
    /// <summary>Leave the init waiting for `start`.</summary>
    public bool WaitForStart;
    /// <summary>Somebody stays with the program (run without --detach).</summary>
    public bool Foreground;
}

/// <summary>
/// Makes a container: state folder, cgroups, child, hooks, in the order of docs/flow.md. Fails as a whole: whatever was made is taken away again.
/// </summary>
sealed unsafe partial class Creation : IDisposable
{
    readonly CreationOptions _options;
    StateFolder? _folder;
    SystemCallFilter? _filter;
    CgroupSetup? _cgroups;
    CgroupEntry? _entry;
    Launch? _launch;
    Network.NetDevices? _netDevices;
    Rootfs.SharedMounts? _mounts;
    string? _pidFile;
    readonly List<int> _descriptors = [];

    Creation(CreationOptions options) => _options = options;

    public Spec Spec { get; private set; } = null!;
    public StateFile State { get; private set; } = null!;
    public StateFolder Folder => _folder!;
    Namespaces Namespaces { get; set; } = null!;
    /// <summary>Set for a program with a terminal in the foreground that has no console socket.</summary>
    public TerminalRelay? Relay { get; private set; }
    /// <summary>Set when the program runs and somebody wants to hear that it is ready.</summary>
    public NotifySocket? Notify { get; private set; }
    int Pid => _launch!.Pid;

    public static Creation Make(CreationOptions options)
    {
        Creation creation = Claim(options);
        try
        {
            creation.MakeInit();
            return creation;
        }
        catch
        {
            creation.Undo();
            throw;
        }
    }

    /// <summary>What every container begins with, however its processes come to be: the bundle read, the id claimed, the control group made.</summary>
    static Creation Claim(CreationOptions options)
    {
        var creation = new Creation(options);
        try
        {
            creation.Claim();
            return creation;
        }
        catch
        {
            creation.Undo();
            throw;
        }
    }

    void Claim()
    {
        ContainerId.Check(_options.Id);
        Spec = SpecCheck.ReadBundle(_options.Bundle);
        SpecCheck.Check(Spec);
        string rootfs = Path.GetFullPath(Spec.Root!.Path!, _options.Bundle);
        if (!Directory.Exists(rootfs))
            throw new PsrunException($"root.path: {rootfs}: {Errnos.Text(Libc.ENOENT)}");
        // Relative sources of mounts start here.
        if (Libc.chdir(_options.Bundle) < 0)
            throw new PsrunException($"bundle {_options.Bundle}: {Errnos.Text(Libc.errno)}");
        if (_options.PidFile != null)
            _pidFile = Path.GetFullPath(_options.PidFile, Program.InvocationFolder);
        Namespaces namespaces = Namespaces = Namespaces.Read(Spec);
        CheckIdMaps(namespaces);
        _filter = SystemCallFilter.Compile(Spec.Linux!.Seccomp);
        Network.NetDevices.Check(Spec.Linux!, namespaces);

        _folder = StateFolder.Create(_options.Root, _options.Id);
        State = new StateFile
        {
            Id = _options.Id,
            Bundle = _options.Bundle,
            Rootfs = rootfs,
            OciVersion = Spec.OciVersion!,
            Owner = Libc.geteuid(),
            Annotations = Spec.Annotations,
            Hooks = Spec.Hooks,
            MemoryPolicy = Spec.Linux?.MemoryPolicy,
            Personality = Spec.Linux?.Personality,
            SharesKeyring = _options.NoNewKeyring,
        };
        if (!namespaces.IsNew(Libc.CLONE_NEWNS))
        {
            _mounts = Rootfs.SharedMounts.Find(namespaces, rootfs);
            _folder.WriteMounts(_mounts);
        }
        _cgroups = CgroupSetup.Find(Spec, _options.Id);
        State.CgroupPath = _cgroups?.Path;
        State.Unit = _cgroups?.Unit;
        _filter?.Keep(_folder, State);
        _folder.WriteState(State);
        if (_cgroups?.TryCreate(Spec.Linux!) != true)
        {
            if (!namespaces.IsNew(Libc.CLONE_NEWPID))
                throw new PsrunException("linux.namespaces: without a control group, a container without a pid namespace of its own could not be ended");
            State.CgroupPath = null;
            _folder.WriteState(State);
            _cgroups = null;
        }
        if (Spec.Linux!.IntelRdt is { } rdt)
        {
            State.IntelRdt = ResctrlSetup.Create(rdt, _options.Id, _folder);
            _folder.WriteState(State);
        }
        Log.Debug($"state folder {_folder.Path}, control group {State.CgroupPath ?? "none"}");

        bool terminal = Spec.Process!.Terminal == true;
        if (!terminal && _options.ConsoleSocket != null)
            throw new PsrunException("--console-socket: process.terminal is not true");
        if (terminal && _options.ConsoleSocket == null && !_options.Foreground)
            throw new PsrunException("process.terminal: needs --console-socket");
        _entry = _cgroups?.OpenEntry();
    }

    void MakeInit()
    {
        StateFolder folder = Folder;
        Namespaces namespaces = Namespaces;
        SystemCallFilter? filter = _filter;
        var init = new InitOptions
        {
            Id = _options.Id,
            Bundle = _options.Bundle,
            Rootfs = State.Rootfs,
            Lock = folder.Descriptor,
            Namespaces = namespaces,
            CgroupEntry = _entry,
            Cgroups = _cgroups?.MountSource(namespaces.IsNew(Libc.CLONE_NEWCGROUP)) ?? new Rootfs.CgroupMountSource { HostTree = true },
            ResctrlFiles = ResctrlSetup.OpenEntry(State.IntelRdt),
            Environment = ProcessEnvironment.Complete(Spec.Process!, State.Rootfs),
            PreservedDescriptors = _options.ListenDescriptors + _options.PreservedDescriptors,
            Filter = filter,
            NoPivot = _options.NoPivot,
            NoKeyring = _options.NoNewKeyring,
            SetGroupsAllowed = !Rootless.DeniesSetGroups(Spec, namespaces.IsNew(Libc.CLONE_NEWUSER)),
        };
        _descriptors.AddRange(init.ResctrlFiles);
        SocketActivation.AddTo(init.Environment, _options.ListenDescriptors, namespaces.IsNew(Libc.CLONE_NEWPID));
        foreach ((string type, _, string path) in namespaces.Joined)
            init.JoinedDescriptors.Add(Keep(Libc.open(path, Libc.O_RDONLY | Libc.O_CLOEXEC), $"linux.namespaces: {type}: {path}"));
        int joinedUser = namespaces.Joined.FindIndex(j => j.Flag == Libc.CLONE_NEWUSER);
        init.MappedTrees = Rootfs.IdMappedTrees.Open(Spec, namespaces, joinedUser < 0 ? -1 : init.JoinedDescriptors[joinedUser]);
        if (NotifySocket.AddTo(Spec, init.Environment, folder) is >= 0 and int notifyTree)
            init.MappedTrees[Spec.Mounts!.Count - 1] = notifyTree;
        _descriptors.AddRange(init.MappedTrees.Values);
        init.Console = OpenConsole();
        if (Spec.Hooks?.CreateContainer is { Count: > 0 })
            init.CreateHookState = Keep(HookRunner.StateFile([]), "hooks");
        if (Spec.Hooks?.StartContainer is { Count: > 0 })
            init.StartHookState = Keep(HookRunner.StateFile([]), "hooks");
        if (_options.WaitForStart)
            init.StartSocket = Keep(folder.ListenForStart(), "start.sock");

        if (!_options.WaitForStart)
            Notify = NotifySocket.Listen(folder);
        filter?.Prepare(State);
        Plan plan = InitPlan.Build(Spec, init);
        _launch = new Launch(plan, InitPlan.FirstCloneFlags(namespaces), _entry?.Unified ?? -1, namespaces.Joined.Count > 0);
        _launch.Await(InitPlan.PointJoin);
        WriteIdMaps(namespaces);
        Log.Debug($"init has pid {Pid}");
        State.Pid = Pid;
        State.PidStartTime = InitProcess.StartTime(Pid);
        folder.WriteState(State);
        folder.WriteInitLink(State);
        _cgroups?.Enter(Pid, _options.Id, Spec.Linux!.Resources);
        filter?.Tell(State, StateFile.Creating, Pid);
        // Hooks inside see the pids of the container.
        if (init.CreateHookState >= 0)
            HookRunner.Fill(init.CreateHookState, State.ForHook(StateFile.Creating, InitProcess.PidInside(Pid)));
        if (init.StartHookState >= 0)
            HookRunner.Fill(init.StartHookState, State.ForHook(StateFile.Created, InitProcess.PidInside(Pid)));
        _netDevices = Network.NetDevices.Move(Spec.Linux!, Pid);
        _launch.Continue();

        if (HookRunner.NeedParent(Spec.Hooks))
        {
            _launch.Await(InitPlan.PointHooks);
            // prestart is older than create and start apart: to its hooks the container was always told as created.
            HookRunner.Run("prestart", Spec.Hooks!.Prestart, State.ForHook(StateFile.Created));
            HookRunner.Run("createRuntime", Spec.Hooks.CreateRuntime, State.ForHook(StateFile.Creating));
            _launch.Continue();
        }
        if (_options.WaitForStart)
            _launch.Await(InitPlan.PointCreated);
        else
            _launch.AwaitExecute(filter != null);
        State.Complete = true;
        folder.WriteState(State);
        // Not before: an init whose creator dies here ends, rather than wait for a start that no state allows.
        if (_options.WaitForStart)
            _launch.Continue();
        if (_pidFile != null)
            WritePidFile(_pidFile, Pid);
        if (_options.PidFdSocket != null)
            PidFdSocket.Send(_options.PidFdSocket, Pid);
        if (!_options.WaitForStart)
            HookRunner.RunAfter("poststart", Spec.Hooks?.Poststart, State.ForHook(StateFile.Running));
        if (!_options.Foreground)
            _launch.RestoreSignals();
        folder.Unlock();
        if (!_options.Foreground)
            Notify?.PassUntilReady(Pid, State.PidStartTime);
    }

    /// <summary>A connection to whoever gets the master of the container's terminal; -1 without a terminal.</summary>
    int OpenConsole()
    {
        if (Spec.Process!.Terminal != true)
            return -1;
        return _options.ConsoleSocket is string consoleSocket
            ? Keep(ConsoleSocket.Connect(consoleSocket), "console socket")
            : (Relay = TerminalRelay.Open(Spec.Process)).Socket;
    }

    int Keep(int fd, string what)
    {
        if (fd < 0)
            throw new PsrunException($"{what}: {Errnos.Text(Libc.errno)}");
        _descriptors.Add(fd);
        return fd;
    }

    void CheckIdMaps(Namespaces namespaces)
    {
        bool maps = Spec.Linux!.UidMappings is { Count: > 0 } || Spec.Linux.GidMappings is { Count: > 0 };
        if (namespaces.IsNew(Libc.CLONE_NEWUSER))
        {
            if (Spec.Linux.UidMappings is not { Count: > 0 })
                throw new PsrunException("linux.uidMappings: needed with a new user namespace");
            if (Spec.Linux.GidMappings is not { Count: > 0 })
                throw new PsrunException("linux.gidMappings: needed with a new user namespace");
        }
        else if (maps && !namespaces.Has(Libc.CLONE_NEWUSER))
        {
            throw new PsrunException("linux.uidMappings: needs a user namespace");
        }
        if (Spec.Linux.TimeOffsets is { Count: > 0 } && !namespaces.IsNew(Libc.CLONE_NEWTIME))
            throw new PsrunException("linux.timeOffsets: needs a new time namespace");
    }

    void WriteIdMaps(Namespaces namespaces)
    {
        if (!namespaces.IsNew(Libc.CLONE_NEWUSER))
            return;
        IdMaps.Write(Pid, "uid_map", Spec.Linux!.UidMappings!, "linux.uidMappings");
        IdMaps.Write(Pid, "gid_map", Spec.Linux.GidMappings!, "linux.gidMappings");
    }

    /// <summary>Written beside it and renamed: whoever waits for the file never reads half a number.</summary>
    public static void WritePidFile(string path, int pid)
    {
        string next = $"{Path.GetDirectoryName(path)}/.{Path.GetFileName(path)}";
        int fd = Libc.open(next, Libc.O_WRONLY | Libc.O_CREAT | Libc.O_TRUNC | Libc.O_CLOEXEC, 0x1B6);
        if (fd < 0)
            throw new PsrunException($"--pid-file: {next}: {Errnos.Text(Libc.errno)}");
        Log.Write(fd, pid.ToString(CultureInfo.InvariantCulture));
        Libc.close(fd);
        if (Libc.rename(next, path) < 0)
            throw new PsrunException($"--pid-file: {path}: {Errnos.Text(Libc.errno)}");
    }

    void Undo()
    {
        try
        {
            _netDevices?.Restore();
            _launch?.Abort();
            _cgroups?.Remove();
            if (_folder != null)
                ResctrlSetup.Remove(_folder);
            _mounts?.Detach();
            _folder?.Remove();
        }
        // The first failure is the one to tell; what is left now keeps its state, and delete --force finishes it.
        catch (Exception e) when (e is PsrunException or LinuxException or Containers.Linux.Cgroups.CgroupException or Containers.Linux.Resctrl.ResctrlException)
        {
            Log.Warning($"{_options.Id}: clean-up: {e.Message}");
        }
        // From the hooks of the creation on a failure goes the way of delete (runtime.md, Lifecycle).
        if (State is { Pid: > 0 })
            HookRunner.RunAfter("poststop", State.Hooks?.Poststop, State.ForHook(StateFile.Stopped));
        Dispose();
    }

    public void Dispose()
    {
        foreach (int fd in _descriptors)
            Libc.close(fd);
        _descriptors.Clear();
        Relay?.Dispose();
        Notify?.Dispose();
        _netDevices?.Dispose();
        _entry?.Dispose();
        _entry = null;
        _launch?.Dispose();
        _folder?.Dispose();
    }
}
