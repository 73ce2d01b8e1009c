using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Containers.Linux;

namespace Containers;

/// <summary>
/// What the files and the kernel together say about a task. The shim replaces its records with every change, so that nobody has to
/// ask a socket, and a dead shim's last word is checked against the processes: a pid counts only with its start time.
/// </summary>
/// <param name="isFrozen">Whether the kernel holds a container's group frozen.</param>
sealed class TaskFiles(HostPaths paths, ContainerStore store, Func<string, string, bool> isFrozen)
{
    const int LongestRecord = 1 << 20;

    internal sealed record Truth(ContainerTask Task, TaskRecord? Record, ExitRecord? Exit, bool ShimLives, bool InitLives);

    internal bool Exists(string ns, string id) => Directory.Exists(paths.RunFolder(ns, id)) || File.Exists(paths.TaskMark(ns, id));

    /// <summary>Null when there is no task.</summary>
    internal Truth? Read(string ns, string id)
    {
        var folder = paths.RunFolder(ns, id);
        if (!Directory.Exists(folder)) { return ReadMark(ns, id); }

        // The record first: when it says that the shim lives and the shim is found dead after that, an exit record is on disk by then.
        var record = Load(Path.Combine(folder, "task.json"), TaskJson.Default.TaskRecord);
        var shimLives = record is not null && ProcessTruth.IsAlive(record.ShimPid, record.ShimStartTime);
        var initLives = record is not null && ProcessTruth.IsAlive(record.Pid, record.PidStartTime);
        var exit = Load(Path.Combine(folder, "exit.json"), TaskJson.Default.ExitRecord);
        if (!Directory.Exists(folder)) { return null; }

        var state = State(ns, id, record, exit, initLives, shimLives);
        // Between two runs the last one's end is known, also when the shim died and there will be no next.
        var last = exit ?? (initLives ? null : record?.LastExit);
        var task = new ContainerTask
        {
            ContainerId = id,
            ContainerNamespace = ns,
            State = state,
            ProcessId = initLives ? record!.Pid : null,
            ShimProcessId = shimLives ? record!.ShimPid : null,
            ExitCode = last?.ExitCode,
            Signal = last?.Signal,
            OomKilled = last?.OomKilled ?? false,
            StoppedReason = state != ContainerTaskState.Stopped ? null : exit is null ? "ShimLost" : exit.Reason ?? "Exited",
            CreatedAt = record?.CreatedAt,
            StartedAt = last?.StartedAt ?? record?.StartedAt,
            FinishedAt = last?.FinishedAt,
            RestartCount = record?.RestartCount ?? 0,
            NextRestartAt = state == ContainerTaskState.Restarting ? record?.NextRestartAt : null,
            Execs = Execs(folder, ns, id, record, shimLives),
            Health = Health(record?.Health),
            DroppedLogBytes = record?.DroppedLogBytes ?? 0,
        };
        return new Truth(task, record, exit, shimLives, initLives);
    }

    static ContainerHealth? Health(HealthState? health) => health is null ? null : new()
    {
        Status = health.Status switch { "healthy" => ContainerHealthStatus.Healthy, "unhealthy" => ContainerHealthStatus.Unhealthy, _ => ContainerHealthStatus.Starting },
        FailingStreak = health.FailingStreak,
        Log = (health.Log ?? []).ConvertAll(one => new ContainerHealthCheck { StartedAt = one.StartedAt, FinishedAt = one.FinishedAt, ExitCode = one.ExitCode, Output = one.Output ?? "" }),
    };

