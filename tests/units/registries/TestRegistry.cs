using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;

namespace Containers.Tests.Units;

sealed record TestRequest(string Method, string Path, Dictionary<string, string> Query, Dictionary<string, string> Headers, byte[] Body)
{
    internal string? Header(string name) => Headers.GetValueOrDefault(name.ToLowerInvariant());
    public override string ToString() => $"{Method} {Path}";
}

sealed class TestResponse(int status, byte[]? body = null, params (string Name, string Value)[] headers)
{
    internal int Status => status;
    internal byte[] Body { get; } = body ?? [];
    internal List<(string Name, string Value)> Headers { get; } = [.. headers];

    /// <summary>Says another length than the body has.</summary>
    internal long? Length { get; init; }

    /// <summary>Writes all of the answer by itself; the connection ends after that.</summary>
    internal Func<Stream, Task>? Raw { get; init; }

    internal static TestResponse Text(int status, string text, params (string, string)[] headers) => new(status, Encoding.UTF8.GetBytes(text), headers);
}

/// <summary>
/// A registry on a port of loopback, in memory: what the distribution specification says, and by <see cref="Hook"/> whatever a hostile one would do.
/// </summary>
sealed class TestRegistry : IDisposable
{
    readonly TcpListener listener = new(IPAddress.Loopback, 0);
    readonly CancellationTokenSource ending = new();
    readonly X509Certificate2? certificate;
    readonly X509Certificate2? clientAuthority;
    readonly ConcurrentDictionary<string, MemoryStream> uploads = new();
    readonly ConcurrentQueue<TestRequest> requests = new();

    internal TestRegistry(X509Certificate2? certificate = null, X509Certificate2? clientAuthority = null)
    {
        this.certificate = certificate;
        this.clientAuthority = clientAuthority;
        listener.Start();
        _ = AcceptAsync();
    }

    internal string Host => $"127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}";
    internal string Address => (certificate is null ? "http://" : "https://") + Host;
    internal IReadOnlyList<TestRequest> Requests => [.. requests];
    internal IEnumerable<string> Lines => Requests.Select(r => r.ToString());

    /// <summary>Answers in place of the registry; null lets it answer.</summary>
    internal Func<TestRequest, TestResponse?>? Hook { get; set; }

    internal ConcurrentDictionary<string, byte[]> Blobs { get; } = new();

    /// <summary>By <c>repository/reference</c>.</summary>
    internal ConcurrentDictionary<string, (byte[] Content, string Type)> Manifests { get; } = new();

    /// <summary>Repositories that a blob was put into, as <c>repository@digest</c>.</summary>
    internal ConcurrentDictionary<string, bool> Stored { get; } = new();

    internal bool HasReferrers { get; set; }
    internal int PageSize { get; set; } = 100;
    internal bool DeletesTags { get; set; } = true;

    public void Dispose()
    {
        ending.Cancel();
        listener.Dispose();
    }

    internal void Forget() => requests.Clear();

    internal string AddBlob(string repository, byte[] content)
    {
        var digest = Digest.Of(content).ToString();
        Blobs[digest] = content;
        Stored[$"{repository}@{digest}"] = true;
        return digest;
    }

    internal string AddManifest(string repository, string? tag, byte[] content, string type)
    {
        var digest = Digest.Of(content).ToString();
        Manifests[$"{repository}/{digest}"] = (content, type);
        if (tag is not null) { Manifests[$"{repository}/{tag}"] = (content, type); }
        return digest;
    }

    /// <summary>An image of layers that are no archives: for what does not unpack.</summary>
    internal (string Digest, int Size, string[] Layers) AddImage(string repository, string? tag, string[] layers, string architecture = "amd64", object? subject = null, string? artifactType = null)
    {
        var contents = layers.Select(Encoding.UTF8.GetBytes).ToArray();
        var digests = contents.Select(c => AddBlob(repository, c)).ToArray();
        var config = JsonSerializer.SerializeToUtf8Bytes(new { os = "linux", architecture, rootfs = new { type = "layers", diff_ids = digests } });
        var manifest = JsonSerializer.SerializeToUtf8Bytes(new
        {
            schemaVersion = 2, mediaType = MediaTypes.Manifest, artifactType, config = new { mediaType = MediaTypes.Config, digest = AddBlob(repository, config), size = config.Length },
            layers = digests.Select((d, i) => new { mediaType = MediaTypes.Layer, digest = d, size = contents[i].Length }).ToArray(), subject,
        }, new JsonSerializerOptions { DefaultIgnoreCondition = System.Text.Json.Serialization.JsonIgnoreCondition.WhenWritingNull });
        return (AddManifest(repository, tag, manifest, MediaTypes.Manifest), manifest.Length, digests);
    }

