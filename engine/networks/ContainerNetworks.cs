using Containers.Linux;

namespace Containers;

/// <summary>Networks by CNI: configurations in a folder that other engines share, containers attached to them. docs/networks.md has the rules.</summary>
public sealed partial class ContainerNetworks
{
    readonly ContainerEngine engine;
    readonly CniFolder folder;
    readonly CniClient client;
    readonly CniRecords records;

    internal ContainerNetworks(ContainerEngine engine)
    {
        this.engine = engine;
        folder = new CniFolder(engine.Options.NetworkFolder);
        client = new CniClient(new CniPlugin(engine.Options.NetworkPluginFolders, engine.Options.NetworkPluginLimit));
        records = new CniRecords(engine.Paths.Networks);
    }

    /// <summary>All networks, in the order of their files.</summary>
    /// <param name="refused">Told why a file cannot be used.</param>
    public IReadOnlyList<ContainerNetwork> List(Action<ContainerException>? refused = null)
    {
        var (networks, bad) = folder.Load();
        foreach (var e in bad) { refused?.Invoke(e); }
        return [.. networks.Select(ContainerNetwork.Of)];
    }

    /// <exception cref="ContainerException"><c>NetworkNotFound</c>, <c>NetworkInvalid</c>.</exception>
    public ContainerNetwork Get(string name) => ContainerNetwork.Of(folder.Get(name));

    /// <summary>What the options say of networks, checked; none for those of other kinds.</summary>
    internal List<NetworkRequest> Requests(ContainerCreateOptions o)
    {
        if (o.Network is not { Kind: NamespaceChoiceKind.Networks } choice) { return []; }
        if (Libc.geteuid() != 0) { throw NotSupported($"Networks by name need root, and this user ({Libc.geteuid()}) is not. Use -Network none or host.", choice); }
        if (NamespaceSpec.Maps(o) || o.UserNamespace is { Kind: not NamespaceChoiceKind.Host })
        {
            throw NotSupported("A network namespace that is kept belongs to the host's root, and not to a user namespace of the container's own: with UidMap, GidMap or UserNamespace use -Network none or a path.", choice);
        }
        foreach (var name in choice.Networks) { folder.Get(name); }
        return [.. choice.Networks.Select((name, i) => new NetworkRequest { Network = name, Interface = $"eth{i}" })];
    }

    /// <summary>An id for plugins: it tells whose it is, and is never given twice, whatever container has that name later or in another store.</summary>
    internal static string NewId(string id) => $"{(id.Length > 40 ? id[..40] : id)}-{Names.Random()}";

    static ContainerException NotSupported(string message, object target) => new(ErrorIds.NetworkNotSupported, message, target.ToString(), ContainerErrorCategory.NotImplemented);

    /// <summary>
    /// Attaches what the record wants and is not attached yet, in a namespace that outlives tasks. What was cut off half-way, or lost its namespace with the machine's restart, is taken
    /// down first. The container's lock is held.
    /// </summary>
    /// <returns>Whether anything was attached now.</returns>
    internal async Task<bool> AttachAsync(ContainerRecord record, CancellationToken cancel)
    {
        if (record.NetworkId is not { } networkId) { return false; }
        var held = await records.LockAsync(networkId, cancel).ConfigureAwait(false);
        var begun = false;
        try
        {
            var there = KeptNetwork.Exists(networkId);
            foreach (var name in records.Interfaces(networkId))
            {
                var old = records.Load(networkId, name)!;
                if (!there || old.Result is null) { await TakeDownAsync(old, cancel).ConfigureAwait(false); }
            }
            var wanted = record.Networks.Where(one => records.Load(networkId, one.Interface) is null).ToList();
            // What can be known before anything is begun.
            var networks = wanted.ConvertAll(one => folder.Get(one.Network));
            begun = wanted.Count > 0;
            KeptNetwork.Make(engine.Paths, networkId);
            for (var i = 0; i < wanted.Count; i++) { await AddAsync(record, wanted[i], networks[i], cancel).ConfigureAwait(false); }
            return begun;
        }
        catch when (begun)
        {
            await TakeAllDownAsync(networkId).ConfigureAwait(false);
            throw;
        }
        finally { records.Unlock(networkId, held); }
    }

