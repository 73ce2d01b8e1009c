using System.Diagnostics;

namespace Containers;

/// <summary>
/// How psrun and runtimes are started: in the root folder, with three streams of their own, and with nothing of the caller's environment, which may hold
/// secrets that what they leave running would keep.
/// </summary>
static class ClosedProgram
{
    internal static ProcessStartInfo Of(string program, params IEnumerable<string> arguments)
    {
        var info = new ProcessStartInfo
        {
            FileName = program, WorkingDirectory = "/", UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
        };
        foreach (var argument in arguments) { info.ArgumentList.Add(argument); }
        info.Environment.Clear();
        info.Environment["PATH"] = Defaults.Path;
        return info;
    }
}
