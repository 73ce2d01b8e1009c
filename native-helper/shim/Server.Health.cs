using Containers.Linux;
using System.Text.Json;

namespace Psrun.Shim;

/// <summary>
/// The health check: a further process of the container every now and then, its exit status and the head of its output kept. Without one there is no
/// deadline, and the shim sleeps on.
/// </summary>
sealed partial class Server
{
    const int KeptChecks = 5, LongestCheckOutput = 4096;

    sealed record HealthCheck(DateTimeOffset StartedAt, DateTimeOffset FinishedAt, int? ExitCode, byte[] Output);

    readonly List<HealthCheck> checks = new();
    readonly List<byte> checkOutput = new();
    string health = "starting", healthTold = "starting";
    int failedChecks;
    long healthBegan;
    ContainerProcess? check;
    bool checkTimedOut;
    EventLoop.Deadline? nextCheck, checkLimit;

    void WriteHealth(Utf8JsonWriter w)
    {
        if (orders.Health is null) return;
        w.WriteStartObject("health");
        w.WriteString("status", health);
        w.WriteNumber("failingStreak", failedChecks);
        w.WriteStartArray("log");
        foreach (HealthCheck one in checks)
        {
            w.WriteStartObject();
            Json.WriteTime(w, "startedAt", one.StartedAt);
            Json.WriteTime(w, "finishedAt", one.FinishedAt);
            Json.WriteNumber(w, "exitCode", one.ExitCode);
            w.WriteString("output", System.Text.Encoding.UTF8.GetString(one.Output));
            w.WriteEndObject();
        }
        w.WriteEndArray();
        w.WriteEndObject();
    }

    /// <summary>The program runs, for the first time or once more.</summary>
    void BeginHealth()
    {
        if (orders.Health is null || initStatus is not null) return;
        health = "starting";
        failedChecks = 0;
        healthBegan = Environment.TickCount64;
        AwaitCheck();
    }

    /// <summary>To the journal, when the records have it.</summary>
    void TellHealth()
    {
        if (health == healthTold) return;
        healthTold = health;
        Tell("Health", w => w.WriteString("health", health));
    }

    void EndHealth()
    {
        Loop.Cancel(nextCheck);
        Loop.Cancel(checkLimit);
        nextCheck = checkLimit = null;
    }

    void AwaitCheck() => nextCheck = Loop.After(orders.Health!.Interval, Check);

    void Check()
    {
        nextCheck = null;
        if (ending || initStatus is not null) return;
        // A paused program is neither well nor ill.
        if (state != TaskState.Running)
        {
            AwaitCheck();
            return;
        }
        checkOutput.Clear();
        checkTimedOut = false;
        var started = check = new ContainerProcess(this, "health") { StartedAt = DateTimeOffset.UtcNow, Listener = KeepOutput };
        Stdio? stdio = null;
        try
        {
            Files.Replace("health.json", orders.Health!.Process);
            stdio = Stdio.Open(this, false, false, null, null, null, nothing);
            string[] verb = ["exec", "--process", $"{RunDirectory}/health.json", "--pid-file", $"{RunDirectory}/health.pid", "--detach", orders.Id];
            Call(verb, stdio, (succeeded, words) => CheckStarted(started, succeeded, words, stdio));
        }
        catch (ShimException e)
        {
            stdio?.Dispose();
            CheckEnded(null, e.Message);
            return;
        }
        stdio.CloseContainerEnds();
        checkLimit = Loop.After(orders.Health!.Timeout, () => CheckTooLong(started));
    }

    void KeepOutput(ReadOnlySpan<byte> output)
    {
        foreach (byte b in output[..Math.Min(output.Length, LongestCheckOutput - checkOutput.Count)]) checkOutput.Add(b);
    }

    void CheckStarted(ContainerProcess started, bool succeeded, string words, Stdio stdio)
    {
        int pid = succeeded ? Files.ReadPid("health.pid") : -1;
        Sys.Unlink("health.pid");
        if (pid < 0)
        {
            stdio.Dispose();
            CheckEnded(null, succeeded ? "the runtime wrote no pid" : words);
            return;
        }
        started.Adopt(pid);
        stdio.GiveTo(started);
        if (checkTimedOut) Sys.Kill(pid, Libc.SIGKILL);
        if (unclaimed.Remove(pid, out int status)) CheckExited(started, status);
    }

    void CheckTooLong(ContainerProcess started)
    {
        checkLimit = null;
        if (check != started) return;
        checkTimedOut = true;
        if (started.Alive) Sys.Kill(started.Pid, Libc.SIGKILL);
    }

    void CheckExited(ContainerProcess started, int status)
    {
        started.End(status);
        started.Drain();
    }

    void CheckDrained(ContainerProcess started)
    {
        started.MakeRecord(started.OomKillsBefore);
        started.CloseStreams();
        CheckEnded(checkTimedOut ? null : started.Record!.ExitCode, checkTimedOut ? $"it took longer than {orders.Health!.Timeout} ms" : null);
    }

    /// <param name="exitCode">Null when it could not be run, or took too long.</param>
    void CheckEnded(int? exitCode, string? words)
    {
        DateTimeOffset began = check!.StartedAt!.Value;
        check = null;
        Loop.Cancel(checkLimit);
        checkLimit = null;
        // What the end of the program did to its check says nothing about either.
        if (ending || initStatus is not null)
        {
            if (ending) GoOnEnding();
            return;
        }
        if (words is not null) KeepOutput(System.Text.Encoding.UTF8.GetBytes(words));
        checks.Add(new HealthCheck(began, DateTimeOffset.UtcNow, exitCode, checkOutput.ToArray()));
        if (checks.Count > KeptChecks) checks.RemoveAt(0);
        bool fell = Judge(exitCode == 0);
        WriteTask();
        TellHealth();
        AwaitCheck();
        if (fell) ActOnFailure();
    }

    /// <returns>Whether it is unhealthy since just now.</returns>
    bool Judge(bool well)
    {
        if (well)
        {
            failedChecks = 0;
            health = "healthy";
            return false;
        }
        // A program that is still beginning may fail.
        if (health == "starting" && Environment.TickCount64 - healthBegan < orders.Health!.StartPeriod) return false;
        failedChecks++;
        if (failedChecks < orders.Health!.Retries || health == "unhealthy") return false;
        health = "unhealthy";
        return true;
    }

    void ActOnFailure()
    {
        switch (orders.Health!.OnFailure)
        {
            case "kill":
                NoteKill(init);
                Sys.Kill(init.Pid, Libc.SIGKILL);
                break;
            case "restart":
                restartForced = true;
                StopInit();
                break;
            case "stop":
                restartsEnded = true;
                StopInit();
                break;
        }
    }

    void StopInit()
    {
        ContainerProcess asked = init;
        Sys.Kill(asked.Pid, orders.Health!.StopSignal);
        Loop.After(orders.Health.StopTimeout, () =>
        {
            if (!asked.Alive) return;
            NoteKill(asked);
            Sys.Kill(asked.Pid, Libc.SIGKILL);
            ThawForKill();
        });
    }
}
