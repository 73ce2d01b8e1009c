using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Containers.Tests.Units;

/// <summary>A proxy that makes tunnels (RFC 9110, 9.3.6) to one registry, whatever host is asked for, for one user.</summary>
sealed class TestTunnel : IDisposable
{
    readonly TcpListener listener = new(IPAddress.Loopback, 0);
    readonly ConcurrentQueue<string> asked = new();
    readonly string target;
    readonly string credentials;

    internal TestTunnel(string target, string user, string secret)
    {
        this.target = target;
        credentials = "Proxy-Authorization: Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes($"{user}:{secret}"));
        listener.Start();
        _ = AcceptAsync();
    }

    internal string Host => $"127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}";

    /// <summary>The first lines of all requests.</summary>
    internal IReadOnlyList<string> Asked => [.. asked];

    public void Dispose() => listener.Dispose();

    async Task AcceptAsync()
    {
        try
        {
            while (true) { _ = ServeAsync(await listener.AcceptTcpClientAsync()); }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException) { }
    }

    async Task ServeAsync(TcpClient client)
    {
        using var _ = client;
        using var there = new TcpClient();
        try
        {
            var stream = client.GetStream();
            while (true)
            {
                var head = await HeadAsync(stream);
                if (head.Count == 0) { return; }
                asked.Enqueue(head[0]);
                if (head.Contains(credentials)) { break; }
                await stream.WriteAsync("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"test\"\r\nContent-Length: 0\r\n\r\n"u8.ToArray());
            }
            await there.ConnectAsync(IPEndPoint.Parse(target));
            await stream.WriteAsync("HTTP/1.1 200 Connection established\r\n\r\n"u8.ToArray());
            await Task.WhenAny(stream.CopyToAsync(there.GetStream()), there.GetStream().CopyToAsync(stream));
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException) { }
    }

    // Byte by byte: what follows the head belongs to the tunnel.
    static async Task<List<string>> HeadAsync(NetworkStream stream)
    {
        var text = new StringBuilder();
        var one = new byte[1];
        while (await stream.ReadAsync(one) > 0)
        {
            text.Append((char)one[0]);
            if (one[0] == '\n' && text.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal)) { return [.. text.ToString().Split("\r\n", StringSplitOptions.RemoveEmptyEntries)]; }
        }
        return [];
    }
}
