using Containers.Linux;
using System.Text.Json;

namespace Psrun.Shim;

/// <summary>What is done with the task, and the order of its end.</summary>
sealed partial class Server
{
    /// <summary>How long runtime calls that are under way may hold up the task's end.</summary>
    const int CallsMilliseconds = 5000, DroppedMilliseconds = 1000;
    /// <summary>How long the receiver of a log may take for what is still on its way.</summary>
    const int SinkMilliseconds = 5000;
    /// <summary>How long logs that are being compressed may do so.</summary>
    const int CompressMilliseconds = 2000;

    TaskState state = TaskState.Creating;
    Containers.Linux.Cgroups.ControlGroup? initGroup;
    bool initOwnsPidNamespace, starting, ending, recorded, deleting, deleted, removed;
    int? initStatus;
    ulong? shimStartTime;
    long droppedTold;
    long Dropped => Log?.Dropped ?? Sink?.Dropped ?? 0;
    bool tellingDropped;
    EventLoop.Deadline? callsDeadline;
    // Verbs that change the state, one after another.
    readonly Queue<Action> changes = new();
    bool changing;

    public ContainerProcess Find(string? execId)
    {
        if (execId is null) return init;
        return execs.Find(e => e.ExecId == execId) ?? throw new ShimException("ExecNotFound", $"no exec process {execId}");
    }

