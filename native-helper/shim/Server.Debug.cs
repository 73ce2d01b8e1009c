using System.Text.Json;

namespace Psrun.Shim;

/// <summary>What nobody can see from outside: how far the shim is, and what waits in it.</summary>
sealed partial class Server
{
    public void WriteDebug(Utf8JsonWriter w)
    {
        w.WriteString("state", StateWord());
        w.WriteBoolean("starting", starting);
        w.WriteBoolean("ending", ending);
        w.WriteBoolean("changing", changing);
        w.WriteNumber("queuedChanges", changes.Count);
        w.WriteNumber("deadlines", Loop.Deadlines);
        w.WriteNumber("managedBytes", GC.GetTotalMemory(false));
        w.WriteNumber("logOffset", Log?.Offset ?? 0);
        w.WriteStartArray("runtimeCalls");
        foreach (RuntimeCall call in calls.Values) w.WriteNumberValue(call.Pid);
        w.WriteEndArray();
        w.WriteStartArray("connections");
        foreach (Connection client in connections)
        {
            w.WriteStartObject();
            w.WriteString("attached", client.AttachedTo is null ? null : client.AttachedTo.ExecId ?? "init");
            w.WriteNumber("waitingBytes", client.WaitingBytes);
            w.WriteEndObject();
        }
        w.WriteEndArray();
        w.WriteStartArray("processes");
        WriteStreams(w, "init", init);
        foreach (ContainerProcess exec in execs)
            if (!exec.Told) WriteStreams(w, exec.ExecId!, exec);
        w.WriteEndArray();
    }

    static void WriteStreams(Utf8JsonWriter w, string id, ContainerProcess process)
    {
        w.WriteStartObject();
        w.WriteString("id", id);
        w.WriteNumber("pid", process.Pid);
        w.WriteBoolean("ended", process.Ended);
        w.WriteNumber("waiters", process.Waiters.Count);
        w.WriteNumber("inputBytes", process.Stdin?.WaitingBytes ?? 0);
        w.WriteBoolean("readsOutput", process.Stdout is { Ended: false, Paused: false } || process.Stderr is { Ended: false, Paused: false });
        w.WriteEndObject();
    }
}
