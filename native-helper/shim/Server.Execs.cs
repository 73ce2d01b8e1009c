using Containers.Linux;

namespace Psrun.Shim;

/// <summary>The exec processes.</summary>
sealed partial class Server
{
    const int MostEndedExecs = 64;
    /// <summary>How long, after the task's end was told, slow clients and exec processes that cannot be reaped may keep the shim.</summary>
    const int ExecsMilliseconds = 15_000;

    readonly List<ContainerProcess> execs = new();

    ContainerProcess? FindExec(int pid) => execs.Find(e => e.Alive && e.Pid == pid);

    public void Exec(Connection client, Request q)
    {
        if (!Names.Valid(q.Exec)) throw new ShimException("BadRequest", "exec is not an id");
        if (q.Process is null) throw new ShimException("BadRequest", "exec without process");
        foreach (string? path in new[] { q.Stdout, q.Stderr, q.StdinPath })
            if (path is not null && (path.Length == 0 || path[0] != '/' || path.Contains('\0'))) throw new ShimException("BadRequest", $"'{path}' is not an absolute path");
        if (q.Terminal && (q.Stdout ?? q.Stderr ?? q.StdinPath) is not null) throw new ShimException("BadRequest", "a terminal and redirections exclude each other");
        if (q.Attach && client.AttachedTo is not null) throw new ShimException("AlreadyAttached", "this connection is attached to a process already");
        NeedRunning();
        if (state == TaskState.Paused) throw new ShimException("TaskPaused", "the task is paused");
        if (execs.Exists(e => e.ExecId == q.Exec)) throw new ShimException("ExecExists", $"there is an exec process {q.Exec}");

        var exec = new ContainerProcess(this, q.Exec) { Terminal = q.Terminal };
        string folder = $"execs/{q.Exec}";
        Sys.MakeDirectory("execs", 0x1C0);
        int made = Sys.MakeDirectory(folder, 0x1C0);
        if (made < 0) throw ShimException.Of(made == -Libc.EEXIST ? "ExecExists" : "FileFailed", folder, made);
        Stdio? stdio = null;
        try
        {
            Files.Replace($"{folder}/process.json", q.Process);
            stdio = Stdio.Open(this, q.Terminal, q.Stdin, q.StdinPath, q.Stdout, q.Stderr, nothing);
            string[] verb = ["exec", "--process", $"{RunDirectory}/{folder}/process.json", "--pid-file", $"{RunDirectory}/{folder}/pid", "--detach"];
            if (stdio.ConsolePath is not null) verb = [.. verb, "--console-socket", stdio.ConsolePath];
            exec.OomKillsBefore = Cgroups.OomKills(initGroup);
            exec.StartedAt = DateTimeOffset.UtcNow;
            Call([.. verb, orders.Id], stdio, (succeeded, words) => ExecStarted(exec, succeeded, words, stdio, client, q));
        }
        catch
        {
            stdio?.Dispose();
            RemoveExecFolder(q.Exec!);
            throw;
        }
        stdio.CloseContainerEnds();
        execs.Add(exec);
    }

    void ExecStarted(ContainerProcess exec, bool succeeded, string words, Stdio stdio, Connection client, Request q)
    {
        int pid = succeeded ? Files.ReadPid($"execs/{exec.ExecId}/pid") : -1;
        Sys.Unlink($"execs/{exec.ExecId}/pid");
        try
        {
            if (!succeeded) throw new ShimException("RuntimeFailed", words);
            if (pid < 0) throw new ShimException("RuntimeFailed", "the runtime wrote no pid");
            exec.Adopt(pid);
            stdio.GiveTo(exec);
        }
        catch (ShimException e)
        {
            // With a process but without its terminal, nobody could speak to it.
            if (pid > 0 && !unclaimed.ContainsKey(pid)) Sys.Kill(pid, Libc.SIGKILL);
            stdio.Dispose();
            execs.Remove(exec);
            RemoveExecFolder(exec.ExecId!);
            client.Fail(q.Sequence, e.Id, e.Message);
            foreach (var (waiting, sequence) in exec.Waiters.ToArray()) waiting.Fail(sequence, e.Id, e.Message);
            foreach (Connection attached in exec.Attached.ToArray()) attached.Close();
            return;
        }
        WriteTask();
        Tell("ExecStarted", w => w.WriteString("exec", exec.ExecId));
        client.Answer(q.Sequence, w => w.WriteNumber("pid", pid));
        // Nothing was read so far: an attached client gets every byte.
        if (q.Attach && !client.Closed && client.AttachedTo is null) client.Attach(exec, q.Stdin);
        else if (q.Attach && q.Stdin) exec.Stdin?.End();
        if (unclaimed.Remove(pid, out int status)) ExecEnded(exec, status);
    }

    void ExecEnded(ContainerProcess exec, int status)
    {
        exec.End(status);
        exec.Drain();
    }

    /// <summary>A task that is asked for its health every few seconds for a year must not fill /run.</summary>
    void ForgetOldExecs()
    {
        int ended = execs.FindAll(e => e.Told).Count;
        for (int i = 0; i < execs.Count && ended > MostEndedExecs; i++)
        {
            if (!execs[i].Told) continue;
            RemoveExecFolder(execs[i].ExecId!);
            execs[i].CloseStreams();
            execs.RemoveAt(i--);
            ended--;
        }
    }

    static void RemoveExecFolder(string id)
    {
        foreach (string file in new[] { "process.json", "process.json.new", "pid", "exit.json", "exit.json.new" }) Sys.Unlink($"execs/{id}/{file}");
        Sys.RemoveDirectory($"execs/{id}");
    }
}
