using Containers.Linux;
using System.Text.Json;

namespace Psrun.Shim;

enum TaskState { Creating, Created, Running, Paused, Restarting, Stopped }

/// <summary>
/// The shim itself: one thread, one loop. This file has its life from the first line to the answer to the launcher, and the children;
/// Server.Task.cs what is done with the task and how it ends; Server.Execs.cs the exec processes.
/// </summary>
sealed partial class Server
{
    const int MostConnections = 256, MostUnclaimed = 1024, AnswerDescriptor = 3;
    const long AllocatedBetweenTrims = 1 << 20;

    /// <summary>What the launcher blocks before execve, in every thread of the shim therefore: signalfd alone sees them.</summary>
    public static ulong Signals => Libc.sigmask(Libc.SIGCHLD) | Libc.sigmask(Libc.SIGTERM) | Libc.sigmask(Libc.SIGINT) | Libc.sigmask(Libc.SIGHUP) | Libc.sigmask(Libc.SIGQUIT) | Libc.sigmask(Libc.SIGUSR1)
        | Libc.sigmask(Libc.SIGUSR2) | Libc.sigmask(Libc.SIGALRM) | Libc.sigmask(Libc.SIGTSTP) | Libc.sigmask(Libc.SIGTTIN) | Libc.sigmask(Libc.SIGTTOU);

    readonly Orders orders;
    readonly int nothing;
    ContainerProcess init;
    readonly Dictionary<int, RuntimeCall> calls = new();
    readonly Dictionary<int, int> unclaimed = new();
    readonly List<Connection> connections = new();
    readonly DateTimeOffset createdAt = DateTimeOffset.UtcNow;
    Watch? listener, launcher, signals;
    // What is ours to take away when the task cannot be created, and why it could not.
    bool ownsSocket, runtimeHasIt;
    ShimException? abandoned;
    bool finished;
    int exitStatus;
    long allocatedBefore;

    public string RunDirectory { get; }
    public EventLoop Loop { get; } = new();
    public LogWriter? Log { get; private set; }
    public LogSink? Sink { get; private set; }
    LogCompressor? compressor;
    // Short-lived children of the shim's own, and what is done at the end of each.
    readonly Dictionary<int, Action<int>> helpers = new();

    Server(string runDir, Orders orders)
    {
        RunDirectory = runDir;
        this.orders = orders;
        nothing = Sys.Above(Sys.Open("/dev/null", Libc.O_RDWR));
        init = new ContainerProcess(this, null) { Terminal = orders.Terminal };
        Loop.Idle = () =>
        {
            OutputStream.Rest();
            Log?.Rest();
            if (GC.GetAllocatedBytesForCurrentThread() - allocatedBefore > AllocatedBetweenTrims) Trim();
        };
        Loop.Failed = HandlerFailed;
    }

    /// <summary>The whole life of a shim. Descriptors: 0 and 1 nothing, 2 shim.log, 3 the launcher.</summary>
    public static int Serve(string runDir)
    {
        Server? server = null;
        try
        {
            Sys.ChangeDirectory(runDir);
            Libc.umask(0x3F);
            server = new Server(runDir, Orders.Read(runDir + "/shim.json"));
            server.Begin();
        }
        catch (ShimException e)
        {
            if (server is null)
            {
                AnswerLauncher(Json.Error(e.Id, e.Message));
                return 1;
            }
            server.Abandon(e);
        }
        while (!server.finished)
        {
            server.Loop.Turn();
            server.TellDropped();
        }
        return server.exitStatus;
    }

    static void AnswerLauncher(byte[] line)
    {
        Files.WriteAll(AnswerDescriptor, [.. line, (byte)'\n']);
        Sys.Close(AnswerDescriptor);
    }

    public static void Complain(string words) =>
        Files.WriteAll(2, System.Text.Encoding.UTF8.GetBytes($"{DateTimeOffset.UtcNow:yyyy-MM-ddTHH:mm:ss.fffZ} {words.ReplaceLineEndings(" ")}\n"));

