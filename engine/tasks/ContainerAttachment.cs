using System.Text.Json;

namespace Containers;

/// <summary>Some bytes that a program printed, as they came.</summary>
public sealed record ContainerOutput(ContainerLogStream Stream, byte[] Data);

/// <summary>
/// A connection to the standard streams of a program. Read by one caller until null comes; writing may happen beside it. A reader who is
/// too slow for an init, or whose shim dies, gets the rest from the log: nothing is lost and nothing comes twice.
/// </summary>
public sealed class ContainerAttachment : IRunningProgram
{
    readonly ContainerTasks tasks;
    readonly string ns;
    readonly string? exec;
    readonly string? log;
    readonly Queue<ContainerOutput> caughtUp = new();
    ShimConnection? shim;
    LogPlace? place;
    readonly long[] delivered = new long[2];

    internal ContainerAttachment(ContainerTasks tasks, ShimConnection shim, string ns, string id, string? exec, string? log, LogPlace? place)
    {
        this.tasks = tasks;
        this.shim = shim;
        this.ns = ns;
        ContainerId = id;
        this.exec = exec;
        this.log = log;
        this.place = place;
    }

    public string ContainerId { get; }

    /// <summary>Null for the container's own program.</summary>
    public string? ExecId => exec;

    /// <summary>How the program ended: set when <see cref="ReadAsync"/> has returned null.</summary>
    public ContainerRunResult? Result { get; private set; }

    /// <summary>The next output; null when the program has ended and all of it was read.</summary>
    /// <exception cref="ContainerException"><c>OutputLost</c>: this reader was too slow, and the container keeps no log.</exception>
    public async ValueTask<ContainerOutput?> ReadAsync(CancellationToken cancel = default)
    {
        while (true)
        {
            if (caughtUp.TryDequeue(out var past)) { return past; }
            if (Result is not null) { return null; }
            if (shim is null || await shim.ReadAsync(cancel).ConfigureAwait(false) is not { } frame)
            {
                await FinishWithoutShimAsync(cancel).ConfigureAwait(false);
                continue;
            }
            switch (frame.Kind)
            {
                case ShimConnection.StandardOutput when frame.Payload.Length > 0:
                    return Deliver(ContainerLogStream.Stdout, frame.Payload);
                case ShimConnection.StandardError when frame.Payload.Length > 0:
                    return Deliver(ContainerLogStream.Stderr, frame.Payload);
                case ShimConnection.Json:
                    using (var message = shim.Parse(frame.Payload)) { await EventAsync(message.RootElement, cancel).ConfigureAwait(false); }
                    break;
            }
        }
    }

    /// <summary>Gives bytes to the program's standard input.</summary>
    /// <exception cref="ContainerException"><c>ShimLost</c>.</exception>
    public async Task WriteAsync(ReadOnlyMemory<byte> data, CancellationToken cancel = default)
    {
        const int most = 64 * 1024;
        while (data.Length > 0 && shim is not null)
        {
            var part = data[..Math.Min(most, data.Length)];
            await shim.SendAsync(ShimConnection.StandardInput, part, cancel).ConfigureAwait(false);
            data = data[part.Length..];
        }
    }

    /// <summary>Ends the program's standard input; on a terminal it sends the end-of-file character.</summary>
    public Task CloseInputAsync(CancellationToken cancel = default) =>
        shim is null ? Task.CompletedTask : shim.SendAsync(ShimConnection.StandardInput, ReadOnlyMemory<byte>.Empty, cancel);

    /// <summary>Tells the size of the terminal, in cells.</summary>
    public Task ResizeAsync(int width, int height, CancellationToken cancel = default) => AskAsync("resize", w =>
    {
        w.WriteNumber("width", width);
        w.WriteNumber("height", height);
    }, cancel);

    /// <summary>Sends a signal to the program, even while it does not read its input.</summary>
    public Task SignalAsync(int signal, CancellationToken cancel = default) => AskAsync("signal", w => w.WriteNumber("signal", signal), cancel);

    // Over a connection of its own: this one may be held up by input that the program does not read.
    async Task AskAsync(string op, Action<Utf8JsonWriter> members, CancellationToken cancel)
    {
        using var answer = await tasks.AskAsync(ns, ContainerId, op, w =>
        {
            if (exec is not null) { w.WriteString("exec", exec); }
            members(w);
        }, cancel).ConfigureAwait(false);
    }

    ContainerOutput Deliver(ContainerLogStream stream, byte[] data)
    {
        delivered[(int)stream] += data.Length;
        return new ContainerOutput(stream, data);
    }

    async Task EventAsync(JsonElement message, CancellationToken cancel)
    {
        switch (message.TryGetProperty("event", out var name) && name.ValueKind == JsonValueKind.String ? name.GetString() : null)
        {
            case "exit":
                Result = ContainerTasks.Result(ns, ContainerId, ContainerTasks.Exit(message));
                break;
            case "lagged":
                if (log is null || Place(message, log) is not { } from) { throw Lost(); }
                shim!.Dispose();
                shim = null;
                await ResumeAsync(from, cancel).ConfigureAwait(false);
                break;
        }
    }

