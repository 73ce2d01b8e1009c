using Containers.Linux;
using Psrun.Processes;
using Psrun.Shim;

namespace Psrun.Attaching;

/// <summary>
/// <c>psrun attach --run-dir DIR --report PATH</c>: its own standard streams become those of a task's program or of an exec process, over the shim's socket
/// (docs/shim.md). What becomes of it is told in JSON lines to the pipe or file PATH: <c>{"attached":true}</c>, then <c>{"end":"exit"}</c>, <c>detached</c>,
/// <c>interrupted</c> or <c>lost</c>; or an <c>error</c> in place of either. Exit status 0 after an end that was told.
/// </summary>
static class AttachCommand
{
    public static readonly string[] Known = ["run-dir=", "report=", "exec=", "request=", "input", "terminal", "detach-keys="];

    public static int Run(ReadOnlySpan<string> args)
    {
        Options options = Options.Parse(args, Known, 0, out int used);
        if (used < args.Length) throw new PsrunException($"attach: unexpected argument: {args[used]}");
        string folder = options.Value("run-dir") ?? throw new PsrunException("attach: --run-dir is needed");
        int report = Sys.Open(options.Value("report") ?? throw new PsrunException("attach: --report is needed"), Libc.O_WRONLY);
        if (report < 0) throw new PsrunException($"attach: --report: {Sys.Words(-report)}");
        try
        {
            byte[]? request = null;
            if (options.Value("request") is { } file)
                request = Files.ReadSmall(file, Connection.LargestFrame - 1, out string? problem) ?? throw new ShimException("FileFailed", $"{file}: {problem}");
            // Relative to its folder, a socket's path is never too long.
            int r = Sys.ChangeDirectory(folder);
            if (r < 0) throw ShimException.Of("ShimLost", folder, r);
            using var session = new AttachedSession(options.Value("exec"), options.Has("input"), options.Has("terminal"), Keys(options.Value("detach-keys")));
            session.Connect(request);
            Tell(report, w => w.WriteBoolean("attached", true));
            string end = session.Run();
            Tell(report, w => w.WriteString("end", end));
            return 0;
        }
        catch (ShimException e)
        {
            Tell(report, w => Json.WriteError(w, e.Id, e.Message));
            return 1;
        }
    }

    static void Tell(int report, Action<System.Text.Json.Utf8JsonWriter> members) => Files.WriteAll(report, [.. Json.Object(members), (byte)'\n']);

    static byte[] Keys(string? hex)
    {
        try
        {
            return Convert.FromHexString(hex ?? "");
        }
        catch (FormatException)
        {
            throw new PsrunException($"attach: --detach-keys: \"{hex}\" is not bytes in hexadecimal");
        }
    }
}