    void Begin()
    {
        // First of all: the socket's name is what keeps two shims from one task.
        int socket = Sys.Listen("shim.sock", 128);
        if (socket == -Libc.EADDRINUSE) throw new ShimException("TaskExists", $"{RunDirectory}/shim.sock is there already");
        if (socket < 0) throw ShimException.Of("ShimFailed", RunDirectory + "/shim.sock", socket);
        ownsSocket = true;
        listener = new Watch(Sys.Above(socket), _ => AcceptClients()).Opened();
        launcher = new Watch(AnswerDescriptor, _ => LauncherGone()).Opened();
        Loop.Add(launcher, 0);

        int r = Libc.prctl(Libc.PR_SET_CHILD_SUBREAPER, 1);
        if (r < 0) throw ShimException.Of("ShimFailed", "prctl(PR_SET_CHILD_SUBREAPER)", -Libc.errno);
        int signalFd = Libc.signalfd(-1, Signals, Libc.SFD_NONBLOCK | Libc.SFD_CLOEXEC);
        if (signalFd < 0) throw ShimException.Of("ShimFailed", "signalfd", -Libc.errno);
        signals = new Watch(Sys.Above(signalFd), _ => TakeSignals()).Opened();
        Loop.Add(signals, Libc.EPOLLIN);

        // From here on a reader sees who is at work, also when whoever asked for the task is gone.
        WriteTask();
        foreach (MountOrder order in orders.Mounts) Mounts.Make(order);
        if (!Processes.OwnProgram.CoverReadOnly(orders.Runtime)) Complain($"{orders.Runtime} could not be covered by a read-only mount of itself");
        if (orders.Log is not null) OpenLog(orders.Log);
        if (orders.LogUri is not null) Sink = LogSink.Open(this, orders.LogUri, orders.Id, orders.Namespace);
        if (Directory.Exists($"{orders.RuntimeRoot}/{orders.Id}"))
            throw new ShimException("TaskExists", $"the runtime has a container {orders.Id} in {orders.RuntimeRoot}");
        Create();
    }

    void OpenLog(string path)
    {
        Log = new LogWriter(path, orders.LogMaxSize, orders.LogMaxFiles, Complain);
        if (orders.LogMaxSize is null) return;
        compressor = new LogCompressor(this, path);
        Log.Rotated = compressor.Begin;
        compressor.Begin();
    }

    /// <summary>Runs psrun itself beside the loop; its complaints go to shim.log.</summary>
    /// <exception cref="ShimException">ShimFailed: it could not be started.</exception>
    public int StartHelper(string[] arguments, int input, int output, Action<int> ended)
    {
        int words = Sys.Duplicate(2, Spawn.FirstFreeDescriptor);
        int pid = new Spawn
        {
            Program = "/proc/self/exe", Arguments = ["psrun", .. arguments], Environment = RuntimeCall.MinimalEnvironment(), Stdin = input, Stdout = output, Stderr = words,
        }.Start();
        Sys.Close(words);
        if (pid < 0) throw ShimException.Of("ShimFailed", "psrun " + arguments[0], pid);
        helpers.Add(pid, ended);
        return pid;
    }

    /// <summary>A child that was started elsewhere is reaped here.</summary>
    public void AddHelper(int pid, Action<int> ended) => helpers.Add(pid, ended);

    public void EndHelper(int pid)
    {
        if (!helpers.Remove(pid)) return;
        Sys.Kill(pid, Libc.SIGKILL);
        Sys.Wait(ref pid, Libc.__WALL);
    }

    void Create()
    {
        string pidFile = RunDirectory + "/init.pid";
        // As with a start: no process can have begun earlier.
        DateTimeOffset? restored = Restores ? DateTimeOffset.UtcNow : null;
        Sys.Unlink(pidFile);
        var stdio = Stdio.Open(this, orders.Terminal, orders.Stdin, orders.StdinPath, orders.StdoutPath, orders.StderrPath, nothing, empty: restarts == 0);
        runtimeHasIt = true;
        try
        {
            string[] verb = [.. CreateVerb(), "--bundle", orders.Bundle, "--pid-file", pidFile];
            if (stdio.ConsolePath is not null) verb = [.. verb, "--console-socket", stdio.ConsolePath];
            Call([.. verb, orders.Id], stdio, (succeeded, words) => Created(succeeded, words, pidFile, stdio, restored));
        }
        catch
        {
            stdio.Dispose();
            throw;
        }
        stdio.CloseContainerEnds();
    }

