using System.Diagnostics;

namespace Containers;

/// <summary>A run of psrun that takes long and answers objects of JSON, one a line.</summary>
static class HelperLines
{
    /// <param name="line">Called for each; what it throws ends the run.</param>
    /// <returns>The exit status, and what was said on standard error.</returns>
    /// <exception cref="System.ComponentModel.Win32Exception">It could not be started.</exception>
    internal static async Task<(int Status, string Words)> RunAsync(string helper, IEnumerable<string> arguments, Action<string> line, CancellationToken cancel)
    {
        using var psrun = new Process { StartInfo = ClosedProgram.Of(helper, arguments) };
        psrun.Start();
        psrun.StandardInput.Close();
        try
        {
            var complaining = psrun.StandardError.ReadToEndAsync(cancel);
            while (await psrun.StandardOutput.ReadLineAsync(cancel).ConfigureAwait(false) is { } text) { line(text); }
            var words = await complaining.ConfigureAwait(false);
            await psrun.WaitForExitAsync(cancel).ConfigureAwait(false);
            return (psrun.ExitCode, ShimErrors.Printable(words.Trim()));
        }
        catch
        {
            // What it has half made is its caller's to remove, and nobody may write there any more.
            if (!psrun.HasExited)
            {
                psrun.Kill();
                await psrun.WaitForExitAsync(CancellationToken.None).ConfigureAwait(false);
            }
            throw;
        }
    }
}
