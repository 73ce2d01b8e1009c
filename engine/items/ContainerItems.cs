using System.Diagnostics;
using System.Text.Json;
using Containers.Linux;
using Mono.Unix.Native;

namespace Containers;

/// <summary>A file or folder, of a container or of the host. How the path ends matters, as with cp(1): docs/item.md.</summary>
/// <param name="ContainerId">Null for the host.</param>
/// <param name="Path">As the container sees it, from its root; absolute for the host.</param>
public sealed record ContainerItem(string? ContainerId, string Path, string? ContainerNamespace = null)
{
    public override string ToString() => ContainerId is null ? Path : $"{ContainerId}:{Path}";
}

/// <summary>How files are copied.</summary>
public sealed class ContainerItemOptions
{
    /// <summary>Owners are kept by their numbers. Otherwise what is copied belongs to root inside a container, and to the caller on the host.</summary>
    public bool Archive { get; set; }

    /// <summary>Of a source that is a link, what it leads to.</summary>
    public bool FollowLink { get; set; }

    /// <summary>Whom it belongs to inside the container: <c>uid</c>, <c>uid:gid</c>, <c>name</c> or <c>name:group</c>, looked up there.</summary>
    public string? Owner { get; set; }
}

/// <summary>
/// Files into containers and out of them, whether they run or not. psrun does it, inside of the container's root: where a container runs by its own
/// mounts, otherwise by mounts that nobody else sees.
/// </summary>
public sealed partial class ContainerItems
{
    readonly ContainerEngine engine;

    internal ContainerItems(ContainerEngine engine) => this.engine = engine;

    /// <summary>Copies one thing with all that is in it. Links are copied as links, and none is followed below the two paths.</summary>
    /// <returns>How many files and folders were written.</returns>
    /// <exception cref="ContainerException"><c>ContainerNotFound</c>, <c>ItemNotFound</c>, <c>ItemConflict</c>, <c>CopyFailed</c>, <c>UserNotFound</c>, <c>InvalidArgument</c>.</exception>
    public async Task<long> CopyAsync(ContainerItem from, ContainerItem to, ContainerItemOptions? options = null, CancellationToken cancel = default)
    {
        options ??= new ContainerItemOptions();
        using var source = await OpenAsync(from, cancel).ConfigureAwait(false);
        // A container that does not run is opened once: its lock is held.
        using var target = Same(from, to) ? source.Again() : await OpenAsync(to, cancel).ConfigureAwait(false);
        using var reader = Start(Get(source, from, options));
        using var writer = Start(Put(target, to, options, extract: false));
        reader.StandardInput.Close();
        try
        {
            var complaining = (reader.StandardError.ReadToEndAsync(cancel), writer.StandardError.ReadToEndAsync(cancel));
            var answering = writer.StandardOutput.ReadToEndAsync(cancel);
            await PipeAsync(reader.StandardOutput.BaseStream, writer.StandardInput.BaseStream, cancel).ConfigureAwait(false);
            await reader.WaitForExitAsync(cancel).ConfigureAwait(false);
            // What the source says comes first: without it the target got half an archive.
            Check(from, await complaining.Item1.ConfigureAwait(false), "", reader.ExitCode);
            Close(writer);
            await writer.WaitForExitAsync(cancel).ConfigureAwait(false);
            return Check(to, await answering.ConfigureAwait(false), await complaining.Item2.ConfigureAwait(false), writer.ExitCode);
        }
        finally
        {
            await EndAsync(writer).ConfigureAwait(false);
            await EndAsync(reader).ConfigureAwait(false);
        }
    }

    /// <summary>Gives one thing with all that is in it as a tar archive.</summary>
    /// <param name="write">Told of each piece; the memory is its until it returns.</param>
    /// <exception cref="ContainerException">As <see cref="CopyAsync"/>.</exception>
    public async Task ReadArchiveAsync(ContainerItem from, Func<ReadOnlyMemory<byte>, ValueTask> write, ContainerItemOptions? options = null, CancellationToken cancel = default)
    {
        using var source = await OpenAsync(from, cancel).ConfigureAwait(false);
        using var reader = Start(Get(source, from, options ?? new ContainerItemOptions()));
        reader.StandardInput.Close();
        try
        {
            var complaining = reader.StandardError.ReadToEndAsync(cancel);
            var buffer = new byte[1 << 16];
            int n;
            while ((n = await reader.StandardOutput.BaseStream.ReadAsync(buffer, cancel).ConfigureAwait(false)) > 0) { await write(buffer.AsMemory(0, n)).ConfigureAwait(false); }
            await reader.WaitForExitAsync(cancel).ConfigureAwait(false);
            Check(from, await complaining.ConfigureAwait(false), "", reader.ExitCode);
        }
        finally { await EndAsync(reader).ConfigureAwait(false); }
    }

