using Containers.Linux.Cgroups;

namespace Containers;

/// <summary>What containers use.</summary>
public sealed class ContainerMeasurements
{
    static readonly TimeSpan ShortestSpan = TimeSpan.FromMilliseconds(200);

    readonly ContainerEngine engine;

    internal ContainerMeasurements(ContainerEngine engine) => this.engine = engine;

    /// <summary>Reads what a container uses. Without an earlier reading two are made, 200 ms apart, because processor use is a rate.</summary>
    /// <param name="previous">An earlier reading of the same container.</param>
    /// <exception cref="ContainerException"><c>ContainerNotFound</c>, <c>TaskNotFound</c>, <c>TaskNotRunning</c>, <c>CgroupNotFound</c>.</exception>
    public async Task<ContainerMeasurement> MeasureAsync(string id, string? containerNamespace = null, ContainerMeasurement? previous = null, CancellationToken cancel = default)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        var path = engine.Cgroups.PathOf(id, ns);
        if (previous is null)
        {
            previous = ReadOnce(ns, id, path, null);
            await Task.Delay(ShortestSpan, cancel).ConfigureAwait(false);
        }
        return ReadOnce(ns, id, path, previous);
    }

    ContainerMeasurement ReadOnce(string ns, string id, string path, ContainerMeasurement? previous)
    {
        var task = engine.Tasks.Get(id, ns);
        if (task.ProcessId is not { } pid) { throw ShimErrors.NotRunning(id); }
        var stats = ContainerCgroups.Guard(path, () => ContainerCgroups.Existing(path).ReadStats());
        var now = DateTimeOffset.UtcNow;
        // File cache that nobody has used for a while is taken off, as docker and kubectl do.
        var memory = stats.MemoryUsage is { } usage ? Math.Max(0, usage - (stats.MemoryInactiveFile ?? 0)) : (long?)null;
        double? cpu = null;
        if (previous is { CpuTime: { } before } && stats.CpuUsage is { } after && now > previous.Time)
        {
            cpu = Math.Max(0, (after - before) / (now - previous.Time) * 100);
        }
        var (received, sent) = NetworkBytes.Read(pid);
        return new ContainerMeasurement
        {
            ContainerId = id,
            ContainerNamespace = ns,
            Time = now,
            CpuTime = stats.CpuUsage,
            CpuPercent = cpu,
            MemoryUsage = memory,
            MemoryLimit = stats.MemoryLimit,
            MemoryPercent = memory is { } used && stats.MemoryLimit is > 0 and var limit ? 100.0 * used / limit : null,
            ProcessCount = stats.Pids,
            ReadBytes = stats.IoReadBytes,
            WrittenBytes = stats.IoWriteBytes,
            ReceivedBytes = received,
            SentBytes = sent,
            Throttled = stats.CpuThrottledTime,
            Pressure = stats.CpuPressure is null && stats.MemoryPressure is null && stats.IoPressure is null
                ? null : new ContainerPressure(stats.CpuPressure?.Some10, stats.MemoryPressure?.Some10, stats.IoPressure?.Some10),
        };
    }
}

/// <summary><c>/proc/PID/net/dev</c> (proc_pid_net(5)): counters of the network namespace of a process.</summary>
static class NetworkBytes
{
    internal static (long? Received, long? Sent) Read(int pid)
    {
        string[] lines;
        try { lines = File.ReadAllLines($"/proc/{pid}/net/dev"); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return (null, null); }
        return Parse(lines);
    }

    internal static (long? Received, long? Sent) Parse(string[] lines)
    {
        long received = 0, sent = 0;
        foreach (var line in lines.Skip(2))
        {
            // A name may hold a colon; the counters do not.
            var colon = line.LastIndexOf(':');
            if (colon < 0 || line.AsSpan(0, colon).Trim().SequenceEqual("lo")) { continue; }
            var fields = line[(colon + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (fields.Length < 9 || !long.TryParse(fields[0], out var r) || !long.TryParse(fields[8], out var s)) { continue; }
            received += r;
            sent += s;
        }
        return (received, sent);
    }
}
