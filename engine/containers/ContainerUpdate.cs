using Containers.Linux;
using Mono.Unix.Native;

namespace Containers;

/// <summary>What is to be different about a container; null leaves a thing as it is.</summary>
public sealed class ContainerUpdateOptions
{
    /// <summary>A null value removes a label, the rest is set; what is not named stays.</summary>
    public IReadOnlyDictionary<string, string?>? Label { get; set; }

    /// <summary>Name, with or without <c>SIG</c>, or number.</summary>
    public string? StopSignal { get; set; }

    /// <summary>Seconds before a stop kills, from 0.</summary>
    public double? StopTimeoutSec { get; set; }

    /// <summary><c>no</c>, <c>on-failure[:N]</c>, <c>always</c> or <c>unless-stopped</c>.</summary>
    public string? RestartPolicy { get; set; }
}

public sealed partial class ContainerStore
{
    /// <summary>Replaces labels: a null value removes one, the rest is set; what is not named stays.</summary>
    /// <exception cref="ContainerException"><c>ContainerNotFound</c>.</exception>
    public Task<Container> SetLabelsAsync(string id, IReadOnlyDictionary<string, string?> labels, string? containerNamespace = null, CancellationToken cancel = default) =>
        UpdateAsync(id, new ContainerUpdateOptions { Label = labels }, containerNamespace, cancel);

    /// <summary>Changes what a container has on record: all of it or nothing. It holds at once, for a task that runs too.</summary>
    /// <exception cref="ContainerException"><c>ContainerNotFound</c>, <c>InvalidArgument</c>; <c>NotSupported</c>: this container cannot be started again by its shim;
    /// <c>ShimFailed</c>: the shim of a task is of a version that takes no other restart policy.</exception>
    public async Task<Container> UpdateAsync(string id, ContainerUpdateOptions options, string? containerNamespace = null, CancellationToken cancel = default)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        var signal = options.StopSignal is null ? null : Signals.Name(ContainerSignal.Parse(options.StopSignal));
        var patience = options.StopTimeoutSec is null ? (double?)null : RecordBuilder.StopTimeout(options.StopTimeoutSec);
        var policy = options.RestartPolicy is null ? (RestartPolicy?)null : RestartPolicy.Parse(options.RestartPolicy);
        using var held = await LockAsync(ns, id, cancel).ConfigureAwait(false);
        var record = Load(ns, id);
        foreach (var (key, value) in options.Label ?? new Dictionary<string, string?>())
        {
            if (value is null) { record.Labels.Remove(key); }
            else { record.Labels[key] = value; }
        }
        record.StopSignal = signal ?? record.StopSignal;
        record.StopTimeoutSec = patience ?? record.StopTimeoutSec;
        if (policy is { } other)
        {
            RecordBuilder.RefuseJoined(other, byHealth: false, record.Spec, record.Joins);
            record.RestartPolicy = other.ToString();
            ContainerCgroups.RefuseForRestarts(record);
            // Limits that were changed while nobody would have started it again.
            engine.Tasks.ChangeResources(record);
            await engine.Tasks.ChangeRestartsAsync(ns, id, other, cancel).ConfigureAwait(false);
        }
        Replace(record);
        engine.Events.Tell(ns, ContainerEventType.Updated, id, ContainerEvents.Labels(record));
        return ToContainer(record, engine.Tasks.StateOf(ns, id));
    }

    /// <summary>Gives a container another id. Its log, writable layer and volumes go along; its host name stays.</summary>
    /// <exception cref="ContainerException"><c>ContainerNotFound</c>, <c>InvalidId</c>; <c>ContainerExists</c>: the new id is taken; <c>TaskExists</c>: the
    /// id is in the paths of a task; <c>ContainerInUse</c>: others join its namespaces by its id.</exception>
    public async Task<Container> RenameAsync(string id, string newId, string? containerNamespace = null, CancellationToken cancel = default)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        Names.Id(newId);
        using var held = await LockAsync(ns, id, cancel).ConfigureAwait(false);
        var record = Load(ns, id);
        if (newId == id) { return ToContainer(record, engine.Tasks.StateOf(ns, id)); }
        if (engine.Tasks.Exists(ns, id))
        {
            throw new ContainerException(ErrorIds.TaskExists, $"The container '{id}' has a task, and its id is in the paths of that. Remove the task with Remove-ContainerTask, then rename.",
                id, ContainerErrorCategory.InvalidOperation);
        }
        if (ListIds(ns).FirstOrDefault(other => TryLoad(ns, other)?.Joins.ContainsValue(id) == true) is { } user)
        {
            throw new ContainerException(ErrorIds.ContainerInUse, $"The container '{user}' joins namespaces of '{id}' by its id. Remove '{user}' first, and make it again with the new id.",
                id, ContainerErrorCategory.ResourceBusy);
        }
        // The record says so before, and until it follows: which of the two ids holds is the folder's name. A container's folder is never empty, so none
        // is replaced.
        record.RenamedTo = newId;
        Replace(record);
        if (Stdlib.rename(paths.ContainerFolder(ns, id), paths.ContainerFolder(ns, newId)) != 0)
        {
            throw Stdlib.GetLastError() is Errno.ENOTEMPTY or Errno.EEXIST ? Exists(newId, ns) : Folders.Unavailable(paths.ContainerFolder(ns, newId), null);
        }
        Folders.Sync(paths.NamespaceFolder(ns));
        Rename(record, newId);
        Replace(record);
        engine.Events.Tell(ns, ContainerEventType.Renamed, id, json => json.WriteString("newId", newId));
        return ToContainer(record, ContainerTaskState.None);
    }

    // The group that a container gets by itself has its id; one of the user's choice stays.
    static void Rename(ContainerRecord record, string id)
    {
        if (record.Spec.Linux is { CgroupsPath: { } path } linux && path.EndsWith("/" + record.Id, StringComparison.Ordinal)) { linux.CgroupsPath = path[..^record.Id.Length] + id; }
        record.Id = id;
        record.RenamedTo = null;
    }
}
