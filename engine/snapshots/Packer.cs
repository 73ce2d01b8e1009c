using System.Text.Json;

namespace Containers;

/// <summary>Runs <c>psrun pack</c>: docs/pack.md.</summary>
static class Packer
{
    /// <summary>What the archive is to be.</summary>
    internal enum Kind
    {
        /// <summary>A layer: what the topmost folder has that those below it do not.</summary>
        Changes,

        /// <summary>A layer of all folders together.</summary>
        Whole,

        /// <summary>An archive of all folders together, which need not be a layer.</summary>
        Archive,
    }

    /// <summary>Writes an archive.</summary>
    /// <param name="file">Is emptied, or made with mode 0600.</param>
    /// <exception cref="ContainerException"><c>PackFailed</c>, <c>HelperNotFound</c> …</exception>
    internal static async Task<PackAnswer> WriteAsync(ContainerEngine engine, object target, Kind kind, ContainerTree tree, bool compress, string file, CancellationToken cancel)
    {
        List<string> arguments = ["--compression", compress ? "gzip" : "none"];
        if (kind != Kind.Changes) { arguments.Add(kind == Kind.Whole ? "--whole" : "--archive"); }
        if (kind == Kind.Changes && tree.Copied) { arguments.Add("--tree"); }
        var answer = await RunAsync(engine, target, arguments, kind == Kind.Changes ? tree.Folders : tree.Whole, file, null, cancel).ConfigureAwait(false);
        return answer.DiffId is not null && answer.Digest is not null ? answer : throw Failed(target, "psrun gave no digest", null);
    }

    /// <summary>An archive for the user: mode 0600, and its name when it is whole.</summary>
    /// <param name="path">Absolute; replaced. With gzip when it ends in <c>.gz</c> or <c>.tgz</c>.</param>
    /// <exception cref="ContainerException"><c>PackFailed</c>, <c>ExportFailed</c> …</exception>
    internal static async Task ExportAsync(ContainerEngine engine, object target, ContainerTree tree, string path, CancellationToken cancel)
    {
        var compress = path.EndsWith(".gz", StringComparison.Ordinal) || path.EndsWith(".tgz", StringComparison.Ordinal);
        var temporary = $"{path}.new-{Names.Random()}";
        try
        {
            await WriteAsync(engine, target, Kind.Archive, tree, compress, temporary, cancel).ConfigureAwait(false);
            using (var file = File.OpenHandle(temporary, FileMode.Open, FileAccess.ReadWrite)) { RandomAccess.FlushToDisk(file); }
            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ContainerException(ErrorIds.ExportFailed, $"'{path}' cannot be written: {e.Message} Check free space and rights.", path, ContainerErrorCategory.WriteError, e);
        }
        finally { Mono.Unix.Native.Syscall.unlink(temporary); }
    }

    /// <summary>Tells what an archive of <see cref="Kind.Changes"/> would have.</summary>
    internal static Task ListAsync(ContainerEngine engine, object target, ContainerTree tree, Action<PackAnswer> found, CancellationToken cancel) =>
        RunAsync(engine, target, tree.Copied ? ["--list", "--tree"] : ["--list"], tree.Folders, null, found, cancel);

    static async Task<PackAnswer> RunAsync(ContainerEngine engine, object target, List<string> options, IReadOnlyList<string> folders, string? file, Action<PackAnswer>? found, CancellationToken cancel)
    {
        List<string> arguments = ["pack", .. options];
        foreach (var lower in folders.Skip(1)) { arguments.AddRange(["--lower", lower]); }
        arguments.Add(folders[0]);
        if (file is not null) { arguments.Add(file); }
        PackAnswer? last = null;
        try
        {
            var (status, words) = await HelperLines.RunAsync(engine.Host.FindHelper(), arguments, line =>
            {
                last = JsonSerializer.Deserialize(line, ImageJson.Default.PackAnswer);
                if (last?.Kind is not null) { found?.Invoke(last); }
            }, cancel).ConfigureAwait(false);
            if (last?.Error is { } error) { throw Failed(target, ShimErrors.Printable(error.Message ?? ""), null); }
            return status == 0 && last?.Entries is not null ? last : throw Failed(target, $"psrun ended with status {status} {words}", null);
        }
        catch (JsonException e) { throw Failed(target, "psrun's answer cannot be read", e); }
        catch (System.ComponentModel.Win32Exception e) { throw Failed(target, $"psrun could not be started: {e.Message}", e); }
    }

    static ContainerException Failed(object target, string why, Exception? inner) => new(ErrorIds.PackFailed,
        $"'{target}' could not be packed: {why}. Look at what is named there, and at free space and rights.", target, ContainerErrorCategory.WriteError, inner);
}