    /// <summary>A task whose folder went with the machine's memory: how it ended, if it had by then.</summary>
    Truth? ReadMark(string ns, string id)
    {
        var mark = paths.TaskMark(ns, id);
        while (Load(mark, TaskJson.Default.ExitRecord) is { } exit)
        {
            // The folder is made before the mark and removed after it: who comes between sees this.
            if (Directory.Exists(paths.RunFolder(ns, id))) { return Read(ns, id); }
            if (!File.Exists(mark)) { continue; }
            var ended = exit.FinishedAt is null ? null : exit;
            return new Truth(new ContainerTask
            {
                ContainerId = id,
                ContainerNamespace = ns,
                State = ContainerTaskState.Stopped,
                ExitCode = ended?.ExitCode,
                Signal = ended?.Signal,
                OomKilled = ended?.OomKilled ?? false,
                StoppedReason = ended is null ? "HostRestarted" : ended.Reason ?? "Exited",
                StartedAt = ended?.StartedAt,
                FinishedAt = ended?.FinishedAt,
            }, null, ended, false, false);
        }
        return null;
    }

    internal ExitRecord? ReadExit(string ns, string id) => Load(Path.Combine(paths.RunFolder(ns, id), "exit.json"), TaskJson.Default.ExitRecord);

    internal ExitRecord? ReadExecExit(string ns, string id, string exec) =>
        Load(Path.Combine(paths.RunFolder(ns, id), "execs", Names.ExecId(exec), "exit.json"), TaskJson.Default.ExitRecord);

    ContainerTaskState State(string ns, string id, TaskRecord? record, ExitRecord? exit, bool initLives, bool shimLives)
    {
        if (exit is not null) { return ContainerTaskState.Stopped; }
        if (record is null or { State: "creating" }) { return shimLives || store.IsLocked(ns, id) ? ContainerTaskState.Creating : ContainerTaskState.Stopped; }
        // An init that just ended still runs for us until its shim has read what it printed and written the record.
        if (!initLives && !shimLives) { return ContainerTaskState.Stopped; }
        // A shim that is gone wrote down neither that others froze the program nor that they let it go on: the kernel knows.
        if (!shimLives && record.State is "running" or "paused" or "restarting") { return isFrozen(ns, id) ? ContainerTaskState.Paused : ContainerTaskState.Running; }
        return record.State switch
        {
            "created" => ContainerTaskState.Created,
            "paused" => ContainerTaskState.Paused,
            "restarting" => ContainerTaskState.Restarting,
            "stopped" => ContainerTaskState.Stopped,
            _ => ContainerTaskState.Running,
        };
    }

    static List<ContainerExec> Execs(string folder, string ns, string id, TaskRecord? record, bool shimLives)
    {
        var execs = new List<ContainerExec>();
        foreach (var exec in record?.Execs ?? [])
        {
            if (!Names.IsValid(exec.Id)) { continue; }
            var exit = Load(Path.Combine(folder, "execs", exec.Id!, "exit.json"), TaskJson.Default.ExitRecord);
            var alive = exit is null && ProcessTruth.IsAlive(exec.Pid, exec.PidStartTime);
            execs.Add(new ContainerExec
            {
                Id = exec.Id!, ContainerId = id, ContainerNamespace = ns,
                ProcessId = alive ? exec.Pid : null,
                // As with an init: one that just ended runs until its shim has told how.
                State = alive || exit is null && shimLives && exec.State == "running" ? ContainerTaskState.Running : ContainerTaskState.Stopped,
                ExitCode = exit?.ExitCode, Signal = exit?.Signal,
            });
        }
        return execs;
    }

    static T? Load<T>(string path, JsonTypeInfo<T> type) where T : class
    {
        var content = Folders.Read(path, LongestRecord);
        if (content is null) { return null; }
        try { return JsonSerializer.Deserialize(content, type); }
        catch (JsonException e)
        {
            throw new ContainerException(ErrorIds.StoreDamaged, $"The record '{path}' cannot be read: {e.Message}. Remove the task with Remove-Container -Force.",
                path, ContainerErrorCategory.InvalidData, e);
        }
    }
}

static class ProcessTruth
{
    /// <summary>Whether the process with this pid and this start time (clock ticks, proc_pid_stat(5), field 22) exists and is not a zombie.</summary>
    internal static bool IsAlive(int pid, ulong startTime) => pid > 0 && TryStat(pid, out var state, out var started) && started == startTime && state is not ('Z' or 'X');

    internal static bool TryStat(int pid, out char state, out ulong startTime) => ProcessStat.TryReadStart(pid, out state, out startTime);
}