    /// <summary>Unpacks a tar archive, plain, gzip or zstd, into an existing folder.</summary>
    /// <param name="archive">Its pieces, in order.</param>
    /// <returns>How many files and folders were written.</returns>
    /// <exception cref="ContainerException">As <see cref="CopyAsync"/>; <c>LayerInvalid</c>: the archive is malformed, or its names lead out.</exception>
    public async Task<long> WriteArchiveAsync(ContainerItem to, IAsyncEnumerable<ReadOnlyMemory<byte>> archive, ContainerItemOptions? options = null, CancellationToken cancel = default)
    {
        using var target = await OpenAsync(to, cancel).ConfigureAwait(false);
        using var writer = Start(Put(target, to, options ?? new ContainerItemOptions(), extract: true));
        try
        {
            var complaining = writer.StandardError.ReadToEndAsync(cancel);
            var answering = writer.StandardOutput.ReadToEndAsync(cancel);
            try
            {
                await foreach (var piece in archive.WithCancellation(cancel).ConfigureAwait(false)) { await writer.StandardInput.BaseStream.WriteAsync(piece, cancel).ConfigureAwait(false); }
            }
            catch (IOException) { } // it has given up, and says why
            Close(writer);
            await writer.WaitForExitAsync(cancel).ConfigureAwait(false);
            return Check(to, await answering.ConfigureAwait(false), await complaining.ConfigureAwait(false), writer.ExitCode);
        }
        finally { await EndAsync(writer).ConfigureAwait(false); }
    }

    static List<string> Get(Opened source, ContainerItem from, ContainerItemOptions options) =>
        [.. source.Before, "item", .. source.ToRead, .. options.FollowLink ? ["--follow"] : Array.Empty<string>(), "get", Path(from)];

    static List<string> Put(Opened target, ContainerItem to, ContainerItemOptions options, bool extract)
    {
        List<string> arguments = [.. target.Before, "item", .. target.ToWrite];
        if (options.Archive && options.Owner is not null) { throw ResourceSpec.Bad("Owner", options.Owner, "an archive keeps its owners"); }
        if (options.Owner is not null && to.ContainerId is null) { throw ResourceSpec.Bad("Owner", options.Owner, "users are looked up in a container, and this goes to the host"); }
        if (!options.Archive) { arguments.AddRange(["--owner", Owner(target, to, options.Owner)]); }
        if (extract) { arguments.Add("--extract"); }
        return [.. arguments, "put", Path(to)];
    }

    static string Owner(Opened target, ContainerItem to, string? owner)
    {
        if (to.ContainerId is null) { return $"{Syscall.geteuid()}:{Syscall.getegid()}"; }
        if (owner is null) { return "0:0"; }
        var user = target.Users().Find(owner, null).User;
        return $"{user.Uid}:{user.Gid}";
    }

    // A path never begins with a dash: psrun would take that for an option.
    static string Path(ContainerItem item) => item.Path.StartsWith('/') ? item.Path : "/" + item.Path;

    Process Start(List<string> arguments)
    {
        var process = new Process { StartInfo = ClosedProgram.Of(engine.Host.FindHelper(), arguments) };
        try { process.Start(); }
        catch (System.ComponentModel.Win32Exception e)
        {
            process.Dispose();
            throw new ContainerException(ErrorIds.CopyFailed, $"psrun could not be started: {e.Message}. Check that it is a program for this machine.", null, ContainerErrorCategory.ResourceUnavailable, e);
        }
        return process;
    }

    static async Task PipeAsync(Stream from, Stream to, CancellationToken cancel)
    {
        var buffer = new byte[1 << 18];
        int n;
        while ((n = await from.ReadAsync(buffer, cancel).ConfigureAwait(false)) > 0)
        {
            try { await to.WriteAsync(buffer.AsMemory(0, n), cancel).ConfigureAwait(false); }
            // The target has given up and says why; the source need not.
            catch (IOException) { await from.CopyToAsync(Stream.Null, cancel).ConfigureAwait(false); }
        }
    }

    // What is still to be written is written now, and nobody may read it any more.
    static void Close(Process process)
    {
        try { process.StandardInput.Close(); }
        catch (IOException) { }
    }

    static async Task EndAsync(Process process)
    {
        if (process.HasExited) { return; }
        process.Kill();
        await process.WaitForExitAsync(CancellationToken.None).ConfigureAwait(false);
    }

    static long Check(ContainerItem item, string answer, string words, int status)
    {
        ItemAnswer? last = null;
        try { last = answer.Split('\n', StringSplitOptions.RemoveEmptyEntries) is [.., var line] ? JsonSerializer.Deserialize(line, ItemJson.Default.ItemAnswer) : null; }
        catch (JsonException) { words = answer; }
        if (last?.Error is { } error)
        {
            var said = ShimErrors.Printable(error.Message ?? "");
            throw error.Id switch
            {
                "ItemNotFound" => new ContainerException(ErrorIds.ItemNotFound, $"'{item}': {said}. Check the path; a folder is not made on the way.", item.ToString(), ContainerErrorCategory.ObjectNotFound),
                "ItemConflict" => new ContainerException(ErrorIds.ItemConflict, $"'{item}': {said}. A folder takes the place of a folder, and a file that of a file.", item.ToString(), ContainerErrorCategory.InvalidArgument),
                "LayerInvalid" => new ContainerException(ErrorIds.ItemConflict, $"'{item}': {said}. Remove what is in the way, or copy to another folder.", item.ToString(), ContainerErrorCategory.InvalidData),
                _ => Failed(said),
            };
        }
        if (status != 0) { throw Failed($"psrun ended with status {status} {ShimErrors.Printable(words)}"); }
        return last?.Entries ?? 0;

        ContainerException Failed(string why) => new(ErrorIds.CopyFailed, $"'{item}' could not be copied: {why}. Look at what is named there, and at free space and rights.", item.ToString(), ContainerErrorCategory.WriteError);
    }
}
