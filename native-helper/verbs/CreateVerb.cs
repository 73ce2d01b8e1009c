using Psrun.Processes;

namespace Psrun.Verbs;

/// <summary>create: everything but the program itself; see docs/flow.md.</summary>
static class CreateVerb
{
    public static readonly string[] Known = ["b,bundle=", "pid-file=", "console-socket=", "pidfd-socket=", "preserve-fds=", "no-pivot", "no-new-keyring"];

    public static int Run(string root, ReadOnlySpan<string> args)
    {
        Options options = Options.Parse(args, Known, limit: int.MaxValue, out _);
        using Creation creation = Creation.Make(Read(root, options, "create", waitForStart: true, foreground: false));
        return 0;
    }

    public static CreationOptions Read(string root, Options options, string verb, bool waitForStart, bool foreground) => new()
    {
        Root = root,
        Id = OneId(options, verb),
        Bundle = Path.GetFullPath(options.Value("bundle") ?? ".", Program.InvocationFolder),
        PidFile = options.Value("pid-file"),
        ConsoleSocket = options.Value("console-socket"),
        PidFdSocket = options.Value("pidfd-socket"),
        PreservedDescriptors = options.PreservedDescriptors(),
        ListenDescriptors = SocketActivation.Count(),
        NoPivot = options.Has("no-pivot"),
        NoNewKeyring = options.Has("no-new-keyring"),
        WaitForStart = waitForStart,
        Foreground = foreground,
    };

    public static string OneId(Options options, string verb) => options.Arguments.Count == 1
        ? options.Arguments[0]
        : throw new PsrunException($"{verb}: exactly one container id is needed, found {options.Arguments.Count}");
}
