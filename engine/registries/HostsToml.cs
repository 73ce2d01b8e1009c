using System.Globalization;

namespace Containers;

/// <summary>
/// What a folder of containerd's <c>certs.d</c> says of a registry: <c>hosts.toml</c>, or without one the certificates that lie there, as
/// docker and podman have them.
/// </summary>
static class HostsToml
{
    /// <summary>The servers for a registry, mirrors first, the registry itself last.</summary>
    /// <param name="folders">Folders such as <c>/etc/containerd/certs.d</c>; the first one that has something for the registry counts.</param>
    /// <exception cref="ContainerException"><c>RegistryConfigInvalid</c>.</exception>
    internal static List<RegistryEndpoint> Endpoints(IReadOnlyList<string> folders, string registry, string repository)
    {
        foreach (var folder in folders)
        {
            if (FolderOf(folder, registry) is not { } own) { continue; }
            var path = Path.Combine(own, "hosts.toml");
            return TomlTable.Load(path) is { } file ? Read(file, path, registry, repository) : [Certificates(own, RegistryEndpoint.Default(registry, repository))];
        }
        return [RegistryEndpoint.Default(registry, repository)];
    }

    // containerd's order: with the port between underlines, as it is, and what is for all.
    static string? FolderOf(string folder, string registry)
    {
        var names = new List<string>();
        var colon = registry.LastIndexOf(':');
        if (colon > 0 && !registry.EndsWith(']')) { names.Add($"{registry[..colon]}_{registry[(colon + 1)..]}_"); }
        names.AddRange([registry, "_default"]);
        return names.Select(name => Path.Combine(folder, name)).FirstOrDefault(Directory.Exists);
    }

    static RegistryEndpoint Certificates(string folder, RegistryEndpoint endpoint)
    {
        string[] files;
        try { files = [.. Directory.GetFiles(folder).Order(StringComparer.Ordinal)]; }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { throw RegistryErrors.Config(folder, "cannot be read: " + e.Message.TrimEnd('.'), e); }
        var clients = new List<(string, string?)>();
        foreach (var file in files.Where(f => f.EndsWith(".cert", StringComparison.Ordinal)))
        {
            var key = Path.ChangeExtension(file, ".key");
            clients.Add(File.Exists(key) ? (file, key) : throw RegistryErrors.Config(file, $"has no '{Path.GetFileName(key)}' beside it"));
        }
        return endpoint with { Authorities = [.. files.Where(f => f.EndsWith(".crt", StringComparison.Ordinal))], Clients = clients };
    }

    static List<RegistryEndpoint> Read(TomlTable file, string path, string registry, string repository)
    {
        var folder = Path.GetDirectoryName(path)!;
        var endpoints = new List<RegistryEndpoint>();
        if (file.Table("host") is { } hosts)
        {
            foreach (var name in hosts.Names)
            {
                var host = hosts.Table(name)!;
                endpoints.Add(Host(host, path, folder, name, registry, repository) with { IsMirror = true, Namespace = registry });
                host.End();
            }
        }
        // Without a server that was named, the registry itself comes last.
        var server = file.Text("server") ?? "https://" + RegistryEndpoint.ServerOf(registry);
        endpoints.Add(Host(file, path, folder, server, registry, repository));
        file.End();
        return endpoints;
    }

    static RegistryEndpoint Host(TomlTable table, string path, string folder, string name, string registry, string repository)
    {
        var text = name.Contains("://", StringComparison.Ordinal) ? name : "https://" + name;
        if (!Uri.TryCreate(text, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https") || uri.UserInfo.Length > 0 || uri.Query.Length > 0 || uri.Fragment.Length > 0)
        {
            throw RegistryErrors.Config(path, $"has the host '{RegistryErrors.Printable(name)}', which is no address of http or https");
        }
        var own = table.Flag("override_path");
        var address = uri.GetLeftPart(UriPartial.Path).TrimEnd('/');
        if (!own && !address.EndsWith("/v2", StringComparison.Ordinal)) { address += "/v2"; }
        var can = table.Texts("capabilities") ?? ["pull", "resolve", "push"];
        if (can.FirstOrDefault(c => c is not ("pull" or "resolve" or "push")) is { } unknown) { throw RegistryErrors.Config(path, $"has the capability '{unknown}', which is not known here: pull, resolve and push are"); }
        return new RegistryEndpoint
        {
            Base = new Uri(address + "/"), Registry = registry, Repository = repository, OwnPath = own,
            CanPull = can.Contains("pull"), CanResolve = can.Contains("resolve"), CanPush = can.Contains("push"),
            SkipVerify = table.Flag("skip_verify"),
            Authorities = [.. (table.Texts("ca") ?? []).Select(file => Path.GetFullPath(file, folder))],
            Clients = Clients(table, folder),
            Headers = Headers(table),
            DialTimeout = table.Text("dial_timeout") is { } span ? Duration(span) ?? throw table.Bad("dial_timeout", "a span such as '5s'") : null,
        };
    }

    static List<(string, string?)> Clients(TomlTable table, string folder)
    {
        string Full(string file) => Path.GetFullPath(file, folder);
        var clients = new List<(string, string?)>();
        foreach (var client in table.Take("client") switch { null => [], List<object> list => list, var one => [one] })
        {
            clients.Add(client switch
            {
                string both => (Full(both), null),
                List<object> pair when pair is [string certificate, string key] => (Full(certificate), key.Length > 0 ? Full(key) : null),
                _ => throw table.Bad("client", "a file, or pairs of certificate and key"),
            });
        }
        return clients;
    }

    static List<(string, string)> Headers(TomlTable table)
    {
        var headers = new List<(string, string)>();
        if (table.Table("header") is not { } named) { return headers; }
        foreach (var name in named.Names)
        {
            foreach (var value in named.Texts(name)!)
            {
                var plain = name.Length > 0 && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_') && !value.AsSpan().ContainsAny('\r', '\n', '\0');
                headers.Add(plain ? (name, value) : throw named.Bad(name, "a header and its value"));
            }
        }
        return headers;
    }

    // Go's spans, as far as anybody writes them: one number and one unit.
    static TimeSpan? Duration(string text)
    {
        var unit = text.EndsWith("ms", StringComparison.Ordinal) ? 2 : 1;
        if (text.Length <= unit || !double.TryParse(text[..^unit], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number) || number is <= 0 or > 3600) { return null; }
        return text[^unit..] switch { "ms" => TimeSpan.FromMilliseconds(number), "s" => TimeSpan.FromSeconds(number), "m" => TimeSpan.FromMinutes(number), _ => null };
    }
}
