using Containers.Linux;
using Psrun.Processes;
using Psrun.Verbs;

namespace Psrun;

static class Program
{
    public const string Version = "0.1.0";
    public const string SpecVersion = "1.3.0";

    /// <summary>Where psrun was started: paths on the command line are relative to it, whatever the working directory is later.</summary>
    public static string InvocationFolder { get; private set; } = "/";

    static int Main(string[] args)
    {
        int failure = 1;
        try
        {
            InvocationFolder = CurrentFolder();
            Options global = Options.Parse(args, Commands.Global, limit: 0, out int used);
            if (global.Has("version"))
                return Print($"psrun version {Version}\nspec: {SpecVersion}\n");
            if (global.Has("help") || used == args.Length)
                return Print(Commands.Usage());
            Log.Configure(global.Value("log") is string log ? Path.GetFullPath(log, InvocationFolder) : null, global.Value("log-format"), global.Has("debug"));
            State.CgroupSetup.Configure(global.Has("systemd-cgroup"), global.Value("cgroup-manager"));
            Rootless.Configure(global.Value("rootless"));
            Checkpoint.CriuProgram.Configure(global.Value("criu"));
            string verb = args[used];
            ReadOnlySpan<string> rest = args.AsSpan(used + 1);
            if (rest.Length > 0 && rest[0] is ("--help" or "-h"))
                return Print(Commands.Usage(verb));
            failure = verb == "exec" ? 255 : 1;
            string root = verb is "shim" or "attach" or "spec" or "unpack" or "pack" or "copy" or "item" or "namespace" or "unit" or "features" or "help" ? "" : Path.GetFullPath(global.Value("root") ?? Rootless.DefaultRoot(), InvocationFolder);
            if (verb is "create" or "run" or "exec" && !OwnProgram.CanMapAnew())
                OwnProgram.RunReadOnly(args);
            if (verb == "run")
                LoadedLibraries.GiveBack(); // it may stay for as long as its container
            return verb switch
            {
                "create" => CreateVerb.Run(root, rest),
                "start" => StartVerb.Run(root, rest),
                "run" => RunVerb.Run(root, rest),
                "exec" => ExecVerb.Run(root, rest),
                "state" => StateVerb.Run(root, rest),
                "kill" => KillVerb.Run(root, rest),
                "delete" => DeleteVerb.Run(root, rest),
                "list" => ListVerb.Run(root, rest),
                "ps" => PsVerb.Run(root, rest),
                "update" => UpdateVerb.Run(root, rest),
                "events" => EventsVerb.Run(root, rest),
                "pause" => PauseVerb.Run(root, rest, freeze: true),
                "resume" => PauseVerb.Run(root, rest, freeze: false),
                "checkpoint" => CheckpointVerb.Run(root, rest),
                "restore" => RestoreVerb.Run(root, rest),
                "namespace" => NamespaceVerb.Run(args, rest),
                "unit" => Systemd.UnitVerb.Run(rest),
                "shim" => Shim.ShimCommand.Run(rest),
                "attach" => Attaching.AttachCommand.Run(rest),
                "spec" => SpecVerb.Run(rest),
                "unpack" => UnpackVerb.Run(rest),
                "pack" => PackVerb.Run(rest),
                "copy" => CopyVerb.Run(rest),
                "item" => Items.ItemVerb.Run(rest),
                "features" => FeaturesVerb.Run(rest),
                "help" => Print(rest.Length > 0 ? Commands.Usage(rest[0]) : Commands.Usage()),
                _ => throw Commands.Unknown(verb),
            };
        }
        catch (PsrunException e)
        {
            Log.Error(e.Message);
        }
        catch (LinuxException e)
        {
            Log.Error(e.Message);
        }
        catch (IOException e)
        {
            Log.Error(e.Message);
        }
        catch (Containers.Linux.Cgroups.CgroupException e)
        {
            Log.Error(e.Message);
        }
        catch (Containers.Linux.Resctrl.ResctrlException e)
        {
            Log.Error(e.Message);
        }
        // A fault of our own: still one line, the verb's exit status, and what was begun taken back by whoever began it.
        catch (Exception e)
        {
            Log.Error($"internal error: {e.GetType().Name}: {e.Message}");
        }
        return failure;
    }

    /// <summary>
    /// Engines clean up from a folder that they have removed: that is no hindrance as long as no path is relative to it, and then the kernel's
    /// link, which leads nowhere, says so.
    /// </summary>
    static string CurrentFolder()
    {
        try
        {
            return Environment.CurrentDirectory;
        }
        catch (IOException)
        {
            return "/proc/self/cwd";
        }
    }

    static int Print(string text)
    {
        Log.Write(1, text);
        return 0;
    }
}
