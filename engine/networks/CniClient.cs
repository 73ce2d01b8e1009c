using System.Text.Json;
using System.Text.Json.Nodes;

namespace Containers;

/// <summary>
/// The verbs of the CNI specification on a whole network, as libcni does them: ADD and CHECK in the order of the list, DEL from its end, each plugin with the network's
/// name and version, the result so far and the capability arguments that it declares. Whoever calls holds the attachment's lock and keeps results: <see cref="CniRecords"/>.
/// </summary>
sealed class CniClient(CniPlugin plugins)
{
    internal CniPlugin Plugins => plugins;

    /// <summary>Attaches. When any plugin fails, what the others did is taken down again, before the failure is told.</summary>
    /// <returns>The last plugin's result, in the network's version.</returns>
    /// <exception cref="ContainerException"><c>NetworkPluginNotFound</c>, <c>NetworkPluginFailed</c>.</exception>
    internal async Task<JsonObject> AddAsync(CniConfiguration network, CniAttachment attachment, CancellationToken cancel)
    {
        attachment.Check();
        // Before anything is done: a network that lacks a plugin is not begun.
        foreach (var plugin in network.Plugins) { plugins.Find(plugin.Type, network.Name); }
        JsonObject? result = null;
        try
        {
            foreach (var plugin in network.Plugins)
            {
                result = await plugins.CallAsync(network.Name, plugin.Type, "ADD", attachment, Input(network, plugin, result, attachment), cancel).ConfigureAwait(false)
                    ?? throw NetworkErrors.Failed(network.Name, new NetworkPluginException(plugin.Type, "ADD", 0, "it answers nothing", null));
                Check(network, plugin, result);
            }
            return result!;
        }
        catch
        {
            // Half up. That this may fail too is no news: the record of the attachment stays, and DEL is tried again.
            try { await DeleteAsync(network, attachment, result, CancellationToken.None).ConfigureAwait(false); }
            catch (ContainerException) { }
            throw;
        }
    }

    /// <summary>Detaches; may be repeated, also when there was never an ADD, and when the namespace is gone.</summary>
    /// <param name="result">ADD's, where it is known.</param>
    internal async Task DeleteAsync(CniConfiguration network, CniAttachment attachment, JsonObject? result, CancellationToken cancel)
    {
        attachment.Check();
        var told = CniVersion.AtLeast(network.Version, CniVersion.WithCheck) ? result : null;
        foreach (var plugin in network.Plugins.Reverse())
        {
            try { await plugins.CallAsync(network.Name, plugin.Type, "DEL", attachment, Input(network, plugin, told, attachment), cancel).ConfigureAwait(false); }
            // "The runtime does not need to perform any container network cleanup."
            catch (ContainerException e) when (e.InnerException is NetworkPluginException { Code: NetworkErrors.UnknownContainer }) { }
        }
    }

    /// <summary>Asks whether all is as ADD left it. A network that forbids the question (<c>disableCheck</c>) is taken to be right.</summary>
    /// <exception cref="ContainerException"><c>NetworkPluginFailed</c>: it is not; <c>NotSupported</c>: before version 0.4.0 there is no such question.</exception>
    internal async Task CheckAsync(CniConfiguration network, CniAttachment attachment, JsonObject result, CancellationToken cancel)
    {
        attachment.Check();
        if (!CniVersion.AtLeast(network.Version, CniVersion.WithCheck))
        {
            throw new ContainerException(ErrorIds.NotSupported, $"The network '{network.Name}' is written in version {network.Version} of the CNI specification, which has no CHECK.", network.Name, ContainerErrorCategory.NotImplemented);
        }
        if (network.DisableCheck) { return; }
        foreach (var plugin in network.Plugins) { await plugins.CallAsync(network.Name, plugin.Type, "CHECK", attachment, Input(network, plugin, result, attachment), cancel).ConfigureAwait(false); }
    }

    /// <summary>Lets the plugins free what belongs to none of these attachments. Before version 1.1.0, and where the network forbids it (<c>disableGC</c>), nothing is done.</summary>
    /// <exception cref="ContainerException"><c>NetworkPluginFailed</c>, of the first that failed; the others were asked too.</exception>
    internal async Task CollectAsync(CniConfiguration network, IReadOnlyList<(string ContainerId, string Interface)> valid, CancellationToken cancel)
    {
        if (network.DisableGc || !CniVersion.AtLeast(network.Version, CniVersion.WithGc)) { return; }
        ContainerException? first = null;
        foreach (var plugin in network.Plugins)
        {
            var input = Input(network, plugin, null, null);
            input["cni.dev/valid-attachments"] = Attachments(valid);
            // The specification's first edition had this name.
            input["cni.dev/attachments"] = Attachments(valid);
            try { await plugins.CallAsync(network.Name, plugin.Type, "GC", null, input, cancel).ConfigureAwait(false); }
            catch (ContainerException e) { first ??= e; }
        }
        if (first is not null) { throw first; }
    }

