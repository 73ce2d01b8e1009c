using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Xunit;

namespace Containers.Tests.Units;

/// <summary>A test against Debian's docker-registry.</summary>
sealed class NeedsDockerRegistryFactAttribute : FactAttribute
{
    public NeedsDockerRegistryFactAttribute()
    {
        if (DockerRegistry.Program is null) { Skip = "no docker-registry on PATH"; }
    }
}

/// <summary>docker-registry on a port of loopback that it chooses itself, with all it keeps in one folder.</summary>
sealed class DockerRegistry : IDisposable
{
    readonly Process process;

    DockerRegistry(Process process, string host)
    {
        this.process = process;
        Host = host;
    }

    internal static string? Program { get; } = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Select(folder => Path.Combine(folder, "docker-registry")).FirstOrDefault(File.Exists);

    internal string Host { get; }

    /// <summary>alice with s3cret-word, by bcrypt.</summary>
    internal const string Htpasswd = "alice:$2b$05$abcdefghijklmnopqrstuuEpHRRKIlpAGo.iP7Bpa.htQEJMAAnRe\n";

    /// <param name="auth">The configuration's part of that name, as lines of YAML; empty for none.</param>
    internal static DockerRegistry Start(string folder, TestCertificates certificates, string auth)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "server.pem"), certificates.Server.ExportCertificatePem());
        File.WriteAllText(Path.Combine(folder, "server.key"), TestCertificates.KeyOf(certificates.Server));
        File.WriteAllText(Path.Combine(folder, "authority.pem"), certificates.Authority.ExportCertificatePem());
        File.WriteAllText(Path.Combine(folder, "htpasswd"), Htpasswd);
        File.WriteAllText(Path.Combine(folder, "config.yml"), $"""
            version: 0.1
            log:
              level: info
            storage:
              filesystem:
                rootdirectory: {folder}/data
              delete:
                enabled: true
            http:
              addr: 127.0.0.1:0
              tls:
                certificate: {folder}/server.pem
                key: {folder}/server.key
            {auth}
            """);
        var info = new ProcessStartInfo { FileName = Program!, WorkingDirectory = folder, RedirectStandardError = true, RedirectStandardOutput = true };
        // It takes REGISTRY_AUTH_FILE, which is podman's word, for a part of its configuration.
        info.Environment.Clear();
        info.ArgumentList.Add("serve");
        info.ArgumentList.Add(Path.Combine(folder, "config.yml"));
        var process = Process.Start(info)!;
        // Its log goes on after that, and nobody wants it; a pipe that nobody reads would stop it.
        _ = process.StandardOutput.BaseStream.CopyToAsync(Stream.Null);
        var words = new StringBuilder();
        while (process.StandardError.ReadLine() is { } line)
        {
            words.AppendLine(line);
            var at = line.IndexOf("listening on 127.0.0.1:", StringComparison.Ordinal);
            if (at < 0) { continue; }
            _ = process.StandardError.BaseStream.CopyToAsync(Stream.Null);
            return new DockerRegistry(process, "127.0.0.1:" + new string([.. line[(at + "listening on 127.0.0.1:".Length)..].TakeWhile(char.IsAsciiDigit)]));
        }
        process.WaitForExit();
        throw new InvalidOperationException("docker-registry did not start: " + words);
    }

    public void Dispose()
    {
        process.Kill();
        process.WaitForExit();
        process.Dispose();
    }
}

/// <summary>Signs tokens as a token server does: a JWT with the certificate of its key (distribution's token specification).</summary>
static class TestToken
{
    /// <param name="ends">When the registry takes it no longer; it takes tokens for a minute more than they say.</param>
    internal static string Sign(TestCertificates certificates, string service, string scope, DateTimeOffset? ends = null)
    {
        var access = scope.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(s => s.Split(':')).Select(p => new { type = p[0], name = string.Join(':', p[1..^1]), actions = p[^1].Split(',') });
        var now = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        var header = JsonSerializer.SerializeToUtf8Bytes(new { typ = "JWT", alg = "ES256", x5c = new[] { Convert.ToBase64String(certificates.Server.RawData) } });
        var claims = JsonSerializer.SerializeToUtf8Bytes(new { iss = "test", sub = "alice", aud = service, exp = ends is { } end ? end.ToUnixTimeSeconds() - 60 : now + 300, nbf = now - 300, iat = now, jti = Guid.NewGuid().ToString(), access });
        var signed = $"{Encode(header)}.{Encode(claims)}";
        using var key = System.Security.Cryptography.X509Certificates.ECDsaCertificateExtensions.GetECDsaPrivateKey(certificates.Server)!;
        return $"{signed}.{Encode(key.SignData(Encoding.ASCII.GetBytes(signed), HashAlgorithmName.SHA256))}";
    }

    static string Encode(byte[] bytes) => Convert.ToBase64String(bytes).TrimEnd('=').Replace('+', '-').Replace('/', '_');
}
