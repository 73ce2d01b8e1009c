using Psrun.State;

namespace Psrun.Verbs;

/// <summary>pause and resume, by the freezer.</summary>
static class PauseVerb
{
    public static int Run(string root, ReadOnlySpan<string> args, bool freeze)
    {
        string verb = freeze ? "pause" : "resume";
        string id = CreateVerb.OneId(Options.Parse(args, [], limit: int.MaxValue, out int _), verb);
        (StateFolder folder, StateFile state) = StateFolder.OpenLocked(root, id);
        using StateFolder held = folder;
        string status = Status.Of(folder, state);
        if (freeze ? status is not (StateFile.Running or StateFile.Created) : status != StateFile.Paused)
            throw new PsrunException($"cannot {verb} a container in the {status} state");
        CgroupSetup.Freeze(state.CgroupPath ?? throw new PsrunException($"{verb}: the container has no cgroup"), freeze);
        return 0;
    }
}
