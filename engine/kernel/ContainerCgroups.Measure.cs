using Containers.Linux;
using Containers.Linux.Cgroups;

namespace Containers;

public sealed partial class ContainerCgroups
{
    /// <summary>Reads what a group uses.</summary>
    /// <param name="previous">An earlier reading of the same group, from which rates are made.</param>
    /// <exception cref="ContainerException"><c>CgroupNotFound</c>.</exception>
    public CgroupMeasurement Measure(string path, CgroupMeasurement? previous = null) => Guard(path, () =>
    {
        var group = Find(path);
        var stats = group.ReadStats();
        var now = DateTimeOffset.UtcNow;
        var working = stats.MemoryUsage is { } usage ? Math.Max(0, usage - (stats.MemoryInactiveFile ?? 0)) : (long?)null;
        var periods = stats.CpuPeriods - previous?.CpuPeriods;
        return new CgroupMeasurement
        {
            Time = now,
            Path = group.Path,
            Container = OwnerOf(group.Path),
            CpuTime = stats.CpuUsage,
            CpuUserTime = stats.CpuUser,
            CpuSystemTime = stats.CpuSystem,
            CpuPercent = Rate(previous?.CpuTime?.TotalSeconds, stats.CpuUsage?.TotalSeconds) * 100,
            CpuPeriods = stats.CpuPeriods,
            ThrottledPeriods = stats.CpuThrottledPeriods,
            Throttled = stats.CpuThrottledTime,
            ThrottledPercent = periods > 0 ? 100.0 * (stats.CpuThrottledPeriods - previous!.ThrottledPeriods) / periods : periods is null ? null : 0,
            MemoryUsage = stats.MemoryUsage,
            MemoryWorkingSet = working,
            MemoryPeak = stats.MemoryMaxUsage,
            MemoryLimit = stats.MemoryLimit,
            MemoryPercent = working is { } used && stats.MemoryLimit is > 0 and var limit ? 100.0 * used / limit : null,
            SwapUsage = stats.SwapUsage,
            ProcessCount = stats.Pids,
            ProcessLimit = stats.PidsLimit,
            ReadBytes = stats.IoReadBytes,
            WrittenBytes = stats.IoWriteBytes,
            ReadOperations = stats.IoReadOperations,
            WriteOperations = stats.IoWriteOperations,
            ReadRate = Rate(previous?.ReadBytes, stats.IoReadBytes),
            WriteRate = Rate(previous?.WrittenBytes, stats.IoWriteBytes),
            Events = new CgroupEventCounts
            {
                OomKill = stats.OomKills, OutOfMemory = stats.OutOfMemory, MemoryMax = stats.MemoryLimitHits, MemoryHigh = stats.MemoryHighHits, ProcessMax = stats.PidsLimitHits,
            },
            CpuPressure = stats.CpuPressure,
            MemoryPressure = stats.MemoryPressure,
            IoPressure = stats.IoPressure,
        };

        double? Rate(double? before, double? after) =>
            before is null || after is null || previous is null || now <= previous.Time ? null : Math.Max(0, (after.Value - before.Value) / (now - previous.Time).TotalSeconds);
    });

    /// <summary>Tells of what happens to groups until all of them are gone, or until it is cancelled. It blocks its thread.</summary>
    /// <param name="stall">PressureStall: waiting for so long in all, within each <paramref name="window"/> of 500 ms to 10 s.</param>
    /// <param name="resources">PressureStall: of <c>cpu</c>, <c>memory</c>, <c>io</c>.</param>
    /// <param name="started">Called once all are watched.</param>
    /// <exception cref="ContainerException"><c>CgroupNotFound</c>, <c>CgroupNotSupported</c>, <c>CgroupNotPermitted</c>, <c>InvalidArgument</c>.</exception>
    public void Watch(IReadOnlyList<string> paths, IReadOnlyCollection<CgroupEventKind> kinds, TimeSpan stall, TimeSpan window, IReadOnlyCollection<string> resources, Action<CgroupEvent> tell,
        CancellationToken cancel, Action? started = null)
    {
        using var watcher = new CgroupWatcher(Host);
        var containers = new Dictionary<string, string?>();
        foreach (var path in paths)
        {
            Guard(path, () =>
            {
                var group = Find(path);
                if (containers.TryAdd(group.Path, OwnerOf(group.Path))) { watcher.Add(group, kinds, stall, window, resources); }
                return true;
            });
        }
        started?.Invoke();
        using (cancel.Register(watcher.Wake))
        {
            while (watcher.Count > 0 && !cancel.IsCancellationRequested)
            {
                foreach (var notice in watcher.Wait(-1))
                {
                    tell(new CgroupEvent { Time = notice.Time, Path = notice.Path, Event = notice.Kind, State = notice.State, Count = notice.Count, Resource = notice.Resource, Container = containers[notice.Path] });
                }
            }
        }
    }
}
