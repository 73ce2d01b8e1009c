namespace Psrun.State;

/// <summary>A container's status, from what is true now rather than from what was written down.</summary>
static class Status
{
    public static string Of(StateFolder folder, StateFile state)
    {
        if (!InitProcess.IsAlive(state.Pid, state.PidStartTime, out bool waits))
            // A creation that is under way has not told the pid yet, but it holds the lock.
            return !state.Complete && state.Pid == 0 && folder.IsBeingMade ? StateFile.Creating : StateFile.Stopped;
        if (!state.Complete)
            // The creator was killed. Its child ends at the next point where it would wait for it; one that has no such point left runs its program.
            return folder.IsBeingMade ? StateFile.Creating : folder.HasStartSocket ? StateFile.Stopped : StateFile.Running;
        // A start that was killed leaves its socket behind, and a program may call itself what it likes.
        if (waits && folder.HasStartSocket)
            return StateFile.Created;
        return state.CgroupPath != null && CgroupSetup.IsFrozen(state.CgroupPath) ? StateFile.Paused : StateFile.Running;
    }
}
