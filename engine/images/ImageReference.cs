namespace Containers;

/// <summary>
/// The name of an image: registry, repository, and a tag or a digest, written as docker does. <c>busybox</c> is short for
/// <c>docker.io/library/busybox:latest</c>.
/// </summary>
public sealed class ImageReference
{
    public const string DefaultRegistry = "docker.io";
    const int LongestName = 255;
    const int LongestTag = 128;

    ImageReference(string registry, string repository, string? tag, Digest? digest)
    {
        Registry = registry;
        Repository = repository;
        Tag = tag;
        Digest = digest;
    }

    /// <summary>Host and perhaps port: <c>docker.io</c>, <c>localhost:5000</c>.</summary>
    public string Registry { get; }

    /// <summary><c>library/busybox</c>.</summary>
    public string Repository { get; }

    public string? Tag { get; }
    public Digest? Digest { get; }

    /// <summary>Registry and repository.</summary>
    public string Name => $"{Registry}/{Repository}";

    public override string ToString() => Name + (Tag is null ? "" : ":" + Tag) + (Digest is null ? "" : "@" + Digest);

    /// <summary>As a user would write it: without what is short for docker's registry.</summary>
    public string Familiar
    {
        get
        {
            var name = Registry != DefaultRegistry ? Name : Repository.StartsWith("library/", StringComparison.Ordinal) ? Repository["library/".Length..] : Repository;
            return name + (Tag is null ? "" : ":" + Tag) + (Digest is null ? "" : "@" + Digest);
        }
    }

    /// <exception cref="ContainerException"><c>InvalidReference</c>.</exception>
    public static ImageReference Parse(string text) => TryParse(text, out var reference) ? reference! : throw new ContainerException(ErrorIds.InvalidReference,
        $"'{text}' is no name of an image: say [registry/]name[:tag] or [registry/]name@digest, names in lower case.", text, ContainerErrorCategory.InvalidArgument);

    public static bool TryParse(string? text, out ImageReference? reference)
    {
        reference = null;
        if (string.IsNullOrEmpty(text) || text.Length > 1024) { return false; }
        var name = text;
        Digest? digest = null;
        if (name.IndexOf('@') is var at and >= 0)
        {
            if (!Containers.Digest.TryParse(name[(at + 1)..], out var parsed)) { return false; }
            digest = parsed;
            name = name[..at];
        }
        string? tag = null;
        var colon = name.LastIndexOf(':');
        if (colon > name.LastIndexOf('/'))
        {
            tag = name[(colon + 1)..];
            name = name[..colon];
            if (!IsTag(tag)) { return false; }
        }
        var slash = name.IndexOf('/');
        var hasRegistry = !IsShort(name);
        var registry = hasRegistry ? name[..slash] : DefaultRegistry;
        var repository = hasRegistry ? name[(slash + 1)..] : name;
        if (registry is "index.docker.io" or "registry-1.docker.io") { registry = DefaultRegistry; }
        if (registry == DefaultRegistry && repository.Length > 0 && !repository.Contains('/')) { repository = "library/" + repository; }
        if (!IsRegistry(registry) || !IsRepository(repository) || registry.Length + 1 + repository.Length > LongestName) { return false; }
        // Sixty-four digits alone are an id of docker's, never a name.
        if (slash < 0 && tag is null && digest is null && name.Length == 64 && name.All(char.IsAsciiHexDigitLower)) { return false; }
        reference = new ImageReference(registry, repository, tag ?? (digest is null ? "latest" : null), digest);
        return true;
    }

    /// <summary>Whether a name says no registry, as docker tells one from a first part of a name.</summary>
    internal static bool IsShort(string name)
    {
        var slash = name.IndexOf('/');
        var first = slash < 0 ? "" : name[..slash];
        return !(first.Contains('.') || first.Contains(':') || first == "localhost" || first.Any(char.IsAsciiLetterUpper));
    }

    internal static bool IsTag(string tag) => tag.Length is > 0 and <= LongestTag && tag[0] is not ('.' or '-')
        && tag.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '.' or '-');

    internal static bool IsRegistry(string registry)
    {
        var host = registry;
        if (registry.LastIndexOf(':') is var colon and >= 0 && !registry.EndsWith(']'))
        {
            host = registry[..colon];
            if (!ushort.TryParse(registry.AsSpan(colon + 1), System.Globalization.NumberStyles.None, null, out _)) { return false; }
        }
        if (host.StartsWith('[')) { return host.EndsWith(']') && System.Net.IPAddress.TryParse(host.AsSpan(1, host.Length - 2), out _); }
        return host.Length > 0 && host.Split('.').All(part => part.Length > 0 && part[0] != '-' && part[^1] != '-' && part.All(c => char.IsAsciiLetterOrDigit(c) || c == '-'));
    }

    internal static bool IsRepository(string repository) => repository.Split('/').All(IsPart);

    // Letters and digits, separated by one '.', one or two '_', or any number of '-'.
    static bool IsPart(string part)
    {
        if (part.Length == 0 || !IsWord(part[0]) || !IsWord(part[^1])) { return false; }
        for (var i = 0; i < part.Length; i++)
        {
            if (IsWord(part[i])) { continue; }
            var start = i;
            while (part[i] == part[start]) { i++; }
            var count = i - start;
            if (!IsWord(part[i]) || part[start] is not ('.' or '_' or '-') || (part[start] == '.' && count > 1) || (part[start] == '_' && count > 2)) { return false; }
        }
        return true;
    }

    static bool IsWord(char c) => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c);
}
