using Containers.Linux.Oci;
using Psrun.Checkpoint;
using Psrun.State;

namespace Psrun.Verbs;

/// <summary>checkpoint: the container's processes into files, by CRIU; then the container is deleted, unless it is to run on.</summary>
static class CheckpointVerb
{
    public static readonly string[] Known =
    [
        "image-path=", "work-path=", "parent-path=", "leave-running", "tcp-established", "tcp-skip-in-flight", "link-remap", "ext-unix-sk", "shell-job", "lazy-pages", "status-fd=", "page-server=",
        "file-locks", "pre-dump", "manage-cgroups-mode=", "empty-ns=", "auto-dedup",
    ];

    public static int Run(string root, ReadOnlySpan<string> args)
    {
        Options options = Options.Parse(args, Known, limit: int.MaxValue, out _);
        string id = CreateVerb.OneId(options, "checkpoint");
        CheckpointOptions checkpoint = CheckpointOptions.Read(options);
        (StateFolder folder, StateFile state) = StateFolder.OpenLocked(root, id);
        using StateFolder held = folder;
        string status = Status.Of(folder, state);
        if (status is not (StateFile.Running or StateFile.Paused))
            throw new PsrunException($"cannot checkpoint a container in the {status} state");
        Spec spec = SpecCheck.ReadBundle(state.Bundle);
        CriuProgram criu = Dump.Check(folder, state, spec, checkpoint);
        Dump.Run(state, spec, checkpoint, criu, paused: status == StateFile.Paused, folder.Descriptor);
        if (!checkpoint.LeaveRunning && !checkpoint.PreDump)
            DeleteVerb.Remove(folder, state);
        return 0;
    }
}
