using System.Text.Json;

namespace Containers;

/// <summary>Runs <c>psrun copy</c>: docs/pack.md.</summary>
static class TreeCopier
{
    /// <summary>Copies layers, seen as one tree, into an empty folder.</summary>
    /// <param name="layers">The topmost first.</param>
    /// <param name="path">The folder in them that is copied; null for all.</param>
    /// <exception cref="ContainerException"><c>CopyFailed</c>, <c>HelperNotFound</c> …</exception>
    internal static async Task RunAsync(ContainerEngine engine, object target, IReadOnlyList<string> layers, string? path, string folder, CancellationToken cancel)
    {
        List<string> arguments = ["copy"];
        foreach (var lower in layers.Skip(1)) { arguments.AddRange(["--lower", lower]); }
        if (path is not null) { arguments.AddRange(["--path", path]); }
        arguments.AddRange([layers[0], folder]);
        CopyAnswer? last = null;
        try
        {
            var (status, words) = await HelperLines.RunAsync(engine.Host.FindHelper(), arguments, line => last = JsonSerializer.Deserialize(line, ImageJson.Default.CopyAnswer), cancel).ConfigureAwait(false);
            if (last?.Error is { } error) { throw Failed(target, ShimErrors.Printable(error.Message ?? ""), null); }
            if (status != 0 || last?.Entries is null) { throw Failed(target, $"psrun ended with status {status} {words}", null); }
        }
        catch (JsonException e) { throw Failed(target, "psrun's answer cannot be read", e); }
        catch (System.ComponentModel.Win32Exception e) { throw Failed(target, $"psrun could not be started: {e.Message}", e); }
    }

    static ContainerException Failed(object target, string why, Exception? inner) => new(ErrorIds.CopyFailed,
        $"The layers of '{target}' could not be copied: {why}. Look at what is named there, and at free space and rights of the store.", target, ContainerErrorCategory.WriteError, inner);
}
