using System.Net;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Containers;

/// <summary>The connections to one server, with its certificates.</summary>
static class RegistryHandler
{
    internal static SocketsHttpHandler Make(RegistryEndpoint endpoint, RegistryLimits limits, int connections)
    {
        var authorities = Authorities(endpoint.Authorities);
        var clients = Clients(endpoint.Clients);
        var host = endpoint.Base.IdnHost;
        var ssl = new SslClientAuthenticationOptions
        {
            EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
            RemoteCertificateValidationCallback = (sender, certificate, chain, errors) =>
            {
                if (errors == SslPolicyErrors.None) { return true; }
                // What the user said of this server holds for no other that it sends to.
                if (endpoint.SkipVerify && sender is SslStream stream && stream.TargetHostName == host) { return true; }
                return errors == SslPolicyErrors.RemoteCertificateChainErrors && authorities.Count > 0 && certificate is X509Certificate2 own && IsSignedBy(own, chain, authorities);
            },
        };
        if (clients.Count > 0)
        {
            ssl.ClientCertificates = clients;
            ssl.LocalCertificateSelectionCallback = (_, target, _, _, _) => target == host ? clients[0] : null!;
        }
        return new SocketsHttpHandler
        {
            // Each of them would do in silence what is decided in RegistryHttp.
            AllowAutoRedirect = false, UseCookies = false, PreAuthenticate = false, Credentials = null, AutomaticDecompression = DecompressionMethods.None,
            Proxy = new EnvironmentProxy(Environment.GetEnvironmentVariable), UseProxy = true,
            ConnectTimeout = endpoint.DialTimeout ?? limits.Connect, MaxConnectionsPerServer = Math.Max(connections, 1) + 2,
            MaxResponseHeadersLength = RegistryLimits.Headers, MaxResponseDrainSize = 64 << 10, ResponseDrainTimeout = TimeSpan.FromMilliseconds(500),
            SslOptions = ssl,
        };
    }

    static bool IsSignedBy(X509Certificate2 certificate, X509Chain? presented, X509Certificate2Collection authorities)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.CustomTrustStore.AddRange(authorities);
        chain.ChainPolicy.ApplicationPolicy.Add(new Oid("1.3.6.1.5.5.7.3.1")); // server authentication
        foreach (var element in presented?.ChainElements ?? Enumerable.Empty<X509ChainElement>()) { chain.ChainPolicy.ExtraStore.Add(element.Certificate); }
        return chain.Build(certificate);
    }

    static X509Certificate2Collection Authorities(IReadOnlyList<string> files)
    {
        var all = new X509Certificate2Collection();
        foreach (var file in files)
        {
            var before = all.Count;
            try { all.ImportFromPem(System.Text.Encoding.UTF8.GetString(Content(file))); }
            catch (CryptographicException e) { throw RegistryErrors.Config(file, "is no certificate: " + e.Message.TrimEnd('.'), e); }
            if (all.Count == before) { throw RegistryErrors.Config(file, "has no certificate in PEM"); }
        }
        return all;
    }

    static X509Certificate2Collection Clients(IReadOnlyList<(string Certificate, string? Key)> files)
    {
        var all = new X509Certificate2Collection();
        foreach (var (certificate, key) in files)
        {
            var pem = System.Text.Encoding.UTF8.GetString(Content(certificate));
            try { all.Add(X509Certificate2.CreateFromPem(pem, key is null ? pem : System.Text.Encoding.UTF8.GetString(Content(key)))); }
            // Nothing of a key gets into a message.
            catch (Exception e) when (e is CryptographicException or ArgumentException) { throw RegistryErrors.Config(key ?? certificate, "is no certificate with its key in PEM"); }
        }
        return all;
    }

    static byte[] Content(string file)
    {
        try { return Folders.ReadOfUser(file, 1 << 20) ?? throw RegistryErrors.Config(file, "is not there"); }
        catch (Exception e) when (e is IOException or InvalidDataException) { throw RegistryErrors.Config(file, e.Message.TrimEnd('.'), e); }
    }
}
