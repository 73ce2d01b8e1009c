using System.Text.Json;
using System.Text.Json.Nodes;

namespace Containers;

/// <summary>
/// A network as its file has it: a list of plugins that are called one after the other (the CNI specification, section 1). A file with one plugin
/// alone is a list of one. The file decides what root runs: all that is used of it is checked here.
/// </summary>
sealed class CniConfiguration
{
    internal const int LongestFile = 1 << 20, LongestName = 128;
    const int MostPlugins = 64, DeepestNesting = 32;

    CniConfiguration(string path, string name, string version, IReadOnlyList<CniPluginConfiguration> plugins)
    {
        Path = path;
        Name = name;
        Version = version;
        Plugins = plugins;
    }

    internal string Path { get; }
    internal string Name { get; }

    /// <summary>One of <see cref="CniVersion.Known"/>.</summary>
    internal string Version { get; }

    /// <summary>At least one, in the order of ADD.</summary>
    internal IReadOnlyList<CniPluginConfiguration> Plugins { get; }

    internal bool DisableCheck { get; private init; }
    internal bool DisableGc { get; private init; }

    /// <summary>Reads a configuration.</summary>
    /// <param name="beside">The plugins that lie in files of their own, in a folder with the network's name; called with that name, and only where the list does not exclude them.</param>
    /// <exception cref="ContainerException"><c>NetworkInvalid</c>.</exception>
    internal static CniConfiguration Parse(ReadOnlySpan<byte> content, string path, Func<string, IEnumerable<JsonObject>>? beside = null)
    {
        var file = ParseObject(content, path);
        var name = Text(file, "name", path) ?? throw NetworkErrors.Invalid(path, "it has no name");
        if (!IsName(name)) { throw NetworkErrors.Invalid(path, $"'{name}' is no name of a network: it begins with a letter or digit, goes on with letters, digits, '_', '.' or '-', and has at most {LongestName} characters"); }
        var version = VersionOf(file, path);
        var plugins = new List<CniPluginConfiguration>();
        if (file.ContainsKey("plugins"))
        {
            if (file["plugins"] is not JsonArray list) { throw NetworkErrors.Invalid(path, "'plugins' is no list"); }
            foreach (var one in list) { plugins.Add(CniPluginConfiguration.Read(one as JsonObject ?? throw NetworkErrors.Invalid(path, "'plugins' has something that is no object"), path)); }
            if (!Flag(file, "loadOnlyInlinedPlugins", path) && beside is not null)
            {
                foreach (var one in beside(name)) { plugins.Add(CniPluginConfiguration.Read(one, path)); }
            }
        }
        else { plugins.Add(CniPluginConfiguration.Read(file, path)); }
        if (plugins.Count == 0) { throw NetworkErrors.Invalid(path, "it names no plugin"); }
        if (plugins.Count > MostPlugins) { throw NetworkErrors.Invalid(path, $"it has {plugins.Count} plugins, and {MostPlugins} are the most"); }
        return new CniConfiguration(path, name, version, plugins) { DisableCheck = Flag(file, "disableCheck", path), DisableGc = Flag(file, "disableGC", path) };
    }

    internal static JsonObject ParseObject(ReadOnlySpan<byte> content, string path)
    {
        try
        {
            var reader = new Utf8JsonReader(content, new JsonReaderOptions { MaxDepth = DeepestNesting });
            var file = JsonNode.Parse(ref reader) as JsonObject ?? throw NetworkErrors.Invalid(path, "it is no object of JSON");
            if (reader.Read()) { throw NetworkErrors.Invalid(path, "something follows the object"); }
            Visit(file);
            return file;
        }
        catch (Exception e) when (e is JsonException or ArgumentException or InvalidOperationException) { throw NetworkErrors.Invalid(path, e.Message.TrimEnd('.'), e); }
    }

    // A member that is there twice is found when it is looked at, and not before.
    static void Visit(JsonNode? node)
    {
        if (node is JsonObject members)
        {
            foreach (var (_, value) in members) { Visit(value); }
        }
        else if (node is JsonArray list)
        {
            foreach (var value in list) { Visit(value); }
        }
    }