    /// <summary>Whether the process is the first of a pid namespace: its end then ends everyone in it.</summary>
    static bool OwnsPidNamespace(int pid)
    {
        foreach (string line in (Files.ReadText($"/proc/{pid}/status") ?? "").Split('\n'))
            if (line.StartsWith("NSpid:"))
            {
                string[] pids = line[6..].Split('\t', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
                return pids.Length > 1 && pids[^1] == "1";
            }
        return false;
    }

    void WriteTask()
    {
        droppedTold = Dropped;
        try
        {
            Files.Replace("task.json", Json.Object(WriteTaskMembers));
        }
        catch (ShimException e) when (state != TaskState.Created)
        {
            // The task goes on; its socket still tells.
            Complain(e.Message);
        }
    }

    void WriteTaskMembers(Utf8JsonWriter w)
    {
        w.WriteNumber("version", 1);
        w.WriteString("id", orders.Id);
        w.WriteString("namespace", orders.Namespace);
        w.WriteString("state", state switch
        {
            TaskState.Created => "created", TaskState.Running => "running", TaskState.Paused => "paused", TaskState.Restarting => "restarting", TaskState.Stopped => "stopped", _ => "creating",
        });
        w.WriteNumber("pid", init.Pid);
        w.WriteNumber("pidStartTime", init.StartTime);
        w.WriteNumber("shimPid", Environment.ProcessId);
        w.WriteNumber("shimStartTime", shimStartTime ??= Files.StartTime(Environment.ProcessId));
        Json.WriteTime(w, "createdAt", createdAt);
        Json.WriteTime(w, "startedAt", init.StartedAt);
        w.WriteStartArray("execs");
        foreach (ContainerProcess exec in execs)
            if (exec.Pid > 0) exec.WriteExec(w);
        w.WriteEndArray();
        w.WriteNumber("droppedLogBytes", Dropped);
        WriteRestarts(w);
        WriteHealth(w);
    }

    /// <summary>A disk that stays full changes the count with every line: a record each second is enough.</summary>
    void TellDropped()
    {
        if (tellingDropped || Dropped == droppedTold || state is TaskState.Creating or TaskState.Stopped) return;
        tellingDropped = true;
        Loop.After(DroppedMilliseconds, () =>
        {
            tellingDropped = false;
            if (!finished) WriteTask();
        });
    }

    public void WriteState(Utf8JsonWriter w)
    {
        WriteTaskMembers(w);
        if (!recorded || state == TaskState.Restarting) return;
        w.WriteStartObject("exit");
        init.Record!.Write(w);
        w.WriteEndObject();
    }

    void Change(Connection client, long sequence, Action<Action> change)
    {
        changes.Enqueue(() =>
        {
            try
            {
                change(NextChange);
            }
            catch (ShimException e)
            {
                client.Fail(sequence, e.Id, e.Message);
                NextChange();
            }
        });
        if (!changing) NextChange();
    }

    void NextChange()
    {
        changing = changes.TryDequeue(out Action? next);
        next?.Invoke();
    }

    public void StartTask(Connection client, long sequence) => Change(client, sequence, done =>
    {
        if (state != TaskState.Created || ending) throw new ShimException("TaskNotCreated", $"the task is {StateWord()}, not created");
        starting = true;
        // Taken before, so that no process can have begun, or ended, earlier.
        DateTimeOffset before = DateTimeOffset.UtcNow;
        try
        {
            Call(["start", orders.Id], null, (succeeded, words) =>
            {
                starting = false;
                if (succeeded)
                {
                    init.StartedAt = before;
                    runBegan = Environment.TickCount64;
                    if (!ending) state = TaskState.Running;
                    WriteTask();
                    Tell("Started");
                    client.Answer(sequence, w => Json.WriteTime(w, "startedAt", before));
                    BeginHealth();
                }
                else client.Fail(sequence, "RuntimeFailed", words);
                if (initStatus is { } status) EndTask(status);
                done();
            });
        }
        catch
        {
            starting = false;
            throw;
        }
    });

    string StateWord() => state.ToString().ToLowerInvariant();

    void NeedRunning()
    {
        if (ending || initStatus is not null || state is not (TaskState.Running or TaskState.Paused))
            throw new ShimException("TaskNotRunning", $"the task is {(ending || initStatus is not null ? "stopped" : StateWord())}");
    }

    public void Pause(Connection client, long sequence) => Change(client, sequence, done =>
    {
        NeedRunning();
        if (state == TaskState.Paused) throw new ShimException("TaskPaused", "the task is paused already");
        Freeze("pause", TaskState.Paused, client, sequence, done);
    });

    public void Resume(Connection client, long sequence) => Change(client, sequence, done =>
    {
        NeedRunning();
        if (state != TaskState.Paused) throw new ShimException("TaskNotPaused", "the task is not paused");
        Freeze("resume", TaskState.Running, client, sequence, done);
    });

    void Freeze(string verb, TaskState then, Connection? client, long sequence, Action done) => Call([verb, orders.Id], null, (succeeded, words) =>
    {
        if (succeeded && !ending && initStatus is null)
        {
            state = then;
            WriteTask();
            Tell(then == TaskState.Paused ? "Paused" : "Resumed");
        }
        if (client is null)
        {
            if (!succeeded) Complain($"{verb}: {words}");
        }
        else if (succeeded) client.Answer(sequence);
        else client.Fail(sequence, "RuntimeFailed", words);
        done();
    });

    /// <summary>The shim is the parent: until it has reaped a process, the pid is that process's and no other's.</summary>
    public void Signal(Connection client, Request q)
    {
        ContainerProcess process = Find(q.Exec);
        int signal = q.Signal!.Value;
        if (!process.Alive) throw new ShimException("TaskNotRunning", process.IsInit ? "the task is stopped" : $"exec process {q.Exec} has ended");
        if (q.All)
        {
            if (signal == Libc.SIGKILL) NoteKill(init);
            Call(["kill", "--all", orders.Id, signal.ToString()], null, (succeeded, words) =>
            {
                if (succeeded) client.Answer(q.Sequence);
                else client.Fail(q.Sequence, "RuntimeFailed", words);
            });
        }
        else
        {
            int r = Sys.Kill(process.Pid, signal);
            if (r < 0) throw ShimException.Of("RuntimeFailed", $"signal {signal} to {process.Pid}", r);
            if (signal == Libc.SIGKILL) NoteKill(process);
            client.Answer(q.Sequence);
        }
        if (signal == Libc.SIGKILL) ThawForKill();
    }

    /// <summary>The init takes the exec processes along.</summary>
    void NoteKill(ContainerProcess process)
    {
        process.Killed = true;
        if (process.IsInit) foreach (ContainerProcess exec in execs) exec.Killed = true;
    }

    /// <summary>In a frozen v1 group nobody dies before it is thawed.</summary>
    void ThawForKill()
    {
        if (state != TaskState.Paused) return;
        changes.Enqueue(() =>
        {
            if (state != TaskState.Paused || ending)
            {
                NextChange();
                return;
            }
            try
            {
                Freeze("resume", TaskState.Running, null, 0, NextChange);
            }
            catch (ShimException e)
            {
                Complain(e.Message);
                NextChange();
            }
        });
        if (!changing) NextChange();
    }

    public void Shutdown(Connection client, long sequence, bool kill)
    {
        if (state == TaskState.Restarting && !kill) throw new ShimException("TaskRunning", "the task is about to be started again");
        if (kill) EndRestarts();
        if (init.Alive)
        {
            if (!kill) throw new ShimException("TaskRunning", "the task's init lives");
            int r = Sys.Kill(init.Pid, Libc.SIGKILL);
            if (r < 0) throw ShimException.Of("RuntimeFailed", $"SIGKILL to {init.Pid}", r);
            NoteKill(init);
            ThawForKill();
        }
        client.Answer(sequence);
    }

    void InitEnded(int status)
    {
        init.End(status);
        initStatus = status;
        EndHealth();
        // The answer to `start`, and to `checkpoint`, comes before the news of the end.
        if (!starting && !checkpointing) EndTask(status);
    }

    void EndTask(int status)
    {
        if (ending) return;
        ending = true;
        if (initOwnsPidNamespace)
        {
            init.Drain();
            return;
        }
        // Without a pid namespace of its own the init leaves others behind.
        try
        {
            Call(["kill", "--all", orders.Id, "KILL"], null, (_, _) => KillRest());
        }
        catch (ShimException e)
        {
            Complain(e.Message);
            KillRest();
        }
    }

    void KillRest()
    {
        try
        {
            initGroup?.Kill();
        }
        catch (Exception e) when (e is Containers.Linux.Cgroups.CgroupException or LinuxException)
        {
            Complain($"the container's processes: {e.Message}");
        }
        init.Drain();
    }

    public void ProcessDrained(ContainerProcess process)
    {
        if (process == check)
        {
            CheckDrained(process);
            return;
        }
        process.MakeRecord(Cgroups.OomKills(initGroup));
        if (process.IsInit && checkpointed) process.Replace(process.Record! with { Reason = "Checkpointed" });
        if (process.IsInit && GoesOn(process.Record!))
        {
            TellEnd(process);
            recorded = true;
            init.CloseStreams();
            if (ending) GoOnEnding();
            return;
        }
        WriteRecord(process);
        TellEnd(process);
        if (process.IsInit)
        {
            recorded = true;
            init.CloseStreams();
        }
        else
        {
            WriteTask();
            process.Tell();
            ForgetOldExecs();
        }
        if (ending) GoOnEnding();
    }

    void WriteRecord(ContainerProcess process)
    {
        byte[] record = Json.Object(process.Record!.Write);
        foreach (string? path in process.IsInit ? ["exit.json", orders.EndRecord] : new string?[] { $"execs/{process.ExecId}/exit.json" })
            try
            {
                if (path is not null) Files.Replace(path, record);
            }
            catch (ShimException e)
            {
                Complain(e.Message);
            }
    }

    void Tell(string type, Action<Utf8JsonWriter>? members = null) => Journal.Tell(orders.Journal, orders.Id, type, members);

    void TellEnd(ContainerProcess process)
    {
        ExitRecord end = process.Record!;
        if (process.IsInit && end.OomKilled) Tell("OomKilled");
        Tell(process.IsInit ? "Died" : "ExecDied", w =>
        {
            if (!process.IsInit) w.WriteString("exec", process.ExecId);
            w.WriteNumber("exitCode", end.ExitCode);
            if (end.Signal is { } signal) w.WriteNumber("signal", signal);
        });
    }

    /// <summary>Called after whatever the end may have waited for; does the next step when its time has come.</summary>
    void GoOnEnding()
    {
        if (!recorded || finished) return;
        if (!deleting)
        {
            if (calls.Count > 0)
            {
                callsDeadline ??= Loop.After(CallsMilliseconds, () =>
                {
                    foreach (RuntimeCall call in calls.Values) Sys.Kill(call.Pid, Libc.SIGKILL);
                });
                return;
            }
            deleting = true;
            Delete(force: false);
            return;
        }
        if (!deleted || compressor is { Pid: > 0 } || Sink is { Busy: true } || connections.Exists(c => c.Busy) || execs.Exists(e => e.Alive || !e.Told)) return;
        Finish();
    }

    void Delete(bool force)
    {
        // What runs on from its files is no container of the runtime's any more.
        if (checkpointed && !Directory.Exists($"{orders.RuntimeRoot}/{orders.Id}"))
        {
            Stopped();
            return;
        }
        try
        {
            string[] verb = force ? ["delete", "--force", orders.Id] : ["delete", orders.Id];
            Call(verb, null, (succeeded, words) =>
            {
                if (succeeded) Stopped();
                else if (!force) Delete(true);
                else
                {
                    Complain($"delete: {words}");
                    Stopped();
                }
            });
        }
        catch (ShimException e)
        {
            Complain(e.Message);
            Stopped();
        }
    }

    void Stopped()
    {
        if (state == TaskState.Restarting)
        {
            BackOff();
            return;
        }
        state = TaskState.Stopped;
        Sink?.End();
        WriteTask();
        removed = connections.Exists(c => c.Removes);
        init.Tell();
        deleted = true;
        if (compressor is { Pid: > 0 }) Loop.After(CompressMilliseconds, StopCompressing);
        if (Sink is { Busy: true }) Loop.After(SinkMilliseconds, () =>
        {
            Sink.Close();
            GoOnEnding();
        });
        // Whoever is neither waiting nor being told keeps the shim alive no longer.
        Loop.After(ExecsMilliseconds, Finish);
        GoOnEnding();
    }

    /// <summary>Everything was taken: an end that waited for that goes on.</summary>
    public void SinkRested()
    {
        if (ending) GoOnEnding();
    }

    void StopCompressing()
    {
        compressor!.Stop();
        GoOnEnding();
    }

    void Finish()
    {
        if (finished) return;
        finished = true;
        compressor?.Stop();
        Sink?.Close();
        Sys.Unlink("shim.sock");
        Sys.Unlink("health.json");
        foreach (Connection client in connections.ToArray()) client.Close();
        // With all threads out of a group takes a lock that waits for an RCU grace period.
        if (!removed) LeaveCgroup();
        if (Sys.SeekEnd(2) == 0) Sys.Unlink("shim.log");
    }
}
