using Containers.Linux;
using Psrun.Processes;
using Psrun.State;
using Psrun.Systemd;

namespace Psrun.Verbs;

/// <summary>delete: takes away all that create made. May be repeated, and finishes what a killed create or delete left.</summary>
static unsafe class DeleteVerb
{
    public static readonly string[] Known = ["f,force"];

    public static int Run(string root, ReadOnlySpan<string> args)
    {
        Options options = Options.Parse(args, Known, limit: int.MaxValue, out _);
        string id = ContainerId.Check(CreateVerb.OneId(options, "delete"));
        bool force = options.Has("force");
        using StateFolder? folder = StateFolder.Open(root, id);
        if (folder == null)
            return force ? 0 : throw StateFolder.NotFound(id);
        folder.Lock();
        StateFile? state = null;
        try
        {
            state = folder.TryReadState();
        }
        catch (PsrunException e) when (force)
        {
            Log.Warning($"delete {id}: {e.Message}");
        }
        if (state == null)
        {
            if (!force)
                throw StateFolder.NotFound(id);
            if (folder.TryReadInitLink() is { } kept)
                Remove(folder, kept);
            else
                folder.Remove();
            return 0;
        }
        string status = Status.Of(folder, state);
        // A created container has run nothing of its own yet.
        if (status is not (StateFile.Stopped or StateFile.Created) && !force)
            throw new PsrunException($"cannot delete container {id} that is not stopped: {status}");
        Remove(folder, state);
        return 0;
    }

    public static void Remove(StateFolder folder, StateFile state)
    {
        // The link cannot be half true, while a damaged state may still be read, and name another's process and group.
        StateFile made = folder.TryReadInitLink() ?? state;
        End(made);
        if (made.CgroupPath != null)
        {
            CgroupSetup.SignalAll(made.CgroupPath, Libc.SIGKILL);
            if (state.Unit is { } unit)
                SystemdDriver.Stop(unit);
            CgroupSetup.RemoveAt(made.CgroupPath);
        }
        folder.TryReadMounts()?.Detach();
        ResctrlSetup.Remove(folder);
        folder.Remove();
        HookRunner.RunAfter("poststop", state.Hooks?.Poststop, state.ForHook(StateFile.Stopped));
    }

    /// <summary>SIGKILL to the init, then its end awaited on the pidfd: the cgroup cannot go before.</summary>
    static void End(StateFile state)
    {
        int pidfd = InitProcess.OpenPidFd(state.Pid, state.PidStartTime);
        if (pidfd < 0)
            return;
        Libc.pidfd_send_signal(pidfd, Libc.SIGKILL, null, 0);
        if (state.CgroupPath != null)
            CgroupSetup.Freeze(state.CgroupPath, frozen: false);
        pollfd poll;
        poll.fd = pidfd;
        poll.events = Libc.POLLIN;
        if (Libc.poll(&poll, 1, 10_000) == 0)
            throw new PsrunException($"the container's init {state.Pid} did not end within 10 s of SIGKILL");
        Libc.close(pidfd);
    }
}