    async Task AddAsync(ContainerRecord record, NetworkRequest wanted, CniConfiguration network, CancellationToken cancel)
    {
        var attachment = new CniAttachment
        {
            ContainerId = record.NetworkId!,
            NetworkNamespace = KeptNetwork.Place(record.NetworkId!),
            Interface = wanted.Interface,
            // As containerd and podman say it: plugins that know none of the arguments are not to fail.
            Arguments = [KeyValuePair.Create("IgnoreUnknown", "1")],
        };
        var one = new CniRecord { Network = network, Attachment = attachment, ContainerNamespace = record.Namespace, Container = record.Id };
        records.Save(one);
        try
        {
            var result = await client.AddAsync(network, attachment, cancel).ConfigureAwait(false);
            records.Save(one.With(result));
        }
        catch
        {
            // The client took down what it could. If that was all, nothing is to be remembered.
            await TryTakeDownAsync(one).ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Takes down all that a container has. The container's lock is held. A container without networks is no error.</summary>
    /// <param name="force">What cannot be taken down stays on record, for <see cref="FindStaleAsync"/>, and is no error.</param>
    internal async Task DetachAsync(ContainerRecord record, bool force, CancellationToken cancel)
    {
        if (record.NetworkId is not { } networkId) { return; }
        var held = await records.LockAsync(networkId, cancel).ConfigureAwait(false);
        try
        {
            foreach (var name in records.Interfaces(networkId).Reverse())
            {
                try { await TakeDownAsync(records.Load(networkId, name)!, cancel).ConfigureAwait(false); }
                catch (ContainerException) when (force) { }
            }
            KeptNetwork.Remove(networkId);
        }
        finally { records.Unlock(networkId, held); }
    }

    /// <summary>Attachments that no container has any more, because it was removed by force or by hand, and those that a kill cut off in the middle.</summary>
    /// <param name="failed">Told of a record that cannot be read.</param>
    public async Task<IReadOnlyList<ContainerNetworkAttachment>> FindStaleAsync(Action<ContainerException>? failed = null, CancellationToken cancel = default)
    {
        var stale = new List<ContainerNetworkAttachment>();
        foreach (var networkId in records.ListContainers().Where(Names.IsValid))
        {
            // Whoever is at work there is waited for: what is half up in its hands is not stale.
            var held = await records.LockAsync(networkId, cancel).ConfigureAwait(false);
            try
            {
                var owned = IsOwned(networkId);
                foreach (var name in records.Interfaces(networkId))
                {
                    try
                    {
                        if (records.Load(networkId, name) is { } one && !(owned && one.Result is not null)) { stale.Add(ContainerNetworkAttachment.Of(one)); }
                    }
                    catch (ContainerException e) when (failed is not null) { failed(e); }
                }
            }
            finally { records.Unlock(networkId, held); }
        }
        return stale;
    }

    /// <summary>Takes down one that <see cref="FindStaleAsync"/> found. One that is whole again or gone by now is left alone.</summary>
    /// <exception cref="ContainerException"><c>NetworkPluginFailed</c>, <c>NetworkPluginNotFound</c>: it stays on record.</exception>
    public async Task ClearAsync(ContainerNetworkAttachment stale, CancellationToken cancel = default)
    {
        var held = await records.LockAsync(stale.NetworkId, cancel).ConfigureAwait(false);
        try
        {
            var owned = IsOwned(stale.NetworkId);
            if (records.Load(stale.NetworkId, stale.Interface) is { } one && !(owned && one.Result is not null)) { await TakeDownAsync(one, cancel).ConfigureAwait(false); }
            if (!owned && records.Interfaces(stale.NetworkId).Count == 0) { KeptNetwork.Remove(stale.NetworkId); }
        }
        finally { records.Unlock(stale.NetworkId, held); }
    }

    bool IsOwned(string networkId) => engine.Containers.ListNamespaces().Any(ns => engine.Containers.ListIds(ns).Any(id => engine.Containers.TryLoadAny(ns, id)?.NetworkId == networkId));

    async Task TakeDownAsync(CniRecord one, CancellationToken cancel)
    {
        await client.DeleteAsync(one.Network, one.Attachment, one.Result, cancel).ConfigureAwait(false);
        records.Remove(one.Attachment.ContainerId, one.Attachment.Interface);
    }

    async Task TryTakeDownAsync(CniRecord one)
    {
        try { await TakeDownAsync(one, CancellationToken.None).ConfigureAwait(false); }
        catch (ContainerException) { } // it stays on record, and the next verb tries again
    }

    async Task TakeAllDownAsync(string networkId)
    {
        foreach (var name in records.Interfaces(networkId).Reverse())
        {
            if (records.Load(networkId, name) is { } one) { await TryTakeDownAsync(one).ConfigureAwait(false); }
        }
        KeptNetwork.Remove(networkId);
    }
}
