using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Containers.Linux;
using Mono.Unix.Native;

namespace Containers;

/// <summary>Where a value of the configuration comes from.</summary>
public enum ContainerConfigurationSource
{
    Default,

    /// <summary><c>/etc/pscontainers/config.json</c>, or <c>$CONTAINERS_CONFIG</c>.</summary>
    System,

    /// <summary><c>$XDG_CONFIG_HOME/pscontainers/config.json</c>, or below <c>~/.config</c>.</summary>
    User,

    Environment,
}

/// <summary>One setting as it counts at this moment. A parameter of a cmdlet comes before all of it.</summary>
public sealed class ContainerConfigurationItem
{
    /// <summary>The member's name in the files.</summary>
    public required string Name { get; init; }

    /// <summary>Null where nothing is said, and there is no default but what the host can.</summary>
    public required string? Value { get; init; }

    public required ContainerConfigurationSource Source { get; init; }

    /// <summary>The file that it is from; null for the others.</summary>
    public string? File { get; init; }

    /// <summary>The variable of the environment that comes before the files.</summary>
    public required string Variable { get; init; }

    public required string Description { get; init; }

    public override string ToString() => $"{Name}={Value}";
}

/// <summary>
/// The configuration: the system's file, then the user's, then the environment; the last one that says something counts. The files are objects of
/// JSON by docs/config.schema.json. A member that is not known is refused by its name: a setting that does nothing is worse than an error.
/// </summary>
public static class ContainerHostConfiguration
{
    const int LongestFile = 1 << 20;

    enum Kind { Folder, Tenant, Word, Snapshotter, Number }

    sealed record Key(string Name, string Variable, Kind Kind, string? Default, string Description);

    static readonly Key[] s_keys =
    [
        new("root", "CONTAINERS_ROOT", Kind.Folder, null, "Images, snapshots, containers."),
        new("runRoot", "CONTAINERS_RUN", Kind.Folder, null, "Running state and sockets."),
        new("containerNamespace", "CONTAINERS_NAMESPACE", Kind.Tenant, "default", "The container namespace where none is named."),
        new("runtime", "CONTAINERS_RUNTIME", Kind.Word, "psrun", "The OCI runtime of containers that name none: a name or an absolute path."),
        new("snapshotter", "CONTAINERS_SNAPSHOTTER", Kind.Snapshotter, null, "How writable layers are kept: overlayfs, btrfs or native."),
        new("layerBytes", "CONTAINERS_LAYER_BYTES", Kind.Number, "137438953472", "The most bytes of one layer of an image."),
        new("layerEntries", "CONTAINERS_LAYER_ENTRIES", Kind.Number, "10000000", "The most entries of one layer of an image."),
        new("layerRatio", "CONTAINERS_LAYER_RATIO", Kind.Number, "200", "How many times its stored size a layer may grow to, beyond 1 GiB."),
    ];

    /// <summary>The system's file.</summary>
    public static string SystemFile => Variable("CONTAINERS_CONFIG") ?? "/etc/pscontainers/config.json";

    /// <summary>The user's file.</summary>
    public static string UserFile => Path.Combine(Variable("XDG_CONFIG_HOME") ?? Path.Combine(Variable("HOME") ?? "/nonexistent", ".config"), "pscontainers/config.json");

    /// <summary>The names of all settings.</summary>
    public static IReadOnlyList<string> ListNames() => [.. s_keys.Select(key => key.Name)];

    /// <summary>All settings as they count now.</summary>
    /// <exception cref="ContainerException"><c>ConfigurationInvalid</c>.</exception>
    public static IReadOnlyList<ContainerConfigurationItem> Get()
    {
        var files = Files();
        return [.. s_keys.Select(key => Effective(key, files))];
    }

    /// <summary>Sets one setting in a file, or takes it out of it.</summary>
    /// <param name="value">Null takes it out.</param>
    /// <param name="user">The user's file in place of the system's.</param>
    /// <returns>What counts then, which another source may say.</returns>
    /// <exception cref="ContainerException"><c>ConfigurationInvalid</c>: no such setting, or a value that it cannot have; <c>StoreUnavailable</c>.</exception>
    public static ContainerConfigurationItem Set(string name, string? value, bool user = false)
    {
        var key = Known(name);
        var path = user ? UserFile : SystemFile;
        if (value is not null) { Check(key, value, path); }
        var file = Read(path) ?? [];
        if (value is null) { file.Remove(key.Name); }
        else { file[key.Name] = key.Kind == Kind.Number ? long.Parse(value, NumberStyles.None, CultureInfo.InvariantCulture) : value; }
        Folders.Make(Path.GetDirectoryName(path)!);
        Folders.Replace(path, System.Text.Encoding.UTF8.GetBytes(file.ToJsonString(new JsonSerializerOptions { WriteIndented = true }) + "\n"));
        return Effective(key, Files());
    }

