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
            InvocationFolder = Environment.CurrentDirectory;
            Options global = Options.Parse(args, ["root=", "log=", "log-format=", "debug", "systemd-cgroup", "rootless=", "criu=", "v,version", "h,help"], limit: 0, out int used);
            if (global.Has("version"))
                return Print($"psrun version {Version}\nspec: {SpecVersion}\n");
            if (global.Has("help") || used == args.Length)
                return Print(Usage);
            Log.Configure(global.Value("log") is string log ? Path.GetFullPath(log) : null, global.Value("log-format"), global.Has("debug"));
            if (global.Has("systemd-cgroup"))
                throw new PsrunException("--systemd-cgroup: is not supported");
            if (global.Value("rootless") is "true")
                throw new PsrunException("--rootless: is not supported");
            string verb = args[used];
            ReadOnlySpan<string> rest = args.AsSpan(used + 1);
            failure = verb == "exec" ? 255 : 1;
            string root = Path.GetFullPath(global.Value("root") ?? "/run/psrun");
            if (verb is "create" or "run" or "exec")
                OwnProgram.RunReadOnly(args);
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
                "shim" => Shim.ShimCommand.Run(rest),
                "spec" => SpecVerb.Run(rest),
                "unpack" => UnpackVerb.Run(rest),
                "features" => FeaturesVerb.Run(rest),
                "help" => Print(Usage),
                _ => throw new PsrunException($"\"{verb}\" is not a command; psrun --help lists them"),
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
        return failure;
    }

    static int Print(string text)
    {
        Log.Write(1, text);
        return 0;
    }

    const string Usage = """
        psrun: an OCI container runtime

        psrun [--root DIR] [--log FILE] [--log-format text|json] [--debug] COMMAND

          create    [-b DIR] [--pid-file F] [--console-socket S] [--preserve-fds N] [--no-pivot] [--no-new-keyring] ID
          start     ID
          run       [-d] [the options of create] ID
          exec      [-d] [-t] [-u UID[:GID]] [-e K=V] [--cwd DIR] [-p FILE] [--pid-file F] [--console-socket S] [-c CAP] ID [PROGRAM ARGUMENT...]
          state     ID
          kill      [--all] ID [SIGNAL]
          delete    [--force] ID
          list      [-q] [-f table|json]
          ps        [-f table|json] ID
          update    [-r FILE|-] [--memory SIZE] [--cpu-quota N] ... ID
          events    [--stats] [--interval TIME] ID
          pause     ID
          resume    ID
          spec      [-b DIR]
          features
          unpack    [--compression auto|none|gzip|zstd] [--diff-id D] [--base | --lower DIR...] [--max-bytes N] [--max-entries N] [--max-ratio N] [--progress] LAYER|- DIR

        """;
}
