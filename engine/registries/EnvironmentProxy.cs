using System.Collections.Concurrent;
using System.Net;

namespace Containers;

/// <summary>
/// <c>HTTPS_PROXY</c>, <c>HTTP_PROXY</c>, <c>ALL_PROXY</c> and <c>NO_PROXY</c>, in small letters as well, as they are at this moment: .NET's own
/// proxy remembers what they were at the first request of the process. Loopback is never asked of a proxy.
/// </summary>
sealed class EnvironmentProxy(Func<string, string?> variable) : IWebProxy, ICredentials
{
    readonly ConcurrentDictionary<string, NetworkCredential> credentials = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>.NET asks for this once, before any proxy was named: it is there from the beginning, and knows what the addresses had.</summary>
    public ICredentials? Credentials { get => this; set => throw new NotSupportedException(); }

    public NetworkCredential? GetCredential(Uri uri, string authType) => credentials.GetValueOrDefault(uri.Authority);

    public Uri? GetProxy(Uri destination)
    {
        var text = Of(destination.Scheme + "_proxy") ?? Of("all_proxy");
        if (text is null) { return null; }
        if (!text.Contains("://", StringComparison.Ordinal)) { text = "http://" + text; }
        if (!Uri.TryCreate(text, UriKind.Absolute, out var proxy) || proxy.Scheme is not ("http" or "https" or "socks4" or "socks4a" or "socks5"))
        {
            throw new ContainerException(ErrorIds.InvalidArgument, $"The proxy for {destination.Scheme} in the environment is no address that can be used: http, https, socks4, socks4a or socks5.", null, ContainerErrorCategory.InvalidArgument);
        }
        if (proxy.UserInfo.Length > 0)
        {
            var parts = proxy.UserInfo.Split(':', 2);
            credentials[proxy.Authority] = new NetworkCredential(Uri.UnescapeDataString(parts[0]), parts.Length > 1 ? Uri.UnescapeDataString(parts[1]) : "");
            // Without them: errors name the address.
            return new UriBuilder(proxy) { UserName = "", Password = "" }.Uri;
        }
        return proxy;
    }

    public bool IsBypassed(Uri host)
    {
        var name = host.IdnHost.TrimEnd('.');
        if (host.IsLoopback || (IPAddress.TryParse(name, out var loopback) && IPAddress.IsLoopback(loopback))) { return true; }
        foreach (var entry in (Of("no_proxy") ?? "").Split([',', ' '], StringSplitOptions.RemoveEmptyEntries))
        {
            if (entry == "*") { return true; }
            if (IPNetwork.TryParse(entry, out var network) && IPAddress.TryParse(name, out var address)) { if (network.Contains(address)) { return true; } continue; }
            var plain = entry;
            if (entry.LastIndexOf(':') is var colon and > 0 && ushort.TryParse(entry.AsSpan(colon + 1), out var port))
            {
                if (port != host.Port) { continue; }
                plain = entry[..colon];
            }
            plain = plain.StartsWith("*.", StringComparison.Ordinal) ? plain[1..] : plain;
            // A name stands for itself and what is below it; with a dot in front for what is below alone.
            if (name.EndsWith(plain.StartsWith('.') ? plain : "." + plain, StringComparison.OrdinalIgnoreCase) || name.Equals(plain, StringComparison.OrdinalIgnoreCase)) { return true; }
        }
        return GetProxy(host) is null;
    }

    string? Of(string name) => variable(name) is { Length: > 0 } small ? small : variable(name.ToUpperInvariant()) is { Length: > 0 } large ? large : null;
}
