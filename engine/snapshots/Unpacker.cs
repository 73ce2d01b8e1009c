using System.Diagnostics;
using System.Text.Json;

namespace Containers;

/// <summary>Runs <c>psrun unpack</c>: docs/unpack.md.</summary>
static class Unpacker
{
    const string NeedsLower = nameof(NeedsLower);

    /// <summary>Unpacks one layer into an empty folder; null when it builds on layers below that were not given.</summary>
    /// <param name="lowers">Unpacked layers below, the topmost first; empty for the first layer, null when they are not there yet.</param>
    /// <exception cref="ContainerException"><c>LayerInvalid</c>, <c>LayerTooLarge</c>, <c>DigestMismatch</c>, <c>UnpackFailed</c>, <c>HelperNotFound</c> …</exception>
    internal static async Task<UnpackAnswer?> RunAsync(ContainerEngine engine, Digest layer, Digest diffId, string folder, IReadOnlyList<string>? lowers, Action<long>? progress, CancellationToken cancel)
    {
        var limits = engine.Options.Limits;
        var info = new ProcessStartInfo
        {
            FileName = engine.Host.FindHelper(), WorkingDirectory = "/", UseShellExecute = false,
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
        };
        foreach (var argument in new[] { "unpack", "--progress", "--diff-id", diffId.ToString(), "--max-bytes", $"{limits.LayerBytes}", "--max-entries", $"{limits.LayerEntries}", "--max-ratio", $"{limits.LayerRatio}" })
        {
            info.ArgumentList.Add(argument);
        }
        if (lowers is { Count: 0 }) { info.ArgumentList.Add("--base"); }
        foreach (var lower in lowers ?? [])
        {
            info.ArgumentList.Add("--lower");
            info.ArgumentList.Add(lower);
        }
        info.ArgumentList.Add(engine.Paths.Blob(layer));
        info.ArgumentList.Add(folder);
        info.Environment.Clear();
        info.Environment["PATH"] = Defaults.Path;

        using var psrun = new System.Diagnostics.Process { StartInfo = info };
        try { psrun.Start(); }
        catch (System.ComponentModel.Win32Exception e) { throw Failed(layer, $"'{info.FileName}' could not be started: {e.Message}", e); }
        psrun.StandardInput.Close();
        try
        {
            var complaining = psrun.StandardError.ReadToEndAsync(cancel);
            UnpackAnswer? last = null;
            while (await psrun.StandardOutput.ReadLineAsync(cancel).ConfigureAwait(false) is { } line)
            {
                try { last = JsonSerializer.Deserialize(line, ImageJson.Default.UnpackAnswer); }
                catch (JsonException e) { throw Failed(layer, "psrun's answer cannot be read", e); }
                if (last?.Read is { } read) { progress?.Invoke(read); }
            }
            var words = await complaining.ConfigureAwait(false);
            await psrun.WaitForExitAsync(cancel).ConfigureAwait(false);
            if (last?.Error is { } error)
            {
                if (error.Id == NeedsLower && lowers is null) { return null; }
                throw Refused(layer, error);
            }
            return psrun.ExitCode == 0 && last?.DiffId == diffId.ToString() ? last : throw Failed(layer, $"psrun ended with status {psrun.ExitCode} {words.Trim()}", null);
        }
        catch
        {
            // A half-made folder is its caller's to remove, and nobody may write in it any more.
            if (!psrun.HasExited)
            {
                psrun.Kill();
                await psrun.WaitForExitAsync(CancellationToken.None).ConfigureAwait(false);
            }
            throw;
        }
    }

    static ContainerException Refused(Digest layer, UnpackError error) => error.Id switch
    {
        ErrorIds.LayerInvalid => new(ErrorIds.LayerInvalid, $"The layer {layer} was refused: {error.Message}. It is damaged, or made to do harm.", layer.ToString(), ContainerErrorCategory.InvalidData),
        ErrorIds.LayerTooLarge => new(ErrorIds.LayerTooLarge, $"The layer {layer} was refused: {error.Message}. CONTAINERS_LAYER_BYTES, CONTAINERS_LAYER_ENTRIES and CONTAINERS_LAYER_RATIO raise the limits.",
            layer.ToString(), ContainerErrorCategory.InvalidData),
        ErrorIds.DigestMismatch => new(ErrorIds.DigestMismatch, $"The layer {layer} is not the one that the image's configuration names: {error.Message}.", layer.ToString(), ContainerErrorCategory.InvalidData),
        _ => Failed(layer, error.Message ?? "", null),
    };

    static ContainerException Failed(Digest layer, string why, Exception? inner) => new(ErrorIds.UnpackFailed,
        $"The layer {layer} could not be unpacked: {why}. Check free space and rights of the store.", layer.ToString(), ContainerErrorCategory.WriteError, inner);
}
