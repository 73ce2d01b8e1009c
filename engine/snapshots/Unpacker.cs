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
        List<string> arguments = ["unpack", "--progress", "--diff-id", diffId.ToString(), "--max-bytes", $"{limits.LayerBytes}", "--max-entries", $"{limits.LayerEntries}", "--max-ratio", $"{limits.LayerRatio}"];
        if (lowers is { Count: 0 }) { arguments.Add("--base"); }
        foreach (var lower in lowers ?? []) { arguments.AddRange(["--lower", lower]); }
        arguments.AddRange([engine.Paths.Blob(layer), folder]);
        UnpackAnswer? last = null;
        try
        {
            var (status, words) = await HelperLines.RunAsync(engine.Host.FindHelper(), arguments, line =>
            {
                last = JsonSerializer.Deserialize(line, ImageJson.Default.UnpackAnswer);
                if (last?.Read is { } read) { progress?.Invoke(read); }
            }, cancel).ConfigureAwait(false);
            if (last?.Error is { } error)
            {
                if (error.Id == NeedsLower && lowers is null) { return null; }
                throw Refused(layer, error);
            }
            return status == 0 && last?.DiffId == diffId.ToString() ? last : throw Failed(layer, $"psrun ended with status {status} {words}", null);
        }
        catch (JsonException e) { throw Failed(layer, "psrun's answer cannot be read", e); }
        catch (System.ComponentModel.Win32Exception e) { throw Failed(layer, $"psrun could not be started: {e.Message}", e); }
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
