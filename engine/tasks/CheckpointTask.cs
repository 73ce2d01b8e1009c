using System.Text.Json;
using Mono.Unix.Native;

namespace Containers;

/// <summary>How a container's processes are kept, and brought back.</summary>
public sealed class ContainerCheckpointOptions
{
    /// <summary>An absolute folder for CRIU's files, which hold the memory of the programs; null for <c>checkpoint</c> in the container's own folder, which goes with it.</summary>
    public string? Path { get; set; }

    /// <summary>The container runs on. Of a checkpoint alone.</summary>
    public bool LeaveRunning { get; set; }

    /// <summary>TCP connections are kept too: without this one that is open is an error.</summary>
    public bool TcpEstablished { get; set; }

    /// <summary>Locks of files are kept too.</summary>
    public bool FileLocks { get; set; }

    /// <summary>Unix sockets whose other end is outside of the container are let be.</summary>
    public bool ExternalSockets { get; set; }
}

public sealed partial class ContainerTasks
{
    /// <summary>Keeps the processes of a task in files, by CRIU, and ends it unless it is to run on. What it has written to its root is not among them: that stays where it is.</summary>
    /// <returns>The folder of the files.</returns>
    /// <exception cref="ContainerException"><c>ContainerNotFound</c>, <c>TaskNotFound</c>, <c>TaskNotRunning</c>, <c>InvalidArgument</c>; <c>CriuNotFound</c>; <c>CheckpointFailed</c>: the task
    /// runs on.</exception>
    public async Task<string> CheckpointAsync(string id, ContainerCheckpointOptions? options = null, string? containerNamespace = null, CancellationToken cancel = default)
    {
        options ??= new ContainerCheckpointOptions();
        var ns = engine.NamespaceOr(containerNamespace);
        using var held = await engine.Containers.LockAsync(ns, id, cancel).ConfigureAwait(false);
        var truth = files.Read(ns, id) ?? throw Missing(ns, id);
        if (truth.Task.State is not (ContainerTaskState.Running or ContainerTaskState.Paused)) { throw ShimErrors.NotRunning(id); }
        var criu = FindCriu();
        var folder = CheckpointFolder(ns, id, options.Path);
        if (options.Path is not null && Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder).Any()) { throw ResourceSpec.Bad("Path", folder, "there are files in it already; give a new folder, or an empty one"); }
        // Our own is replaced when the new one is whole.
        var own = options.Path is null;
        var made = own ? folder + ".new" : folder;
        if (own) { Folders.RemoveTree(made); }
        try
        {
            using var answer = await AskAsync(ns, id, "checkpoint", w =>
            {
                w.WriteString("imagePath", made);
                w.WriteString("criu", criu);
                if (options.LeaveRunning) { w.WriteBoolean("leaveRunning", true); }
                if (options.TcpEstablished) { w.WriteBoolean("tcpEstablished", true); }
                if (options.FileLocks) { w.WriteBoolean("fileLocks", true); }
                if (options.ExternalSockets) { w.WriteBoolean("externalSockets", true); }
            }, cancel).ConfigureAwait(false);
        }
        catch (ContainerException e) when (e.Id is ErrorIds.RuntimeFailed or ErrorIds.ExecutableNotFound or ErrorIds.ExecutableNotPermitted)
        {
            throw Failed(id, "could not be kept in files, and runs on", e);
        }
        if (own)
        {
            Folders.RemoveTree(folder);
            Directory.Move(made, folder);
        }
        if (!options.LeaveRunning) { await WaitAsync(id, ns, cancel).ConfigureAwait(false); }
        return folder;
    }

    /// <summary>Brings the processes of a container back from the files of a checkpoint: they go on where they were. A stopped task is replaced.</summary>
    /// <exception cref="ContainerException"><c>ContainerNotFound</c>, <c>TaskRunning</c>, <c>InvalidArgument</c>; <c>CheckpointNotFound</c>; <c>CriuNotFound</c>; <c>CheckpointFailed</c>: there is no task then.</exception>
    public async Task<ContainerTask> RestoreAsync(string id, ContainerCheckpointOptions? options = null, string? containerNamespace = null, CancellationToken cancel = default)
    {
        options ??= new ContainerCheckpointOptions();
        if (options.LeaveRunning) { throw ResourceSpec.Bad("LeaveRunning", true, "it is of a checkpoint alone"); }
        var ns = engine.NamespaceOr(containerNamespace);
        using var held = await engine.Containers.LockAsync(ns, id, cancel).ConfigureAwait(false);
        engine.Containers.Load(ns, id);
        var folder = CheckpointFolder(ns, id, options.Path);
        if (!Directory.Exists(folder))
        {
            throw new ContainerException(ErrorIds.CheckpointNotFound, $"There is no checkpoint of container '{id}' in '{folder}'. Checkpoint-Container makes one.", folder, ContainerErrorCategory.ObjectNotFound);
        }
        var order = new RestoreOrder
        {
            ImagePath = folder, Criu = FindCriu(), TcpEstablished = options.TcpEstablished, FileLocks = options.FileLocks, ExternalSockets = options.ExternalSockets,
        };
        // As with a start: what has ended, or was never started, makes room; what runs is refused.
        await RemoveLockedAsync(ns, id, force: files.Read(ns, id)?.Task.State is ContainerTaskState.Creating or ContainerTaskState.Created, cancel).ConfigureAwait(false);
        try { await CreateLockedAsync(ns, id, cancel, order).ConfigureAwait(false); }
        catch (ContainerException e) when (e.Id is ErrorIds.RuntimeFailed or ErrorIds.ExecutableNotFound or ErrorIds.ExecutableNotPermitted) { throw Failed(id, $"could not be brought back from '{folder}'", e); }
        return Get(id, ns);
    }

    string CheckpointFolder(string ns, string id, string? path) =>
        path is null ? paths.CheckpointFolder(ns, id) : path.StartsWith('/') ? System.IO.Path.GetFullPath(path) : throw ResourceSpec.Bad("Path", path, "it is an absolute folder");

    /// <summary>CRIU, before anything is touched. Whether it works on this kernel is the runtime's to find out.</summary>
    string FindCriu()
    {
        string[] places = engine.Options.CriuPath is { } named ? [named] : [.. Defaults.Path.Split(':').Select(place => System.IO.Path.Combine(place, "criu"))];
        foreach (var place in places)
        {
            if (place.StartsWith('/') && Syscall.access(place, AccessModes.X_OK) == 0 && File.Exists(place)) { return RuntimeLookup.Trusted(place); }
        }
        throw new ContainerException(ErrorIds.CriuNotFound, $"CRIU was not found ({string.Join(", ", places)}), and it is CRIU that keeps processes in files. Install the package criu, or set CONTAINERS_CRIU to its path.",
            places[0], ContainerErrorCategory.NotInstalled);
    }

    static ContainerException Failed(string id, string what, ContainerException why)
    {
        // The runtime's own words, without what was made of them for a start.
        return new ContainerException(ErrorIds.CheckpointFailed, $"The processes of container '{id}' {what}. {why.Message}", id, ContainerErrorCategory.InvalidOperation, why);
    }
}
