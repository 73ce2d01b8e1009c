using System.Text.Json;
using System.Text.Json.Nodes;

namespace Containers;

/// <summary>An attachment that was begun: enough to take it down, whatever became of the network's file and of the container.</summary>
sealed class CniRecord
{
    internal required CniConfiguration Network { get; init; }
    internal required CniAttachment Attachment { get; init; }

    /// <summary>ADD's result; null until it is there: it was cut off, and DEL is due.</summary>
    internal JsonObject? Result { get; init; }

    /// <summary>Whose it is.</summary>
    internal required string ContainerNamespace { get; init; }

    internal required string Container { get; init; }

    internal CniRecord With(JsonObject result) => new() { Network = Network, Attachment = Attachment, Result = result, ContainerNamespace = ContainerNamespace, Container = Container };
}

/// <summary>A network that a container is to be on: a part of its record.</summary>
sealed class NetworkRequest
{
    public required string Network { get; set; }

    /// <summary>Inside, such as <c>eth0</c>.</summary>
    public required string Interface { get; set; }
}

/// <summary>
/// The attachments of this store, a file each: <c>networks/ID/INTERFACE</c>, in the shape of libcni's cache with the owner added. A file is written before the first ADD and removed
/// after the last DEL, so that whatever is killed in between is known. The network's configuration is kept with it: DEL is what ADD was, whatever the file says since.
/// </summary>
sealed class CniRecords(string folder)
{
    const int LongestRecord = 8 << 20;
    const string Kind = "cniCacheV1", LockName = ".lock";

    /// <summary>One container's attachments, one after the other. The folder is made where it is missing.</summary>
    internal async Task<FileLock> LockAsync(string containerId, CancellationToken cancel)
    {
        while (true)
        {
            Folders.Make(FolderOf(containerId));
            try { return await FileLock.TakeAsync(Path.Combine(FolderOf(containerId), LockName), cancel).ConfigureAwait(false); }
            // The one who had it took the folder away with the last attachment.
            catch (ContainerException) when (!Directory.Exists(FolderOf(containerId))) { }
        }
    }

    /// <summary>Gives the lock back, and takes the folder away when nothing is in it any more.</summary>
    internal void Unlock(string containerId, FileLock held)
    {
        if (Interfaces(containerId).Count > 0)
        {
            held.Dispose();
            return;
        }
        held.RemoveAndDispose();
        Folders.RemoveIfEmpty(FolderOf(containerId));
        Folders.RemoveIfEmpty(folder);
    }

    /// <summary>The ids of all containers that have attachments.</summary>
    internal IReadOnlyList<string> ListContainers() => [.. Folders.Entries(folder).Where(name => !name.StartsWith('.')).Order(StringComparer.Ordinal)];

    /// <summary>The interfaces of one, in the order in which they were named.</summary>
    internal IReadOnlyList<string> Interfaces(string containerId) => [.. Folders.Entries(FolderOf(containerId)).Where(name => name != LockName && !name.Contains(".new-", StringComparison.Ordinal)).OrderBy(name => name.Length).ThenBy(name => name, StringComparer.Ordinal)];

    internal void Save(CniRecord record)
    {
        var list = new JsonObject { ["cniVersion"] = record.Network.Version, ["name"] = record.Network.Name, ["disableCheck"] = record.Network.DisableCheck, ["disableGC"] = record.Network.DisableGc, ["loadOnlyInlinedPlugins"] = true };
        list["plugins"] = new JsonArray([.. record.Network.Plugins.Select(plugin => (JsonNode)plugin.Content.DeepClone())]);
        var content = new JsonObject
        {
            ["kind"] = Kind,
            ["containerId"] = record.Attachment.ContainerId,
            ["config"] = Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(list.ToJsonString())),
            ["ifName"] = record.Attachment.Interface,
            ["networkName"] = record.Network.Name,
            ["netns"] = record.Attachment.NetworkNamespace,
            ["cniArgs"] = new JsonArray([.. record.Attachment.Arguments.Select(one => (JsonNode)new JsonArray(one.Key, one.Value))]),
            ["capabilityArgs"] = record.Attachment.Capabilities.DeepClone(),
            ["result"] = record.Result?.DeepClone(),
            ["pscontainers"] = new JsonObject { ["namespace"] = record.ContainerNamespace, ["id"] = record.Container },
        };
        Folders.Replace(PathOf(record.Attachment.ContainerId, record.Attachment.Interface), System.Text.Encoding.UTF8.GetBytes(content.ToJsonString()));
    }

    /// <returns>Null when it is not there.</returns>
    /// <exception cref="ContainerException"><c>StoreDamaged</c>.</exception>
    internal CniRecord? Load(string containerId, string name)
    {
        var path = PathOf(containerId, name);
        if (Folders.Read(path, LongestRecord) is not { } content) { return null; }
        try
        {
            var file = CniConfiguration.ParseObject(content, path);
            if (Text(file, "kind") != Kind || Text(file, "containerId") != containerId || Text(file, "ifName") != name) { throw new JsonException("it is about something else"); }
            var owner = file["pscontainers"] as JsonObject ?? throw new JsonException("it names no owner");
            return new CniRecord
            {
                Network = CniConfiguration.Parse(Convert.FromBase64String(Text(file, "config")), path),
                Attachment = new CniAttachment
                {
                    ContainerId = containerId,
                    NetworkNamespace = Text(file, "netns"),
                    Interface = name,
                    Arguments = [.. ((JsonArray)file["cniArgs"]!).Select(one => KeyValuePair.Create(one![0]!.GetValue<string>(), one[1]!.GetValue<string>()))],
                    Capabilities = file["capabilityArgs"]?.DeepClone() as JsonObject ?? [],
                },
                Result = file["result"]?.DeepClone() as JsonObject,
                ContainerNamespace = Text(owner, "namespace"),
                Container = Text(owner, "id"),
            };
        }
        catch (Exception e) when (e is JsonException or FormatException or InvalidOperationException or InvalidCastException or NullReferenceException or ArgumentException or ContainerException)
        {
            throw new ContainerException(ErrorIds.StoreDamaged, $"The record '{path}' of a network's attachment cannot be read: {ShimErrors.Printable(e.Message)}. Remove it when the container is gone.", path, ContainerErrorCategory.InvalidData, e);
        }

        static string Text(JsonObject from, string member) => from[member] is JsonValue value && value.TryGetValue<string>(out var text) ? text : throw new JsonException($"it has no {member}");
    }

    internal void Remove(string containerId, string name)
    {
        File.Delete(PathOf(containerId, name));
    }

    string FolderOf(string containerId) => Path.Combine(folder, Names.IsValid(containerId) ? containerId : throw new ContainerException(ErrorIds.InvalidId, $"'{ShimErrors.Printable(containerId)}' is no id of an attachment.", containerId, ContainerErrorCategory.InvalidArgument));

    string PathOf(string containerId, string name) => Path.Combine(FolderOf(containerId), name);
}