    static string VersionOf(JsonObject file, string path)
    {
        var offered = new List<string>();
        if (Text(file, "cniVersion", path) is { } one) { offered.Add(one); }
        if (file["cniVersions"] is { } many)
        {
            if (many is not JsonArray list) { throw NetworkErrors.Invalid(path, "'cniVersions' is no list"); }
            foreach (var value in list) { offered.Add(value is JsonValue text && text.TryGetValue<string>(out var version) ? version : throw NetworkErrors.Invalid(path, "'cniVersions' has something that is no text")); }
        }
        if (offered.Count == 0) { throw NetworkErrors.Invalid(path, $"it has no cniVersion; known are {string.Join(", ", CniVersion.Known)}"); }
        return CniVersion.Highest(offered) ?? throw NetworkErrors.Invalid(path, $"it is written in version {string.Join(", ", offered)} of the specification; known are {string.Join(", ", CniVersion.Known)}");
    }

    /// <summary>As libcni has it, and short enough for the name of a file.</summary>
    internal static bool IsName(string? name) => name is { Length: > 0 and <= LongestName } && char.IsAsciiLetterOrDigit(name[0]) && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '.' or '-');

    internal static string? Text(JsonObject file, string member, string path)
    {
        if (file[member] is not { } node) { return null; }
        return node is JsonValue value && value.TryGetValue<string>(out var text) ? text : throw NetworkErrors.Invalid(path, $"'{member}' is no text");
    }

    // libcni takes the words too.
    static bool Flag(JsonObject file, string member, string path)
    {
        if (file[member] is not { } node) { return false; }
        if (node is JsonValue value)
        {
            if (value.TryGetValue<bool>(out var flag)) { return flag; }
            if (value.TryGetValue<string>(out var text) && bool.TryParse(text, out flag)) { return flag; }
        }
        throw NetworkErrors.Invalid(path, $"'{member}' is neither true nor false");
    }
}

/// <summary>One plugin of a network.</summary>
sealed class CniPluginConfiguration
{
    CniPluginConfiguration(string type, JsonObject content, HashSet<string> capabilities)
    {
        Type = type;
        Content = content;
        Capabilities = capabilities;
    }

    /// <summary>The name of a program; no path.</summary>
    internal string Type { get; }

    /// <summary>Not to be changed.</summary>
    internal JsonObject Content { get; }

    /// <summary>The capability arguments that it wants to be given.</summary>
    internal HashSet<string> Capabilities { get; }

    internal static CniPluginConfiguration Read(JsonObject content, string path)
    {
        var type = CniConfiguration.Text(content, "type", path) ?? throw NetworkErrors.Invalid(path, "a plugin has no type");
        if (!IsType(type)) { throw NetworkErrors.Invalid(path, $"'{type}' is no type of a plugin: it is the name of a program, without a path"); }
        if (content["ipam"] is { } ipam)
        {
            if (ipam is not JsonObject delegated) { throw NetworkErrors.Invalid(path, "'ipam' is no object"); }
            // The plugin runs this one by itself, from the same folders.
            if (CniConfiguration.Text(delegated, "type", path) is { } inner && inner.Length > 0 && !IsType(inner)) { throw NetworkErrors.Invalid(path, $"'{inner}' is no type of a plugin: it is the name of a program, without a path"); }
        }
        var capabilities = new HashSet<string>(StringComparer.Ordinal);
        if (content["capabilities"] is { } node)
        {
            if (node is not JsonObject wanted) { throw NetworkErrors.Invalid(path, "'capabilities' is no object"); }
            foreach (var (name, value) in wanted)
            {
                if (value is not JsonValue said || !said.TryGetValue<bool>(out var supported)) { throw NetworkErrors.Invalid(path, $"the capability '{name}' is neither true nor false"); }
                if (supported) { capabilities.Add(name); }
            }
        }
        return new CniPluginConfiguration(type, content, capabilities);
    }

    static bool IsType(string type) => type is { Length: > 0 and <= 255 } and not ("." or "..") && !type.Any(c => c is '/' or '\\' || char.IsControl(c) || char.IsWhiteSpace(c));
}
