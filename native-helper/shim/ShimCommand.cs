namespace Psrun.Shim;

/// <summary>
/// <c>psrun shim --run-dir DIR</c>: starts the shim of the task whose orders are in DIR/shim.json, detached; prints one JSON line when the task is
/// created or could not be (exit status 1). With <c>--serve</c>, which only the launcher uses, it is the shim. <c>--compress</c> is how the shim
/// compresses a log. Exit status 2: wrong arguments.
/// </summary>
static class ShimCommand
{
    public static int Run(ReadOnlySpan<string> args)
    {
        string? runDir = null;
        bool serve = false, compress = false;
        for (int i = 0; i < args.Length; i++)
        {
            if (args[i] == "--serve") serve = true;
            else if (args[i] == "--compress") compress = true;
            else if (args[i] == "--run-dir" && i + 1 < args.Length) runDir = args[++i];
            else return Usage($"unknown argument '{args[i]}'");
        }
        if (compress) return serve || runDir is not null ? Usage("--compress stands alone") : CompressCommand.Run();
        if (runDir is null || !runDir.StartsWith('/')) return Usage("--run-dir with an absolute path is needed");
        runDir = runDir.TrimEnd('/');
        return serve ? Server.Serve(runDir) : Launcher.Launch(runDir);
    }

    static int Usage(string words)
    {
        Files.WriteAll(2, System.Text.Encoding.UTF8.GetBytes($"psrun shim: {Log.OneLine(words)}\n"));
        return 2;
    }
}
