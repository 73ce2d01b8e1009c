using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Containers.Linux;
using Microsoft.Win32.SafeHandles;

namespace Containers;

public sealed partial class ContainerTasks
{
    static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(20);
    static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(1);
    static readonly TimeSpan LongestConnect = TimeSpan.FromSeconds(2);

    /// <summary>Waits until a task has printed a line that matches, since it was started; lines that are there already count.</summary>
    /// <returns>The line.</returns>
    /// <exception cref="ContainerException"><c>ContainerNotFound</c>, <c>TaskNotFound</c>, <c>LogNotFound</c>; <c>TaskNotRunning</c>: it has ended without.</exception>
    public async Task<string> WaitLogAsync(string id, Regex pattern, string? containerNamespace = null, CancellationToken cancel = default)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        var started = (files.Read(ns, Names.Id(id)) ?? throw Missing(ns, id)).Task.StartedAt;
        // What comes in parts is one line.
        var begun = new System.Text.StringBuilder[] { new(), new() };
        await foreach (var entry in engine.Logs.FollowAsync(id, new ContainerLogOptions { Since = started }, ns, cancel).ConfigureAwait(false))
        {
            var line = begun[(int)entry.Stream].Append(entry.Text);
            if (entry.Partial && line.Length < ContainerLineReader.LongestLine) { continue; }
            var text = line.ToString();
            line.Clear();
            try
            {
                if (pattern.IsMatch(text)) { return text; }
            }
            catch (RegexMatchTimeoutException) { } // a line that cannot be decided upon is no match
        }
        throw ShimErrors.NotRunning(id);
    }

    /// <summary>Waits until something in a task's network namespace takes connections on a TCP port, on any address that there is.</summary>
    /// <exception cref="ContainerException"><c>ContainerNotFound</c>, <c>TaskNotFound</c>; <c>TaskNotRunning</c>: it has ended without.</exception>
    public async Task WaitPortAsync(string id, int port, string? containerNamespace = null, CancellationToken cancel = default)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        if (port is < 1 or > 65535) { throw ResourceSpec.Bad("Port", port, "it is from 1 to 65535"); }
        var task = await WaitRunningAsync(id, ns, cancel).ConfigureAwait(false);
        var started = files.Read(ns, id)?.Record?.PidStartTime ?? 0;
        using var network = new SafeFileHandle(Libc.open($"/proc/{task.ProcessId}/ns/net", Libc.O_RDONLY | Libc.O_CLOEXEC), ownsHandle: true);
        // Opened first, looked at then: the file and the number mean the same process.
        if (network.IsInvalid || !ProcessTruth.IsAlive(task.ProcessId ?? 0, started)) { throw ShimErrors.NotRunning(id); }
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var ending = Waiting.ForProcessAsync(task.ProcessId!.Value, started, null, over.Token);
        // A thread of its own, which is in that namespace until it ends.
        var connecting = Task.Factory.StartNew(() => Connect(network, port, over.Token), CancellationToken.None, TaskCreationOptions.LongRunning | TaskCreationOptions.DenyChildAttach, TaskScheduler.Default);
        var first = await Task.WhenAny(connecting, ending).ConfigureAwait(false);
        await over.CancelAsync().ConfigureAwait(false);
        var open = await connecting.ConfigureAwait(false);
        try { await ending.ConfigureAwait(false); }
        catch (OperationCanceledException) { }
        cancel.ThrowIfCancellationRequested();
        if (!open || first == ending) { throw ShimErrors.NotRunning(id); }
    }

    // TCP has no news of a port that is opened: it is tried, in growing intervals.
    static bool Connect(SafeFileHandle network, int port, CancellationToken cancel)
    {
        LinuxException.Check(Libc.setns((int)network.DangerousGetHandle(), Libc.CLONE_NEWNET), "setns");
        for (var pause = FirstPause; !cancel.IsCancellationRequested; pause = pause * 2 < LongestPause ? pause * 2 : LongestPause)
        {
            foreach (var address in Addresses())
            {
                if (TryConnect(address, port, cancel)) { return true; }
            }
            cancel.WaitHandle.WaitOne(pause);
        }
        return false;
    }

    static IEnumerable<IPAddress> Addresses()
    {
        var all = new List<IPAddress> { IPAddress.Loopback, IPAddress.IPv6Loopback };
        try
        {
            all.AddRange(NetworkInterface.GetAllNetworkInterfaces().SelectMany(one => one.GetIPProperties().UnicastAddresses).Select(one => one.Address));
        }
        catch (NetworkInformationException) { } // the two of loopback are enough for most
        return all.Distinct();
    }

    static bool TryConnect(IPAddress address, int port, CancellationToken cancel)
    {
        try
        {
            // Made here, the socket belongs to this thread's network namespace, wherever it is waited for.
            using var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
            limit.CancelAfter(LongestConnect);
            socket.ConnectAsync(new IPEndPoint(address, port), limit.Token).AsTask().GetAwaiter().GetResult();
            return true;
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException) { return false; }
    }
}
