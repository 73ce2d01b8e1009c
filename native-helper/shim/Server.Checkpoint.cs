namespace Psrun.Shim;

/// <summary>The container's processes into files by the runtime's <c>checkpoint</c>, and out of files in place of a task's first run.</summary>
sealed partial class Server
{
    bool checkpointing, checkpointed;

    bool Restores => orders.Restore is not null && restarts == 0;

    public void Checkpoint(Connection client, Request q)
    {
        if (q.ImagePath is not ['/', ..] || q.ImagePath.Contains('\0')) throw new ShimException("BadRequest", "checkpoint without the absolute path of a folder");
        if (q.Criu is not (null or ['/', ..])) throw new ShimException("BadRequest", "criu is not an absolute path");
        Change(client, q.Sequence, done =>
        {
            NeedRunning();
            checkpointing = true;
            try
            {
                Call([.. Named(q.Criu), "checkpoint", "--image-path", q.ImagePath, .. Flags(q), orders.Id], null, (succeeded, words) =>
                {
                    checkpointing = false;
                    checkpointed |= succeeded && !q.LeaveRunning;
                    if (succeeded)
                    {
                        Tell("Checkpointed");
                        client.Answer(q.Sequence);
                    }
                    else client.Fail(q.Sequence, "RuntimeFailed", words);
                    if (initStatus is { } status) EndTask(status);
                    done();
                });
            }
            catch
            {
                checkpointing = false;
                throw;
            }
        });
    }

    static string[] Named(string? criu) => criu is null ? [] : ["--criu", criu];

    static List<string> Flags(Request q)
    {
        var flags = new List<string>();
        if (q.LeaveRunning) flags.Add("--leave-running");
        if (q.TcpEstablished) flags.Add("--tcp-established");
        if (q.FileLocks) flags.Add("--file-locks");
        if (q.ExternalSockets) flags.Add("--ext-unix-sk");
        return flags;
    }

    /// <summary>What the runtime is asked for to make the container's first process, up to the options that both ways have.</summary>
    string[] CreateVerb() => !Restores ? ["create"] : [.. Named(orders.Restore!.Criu), "restore", "--detach", "--image-path", orders.Restore.ImagePath, .. orders.Restore.Flags];
}