    /// <summary>The place in the log that a message tells; a shim from before logs had several files names none, and has the last one.</summary>
    internal static LogPlace? Place(JsonElement message, string log)
    {
        if (!message.TryGetProperty("offset", out var value) || value.ValueKind != JsonValueKind.Number || !value.TryGetInt64(out var offset)) { return null; }
        var known = message.TryGetProperty("file", out var number) && number.ValueKind == JsonValueKind.Number;
        return new LogPlace(known && number.TryGetInt32(out var file) ? file : LogReader.End(log).File, offset);
    }

    // The log has what this reader missed, up to where a new attachment begins.
    async Task ResumeAsync(LogPlace from, CancellationToken cancel)
    {
        try
        {
            var (again, to) = await tasks.AttachConnectionAsync(ns, ContainerId, stdin: false, removes: false, cancel).ConfigureAwait(false);
            shim = again;
            CatchUp(from, to ?? throw Lost(), skip: false);
            place = to;
            Array.Clear(delivered);
        }
        catch (ContainerException e) when (e.Id is ErrorIds.TaskNotRunning or ErrorIds.ShimLost)
        {
            // It ended meanwhile: the rest of the log is the rest of the output.
            CatchUp(from, null, skip: false);
            Result = await tasks.WaitAsync(ContainerId, ns, cancel).ConfigureAwait(false);
        }
    }

    async Task FinishWithoutShimAsync(CancellationToken cancel)
    {
        shim?.Dispose();
        shim = null;
        if (exec is not null)
        {
            Result = await tasks.WaitExecAsync(ContainerId, exec, ns, cancel).ConfigureAwait(false);
            return;
        }
        var result = await tasks.WaitAsync(ContainerId, ns, cancel).ConfigureAwait(false);
        if (log is not null && place is { } start) { CatchUp(start, null, skip: true); }
        Result = result;
    }

    void CatchUp(LogPlace from, LogPlace? to, bool skip)
    {
        long[] skipped = [skip ? delivered[0] : 0, skip ? delivered[1] : 0];
        foreach (var (stream, bytes) in CriLog.ReadOutput(log!, from, to))
        {
            var data = bytes;
            var done = (int)Math.Min(skipped[(int)stream], data.Length);
            skipped[(int)stream] -= done;
            if (done > 0) { data = data[done..]; }
            if (data.Length > 0) { caughtUp.Enqueue(new ContainerOutput(stream, data)); }
        }
    }

    ContainerException Lost() => new(ErrorIds.OutputLost,
        $"Output of container '{ContainerId}' came faster than it was read here, and the container keeps no log to read it from. Attach again for what comes; make the container with a log to lose nothing.",
        ContainerId, ContainerErrorCategory.ReadError);

    public void Dispose()
    {
        shim?.Dispose();
        shim = null;
    }
}

public sealed partial class ContainerTasks
{
    /// <summary>Attaches to the container's program. Before the start every byte comes; later what is printed from now on.</summary>
    /// <param name="stdin">This client gives input.</param>
    /// <param name="removes">This client removes the task as soon as it has ended: the shim then leaves its control group to that.</param>
    /// <exception cref="ContainerException"><c>ContainerNotFound</c>, <c>TaskNotFound</c>, <c>TaskNotRunning</c>, <c>ShimLost</c>.</exception>
    public async Task<ContainerAttachment> AttachAsync(string id, bool stdin = false, bool removes = false, string? containerNamespace = null, CancellationToken cancel = default)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        var record = engine.Containers.Load(ns, id);
        var (shim, place) = await AttachConnectionAsync(ns, id, stdin, removes, cancel).ConfigureAwait(false);
        return new ContainerAttachment(this, shim, ns, id, null, paths.Log(record), place);
    }

    internal async Task<(ShimConnection, LogPlace?)> AttachConnectionAsync(string ns, string id, bool stdin, bool removes, CancellationToken cancel)
    {
        var shim = await ConnectAsync(ns, id, cancel).ConfigureAwait(false);
        try
        {
            using var answer = await AskToAttachAsync(shim, stdin, removes, cancel).ConfigureAwait(false);
            var log = paths.Log(engine.Containers.Load(ns, id));
            return (shim, log is null ? null : ContainerAttachment.Place(answer.RootElement, log));
        }
        catch
        {
            shim.Dispose();
            throw;
        }
    }

    static async Task<JsonDocument> AskToAttachAsync(ShimConnection shim, bool stdin, bool removes, CancellationToken cancel)
    {
        try
        {
            return await shim.RequestAsync("attach", w =>
            {
                if (stdin) { w.WriteBoolean("stdin", true); }
                if (removes) { w.WriteBoolean("removes", true); }
            }, cancel).ConfigureAwait(false);
        }
        // It then leaves its control group before it ends, which takes a moment longer and harms nobody.
        catch (ContainerException e) when (removes && e.Id == ErrorIds.ShimTooOld) { return await AskToAttachAsync(shim, stdin, removes: false, cancel).ConfigureAwait(false); }
    }
}
