using System.Diagnostics;
using System.Text.Json;
using Containers.Linux;
using Microsoft.Win32.SafeHandles;

namespace Containers;

/// <summary>How a program got the caller's standard streams and gave them back.</summary>
public sealed class ContainerHandOver
{
    /// <summary>The detach keys were typed, or the attachment was ended from outside: the program goes on.</summary>
    public bool Detached { get; init; }

    /// <summary>How the program ended; null where it goes on.</summary>
    public ContainerRunResult? Result { get; init; }
}

public sealed partial class ContainerTasks
{
    /// <summary>Hands the caller's own standard streams to the container's program, by a psrun that inherits them, until it ends or the detach keys are typed.</summary>
    /// <param name="detachKeys">See <see cref="DetachKeys"/>. Only a program with a terminal is left by keys.</param>
    /// <param name="attached">Runs when everything that is printed from then on will be seen: the place to start a task that is only created.</param>
    /// <exception cref="ContainerException">Those of <see cref="AttachAsync"/>; <c>InvalidArgument</c>: the program has a terminal, and the caller has none.</exception>
    public async Task<ContainerHandOver> HandOverAsync(string id, string? detachKeys = null, Func<CancellationToken, Task>? attached = null, string? containerNamespace = null, CancellationToken cancel = default)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        var record = engine.Containers.Load(ns, id);
        var call = new HandedOver(engine, ns, id, null, record.Terminal, record.Stdin || record.Terminal, DetachKeys.Parse(detachKeys));
        return await call.RunAsync(null, attached, cancel).ConfigureAwait(false) ? new ContainerHandOver { Detached = true }
            : new ContainerHandOver { Result = await WaitAsync(id, ns, cancel).ConfigureAwait(false) };
    }

    /// <summary>Runs a program in a running task with the caller's own standard streams.</summary>
    /// <exception cref="ContainerException">Those of <see cref="ExecAsync"/>; <c>InvalidArgument</c>: see <see cref="HandOverAsync"/>.</exception>
    public async Task<ContainerHandOver> HandOverExecAsync(string id, ContainerExecOptions options, string? detachKeys = null, string? containerNamespace = null, CancellationToken cancel = default)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        var exec = options.ExecId is null ? Names.Random() : Names.ExecId(options.ExecId);
        var call = new HandedOver(engine, ns, id, exec, options.Tty, options.Interactive, DetachKeys.Parse(detachKeys));
        var size = options.Tty ? HandedOver.Size() : null;
        var request = ShimConnection.Request("exec", HandedOver.RequestNumber, ExecMembers(ns, id, exec, options, attach: true, size));
        return await call.RunAsync(request, null, cancel).ConfigureAwait(false) ? new ContainerHandOver { Detached = true }
            : new ContainerHandOver { Result = await WaitExecAsync(id, exec, ns, cancel).ConfigureAwait(false) };
    }
}

/// <summary>One <c>psrun attach</c> and what it reports.</summary>
sealed class HandedOver(ContainerEngine engine, string ns, string id, string? exec, bool terminal, bool input, byte[] detachKeys)
{
    internal const int RequestNumber = 2;
    const int EndsMilliseconds = 2000;

    /// <returns>Whether the program goes on.</returns>
    internal async Task<bool> RunAsync(byte[]? request, Func<CancellationToken, Task>? attached, CancellationToken cancel)
    {
        var before = Attributes();
        if (terminal && before is null)
        {
            throw new ContainerException(ErrorIds.InvalidArgument,
                $"There is no terminal here to put in front of the program of container '{id}': standard input is none. Leave Interactive out to get its output as lines.", id, ContainerErrorCategory.InvalidOperation);
        }
        var folder = engine.Paths.RunFolder(ns, id);
        // It holds the program's environment, which no command line may show.
        var file = request is null ? null : Path.Combine(folder, $".request-{Names.Random()}");
        using var report = new HelperReport();
        try
        {
            if (file is not null) { ContainerTasks.Write(file, request!); }
            using var process = Start(folder, file, report);
            try
            {
                _ = process.WaitForExitAsync(CancellationToken.None).ContinueWith(_ => report.CloseEnd(), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
                if (Check(await report.ReadLineAsync(cancel).ConfigureAwait(false)) is not null)
                {
                    throw ShimErrors.ToException("ShimFailed", "psrun ended before it had attached", id);
                }
                if (attached is not null) { await attached(cancel).ConfigureAwait(false); }
                return Check(await report.ReadLineAsync(cancel).ConfigureAwait(false)) is "detached" or "interrupted";
            }
            finally { End(process); }
        }
        finally
        {
            if (file is not null) { File.Delete(file); }
            // Killed, psrun could not do this.
            if (before is { } attributes) { Restore(attributes); }
        }
    }

    Process Start(string folder, string? file, HelperReport report)
    {
        var helper = engine.Host.FindHelper();
        var info = new ProcessStartInfo { FileName = helper, UseShellExecute = false, WorkingDirectory = "/" };
        info.Environment.Clear();
        foreach (var argument in (string[])["attach", "--run-dir", folder, "--report", report.Path]) { info.ArgumentList.Add(argument); }
        Add("--exec", exec);
        Add("--request", file);
        if (input) { info.ArgumentList.Add("--input"); }
        if (terminal) { info.ArgumentList.Add("--terminal"); }
        if (terminal && detachKeys.Length > 0) { Add("--detach-keys", Convert.ToHexString(detachKeys)); }
        try { return Process.Start(info)!; }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new ContainerException(ErrorIds.ShimFailed, $"'{helper}' could not be started: {e.Message}. Check that it is a program for this machine.", helper, ContainerErrorCategory.ResourceUnavailable, e);
        }

        void Add(string name, string? value)
        {
            if (value is null) { return; }
            info.ArgumentList.Add(name);
            info.ArgumentList.Add(value);
        }
    }