    /// <param name="restored">When its processes were taken from a checkpoint; null for a program that is still to be started.</param>
    void Created(bool succeeded, string words, string pidFile, Stdio stdio, DateTimeOffset? restored)
    {
        try
        {
            if (!succeeded) throw new ShimException("RuntimeFailed", words);
            int pid = Files.ReadPid(pidFile);
            Sys.Unlink(pidFile);
            if (pid < 0) throw new ShimException("RuntimeFailed", "the runtime wrote no pid");
            init.Adopt(pid);
            initGroup = Cgroups.Of(pid);
            initOwnsPidNamespace = OwnsPidNamespace(pid);
            stdio.GiveTo(init);
            init.OomKillsBefore = Cgroups.OomKills(initGroup);
            if (state != TaskState.Restarting) state = restored is null ? TaskState.Created : TaskState.Running;
            if (restored is not null)
            {
                init.StartedAt = restored;
                runBegan = Environment.TickCount64;
            }
            WriteTask();
            Tell("TaskCreated");
            if (restored is not null) Tell("Restored");
        }
        catch (ShimException e)
        {
            stdio.Dispose();
            if (state == TaskState.Restarting) RestartFailed(e.Message);
            else Abandon(e);
            return;
        }
        if (state == TaskState.Restarting)
        {
            StartAgain();
            return;
        }
        if (Sys.HungUp(launcher!.Fd))
        {
            LauncherGone();
            return;
        }
        Loop.Remove(launcher!);
        launcher = null;
        Loop.Add(listener!, Libc.EPOLLIN);
        AnswerLauncher(Json.Object(w =>
        {
            w.WriteNumber("pid", Environment.ProcessId);
            w.WriteNumber("taskPid", init.Pid);
        }));
        // Until here much was made that is never used again.
        Trim();
        if (restored is not null) BeginHealth();
        if (unclaimed.Remove(init.Pid, out int status)) InitEnded(status);
    }

    /// <summary>Back to the size of a shim that has just begun: the collector by itself keeps what it once had for the next burst.</summary>
    void Trim()
    {
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        Sys.Trim();
        allocatedBefore = GC.GetAllocatedBytesForCurrentThread();
    }

    void LauncherGone()
    {
        if (launcher is null) return;
        Abandon(new ShimException("ShimFailed", "the launcher went away before the task was created"));
    }

    /// <summary>The task could not be created: everything that was made goes, and only then is it told.</summary>
    void Abandon(ShimException why)
    {
        if (abandoned is not null) return;
        abandoned = why;
        if (launcher is not null) Loop.Remove(launcher);
        foreach (RuntimeCall call in calls.Values) Sys.Kill(call.Pid, Libc.SIGKILL);
        if (calls.Count == 0) DeleteAbandoned();
    }

    void DeleteAbandoned()
    {
        if (runtimeHasIt && Directory.Exists($"{orders.RuntimeRoot}/{orders.Id}"))
        {
            try
            {
                Call(["delete", "--force", orders.Id], null, (_, _) => EndAbandoned());
                return;
            }
            catch (ShimException e)
            {
                Complain(e.Message);
            }
        }
        EndAbandoned();
    }

    void EndAbandoned()
    {
        init.CloseStreams();
        compressor?.Stop();
        Sink?.Close();
        if (Log is { Offset: 0 }) Sys.Unlink(orders.Log!);
        if (ownsSocket)
            foreach (string file in new[] { "shim.sock", "init.pid", "task.json", "console.sock" }) Sys.Unlink(file);
        LeaveCgroup();
        // The launcher reads no log when there is an answer, and nothing is to stay.
        if (ownsSocket) Sys.Unlink("shim.log");
        AnswerLauncher(Json.Error(abandoned!.Id, abandoned.Message));
        exitStatus = 1;
        finished = true;
    }

