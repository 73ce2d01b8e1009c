using System.Collections;
using System.Management.Automation;

namespace Containers.Cmdlets;

/// <summary>A cmdlet whose targets are snapshots: by key with wildcards, or as objects from the pipeline.</summary>
public abstract class SnapshotCmdlet : TenantCmdlet
{
    /// <summary>To look at and to remove: whichever driver has made them.</summary>
    protected ISnapshotter Snapshots => Engine.Snapshots.Snapshotter(null, ContainerNamespace);

    /// <summary>What the keys name, wildcards resolved. Each key that names nothing is an error of its own.</summary>
    protected IEnumerable<ContainerSnapshot> FindSnapshots(IReadOnlyList<string>? keys)
    {
        foreach (string key in keys ?? ["*"])
        {
            IReadOnlyList<ContainerSnapshot> found = [];
            Try(key, () => found = WildcardPattern.ContainsWildcardCharacters(key) ? Matching(key) : [Snapshots.Stat(key)]);
            foreach (ContainerSnapshot one in found)
                yield return one;
        }
    }

    List<ContainerSnapshot> Matching(string key)
    {
        var pattern = WildcardPattern.Get(key, WildcardOptions.IgnoreCase);
        return Snapshots.Walk().Where(snapshot => pattern.IsMatch(snapshot.Key)).ToList();
    }
}

/// <summary>Keys of snapshots; those of images' layers where the word begins like one.</summary>
public sealed class SnapshotCompleter : Completer
{
    protected override IEnumerable<string> Words(IDictionary bound) => EngineCmdlet.OpenEngine().Snapshots.Snapshotter(null, Namespace(bound)).Walk().Select(snapshot => snapshot.Key);
}

/// <summary>The drivers there are.</summary>
public sealed class SnapshotterCompleter : Completer
{
    protected override IEnumerable<string> Words(IDictionary bound) => SnapshotStore.Snapshotters;
}
