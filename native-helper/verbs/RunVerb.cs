using Containers.Linux;
using Psrun.Processes;
using Psrun.State;

namespace Psrun.Verbs;

/// <summary>run: create and start in one, without the wait between them; in the foreground also wait and delete.</summary>
static class RunVerb
{
    /// <summary>psrun never becomes a subreaper: --no-subreaper is what it does anyway.</summary>
    public static readonly string[] Known = [.. CreateVerb.Known, "d,detach", "keep", "no-subreaper"];

    public static int Run(string root, ReadOnlySpan<string> args)
    {
        Options options = Options.Parse(args, Known, limit: int.MaxValue, out _);
        bool detach = options.Has("detach");
        if (!detach)
            Foreground.CatchSignals();
        using Creation creation = Creation.Make(CreateVerb.Read(root, options, "run", waitForStart: false, foreground: !detach));
        if (detach)
            return 0;
        return Follow(creation, options.Has("keep"));
    }

    /// <summary>Stays until the program has ended; gives its exit status.</summary>
    public static int Follow(Creation creation, bool keep)
    {
        Thread? notify = creation.Notify?.PassOn(creation.State.Pid);
        int status = Foreground.Wait(creation.State.Pid, creation.Relay);
        notify?.Join();
        // Whoever ended the program may have removed the container too, and another one may have its id by now.
        if (!keep && creation.Folder.LockInPlace())
            DeleteVerb.Remove(creation.Folder, creation.State);
        return status;
    }
}

