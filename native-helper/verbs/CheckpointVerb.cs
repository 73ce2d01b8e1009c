namespace Psrun.Verbs;

/// <summary>checkpoint and restore: runc's command lines, refused by name. A container that is to be moved by CRIU needs another runtime.</summary>
static class CheckpointVerb
{
    public static readonly string[] KnownCheckpoint =
    [
        "image-path=", "work-path=", "parent-path=", "leave-running", "tcp-established", "tcp-skip-in-flight", "link-remap", "ext-unix-sk", "shell-job", "lazy-pages", "status-fd=", "page-server=",
        "file-locks", "pre-dump", "manage-cgroups-mode=", "empty-ns=", "auto-dedup",
    ];

    public static readonly string[] KnownRestore =
    [
        "console-socket=", "image-path=", "work-path=", "tcp-established", "ext-unix-sk", "shell-job", "file-locks", "manage-cgroups-mode=", "b,bundle=", "d,detach", "pid-file=", "no-subreaper",
        "no-pivot", "empty-ns=", "auto-dedup", "lazy-pages", "lsm-profile=", "lsm-mount-context=",
    ];

    public static int Run(string verb, ReadOnlySpan<string> args)
    {
        CreateVerb.OneId(Options.Parse(args, verb == "restore" ? KnownRestore : KnownCheckpoint, limit: int.MaxValue, out _), verb);
        throw new PsrunException($"{verb}: is not supported: psrun does not work with CRIU");
    }
}
