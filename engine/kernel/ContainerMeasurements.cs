using System.Diagnostics;
using Containers.Linux.Cgroups;

namespace Containers;

/// <summary>What became of one of several that were measured at once.</summary>
/// <param name="Measurement">Null where it failed.</param>
/// <param name="Failure">Null where it did not.</param>
public sealed record ContainerMeasured(ContainerTask Task, ContainerMeasurement? Measurement, ContainerException? Failure);

/// <summary>What containers use.</summary>
public sealed class ContainerMeasurements
{
    // One period of a usual processor limit: in less than that, a container that is held to half a processor seems to use all of one, or none.
    static readonly TimeSpan ShortestSpan = TimeSpan.FromMilliseconds(100);

    readonly ContainerEngine engine;

    internal ContainerMeasurements(ContainerEngine engine) => this.engine = engine;

    /// <summary>Reads what a container uses. Without an earlier reading two are made, 100 ms apart, because processor use is a rate.</summary>
    /// <param name="previous">An earlier reading of the same container.</param>
    /// <exception cref="ContainerException"><c>ContainerNotFound</c>, <c>TaskNotFound</c>, <c>TaskNotRunning</c>, <c>CgroupNotFound</c>.</exception>
    public async Task<ContainerMeasurement> MeasureAsync(string id, string? containerNamespace = null, ContainerMeasurement? previous = null, CancellationToken cancel = default)
    {
        var task = engine.Tasks.Get(id, engine.NamespaceOr(containerNamespace));
        if (previous is null)
        {
            var (_, measured, failure) = (await MeasureAsync([task], cancel).ConfigureAwait(false))[0];
            return measured ?? throw failure!;
        }
        var reading = new Reading(engine, task);
        reading.Find(CgroupHost.Detect());
        reading.ReadAll();
        return reading.End(previous.CpuTime, DateTimeOffset.UtcNow - previous.Time);
    }

    /// <summary>Reads what many tasks use, all at once: in the time between the two readings of their processor use everything else is read.</summary>
    /// <returns>In the order of the tasks.</returns>
    public async Task<IReadOnlyList<ContainerMeasured>> MeasureAsync(IReadOnlyList<ContainerTask> tasks, CancellationToken cancel = default)
    {
        var host = ContainerCgroups.Guard("/", CgroupHost.Detect);
        var readings = tasks.Select(task => new Reading(engine, task)).ToList();
        await EachAsync(reading =>
        {
            reading.Find(host);
            reading.Begin();
        }).ConfigureAwait(false);
        var begun = Stopwatch.GetTimestamp();
        await EachAsync(reading => reading.ReadAll()).ConfigureAwait(false);
        if (ShortestSpan - Stopwatch.GetElapsedTime(begun) is { Ticks: > 0 } rest) { await Task.Delay(rest, cancel).ConfigureAwait(false); }
        await EachAsync(reading => reading.End()).ConfigureAwait(false);
        return readings.ConvertAll(reading => new ContainerMeasured(reading.Task, reading.Measurement, reading.Failure));

        Task EachAsync(Action<Reading> step) => Task.Run(() => Parallel.ForEach(readings.Where(reading => reading.Failure is null), new ParallelOptions { CancellationToken = cancel }, reading => reading.Try(step)), cancel);
    }

    sealed class Reading(ContainerEngine engine, ContainerTask task)
    {
        string path = "";
        ControlGroup? group;
        CgroupStats stats = new();
        (long? Received, long? Sent) network;
        TimeSpan? first;
        long begun;

        internal ContainerTask Task => task;
        internal ContainerMeasurement? Measurement { get; private set; }
        internal ContainerException? Failure { get; private set; }

        internal void Try(Action<Reading> step)
        {
            try { step(this); }
            catch (ContainerException e) { Failure = e; }
        }

        internal void Find(CgroupHost host)
        {
            if (task.ProcessId is null) { throw ShimErrors.NotRunning(task.ContainerId); }
            path = engine.Cgroups.PathOf(task);
            group = ContainerCgroups.Guard(path, () => host.Group(path));
        }

        internal void Begin() => (first, begun) = (group!.ReadCpuUsage(), Stopwatch.GetTimestamp());

        internal void ReadAll()
        {
            try { stats = ContainerCgroups.Guard(path, group!.ReadStats); }
            // The group goes with the task.
            catch (ContainerException e) when (e.Id == ErrorIds.CgroupNotFound && engine.Tasks.StateOf(task.ContainerNamespace, task.ContainerId) is ContainerTaskState.Stopped or ContainerTaskState.None) { throw ShimErrors.NotRunning(task.ContainerId); }
            network = NetworkBytes.Read(task.ProcessId!.Value);
        }

        internal void End()
        {
            var now = group!.ReadCpuUsage();
            Measurement = Describe(now ?? stats.CpuUsage, now - first, Stopwatch.GetElapsedTime(begun));
        }

        internal ContainerMeasurement End(TimeSpan? before, TimeSpan span) => Describe(stats.CpuUsage, stats.CpuUsage - before, span);

        ContainerMeasurement Describe(TimeSpan? cpu, TimeSpan? used, TimeSpan span)
        {
            // File cache that nobody has used for a while is taken off, as docker and kubectl do.
            var memory = stats.MemoryUsage is { } usage ? Math.Max(0, usage - (stats.MemoryInactiveFile ?? 0)) : (long?)null;
            return new ContainerMeasurement
            {
                ContainerId = task.ContainerId,
                ContainerNamespace = task.ContainerNamespace,
                Time = DateTimeOffset.UtcNow,
                CpuTime = cpu,
                CpuPercent = used is { } time && span > TimeSpan.Zero ? Math.Max(0, time / span * 100) : null,
                MemoryUsage = memory,
                MemoryLimit = stats.MemoryLimit,
                MemoryPercent = memory is { } taken && stats.MemoryLimit is > 0 and var limit ? 100.0 * taken / limit : null,
                ProcessCount = stats.Pids,
                ReadBytes = stats.IoReadBytes,
                WrittenBytes = stats.IoWriteBytes,
                ReceivedBytes = network.Received,
                SentBytes = network.Sent,
                Throttled = stats.CpuThrottledTime,
                Pressure = stats.CpuPressure is null && stats.MemoryPressure is null && stats.IoPressure is null
                    ? null : new ContainerPressure(stats.CpuPressure?.Some10, stats.MemoryPressure?.Some10, stats.IoPressure?.Some10),
            };
        }
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