    /// <summary>What a line says of the end; null for the one that says it is attached.</summary>
    string? Check(string? line)
    {
        // Killed from outside: what it showed is told by the files.
        if (line is null) { return "interrupted"; }
        try
        {
            using var json = JsonDocument.Parse(line);
            if (json.RootElement.TryGetProperty("error", out var error))
            {
                throw ShimErrors.ToException(error.GetProperty("id").GetString() ?? "", error.GetProperty("message").GetString() ?? "", id);
            }
            return json.RootElement.TryGetProperty("end", out var end) ? end.GetString() : null;
        }
        catch (JsonException) { return "interrupted"; }
    }

    // Asked to end, it gives the terminal back itself.
    static void End(Process process)
    {
        if (process.HasExited) { return; }
        if (!process.WaitForExit(0)) { _ = Libc.kill(process.Id, Libc.SIGTERM); }
        if (process.WaitForExit(EndsMilliseconds)) { return; }
        process.Kill();
        process.WaitForExit();
    }

    /// <summary>Of the caller's terminal, in cells.</summary>
    internal static unsafe Linux.Oci.ConsoleSize? Size()
    {
        winsize size;
        return Libc.ioctl(Libc.STDIN_FILENO, Libc.TIOCGWINSZ, &size) == 0 && size is { ws_row: > 0, ws_col: > 0 } ? new Linux.Oci.ConsoleSize { Height = size.ws_row, Width = size.ws_col } : null;
    }

    static unsafe termios? Attributes()
    {
        termios attributes;
        return Libc.tcgetattr(Libc.STDIN_FILENO, &attributes) == 0 ? attributes : null;
    }

    static unsafe void Restore(termios attributes) => _ = Libc.tcsetattr(Libc.STDIN_FILENO, &attributes);
}

/// <summary>A pipe of this process that psrun opens by its path: nothing is inherited that another program started meanwhile could have too.</summary>
sealed class HelperReport : IDisposable
{
    const int MostLine = 64 * 1024;

    readonly SafeFileHandle read, end;
    readonly List<byte> pending = [];

    internal unsafe HelperReport()
    {
        var pipe = stackalloc int[2];
        LinuxException.Check(Libc.pipe2(pipe, Libc.O_CLOEXEC | Libc.O_NONBLOCK), "pipe");
        read = new SafeFileHandle(pipe[0], ownsHandle: true);
        end = new SafeFileHandle(pipe[1], ownsHandle: true);
    }

    internal string Path => $"/proc/{Environment.ProcessId}/fd/{read.DangerousGetHandle()}";

    /// <summary>psrun is gone: what it has written is all that comes.</summary>
    internal void CloseEnd() => end.Dispose();

    /// <summary>The next line; null when there is none and none can come.</summary>
    internal async Task<string?> ReadLineAsync(CancellationToken cancel)
    {
        while (true)
        {
            var feed = pending.IndexOf((byte)'\n');
            if (feed >= 0)
            {
                var line = System.Text.Encoding.UTF8.GetString(pending.GetRange(0, feed).ToArray());
                pending.RemoveRange(0, feed + 1);
                return line;
            }
            await Waiting.ForAsync(read, null, cancel).ConfigureAwait(false);
            if (Fill() == 0 || pending.Count > MostLine) { return null; }
        }
    }

    unsafe int Fill()
    {
        var buffer = stackalloc byte[4096];
        var n = (int)Libc.read((int)read.DangerousGetHandle(), buffer, 4096);
        if (n > 0) { pending.AddRange(new ReadOnlySpan<byte>(buffer, n).ToArray()); }
        return n;
    }

    public void Dispose()
    {
        read.Dispose();
        end.Dispose();
    }
}

/// <summary>Keys that leave a program on a terminal without ending it.</summary>
static class DetachKeys
{
    const string Usual = "ctrl-p,ctrl-q";

    /// <summary>Reads docker's notation: single characters and <c>ctrl-</c> with a letter or one of <c>@[\]^_</c>, with commas between them; empty for none.</summary>
    /// <exception cref="ContainerException"><c>InvalidArgument</c>.</exception>
    internal static byte[] Parse(string? keys)
    {
        keys ??= Usual;
        if (keys.Length == 0) { return []; }
        return [.. keys.Split(',').Select(key => Key(key) ?? throw ResourceSpec.Bad("DetachKeys", keys, "it is characters and ctrl-a to ctrl-z, ctrl-@, ctrl-[, ctrl-\\, ctrl-], ctrl-^, ctrl-_ with commas between them"))];
    }

    static byte? Key(string key)
    {
        if (key.Length == 1 && key[0] is > ' ' and < (char)127) { return (byte)key[0]; }
        if (key.Length != 6 || !key.StartsWith("ctrl-", StringComparison.OrdinalIgnoreCase)) { return null; }
        var letter = char.ToUpperInvariant(key[5]);
        return letter is >= '@' and <= '_' ? (byte)(letter - '@') : null;
    }
}
