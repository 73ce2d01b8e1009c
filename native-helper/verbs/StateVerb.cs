using System.Buffers;
using System.Text.Json;
using Psrun.State;

namespace Psrun.Verbs;

/// <summary>state: runtime.md "Query State". Takes no lock, so that it answers while hooks run ("creating").</summary>
static class StateVerb
{
    public static int Run(string root, ReadOnlySpan<string> args)
    {
        string id = ContainerId.Check(CreateVerb.OneId(Options.Parse(args, [], limit: int.MaxValue, out _), "state"));
        using StateFolder folder = StateFolder.Open(root, id) ?? throw StateFolder.NotFound(id);
        StateFile state = folder.TryReadState() ?? throw StateFolder.NotFound(id);
        Log.Write(1, Json(json => state.WritePublic(json, Status.Of(folder, state), forHook: false)));
        return 0;
    }

    public static byte[] Json(Action<Utf8JsonWriter> write, bool indented = true)
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Indented = indented }))
            write(json);
        buffer.Write("\n"u8);
        return buffer.WrittenSpan.ToArray();
    }
}