    /// <summary>Asks whether the network could take a container now. Before version 1.1.0 nobody can be asked, and that its plugins are there is all that is known.</summary>
    /// <exception cref="ContainerException"><c>NetworkPluginNotFound</c>, <c>NetworkPluginFailed</c>: it could not.</exception>
    internal async Task StatusAsync(CniConfiguration network, CancellationToken cancel)
    {
        foreach (var plugin in network.Plugins) { plugins.Find(plugin.Type, network.Name); }
        if (!CniVersion.AtLeast(network.Version, CniVersion.WithGc)) { return; }
        foreach (var plugin in network.Plugins) { await plugins.CallAsync(network.Name, plugin.Type, "STATUS", null, Input(network, plugin, null, null), cancel).ConfigureAwait(false); }
    }

    /// <summary>The versions of the specification that a plugin knows.</summary>
    internal async Task<IReadOnlyList<string>> VersionsAsync(string type, string network, CancellationToken cancel)
    {
        // What plugins on an old library want to see, though they do not use it: libcni's words.
        var nobody = new CniAttachment { ContainerId = "", NetworkNamespace = "dummy", Interface = "dummy" };
        var answer = await plugins.CallAsync(network, type, "VERSION", nobody, new JsonObject { ["cniVersion"] = CniVersion.Known[^1] }, cancel).ConfigureAwait(false);
        return answer?["supportedVersions"] is JsonArray list ? [.. list.Select(one => one is JsonValue value && value.TryGetValue<string>(out var text) ? text : "").Where(text => text.Length > 0)] : [];
    }

    /// <summary>Whether every plugin is there and knows the version that the network is written in.</summary>
    /// <exception cref="ContainerException"><c>NetworkPluginNotFound</c>, <c>NetworkPluginFailed</c>, <c>NetworkInvalid</c>.</exception>
    internal async Task ValidateAsync(CniConfiguration network, CancellationToken cancel)
    {
        foreach (var type in network.Plugins.Select(plugin => plugin.Type).Distinct())
        {
            var known = await VersionsAsync(type, network.Name, cancel).ConfigureAwait(false);
            if (!known.Contains(network.Version)) { throw NetworkErrors.Invalid(network.Path, $"it is written in version {network.Version}, and the plugin '{type}' knows {string.Join(", ", known)}"); }
        }
    }

    static JsonArray Attachments(IEnumerable<(string ContainerId, string Interface)> valid) =>
        [.. valid.Select(one => (JsonNode)new JsonObject { ["containerID"] = one.ContainerId, ["ifname"] = one.Interface })];

    static JsonObject Input(CniConfiguration network, CniPluginConfiguration plugin, JsonObject? result, CniAttachment? attachment)
    {
        var input = plugin.Content.DeepClone().AsObject();
        input["name"] = network.Name;
        input["cniVersion"] = network.Version;
        if (result is not null) { input["prevResult"] = result.DeepClone(); }
        var given = new JsonObject();
        foreach (var (name, value) in attachment?.Capabilities ?? [])
        {
            if (plugin.Capabilities.Contains(name)) { given[name] = value?.DeepClone(); }
        }
        if (given.Count > 0) { input["runtimeConfig"] = given; }
        return input;
    }

    static void Check(CniConfiguration network, CniPluginConfiguration plugin, JsonObject result)
    {
        // libcni takes a result without a version to be in the one that was asked for.
        if (result["cniVersion"] is null) { result["cniVersion"] = network.Version; }
        if (result["cniVersion"] is not JsonValue value || value.GetValueKind() != JsonValueKind.String || value.GetValue<string>() != network.Version)
        {
            throw NetworkErrors.Failed(network.Name, new NetworkPluginException(plugin.Type, "ADD", 1, $"its result is in version {ShimErrors.Printable(result["cniVersion"]!.ToJsonString())}, and {network.Version} was asked for", null));
        }
    }
}
