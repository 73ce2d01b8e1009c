using Psrun.Checkpoint;
using Psrun.Processes;

namespace Psrun.Verbs;

/// <summary>restore: a container whose processes come from the files of a checkpoint; from there on it is as any other.</summary>
static class RestoreVerb
{
    /// <summary>psrun never becomes a subreaper: --no-subreaper is what it does anyway.</summary>
    public static readonly string[] Known =
    [
        "console-socket=", "image-path=", "work-path=", "tcp-established", "ext-unix-sk", "shell-job", "file-locks", "manage-cgroups-mode=", "b,bundle=", "d,detach", "pid-file=", "no-subreaper",
        "no-pivot", "empty-ns=", "auto-dedup", "lazy-pages", "lsm-profile=", "lsm-mount-context=",
    ];

    public static int Run(string root, ReadOnlySpan<string> args)
    {
        Options options = Options.Parse(args, Known, limit: int.MaxValue, out _);
        bool detach = options.Has("detach");
        CreationOptions creation = CreateVerb.Read(root, options, "restore", waitForStart: false, foreground: !detach);
        CheckpointOptions checkpoint = CheckpointOptions.Read(options);
        if (creation.NoPivot)
            throw new PsrunException("restore: --no-pivot: it is CRIU that changes the root, and it does so by pivot_root alone");
        if (!detach)
            Foreground.CatchSignals();
        using Creation restored = Creation.Restore(creation, checkpoint);
        return detach ? 0 : RunVerb.Follow(restored, keep: false);
    }
}
