using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Containers.Tests.Units;

/// <summary>An authority of a test's own, with a server's certificate for loopback and one of a client.</summary>
sealed class TestCertificates : IDisposable
{
    internal TestCertificates()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=test authority " + Guid.NewGuid().ToString("n")[..8], key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.DigitalSignature, true));
        Authority = request.CreateSelfSigned(From, Until);
        Server = Issue("CN=127.0.0.1", "1.3.6.1.5.5.7.3.1");
        Client = Issue("CN=client", "1.3.6.1.5.5.7.3.2");
    }

    static DateTimeOffset From => DateTimeOffset.UtcNow.AddDays(-1);
    static DateTimeOffset Until => DateTimeOffset.UtcNow.AddDays(1);

    internal X509Certificate2 Authority { get; }
    internal X509Certificate2 Server { get; }
    internal X509Certificate2 Client { get; }

    internal static string KeyOf(X509Certificate2 certificate) => certificate.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem();

    X509Certificate2 Issue(string name, string purpose)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(name, key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        names.AddDnsName("localhost");
        names.AddDnsName("registry.invalid");
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(purpose)], false));
        using var signed = request.Create(Authority, From.AddHours(1), Until.AddHours(-1), Guid.NewGuid().ToByteArray());
        // A key that lives in memory alone.
        using var own = signed.CopyWithPrivateKey(key);
        return X509CertificateLoader.LoadPkcs12(own.Export(X509ContentType.Pkcs12), null);
    }

    public void Dispose()
    {
        Authority.Dispose();
        Server.Dispose();
        Client.Dispose();
    }
}
