using Containers.Linux;
using Containers.Linux.Oci;
using Psrun.Dance;
using Psrun.Processes;
using Psrun.State;

namespace Psrun.Verbs;

/// <summary>exec: a further process in a running container.</summary>
static unsafe class ExecVerb
{
    public static readonly string[] Known =
    [
        "console-socket=", "pidfd-socket=", "cwd=", "e,env=", "t,tty", "u,user=", "g,additional-gids=", "p,process=", "d,detach", "pid-file=", "no-new-privs", "c,cap=", "preserve-fds=",
        "process-label=", "apparmor=", "cgroup=", "ignore-paused",
    ];

    public static int Run(string root, ReadOnlySpan<string> args)
    {
        Options options = Options.Parse(args, Known, limit: 1, out int used);
        if (options.Arguments.Count == 0)
            throw new PsrunException("exec: a container id is needed");
        Selinux.Check(options.Value("process-label"), "--process-label");
        AppArmor.Check(options.Value("apparmor"), "--apparmor");
        string id = ContainerId.Check(options.Arguments[0]);
        using StateFolder folder = StateFolder.Open(root, id) ?? throw StateFolder.NotFound(id);
        StateFile state = folder.TryReadState() ?? throw StateFolder.NotFound(id);
        string status = Status.Of(folder, state);
        if (status is StateFile.Stopped or StateFile.Creating)
            throw new PsrunException($"cannot exec in a {status} container");
        if (status == StateFile.Paused && !options.Has("ignore-paused"))
            throw new PsrunException("cannot exec in a paused container (use --ignore-paused to override)");
        Process process = ExecProcess.Read(options, args[used..], state);
        bool detach = options.Has("detach");
        bool terminal = process.Terminal == true;
        string? consoleSocket = options.Value("console-socket");
        if (consoleSocket != null && !terminal)
            throw new PsrunException("--console-socket: the process has no terminal");
        if (terminal && consoleSocket == null && detach)
            throw new PsrunException("process.terminal: needs --console-socket");

        int init = InitProcess.OpenPidFd(state.Pid, state.PidStartTime);
        if (init < 0)
            throw new PsrunException("cannot exec in a stopped container");
        nint foreign = ForeignNamespaces(state.Pid);
        int rootFolder = folder.TryReadMounts() == null ? -1 : OpenRoot(state, init);
        using TerminalRelay? relay = terminal && consoleSocket == null ? TerminalRelay.Open(process) : null;
        int console = relay?.Socket ?? (consoleSocket != null ? ConsoleSocket.Connect(consoleSocket) : -1);
        List<string> environment = ProcessEnvironment.Complete(process, $"/proc/{state.Pid}/root");
        bool attached = state.Unit is { User: true } && options.Values("cgroup").Count == 0;
        using CgroupEntry? cgroup = state.CgroupPath == null || attached ? null : CgroupSetup.OpenEntryBelow(state.CgroupPath, options.Values("cgroup"), state.Pid);
        SystemCallFilter? filter = SystemCallFilter.Kept(folder, state);
        filter?.Prepare(state);
        bool clonesAgain = Rootless.IsPlainUser && (foreign & Libc.CLONE_NEWUSER) != 0;
        Plan plan = ExecPlan.Build(state, process, environment, cgroup, ResctrlSetup.OpenEntry(state.IntelRdt), init, clonesAgain ? foreign : foreign & ~Libc.CLONE_NEWPID, rootFolder, console, filter,
            options.PreservedDescriptors(), clonesAgain, attached, !Rootless.DeniesSetGroups(state.Pid.ToString(System.Globalization.CultureInfo.InvariantCulture)));

        if (!detach)
            Foreground.CatchSignals();
        Affinity.EnterInitial(process.ExecCpuAffinity);
        using Launch launch = clonesAgain
            ? new Launch(plan, 0, cgroup?.Unified ?? -1, clonesAgain: true)
            : LaunchInside(plan, init, cgroup?.Unified ?? -1, (foreign & Libc.CLONE_NEWPID) != 0);
        try
        {
            if (filter is { Notifies: true } || attached)
            {
                launch.Await(InitPlan.PointJoin);
                if (attached)
                    Systemd.SystemdDriver.Attach(state.Unit!.Value, launch.Pid);
                filter?.Tell(state, status, launch.Pid);
                launch.Continue();
            }
            launch.AwaitExecute(filter != null);
            if (options.Value("pid-file") is string pidFile)
                Creation.WritePidFile(Path.GetFullPath(pidFile, Program.InvocationFolder), launch.Pid);
            if (options.Value("pidfd-socket") is string pidfdSocket)
                PidFdSocket.Send(pidfdSocket, launch.Pid);
            Log.Debug($"exec process has pid {launch.Pid}");
        }
        catch
        {
            launch.Abort();
            throw;
        }
        return detach ? 0 : Foreground.Wait(launch.Pid, relay);
    }

    /// <summary>
    /// Only children are born into the pid namespace that this thread enters; this process stays where it is. While the two differ it can make
    /// no thread (clone(2), EINVAL), so the thread goes back at once.
    /// </summary>
    static Launch LaunchInside(Plan plan, int init, int cgroup, bool pidNamespace)
    {
        if (!pidNamespace)
            return new Launch(plan, 0, cgroup, clonesAgain: false);
        int own = Libc.open("/proc/self/ns/pid", Libc.O_RDONLY | Libc.O_CLOEXEC);
        if (own < 0 || Libc.setns(init, Libc.CLONE_NEWPID) < 0)
            throw new PsrunException($"join the pid namespace: {Errnos.Text(Libc.errno)}");
        try
        {
            return new Launch(plan, 0, cgroup, clonesAgain: false);
        }
        finally
        {
            Libc.setns(own, Libc.CLONE_NEWPID);
            Libc.close(own);
        }
    }

    /// <summary>The init's root, which is not that of its mount namespace when others share that.</summary>
    static int OpenRoot(StateFile state, int init)
    {
        int fd = Libc.open($"/proc/{state.Pid}/root", Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_CLOEXEC);
        // The pid has meant the init until now if it still lives.
        return fd >= 0 && Libc.pidfd_send_signal(init, 0, null, 0) == 0 ? fd : throw new PsrunException("cannot exec in a stopped container");
    }

    /// <summary>The namespaces of the init that are not ours already: a setns into one's own user namespace is an error.</summary>
    static nint ForeignNamespaces(int pid)
    {
        nint foreign = 0;
        foreach ((string name, nint flag) in (ReadOnlySpan<(string, nint)>)[("user", Libc.CLONE_NEWUSER), ("mnt", Libc.CLONE_NEWNS), ("pid", Libc.CLONE_NEWPID), ("net", Libc.CLONE_NEWNET),
            ("ipc", Libc.CLONE_NEWIPC), ("uts", Libc.CLONE_NEWUTS), ("cgroup", Libc.CLONE_NEWCGROUP), ("time", Libc.CLONE_NEWTIME)])
        {
            string? theirs = Link($"/proc/{pid}/ns/{name}");
            if (theirs != null && theirs != Link("/proc/self/ns/" + name))
                foreign |= flag;
        }
        return foreign;
    }

    static string? Link(string path)
    {
        byte* buffer = stackalloc byte[64];
        nint n = Libc.readlinkat(Libc.AT_FDCWD, path, buffer, 64);
        return n <= 0 ? null : System.Text.Encoding.ASCII.GetString(buffer, (int)n);
    }
}
