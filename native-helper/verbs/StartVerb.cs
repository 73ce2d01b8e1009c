using Containers.Linux;
using Psrun.Dance;
using Psrun.Processes;
using Psrun.State;

namespace Psrun.Verbs;

/// <summary>start: connects to the waiting init; the end of that connection is its execve.</summary>
static unsafe class StartVerb
{
    public static int Run(string root, ReadOnlySpan<string> args)
    {
        string id = CreateVerb.OneId(Options.Parse(args, [], limit: int.MaxValue, out int _), "start");
        // A creation holds the lock, and would be waited for.
        using (StateFolder? seen = StateFolder.Open(root, ContainerId.Check(id)))
            if (seen?.TryReadState() is { } now && Status.Of(seen, now) == StateFile.Creating)
                throw new PsrunException($"cannot start a container in the {StateFile.Creating} state");
        (StateFolder folder, StateFile state) = StateFolder.OpenLocked(root, id);
        using StateFolder held = folder;
        string status = Status.Of(folder, state);
        if (status != StateFile.Created)
            throw new PsrunException($"cannot start a container in the {status} state");
        using NotifySocket? notify = NotifySocket.Listen(folder);
        int connection = folder.ConnectToStart();
        if (connection < 0)
            throw new PsrunException("cannot start a container that has stopped");
        folder.RemoveStartSocket();
        Report report = default;
        nint n;
        do
            n = Libc.read(connection, &report, (nuint)sizeof(Report));
        while (n < 0 && Libc.errno == Libc.EINTR);
        Libc.close(connection);
        if (n == sizeof(Report))
            throw new PsrunException(Explain(report));
        if (state.Seccomp != null && InitProcess.NeverExecuted(state.Pid, state.PidStartTime))
            throw new PsrunException("exec: the container's program: linux.seccomp lets it neither be started nor tell why");
        HookRunner.RunAfter("poststart", state.Hooks?.Poststart, state.ForHook(StateFile.Running));
        folder.Unlock();
        notify?.PassUntilReady(state.Pid, state.PidStartTime);
        return 0;
    }

    /// <summary>The init tells which kind of step failed: its plan was another process's.</summary>
    static string Explain(Report report) => (StepKind)report.Value switch
    {
        StepKind.RunProgram => HookRunner.Explain("hooks.startContainer", report.Errno, report.Detail),
        StepKind.Execute => ProgramSteps.Explain("exec: the container's program", report.Errno),
        _ => "exec: the container's last steps before its program: " + Errnos.Text(report.Errno),
    };
}
