namespace Containers;

/// <summary>containers-registries.conf(5): short names, and what stands in for registries. The files of the folder beside it come after it.</summary>
sealed class RegistriesConf
{
    const int MostFiles = 100;

    /// <summary>A server to ask in place of what was named.</summary>
    internal sealed record Location(string Text, bool Insecure, bool IsMirror, bool DigestOnly, bool TagOnly);

    sealed record Entry(string Prefix, string Where, bool Insecure, bool Blocked, List<Location> Mirrors);

    readonly Dictionary<string, Entry> entries = new(StringComparer.Ordinal);
    readonly Dictionary<string, string> aliases = new(StringComparer.Ordinal);
    IReadOnlyList<string> searched = [];

    /// <summary>Programs that keep credentials, in the order in which they are asked; empty where the file names none.</summary>
    internal IReadOnlyList<string> CredentialHelpers { get; private set; } = [];

    /// <param name="path">The file; the folder <c>PATH.d</c> is read as well. What is not there says nothing.</param>
    /// <exception cref="ContainerException"><c>RegistryConfigInvalid</c>.</exception>
    internal static RegistriesConf Load(string? path)
    {
        var conf = new RegistriesConf();
        if (path is null) { return conf; }
        conf.Read(path);
        if (!Directory.Exists(path + ".d")) { return conf; }
        var more = Directory.GetFiles(path + ".d", "*.conf").Order(StringComparer.Ordinal).ToList();
        if (more.Count > MostFiles) { throw RegistryErrors.Config(path + ".d", $"has more than {MostFiles} files"); }
        foreach (var file in more) { conf.Read(file); }
        return conf;
    }

    void Read(string path)
    {
        if (TomlTable.Load(path) is not { } file) { return; }
        if (file.Take("registries") is not null) { throw RegistryErrors.Config(path, "is in the first form ([registries.search]), which is not read: write it in the second, see containers-registries.conf(5)"); }
        searched = file.Texts("unqualified-search-registries") ?? searched;
        CredentialHelpers = file.Texts("credential-helpers") ?? CredentialHelpers;
        // Nobody is asked here: every mode takes the first registry that has the image.
        if (file.Text("short-name-mode") is not (null or "enforcing" or "permissive" or "disabled" or "")) { throw file.Bad("short-name-mode", "enforcing, permissive or disabled"); }
        if (file.Table("aliases") is { } table)
        {
            foreach (var name in table.Names)
            {
                var target = table.Text(name)!;
                // An empty one takes away what an earlier file said.
                if (target.Length == 0) { aliases.Remove(name); }
                else { aliases[name] = target; }
            }
        }
        foreach (var registry in file.Tables("registry"))
        {
            var location = registry.Text("location") is { Length: > 0 } given ? given.TrimEnd('/') : null;
            var prefix = registry.Text("prefix") is { Length: > 0 } own ? own.TrimEnd('/') : location ?? throw RegistryErrors.Config(path, "has a registry with neither prefix nor location");
            if (location is null && !prefix.StartsWith("*.", StringComparison.Ordinal)) { location = prefix; }
            if (location is not null && prefix.StartsWith("*.", StringComparison.Ordinal)) { throw RegistryErrors.Config(path, $"has a location for the prefix '{prefix}', which stands for many"); }
            var digestOnly = registry.Flag("mirror-by-digest-only");
            var entry = new Entry(prefix, location ?? "", registry.Flag("insecure"), registry.Flag("blocked"), []);
            foreach (var mirror in registry.Tables("mirror"))
            {
                var kind = mirror.Text("pull-from-mirror") ?? "all";
                if (kind is not ("all" or "digest-only" or "tag-only" or "")) { throw mirror.Bad("pull-from-mirror", "all, digest-only or tag-only"); }
                entry.Mirrors.Add(new Location((mirror.Text("location") ?? throw mirror.Bad("location", "there")).TrimEnd('/'), mirror.Flag("insecure"), true, digestOnly || kind == "digest-only", kind == "tag-only"));
                mirror.End();
            }
            registry.End();
            entries[prefix] = entry;
        }
        file.End();
    }

    /// <summary>What a name without a registry can stand for, in the order in which it is tried; docker's registry when the file says nothing.</summary>
    internal IReadOnlyList<ImageReference> Candidates(string name)
    {
        var plain = ImageReference.Parse(name);
        if (!ImageReference.IsShort(name)) { return [plain]; }
        var end = name.IndexOfAny([':', '@']) is var at and >= 0 ? at : name.Length;
        if (aliases.GetValueOrDefault(name[..end]) is { } alias) { return [ImageReference.Parse(alias + name[end..])]; }
        return searched.Count == 0 ? [plain] : [.. searched.Select(registry => ImageReference.Parse($"{registry}/{name}"))];
    }

    /// <summary>Whom to ask for an image: mirrors first.</summary>
    /// <exception cref="ContainerException"><c>RegistryBlocked</c>.</exception>
    internal IReadOnlyList<Location> Locations(ImageReference image)
    {
        var plain = new Location(image.Name, false, false, false, false);
        var best = entries.Values.Where(e => Matches(e.Prefix, image)).MaxBy(e => e.Prefix.Length);
        if (best is null) { return [plain]; }
        if (best.Blocked)
        {
            throw new ContainerException(ErrorIds.RegistryBlocked, $"'{image}' is blocked by registries.conf, which has 'blocked = true' for '{best.Prefix}'. Use another registry, or ask who wrote it.", image.ToString(), ContainerErrorCategory.PermissionDenied);
        }
        var rest = best.Prefix.StartsWith("*.", StringComparison.Ordinal) ? null : image.Name[best.Prefix.Length..];
        var own = rest is null ? plain with { Insecure = best.Insecure } : new Location(best.Where + rest, best.Insecure, false, false, false);
        return [.. best.Mirrors.Select(m => m with { Text = m.Text + (rest ?? "/" + image.Repository) }), own];
    }

    static bool Matches(string prefix, ImageReference image) => prefix.StartsWith("*.", StringComparison.Ordinal) ? image.Registry.EndsWith(prefix[1..], StringComparison.Ordinal)
        : image.Name.StartsWith(prefix, StringComparison.Ordinal) && (image.Name.Length == prefix.Length || image.Name[prefix.Length] == '/' || (!prefix.Contains('/') && image.Name[prefix.Length] == ':'));
}
