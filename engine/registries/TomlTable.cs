namespace Containers;

/// <summary>A table whose members are taken one by one: what is left at the end was not understood, and is refused by name.</summary>
sealed class TomlTable(string path, string name, Dictionary<string, object> members)
{
    readonly Dictionary<string, object> left = new(members, StringComparer.Ordinal);

    string Named(string key) => name.Length == 0 ? key : $"{name}.{key}";

    internal string? Text(string key) => Take(key) switch { null => null, string text => text, _ => throw Bad(key, "a string") };

    internal bool Flag(string key) => Take(key) switch { null => false, bool flag => flag, _ => throw Bad(key, "true or false") };

    /// <summary>One string, or an array of them.</summary>
    internal IReadOnlyList<string>? Texts(string key) => Take(key) switch
    {
        null => null,
        string text => [text],
        List<object> list => [.. list.Select(item => item as string ?? throw Bad(key, "strings"))],
        _ => throw Bad(key, "a string or an array of strings"),
    };

    internal TomlTable? Table(string key) => Take(key) switch { null => null, Dictionary<string, object> table => new TomlTable(path, Named(key), table), _ => throw Bad(key, "a table") };

    internal IEnumerable<TomlTable> Tables(string key) => Take(key) switch
    {
        null => [],
        List<object> list => list.Select(item => item is Dictionary<string, object> table ? new TomlTable(path, Named(key), table) : throw Bad(key, "tables")),
        _ => throw Bad(key, "an array of tables"),
    };

    internal object? Take(string key) => left.Remove(key, out var value) ? value : null;

    /// <summary>The names that are left, in the order of the file.</summary>
    internal IReadOnlyList<string> Names => [.. members.Keys.Where(left.ContainsKey)];

    /// <exception cref="ContainerException"><c>RegistryConfigInvalid</c>: something was not taken.</exception>
    internal void End()
    {
        if (Names is [var first, ..]) { throw RegistryErrors.Config(path, $"has '{Named(first)}', which is not known here: remove it, or use a newer version"); }
    }

    internal ContainerException Bad(string key, string expected) => RegistryErrors.Config(path, $"has a '{Named(key)}' that is not {expected}");

    /// <summary>A file as a table; null when it is not there.</summary>
    /// <exception cref="ContainerException"><c>RegistryConfigInvalid</c>.</exception>
    internal static TomlTable? Load(string path)
    {
        try
        {
            return Folders.ReadOfUser(path, 1 << 20) is { } content ? new TomlTable(path, "", TomlReader.Read(content)) : null;
        }
        catch (Exception e) when (e is InvalidDataException or IOException) { throw RegistryErrors.Config(path, e.Message.TrimEnd('.'), e); }
    }
}
