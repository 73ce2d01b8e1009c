using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Containers.Linux;

namespace Containers;

/// <summary>
/// What the files and the kernel together say about a task. The shim replaces its records with every change, so that nobody has to
/// ask a socket, and a dead shim's last word is checked against the processes: a pid counts only with its start time.
/// </summary>
sealed class TaskFiles(HostPaths paths, ContainerStore store)
{
    const int LongestRecord = 1 << 20;

    internal sealed record Truth(ContainerTask Task, TaskRecord? Record, ExitRecord? Exit, bool ShimLives, bool InitLives);

    internal bool Exists(string ns, string id) => Directory.Exists(paths.RunFolder(ns, id));

    /// <summary>Null when there is no task.</summary>
    internal Truth? Read(string ns, string id)
    {
        var folder = paths.RunFolder(ns, id);
        if (!Directory.Exists(folder)) { return null; }

        // The record first: when it says that the shim lives and the shim is found dead after that, an exit record is on disk by then.
        var record = Load(Path.Combine(folder, "task.json"), TaskJson.Default.TaskRecord);
        var shimLives = record is not null && ProcessTruth.IsAlive(record.ShimPid, record.ShimStartTime);
        var initLives = record is not null && ProcessTruth.IsAlive(record.Pid, record.PidStartTime);
        var exit = Load(Path.Combine(folder, "exit.json"), TaskJson.Default.ExitRecord);
        if (!Directory.Exists(folder)) { return null; }

        var state = State(ns, id, record, exit, initLives, shimLives);
        var task = new ContainerTask
        {
            ContainerId = id,
            ContainerNamespace = ns,
            State = state,
            ProcessId = initLives ? record!.Pid : null,
            ShimProcessId = shimLives ? record!.ShimPid : null,
            ExitCode = exit?.ExitCode,
            Signal = exit?.Signal,
            OomKilled = exit?.OomKilled ?? false,
            StoppedReason = state != ContainerTaskState.Stopped ? null : exit is null ? "ShimLost" : exit.Reason ?? "Exited",
            CreatedAt = record?.CreatedAt,
            StartedAt = exit?.StartedAt ?? record?.StartedAt,
            FinishedAt = exit?.FinishedAt,
            Execs = Execs(folder, ns, id, record, shimLives),
        };
        return new Truth(task, record, exit, shimLives, initLives);
    }

    internal ExitRecord? ReadExit(string ns, string id) => Load(Path.Combine(paths.RunFolder(ns, id), "exit.json"), TaskJson.Default.ExitRecord);

    internal ExitRecord? ReadExecExit(string ns, string id, string exec) =>
        Load(Path.Combine(paths.RunFolder(ns, id), "execs", Names.ExecId(exec), "exit.json"), TaskJson.Default.ExitRecord);

    ContainerTaskState State(string ns, string id, TaskRecord? record, ExitRecord? exit, bool initLives, bool shimLives)
    {
        if (exit is not null) { return ContainerTaskState.Stopped; }
        if (record is null) { return store.IsLocked(ns, id) ? ContainerTaskState.Creating : ContainerTaskState.Stopped; }
        // An init that just ended still runs for us until its shim has read what it printed and written the record.
        if (!initLives && !shimLives) { return ContainerTaskState.Stopped; }
        return record.State switch
        {
            "created" => ContainerTaskState.Created,
            "paused" => ContainerTaskState.Paused,
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
