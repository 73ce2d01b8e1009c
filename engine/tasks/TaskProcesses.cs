using Containers.Linux;

namespace Containers;

/// <summary>A process of a container, as it was when this object was made. Sizes are bytes.</summary>
public sealed class ContainerProcess
{
    public required string ContainerId { get; init; }
    public required string ContainerNamespace { get; init; }

    /// <summary>On the host.</summary>
    public required int ProcessId { get; init; }

    /// <summary>As the container sees it: 1 for its first process, unless it shares another pid namespace. Null for one that joined from outside of it.</summary>
    public int? ContainerProcessId { get; init; }

    /// <summary>On the host: the shim's for those that the container's first process does not have.</summary>
    public required int ParentProcessId { get; init; }

    /// <summary>By the container's own <c>/etc/passwd</c>; the number as the container sees it where there is no name.</summary>
    public string? User { get; init; }

    /// <summary>The effective user's number on the host.</summary>
    public required uint UserId { get; init; }

    /// <summary>Program and arguments; the name in brackets for one that has none any more.</summary>
    public required string Command { get; init; }

    /// <summary><c>Running</c>, <c>Sleeping</c>, <c>Waiting</c> (for a disk or the kernel, cannot be killed), <c>Stopped</c>, <c>Traced</c>, <c>Zombie</c>.</summary>
    public required string State { get; init; }

    /// <summary>In user mode and in the kernel together.</summary>
    public required TimeSpan CpuTime { get; init; }

    /// <summary>Resident memory, shared pages included.</summary>
    public long? MemoryUsage { get; init; }

    public required int ThreadCount { get; init; }
    public required DateTimeOffset StartTime { get; init; }

    /// <summary>The exec process that it is, by id; null for all others.</summary>
    public string? ExecId { get; init; }

    public override string ToString() => $"{ProcessId} {Command}";
}

public sealed partial class ContainerTasks
{
    // USER_HZ: what the kernel gives in /proc is in hundredths of a second on every architecture that .NET runs on.
    const long TicksOfClock = TimeSpan.TicksPerSecond / 100;

    /// <summary>The processes of a task, the container's first before the others. Those that end meanwhile are left out.</summary>
    /// <exception cref="ContainerException"><c>ContainerNotFound</c>, <c>TaskNotFound</c>, <c>TaskNotRunning</c>, <c>CgroupUnavailable</c>.</exception>
    public IReadOnlyList<ContainerProcess> Processes(string id, string? containerNamespace = null)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        var truth = files.Read(ns, Names.Id(id)) ?? throw Missing(ns, id);
        if (truth.Task.ProcessId is not { } init || truth.Task.State == ContainerTaskState.Stopped) { throw ShimErrors.NotRunning(id); }
        var depth = ProcessStatus.TryRead(init, out var first) ? first.NamespacePids.Length : 1;
        var users = new UserNames(init);
        var boot = BootTime();
        var all = new List<ContainerProcess>();
        foreach (var pid in ContainerCgroups.ProcessesIn(engine.Cgroups.PathOf(id, ns)).Append(init).Distinct())
        {
            if (!ProcessStat.TryRead(pid, out var stat) || !ProcessStatus.TryRead(pid, out var status)) { continue; }
            ProcessStrings.TryReadCommandLine(pid, out var arguments);
            var exec = truth.Record?.Execs?.Find(one => one.Pid == pid && one.PidStartTime == stat.StartTime);
            all.Add(new ContainerProcess
            {
                ContainerId = id,
                ContainerNamespace = ns,
                ProcessId = pid,
                ContainerProcessId = status.NamespacePids.Length >= depth ? status.NamespacePids[depth - 1] : null,
                ParentProcessId = stat.ParentPid,
                User = users.Of(status.Uids[1]),
                UserId = status.Uids[1],
                Command = arguments.Length > 0 ? string.Join(' ', arguments) : $"[{stat.Comm}]",
                State = stat.State switch { 'R' => "Running", 'D' => "Waiting", 'Z' or 'X' or 'x' => "Zombie", 'T' => "Stopped", 't' => "Traced", _ => "Sleeping" },
                CpuTime = TimeSpan.FromTicks((long)(stat.UserTicks + stat.SystemTicks) * TicksOfClock),
                MemoryUsage = status.ResidentSize,
                ThreadCount = status.Threads,
                StartTime = boot + TimeSpan.FromTicks((long)stat.StartTime * TicksOfClock),
                ExecId = exec?.Id,
            });
        }
        // A task that has ended since says so.
        if (all.Count == 0) { throw ShimErrors.NotRunning(id); }
        return [.. all.OrderBy(one => one.ProcessId == init ? 0 : 1).ThenBy(one => one.StartTime).ThenBy(one => one.ProcessId)];
    }

    static DateTimeOffset BootTime()
    {
        foreach (var line in File.ReadLines("/proc/stat"))
        {
            if (line.StartsWith("btime ", StringComparison.Ordinal) && long.TryParse(line.AsSpan(6), out var seconds)) { return DateTimeOffset.FromUnixTimeSeconds(seconds); }
        }
        throw new ContainerException(ErrorIds.HostRefused, "/proc/stat tells no time of boot. Is another procfs mounted there?", "/proc/stat", ContainerErrorCategory.ResourceUnavailable);
    }

    /// <summary>Names of users as the container has them, for numbers as the host has them.</summary>
    sealed class UserNames(int init)
    {
        readonly UserLookup lookup = new($"/proc/{init}/root");
        readonly Dictionary<uint, string> names = [];
        List<IdMap>? maps;

        internal string? Of(uint uid)
        {
            if (names.TryGetValue(uid, out var known)) { return known; }
            if (maps is null && !IdMap.TryReadUids(init, out maps)) { return null; }
            foreach (var range in maps)
            {
                if (uid < range.Outside || uid - range.Outside >= range.Count) { continue; }
                var inside = range.Inside + (uid - range.Outside);
                return names[uid] = lookup.NameOf(inside) ?? inside.ToString();
            }
            return null;
        }
    }
}