    /// <summary>What <see cref="Set"/> would make count; nothing is written.</summary>
    public static ContainerConfigurationItem Preview(string name, string? value, bool user = false)
    {
        var key = Known(name);
        var path = user ? UserFile : SystemFile;
        if (value is not null) { Check(key, value, path); }
        var files = Files();
        var changed = files[user ? 1 : 0].Values;
        if (value is null) { changed.Remove(key.Name); }
        else { changed[key.Name] = value; }
        return Effective(key, files);
    }

    /// <summary>A variable as the environment has it, else as the files have what it stands for.</summary>
    internal static Func<string, string?> Lookup()
    {
        List<(ContainerConfigurationSource, string, Dictionary<string, string> Values)>? files = null;
        return variable =>
        {
            if (Variable(variable) is { } said) { return said; }
            if (Array.Find(s_keys, key => key.Variable == variable) is not { } known) { return null; }
            files ??= Files();
            return files[1].Values.GetValueOrDefault(known.Name) ?? files[0].Values.GetValueOrDefault(known.Name);
        };
    }

    static ContainerConfigurationItem Effective(Key key, List<(ContainerConfigurationSource Source, string Path, Dictionary<string, string> Values)> files)
    {
        var (value, source, file) = (key.Default ?? (key.Kind == Kind.Folder ? ContainerHostOptions.DefaultFolder(key.Variable) : null), ContainerConfigurationSource.Default, (string?)null);
        foreach (var one in files)
        {
            if (one.Values.TryGetValue(key.Name, out var said)) { (value, source, file) = (said, one.Source, one.Path); }
        }
        if (Variable(key.Variable) is { } variable) { (value, source, file) = (variable, ContainerConfigurationSource.Environment, null); }
        return new ContainerConfigurationItem { Name = key.Name, Value = value, Source = source, File = file, Variable = key.Variable, Description = key.Description };
    }

    static List<(ContainerConfigurationSource Source, string Path, Dictionary<string, string> Values)> Files() =>
        [(ContainerConfigurationSource.System, SystemFile, Values(SystemFile)), (ContainerConfigurationSource.User, UserFile, Values(UserFile))];

    static Dictionary<string, string> Values(string path)
    {
        var values = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (name, node) in Read(path) ?? [])
        {
            if (name == "$schema") { continue; }
            var key = Array.Find(s_keys, one => one.Name == name)
                ?? throw Invalid(path, $"'{path}' has '{name}', which is no setting. Known are: {string.Join(", ", ListNames())}.");
            var text = node is JsonValue value && (key.Kind == Kind.Number ? value.GetValueKind() == JsonValueKind.Number : value.GetValueKind() == JsonValueKind.String) ? value.ToString() : null;
            Check(key, text ?? throw Invalid(path, $"'{path}': '{name}' is to be {(key.Kind == Kind.Number ? "a number" : "text")}."), path);
            values[name] = text;
        }
        return values;
    }

    static JsonObject? Read(string path)
    {
        try
        {
            if (Folders.ReadOfUser(path, LongestFile) is not { } content) { return null; }
            // What it says decides what root runs.
            if (Syscall.stat(path, out var stat) != 0 || stat.st_uid != 0 && stat.st_uid != Syscall.geteuid() || (stat.st_mode & (FilePermissions.S_IWGRP | FilePermissions.S_IWOTH)) != 0)
            {
                throw Invalid(path, $"'{path}' belongs to another user or can be written by others, so that it cannot be trusted. Give it to its user with mode 0644.", ContainerErrorCategory.SecurityError);
            }
            return JsonNode.Parse(content, documentOptions: new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true }) as JsonObject
                ?? throw Invalid(path, $"'{path}' is no object of JSON.");
        }
        catch (Exception e) when (e is JsonException or InvalidDataException or ArgumentException) { throw Invalid(path, $"'{path}' {e.Message}."); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { throw Folders.Unavailable(path, e); }
    }

    static Key Known(string name) => Array.Find(s_keys, key => key.Name.Equals(name, StringComparison.OrdinalIgnoreCase))
        ?? throw Invalid(name, $"'{name}' is no setting. Known are: {string.Join(", ", ListNames())}.");

    static void Check(Key key, string value, string path)
    {
        var right = key.Kind switch
        {
            Kind.Folder => value.StartsWith('/') && !value.Contains('\0') && !value.Split('/').Contains(".."),
            Kind.Tenant => Names.IsValid(value) && value != Names.Reserved,
            Kind.Snapshotter => SnapshotDriver.Names.Contains(value),
            Kind.Number => long.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0,
            _ => value.Length > 0 && !value.Any(char.IsControl),
        };
        if (right) { return; }
        var wanted = key.Kind switch { Kind.Folder => "an absolute path without '..'", Kind.Tenant => "a container namespace", Kind.Snapshotter => $"one of {string.Join(", ", SnapshotDriver.Names)}", Kind.Number => "a number above 0", _ => "a name or a path" };
        throw Invalid(path, $"'{key.Name}' in '{path}' is to be {wanted}, and '{ShimErrors.Printable(value)}' is not.");
    }

    static string? Variable(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;

    static ContainerException Invalid(string target, string message, ContainerErrorCategory category = ContainerErrorCategory.InvalidData) => new(ErrorIds.ConfigurationInvalid, message, target, category);
}