    void LeaveCgroup()
    {
        if (orders.Cgroup is null) return;
        if (Cgroups.Leave(orders.Cgroup, killRest: abandoned is not null) is { } problem) Complain(problem);
    }

    /// <summary>Something went wrong that nobody foresaw. Whatever it came from goes; the task must not.</summary>
    void HandlerFailed(Watched source, Exception problem)
    {
        Complain($"{source.GetType().Name}: {problem}");
        if (source is Connection client) client.Close();
        else if (source is OutputStream stream) stream.Fail();
    }

    void Call(string[] verb, Stdio? stdio, Action<bool, string> done)
    {
        if (OwnRuntime.CanDo(orders, verb[0]))
        {
            (bool succeeded, string words) = OwnRuntime.Do(this, orders, verb, stdio, nothing);
            done(succeeded, words);
            return;
        }
        RuntimeCall call = RuntimeCall.Start(orders, verb, stdio, nothing, done);
        calls.Add(call.Pid, call);
    }

    unsafe void TakeSignals()
    {
        // Equal signals fold into one: children are counted by waiting.
        signalfd_siginfo info;
        while (Sys.Read(signals!.Fd, (byte*)&info, sizeof(signalfd_siginfo)) == sizeof(signalfd_siginfo))
        {
            int number = (int)info.ssi_signo;
            if (number == Libc.SIGUSR1)
                Complain($"asked by signal: {state}, {calls.Count} runtime calls, {connections.Count} connections, {execs.Count} exec processes, ending {ending}");
            else if (number != Libc.SIGCHLD)
                Complain($"signal {number} ignored: the shim ends with its task");
        }
        Reap();
    }

    void Reap()
    {
        while (true)
        {
            int pid = -1;
            int status = Sys.Wait(ref pid, Libc.WNOHANG | Libc.__WALL);
            if (pid <= 0) break;
            if (calls.Remove(pid, out RuntimeCall? call)) CallEnded(call, status);
            else if (helpers.Remove(pid, out Action<int>? ended)) ended(status);
            else if (init.Alive && pid == init.Pid) InitEnded(status);
            else if (check is { Alive: true } && pid == check.Pid) CheckExited(check, status);
            else if (FindExec(pid) is { } exec) ExecEnded(exec, status);
            else if (AnyAdopting() && unclaimed.Count < MostUnclaimed) unclaimed[pid] = status;
        }
    }

    void CallEnded(RuntimeCall call, int status)
    {
        if (abandoned is not null && call.Adopts)
        {
            call.Discard();
            DeleteAbandoned();
            return;
        }
        call.Ended(status);
        if (!AnyAdopting()) unclaimed.Clear();
        if (ending) GoOnEnding();
    }

    bool AnyAdopting()
    {
        foreach (RuntimeCall call in calls.Values)
            if (call.Adopts) return true;
        return false;
    }

    void AcceptClients()
    {
        for (int i = 0; i < 16; i++)
        {
            int fd = Sys.Accept(listener!.Fd);
            if (fd < 0)
            {
                if (fd is -Libc.EAGAIN or -Libc.EINTR) return;
                // Out of descriptors: the loop would come back at once, for ever.
                Complain($"accept: {Sys.Words(-fd)}");
                Loop.Change(listener, 0);
                Loop.After(1000, () => Loop.Change(listener, Libc.EPOLLIN));
                return;
            }
            uint user = Sys.PeerUser(fd);
            if (user != 0 && user != Libc.geteuid())
            {
                Sys.Close(fd);
                continue;
            }
            if (connections.Count >= MostConnections && connections.Find(c => !c.Greeted) is { } silent) silent.Close();
            if (connections.Count >= MostConnections)
            {
                Sys.Close(fd);
                continue;
            }
            connections.Add(new Connection(this, Sys.Above(fd)));
        }
    }

    public void Forget(Connection client)
    {
        connections.Remove(client);
        init.Waiters.RemoveAll(w => w.Client == client);
        foreach (ContainerProcess exec in execs) exec.Waiters.RemoveAll(w => w.Client == client);
        if (ending) GoOnEnding();
    }
}
