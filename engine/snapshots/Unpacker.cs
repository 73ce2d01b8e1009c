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
        var what = $"layer {layer}";
        var answer = await RunAsync(engine, what, engine.Paths.Blob(layer), diffId, folder, lowers, progress, cancel).ConfigureAwait(false);
        return answer is null || answer.DiffId == diffId.ToString() ? answer : throw Failed(what, "psrun gave another digest", null);
    }

    /// <summary>Unpacks an archive, compressed or not, that is nobody's layer into an empty folder.</summary>
    /// <exception cref="ContainerException"><c>LayerInvalid</c>, <c>LayerTooLarge</c>, <c>UnpackFailed</c>, <c>HelperNotFound</c> …</exception>
    internal static Task RunAsync(ContainerEngine engine, string file, string folder, CancellationToken cancel) => RunAsync(engine, $"archive '{file}'", file, null, folder, [], null, cancel);

    static async Task<UnpackAnswer?> RunAsync(ContainerEngine engine, string what, string file, Digest? diffId, string folder, IReadOnlyList<string>? lowers, Action<long>? progress, CancellationToken cancel)
    {
        var limits = engine.Options.Limits;
        List<string> arguments = ["unpack", "--progress", .. diffId is null ? Array.Empty<string>() : ["--diff-id", diffId.ToString()!], "--max-bytes", $"{limits.LayerBytes}", "--max-entries", $"{limits.LayerEntries}", "--max-ratio", $"{limits.LayerRatio}"];
        if (lowers is { Count: 0 }) { arguments.Add("--base"); }
        foreach (var lower in lowers ?? []) { arguments.AddRange(["--lower", lower]); }
        arguments.AddRange([file, folder]);
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
                throw Refused(what, error);
            }
            return status == 0 && last?.DiffId is not null ? last : throw Failed(what, $"psrun ended with status {status} {words}", null);
        }
        catch (JsonException e) { throw Failed(what, "psrun's answer cannot be read", e); }
        catch (System.ComponentModel.Win32Exception e) { throw Failed(what, $"psrun could not be started: {e.Message}", e); }
    }

    static ContainerException Refused(string what, UnpackError error) => error.Id switch
    {
        ErrorIds.LayerInvalid => new(ErrorIds.LayerInvalid, $"The {what} was refused: {error.Message}. It is damaged, or made to do harm.", what, ContainerErrorCategory.InvalidData),
        ErrorIds.LayerTooLarge => new(ErrorIds.LayerTooLarge, $"The {what} was refused: {error.Message}. CONTAINERS_LAYER_BYTES, CONTAINERS_LAYER_ENTRIES and CONTAINERS_LAYER_RATIO raise the limits.",
            what, ContainerErrorCategory.InvalidData),
        ErrorIds.DigestMismatch => new(ErrorIds.DigestMismatch, $"The {what} is not the one that the image's configuration names: {error.Message}.", what, ContainerErrorCategory.InvalidData),
        _ => Failed(what, error.Message ?? "", null),
    };

    static ContainerException Failed(string what, string why, Exception? inner) => new(ErrorIds.UnpackFailed,
        $"The {what} could not be unpacked: {why}. Check free space and rights of the store.", what, ContainerErrorCategory.WriteError, inner);
}
