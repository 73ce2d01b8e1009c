using Containers.Linux;
using System.Text.Json;

namespace Psrun.Shim;

/// <summary>
/// The restart policy. A run's end is recorded in task.json as the last one, the runtime's container is deleted, and after a while made anew in the
/// same folder, with the same log and the same clients. exit.json is written when no further run follows.
/// </summary>
sealed partial class Server
{
    const int ShortestBackOff = 100, LongestBackOff = 60_000, HealthyMilliseconds = 10_000;

    // Until somebody says otherwise.
    string Policy => setPolicy ?? orders.RestartPolicy;
    int Limit => setPolicy is null ? orders.RestartLimit : setLimit;
    string? setPolicy;
    int setLimit;

    int restarts, backOff = ShortestBackOff;
    long runBegan;
    bool restartsEnded, restartForced;
    DateTimeOffset? nextRestart;
    ExitRecord? lastRun;
    // Why no further run follows though the policy says so; tells what is recorded as the task's end.
    ExitRecord? lastWord;
    EventLoop.Deadline? restartDeadline;

    void WriteRestarts(Utf8JsonWriter w)
    {
        if (Policy == "no" && restarts == 0 && state != TaskState.Restarting) return;
        w.WriteNumber("restartCount", restarts);
        if (state != TaskState.Restarting) return;
        Json.WriteTime(w, "nextRestartAt", nextRestart);
        w.WriteStartObject("lastExit");
        lastRun!.Write(w);
        w.WriteEndObject();
    }

    /// <summary>The init has ended: whether another follows, which then is on record.</summary>
    bool GoesOn(ExitRecord record)
    {
        if (lastWord is not null || restartsEnded || checkpointed || init.StartedAt is null || !PolicyWants(record))
        {
            if (lastWord is not null) init.Replace(lastWord);
            if (state == TaskState.Restarting) state = TaskState.Stopped;
            return false;
        }
        restartForced = false;
        lastRun = record;
        if (Environment.TickCount64 - runBegan >= HealthyMilliseconds) backOff = ShortestBackOff;
        state = TaskState.Restarting;
        nextRestart = DateTimeOffset.UtcNow.AddMilliseconds(backOff);
        WriteTask();
        return true;
    }

    bool PolicyWants(ExitRecord record) => restartForced || Policy switch
    {
        "always" or "unless-stopped" => true,
        "on-failure" => record.ExitCode != 0 && (Limit == 0 || restarts < Limit),
        _ => false,
    };

    /// <summary>The runtime's container of the last run is gone.</summary>
    void BackOff()
    {
        if (restartsEnded)
        {
            EndHere(lastRun!);
            return;
        }
        int wait = (int)Math.Max(0, (nextRestart!.Value - DateTimeOffset.UtcNow).TotalMilliseconds);
        restartDeadline = Loop.After(Math.Min(wait, LongestBackOff), Restart);
        backOff = Math.Min(backOff * 2, LongestBackOff);
    }

    void Restart()
    {
        restartDeadline = null;
        // Programs that ran beside the last one are killed, and reaped in a moment.
        if (calls.Count > 0 || check is not null || execs.Exists(e => e.Alive || !e.Told))
        {
            restartDeadline = Loop.After(ShortestBackOff, Restart);
            return;
        }
        ContainerProcess last = init;
        init = new ContainerProcess(this, null) { Terminal = orders.Terminal };
        foreach (Connection client in last.Attached.ToArray()) client.MoveTo(init);
        last.Attached.Clear();
        init.Waiters.AddRange(last.Waiters);
        last.Waiters.Clear();
        ending = recorded = deleting = false;
        callsDeadline = null;
        initStatus = null;
        initGroup = null;
        nextRestart = null;
        restarts++;
        // Its end is dealt with when the runtime's work is done.
        starting = true;
        Log?.EndLines();
        try
        {
            Create();
        }
        catch (ShimException e)
        {
            RestartFailed(e.Message);
        }
    }

    void StartAgain()
    {
        if (unclaimed.Remove(init.Pid, out int status)) InitEnded(status);
        if (restartsEnded)
        {
            starting = false;
            lastWord = lastRun;
            KillUnstarted();
            return;
        }
        DateTimeOffset before = DateTimeOffset.UtcNow;
        try
        {
            Call(["start", orders.Id], null, (succeeded, words) =>
            {
                starting = false;
                if (!succeeded)
                {
                    NoteFailure(words);
                    KillUnstarted();
                    return;
                }
                init.StartedAt = before;
                runBegan = Environment.TickCount64;
                state = TaskState.Running;
                // Before the record: what the last run's checks found says nothing about this one.
                BeginHealth();
                WriteTask();
                Tell("Started");
                TellHealth();
                init.InputWanted();
                if (initStatus is { } ended) EndTask(ended);
                else if (restartsEnded) KillUnstarted();
            });
        }
        catch (ShimException e)
        {
            starting = false;
            NoteFailure(e.Message);
            KillUnstarted();
        }
    }

    void NoteFailure(string words)
    {
        Complain($"restart {restarts}: {words}");
        lastWord = restartsEnded ? lastRun : lastRun! with { Reason = "RestartFailed" };
    }

    void KillUnstarted()
    {
        if (initStatus is { } status) EndTask(status);
        else Sys.Kill(init.Pid, Libc.SIGKILL);
    }

    /// <summary>The runtime could not make the container once more, so that there is no init whose end could be waited for.</summary>
    void RestartFailed(string words)
    {
        starting = false;
        NoteFailure(words);
        ending = true;
        if (!Directory.Exists($"{orders.RuntimeRoot}/{orders.Id}"))
        {
            EndHere(lastWord!);
            return;
        }
        EndWith(lastWord!);
        Delete(true);
    }

    void EndHere(ExitRecord record)
    {
        EndWith(record);
        Stopped();
    }

    void EndWith(ExitRecord record)
    {
        ending = recorded = deleting = true;
        state = TaskState.Stopped;
        nextRestart = null;
        init.Replace(record);
        WriteRecord(init);
        init.CloseStreams();
    }

    /// <summary>Another policy from now on. One that would not have wanted the run that is awaited ends the task.</summary>
    /// <exception cref="ShimException">BadRequest.</exception>
    public void SetRestarts(string? policy, int limit)
    {
        if (policy is not ("no" or "on-failure" or "always" or "unless-stopped") || limit < 0 || limit > 0 && policy != "on-failure")
            throw new ShimException("BadRequest", "policy is one of no, on-failure, always, unless-stopped, and limit is on-failure's alone");
        (setPolicy, setLimit) = (policy, limit);
        if (state == TaskState.Restarting && !PolicyWants(lastRun!)) EndRestarts();
    }

    /// <summary>No further run: a task between two of them ends here.</summary>
    public void EndRestarts()
    {
        restartsEnded = true;
        if (state != TaskState.Restarting) return;
        if (restartDeadline is not null)
        {
            Loop.Cancel(restartDeadline);
            restartDeadline = null;
            EndHere(lastRun!);
            return;
        }
        foreach (RuntimeCall call in calls.Values)
            if (call.Adopts && starting) Sys.Kill(call.Pid, Libc.SIGKILL);
    }
}
