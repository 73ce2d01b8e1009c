using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Containers;

/// <summary>Docker's <c>config.json</c>, or podman's <c>auth.json</c>, which has the same form. What else is in it stays as it is.</summary>
sealed class CredentialFile
{
    const int Longest = 4 << 20;

    readonly JsonObject root;

    CredentialFile(string path, JsonObject root)
    {
        Path = path;
        this.root = root;
    }

    internal string Path { get; }

    JsonObject? Auths => root["auths"] as JsonObject;

    /// <summary>The program that keeps all credentials, but those of <see cref="HelperFor"/>.</summary>
    internal string? Store => Text(root["credsStore"]);

    /// <exception cref="ContainerException"><c>CredentialUnavailable</c>.</exception>
    internal static CredentialFile? Load(string path)
    {
        try
        {
            if (Folders.ReadOfUser(path, Longest) is not { } content) { return null; }
            if (content.Length == 0) { return new CredentialFile(path, []); }
            return JsonNode.Parse(content, documentOptions: new JsonDocumentOptions { MaxDepth = 32, AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip }) is JsonObject root ? new CredentialFile(path, root)
                : throw new InvalidDataException("is no JSON object");
        }
        // The parser's words could repeat what it read.
        catch (JsonException e) { throw RegistryErrors.Credentials($"'{path}'", $"line {e.LineNumber + 1} is no JSON"); }
        catch (Exception e) when (e is IOException or InvalidDataException) { throw RegistryErrors.Credentials($"'{path}'", e.Message.TrimEnd('.'), e); }
    }

    /// <summary>The program that keeps this registry's credentials.</summary>
    internal string? HelperFor(string registry)
    {
        foreach (var (key, value) in root["credHelpers"] as JsonObject ?? [])
        {
            if (HostOf(key) is var host && SameRegistry(host, registry)) { return Text(value); }
        }
        return null;
    }

    /// <summary>What stands in the file itself. Podman's keys may go on with a part of the repository's name: the longest counts.</summary>
    internal RegistryCredential? Find(string registry, string? repository)
    {
        RegistryCredential? best = null;
        var longest = -1;
        foreach (var (key, value) in Auths ?? [])
        {
            if (value is not JsonObject entry || Length(key, registry, repository) is not { } length || length <= longest || Read(key, entry) is not { } credential) { continue; }
            (best, longest) = (credential, length);
        }
        return best;
    }

    // How well a key fits; null for not at all.
    static int? Length(string key, string registry, string? repository)
    {
        if (SameRegistry(HostOf(key), registry) && (key.Contains("://", StringComparison.Ordinal) || key.TrimEnd('/').IndexOf('/') is var slash && (slash < 0 || key.TrimEnd('/')[slash..] is "/v1" or "/v2"))) { return 0; }
        if (repository is null || key.Contains("://", StringComparison.Ordinal)) { return null; }
        var name = $"{registry}/{repository}";
        return name.StartsWith(key, StringComparison.Ordinal) && key.Contains('/') && (name.Length == key.Length || name[key.Length] == '/') ? key.Length : null;
    }

    static string HostOf(string key)
    {
        var host = key.IndexOf("://", StringComparison.Ordinal) is var at and >= 0 ? key[(at + 3)..] : key;
        return host.IndexOf('/') is var slash and >= 0 ? host[..slash] : host;
    }

    static bool SameRegistry(string host, string registry) => Canonical(host) == Canonical(registry);

    static string Canonical(string host) => host is "index.docker.io" or "registry-1.docker.io" ? ImageReference.DefaultRegistry : host;

    RegistryCredential? Read(string key, JsonObject entry)
    {
        var user = Text(entry["username"]) ?? "";
        var secret = Text(entry["password"]) ?? "";
        if (Text(entry["auth"]) is { Length: > 0 } auth)
        {
            var plain = new byte[auth.Length];
            if (!Convert.TryFromBase64String(auth, plain, out var length)) { throw RegistryErrors.Credentials($"'{Path}'", $"the entry '{RegistryErrors.Printable(key)}' has an auth that is no base64"); }
            var text = Encoding.UTF8.GetString(plain, 0, length);
            var colon = text.IndexOf(':');
            if (colon < 0) { throw RegistryErrors.Credentials($"'{Path}'", $"the entry '{RegistryErrors.Printable(key)}' has an auth without a colon"); }
            // docker of old padded the password with zeros.
            (user, secret) = (text[..colon], text[(colon + 1)..].TrimEnd('\0'));
        }
        var identity = Text(entry["identitytoken"]) is { Length: > 0 } token ? token : null;
        var shown = Text(entry["registrytoken"]) is { Length: > 0 } bearer ? bearer : null;
        return secret.Length == 0 && identity is null && shown is null ? null : new RegistryCredential(user, secret, identity, shown);
    }

    static string? Text(JsonNode? node) => node is JsonValue value && value.TryGetValue(out string? text) ? text : null;

    /// <summary>The names of registries that the file has something for.</summary>
    internal IEnumerable<string> Registries => (Auths ?? []).Select(a => Canonical(HostOf(a.Key))).Concat((root["credHelpers"] as JsonObject ?? []).Select(h => Canonical(HostOf(h.Key)))).Distinct();

    /// <summary>The name that docker gives a registry, in files and to helpers.</summary>
    internal static string ServerName(string registry) => registry == ImageReference.DefaultRegistry ? "https://index.docker.io/v1/" : registry;

    /// <summary>Changes a file under a lock: all or nothing, mode 0600, and nothing else in it is touched.</summary>
    /// <param name="credential">Null takes the registry's entries away; an empty one says that a helper has it.</param>
    /// <returns>Whether it changed.</returns>
    internal static bool Change(string path, string registry, RegistryCredential? credential)
    {
        // A link stays one: what it leads to is replaced.
        var target = new FileInfo(path).LinkTarget is null ? path : File.ResolveLinkTarget(path, returnFinalTarget: true)!.FullName;
        if (credential is null && !File.Exists(target)) { return false; }
        Folders.Make(System.IO.Path.GetDirectoryName(target)!);
        var held = FileLock.Take(target + ".lock");
        try
        {
            var file = Load(target) ?? new CredentialFile(target, []);
            var auths = file.Auths;
            var stale = auths?.Select(a => a.Key).Where(key => Length(key, registry, null) is not null).ToList() ?? [];
            if (credential is null && stale.Count == 0) { return false; }
            foreach (var key in stale) { auths!.Remove(key); }
            if (credential is not null)
            {
                if (auths is null) { file.root["auths"] = auths = []; }
                auths[ServerName(registry)] = credential.Secret.Length == 0 ? new JsonObject()
                    : new JsonObject { ["auth"] = Convert.ToBase64String(Encoding.UTF8.GetBytes($"{credential.UserName}:{credential.Secret}")) };
            }
            var content = new MemoryStream();
            using (var writer = new Utf8JsonWriter(content, new JsonWriterOptions { Indented = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping })) { file.root.WriteTo(writer); }
            Folders.Replace(target, content.ToArray());
            return true;
        }
        finally { held.RemoveAndDispose(); }
    }
}
