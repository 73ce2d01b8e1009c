using Containers.Linux;
using Psrun.State;

namespace Psrun.Verbs;

/// <summary>kill: a signal to the init, by a pidfd that is proved to be its own; with --all to every process of the cgroup.</summary>
static unsafe class KillVerb
{
    public static readonly string[] Known = ["a,all"];

    public static int Run(string root, ReadOnlySpan<string> args)
    {
        Options options = Options.Parse(args, Known, limit: int.MaxValue, out _);
        if (options.Arguments.Count is 0 or > 2)
            throw new PsrunException("kill: a container id and at most one signal are needed");
        string name = options.Arguments.Count == 2 ? options.Arguments[1] : "SIGTERM";
        if (!Signals.TryParse(name, out int signal) || signal < 0)
            throw new PsrunException($"kill: unknown signal \"{name}\"");
        string id = ContainerId.Check(options.Arguments[0]);
        using StateFolder folder = StateFolder.Open(root, id) ?? throw StateFolder.NotFound(id);
        StateFile state = folder.TryReadState() ?? throw StateFolder.NotFound(id);
        bool stopped = Status.Of(folder, state) == StateFile.Stopped;
        if (options.Has("all"))
        {
            // Without a pid namespace of its own a container's processes outlive its init.
            if (state.CgroupPath != null)
                CgroupSetup.SignalAll(state.CgroupPath, signal);
            else if (!stopped)
                foreach (int pid in InitProcess.InItsPidNamespace(state.Pid))
                    Libc.kill(pid, signal);
            return 0;
        }
        if (stopped)
            throw new PsrunException("container not running");
        int pidfd = InitProcess.OpenPidFd(state.Pid, state.PidStartTime);
        if (pidfd < 0)
            throw new PsrunException("container not running");
        int sent = Libc.pidfd_send_signal(pidfd, signal, null, 0);
        int errno = Libc.errno;
        Libc.close(pidfd);
        if (sent < 0)
            throw new PsrunException(errno == Libc.ESRCH ? "container not running" : $"kill {id}: {Errnos.Text(errno)}");
        // A frozen process takes no signal; SIGKILL means now.
        if (signal == Libc.SIGKILL && state.CgroupPath != null && CgroupSetup.IsFrozen(state.CgroupPath))
            CgroupSetup.Freeze(state.CgroupPath, frozen: false);
        return 0;
    }
}