    internal string AddIndex(string repository, string? tag, params (string Digest, int Size, object? Platform, string? Type)[] children)
    {
        var index = JsonSerializer.SerializeToUtf8Bytes(new
        {
            schemaVersion = 2, mediaType = MediaTypes.Index, manifests = children.Select(c => new { mediaType = c.Type ?? MediaTypes.Manifest, digest = c.Digest, size = c.Size, platform = c.Platform }).ToArray(),
        }, new JsonSerializerOptions { DefaultIgnoreCondition = System.Text.Json.Serialization.JsonIgnoreCondition.WhenWritingNull });
        return AddManifest(repository, tag, index, MediaTypes.Index);
    }

    async Task AcceptAsync()
    {
        try
        {
            while (true) { _ = ServeAsync(await listener.AcceptTcpClientAsync(ending.Token)); }
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException or SocketException) { }
    }

    async Task ServeAsync(TcpClient client)
    {
        using (client)
        {
            try
            {
                client.NoDelay = true;
                Stream stream = client.GetStream();
                if (certificate is not null)
                {
                    var tls = new SslStream(stream);
                    await tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions
                    {
                        ServerCertificate = certificate, ClientCertificateRequired = clientAuthority is not null,
                        RemoteCertificateValidationCallback = (_, presented, _, _) => clientAuthority is null || (presented is X509Certificate2 own && own.Issuer == clientAuthority.Subject),
                    }, ending.Token);
                    stream = tls;
                }
                await using (stream)
                {
                    while (await ReadAsync(stream) is { } request)
                    {
                        requests.Enqueue(request);
                        var response = Hook?.Invoke(request) ?? AnswerTo(request);
                        if (response.Raw is { } raw)
                        {
                            await raw(stream);
                            return;
                        }
                        await WriteAsync(stream, request, response);
                    }
                }
            }
            catch (Exception e) when (e is IOException or SocketException or OperationCanceledException or ObjectDisposedException or System.Security.Authentication.AuthenticationException) { }
        }
    }

    async Task<TestRequest?> ReadAsync(Stream stream)
    {
        var head = new MemoryStream();
        var one = new byte[1];
        while (true)
        {
            if (await stream.ReadAsync(one, ending.Token) == 0) { return null; }
            if (one[0] == 0x16 && head.Length == 0)
            {
                // Who begins with TLS is answered as servers of plain HTTP do.
                await stream.WriteAsync("HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTPS request to an HTTP server.\n"u8.ToArray(), ending.Token);
                return null;
            }
            head.Write(one);
            if (head.Length >= 4 && head.GetBuffer().AsSpan((int)head.Length - 4, 4).SequenceEqual("\r\n\r\n"u8)) { break; }
        }
        var lines = Encoding.ASCII.GetString(head.ToArray()).Split("\r\n", StringSplitOptions.RemoveEmptyEntries);
        var first = lines[0].Split(' ');
        var headers = lines[1..].Select(l => l.Split(':', 2)).ToDictionary(p => p[0].Trim().ToLowerInvariant(), p => p[1].Trim());
        var body = new byte[headers.TryGetValue("content-length", out var length) ? int.Parse(length) : 0];
        await stream.ReadExactlyAsync(body, ending.Token);
        // Of a proxy all of the address is asked for.
        var uri = new Uri(first[1].StartsWith('/') ? "http://any" + first[1] : first[1]);
        var query = uri.Query.TrimStart('?').Split('&', StringSplitOptions.RemoveEmptyEntries).Select(p => p.Split('=', 2)).GroupBy(p => p[0]).ToDictionary(g => g.Key, g => string.Join(' ', g.Select(p => p.Length > 1 ? Uri.UnescapeDataString(p[1]) : "")));
        return new TestRequest(first[0], Uri.UnescapeDataString(uri.AbsolutePath), query, headers, body);
    }

    async Task WriteAsync(Stream stream, TestRequest request, TestResponse response)
    {
        var head = new StringBuilder($"HTTP/1.1 {response.Status} Answer\r\nContent-Length: {response.Length ?? response.Body.Length}\r\n");
        foreach (var (name, value) in response.Headers) { head.Append($"{name}: {value}\r\n"); }
        await stream.WriteAsync(Encoding.UTF8.GetBytes(head + "\r\n"), ending.Token);
        if (request.Method != "HEAD") { await stream.WriteAsync(response.Body, ending.Token); }
        await stream.FlushAsync(ending.Token);
    }

    /// <summary>What a registry that behaves would say: for hooks that change a part of it.</summary>
    internal TestResponse AnswerTo(TestRequest request)
    {
        if (request.Path == "/v2/") { return TestResponse.Text(200, "{}"); }
        if (request.Path == "/v2/_catalog") { return Page(request, "repositories", [.. Manifests.Keys.Select(k => k[..k.LastIndexOf('/')]).Distinct().Order(StringComparer.Ordinal)]); }
        var parts = request.Path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        var at = Array.FindLastIndex(parts, p => p is "manifests" or "blobs" or "tags" or "referrers");
        if (parts is not ["v2", ..] || at < 2) { return Error(404, "NAME_UNKNOWN"); }
        var repository = string.Join('/', parts[1..at]);
        var rest = parts[(at + 1)..];
        return (parts[at], request.Method) switch
        {
            ("tags", "GET") => Page(request, "tags", [.. Manifests.Keys.Where(k => k.StartsWith(repository + "/") && !k.Contains(':')).Select(k => k[(repository.Length + 1)..]).Order(StringComparer.Ordinal)]),
            ("manifests", "GET" or "HEAD") => Manifests.TryGetValue($"{repository}/{rest[0]}", out var manifest) ? new TestResponse(200, manifest.Content, ("Content-Type", manifest.Type), ("Docker-Content-Digest", Digest.Of(manifest.Content).ToString())) : Error(404, "MANIFEST_UNKNOWN"),
            ("manifests", "PUT") => Put(repository, rest[0], request),
            ("manifests", "DELETE") => Delete(repository, rest[0]),
            ("referrers", "GET") => HasReferrers ? ListReferrers(repository, rest[0]) : Error(404, "UNSUPPORTED"),
            ("blobs", "POST") => Begin(repository, request),
            ("blobs", "PATCH") => Patch(repository, rest[1], request),
            ("blobs", "PUT") => Finish(repository, rest[1], request),
            ("blobs", "GET") when rest[0] == "uploads" => uploads.TryGetValue(rest[1], out var upload) ? new TestResponse(204, null, ("Location", $"/v2/{repository}/blobs/uploads/{rest[1]}"), ("Range", Range(upload.Length))) : Error(404, "BLOB_UPLOAD_UNKNOWN"),
            ("blobs", "GET" or "HEAD") => Stored.ContainsKey($"{repository}@{rest[0]}") ? Blob(request, Blobs[rest[0]]) : Error(404, "BLOB_UNKNOWN"),
            _ => Error(405, "UNSUPPORTED"),
        };
    }

    static string Range(long length) => $"0-{Math.Max(0, length - 1)}";

    internal static TestResponse Error(int status, string code, string message = "no") => TestResponse.Text(status, JsonSerializer.Serialize(new { errors = new[] { new { code, message } } }));

    TestResponse Page(TestRequest request, string what, string[] all)
    {
        var from = request.Query.TryGetValue("last", out var last) ? Array.FindIndex(all, a => a == last) + 1 : 0;
        var page = all.Skip(from).Take(PageSize).ToArray();
        var response = new TestResponse(200, JsonSerializer.SerializeToUtf8Bytes(new Dictionary<string, string[]> { [what] = page }), ("Content-Type", "application/json"));
        if (from + page.Length < all.Length) { response.Headers.Add(("Link", $"<{request.Path}?n={PageSize}&last={Uri.EscapeDataString(page[^1])}>; rel=\"next\"")); }
        return response;
    }

    static TestResponse Blob(TestRequest request, byte[] content)
    {
        if (request.Header("range") is not { } range) { return new TestResponse(200, content, ("Content-Type", "application/octet-stream")); }
        var from = int.Parse(range["bytes=".Length..].TrimEnd('-'));
        return from >= content.Length ? new TestResponse(416) : new TestResponse(206, content[from..], ("Content-Range", $"bytes {from}-{content.Length - 1}/{content.Length}"));
    }

    TestResponse Put(string repository, string reference, TestRequest request)
    {
        var digest = AddManifest(repository, reference.Contains(':') ? null : reference, request.Body, request.Header("content-type") ?? "");
        if (reference.Contains(':') && reference != digest) { return Error(400, "DIGEST_INVALID"); }
        var response = new TestResponse(201, null, ("Location", $"/v2/{repository}/manifests/{digest}"), ("Docker-Content-Digest", digest));
        using var json = JsonDocument.Parse(request.Body);
        if (HasReferrers && json.RootElement.TryGetProperty("subject", out var subject)) { response.Headers.Add(("OCI-Subject", subject.GetProperty("digest").GetString()!)); }
        return response;
    }

    TestResponse Delete(string repository, string reference)
    {
        if (!reference.Contains(':')) { return DeletesTags ? Manifests.TryRemove($"{repository}/{reference}", out _) ? new TestResponse(202) : Error(404, "MANIFEST_UNKNOWN") : Error(405, "UNSUPPORTED"); }
        var keys = Manifests.Where(m => m.Key.StartsWith(repository + "/") && Digest.Of(m.Value.Content).ToString() == reference).Select(m => m.Key).ToList();
        keys.ForEach(k => Manifests.TryRemove(k, out _));
        return keys.Count > 0 ? new TestResponse(202) : Error(404, "MANIFEST_UNKNOWN");
    }

    TestResponse ListReferrers(string repository, string subject)
    {
        var found = new List<object>();
        foreach (var (key, (content, type)) in Manifests.Where(m => m.Key.StartsWith(repository + "/sha256:")))
        {
            using var json = JsonDocument.Parse(content);
            if (!json.RootElement.TryGetProperty("subject", out var of) || of.GetProperty("digest").GetString() != subject) { continue; }
            found.Add(new { mediaType = type, digest = key[(repository.Length + 1)..], size = content.Length, artifactType = json.RootElement.TryGetProperty("artifactType", out var kind) ? kind.GetString() : null });
        }
        return new TestResponse(200, JsonSerializer.SerializeToUtf8Bytes(new { schemaVersion = 2, mediaType = MediaTypes.Index, manifests = found }), ("Content-Type", MediaTypes.Index));
    }

    TestResponse Begin(string repository, TestRequest request)
    {
        if (request.Query.TryGetValue("mount", out var digest) && Stored.ContainsKey($"{request.Query["from"]}@{digest}"))
        {
            Stored[$"{repository}@{digest}"] = true;
            return new TestResponse(201, null, ("Location", $"/v2/{repository}/blobs/{digest}"));
        }
        var id = Guid.NewGuid().ToString("n");
        uploads[id] = new MemoryStream();
        return new TestResponse(202, null, ("Location", $"/v2/{repository}/blobs/uploads/{id}?state=a%2Fb"), ("Range", "0-0"));
    }

    TestResponse Patch(string repository, string id, TestRequest request)
    {
        if (!uploads.TryGetValue(id, out var upload)) { return Error(404, "BLOB_UPLOAD_UNKNOWN"); }
        if (request.Header("content-range") is not { } range || long.Parse(range.Split('-')[0]) != upload.Length) { return new TestResponse(416); }
        upload.Write(request.Body);
        return new TestResponse(202, null, ("Location", $"{Address}/v2/{repository}/blobs/uploads/{id}?state=more"), ("Range", Range(upload.Length)));
    }

    TestResponse Finish(string repository, string id, TestRequest request)
    {
        if (!uploads.TryRemove(id, out var upload) || !request.Query.ContainsKey("state")) { return Error(404, "BLOB_UPLOAD_UNKNOWN"); }
        upload.Write(request.Body);
        var content = upload.ToArray();
        var digest = request.Query["digest"];
        if (Digest.Of(content).ToString() != digest) { return Error(400, "DIGEST_INVALID"); }
        AddBlob(repository, content);
        return new TestResponse(201, null, ("Location", $"/v2/{repository}/blobs/{digest}"));
    }
}
