using System.Text;
using System.Text.Json;

namespace Psrun.Shim;

/// <summary>One run of the OCI runtime. Its log and its standard error go to memory files, so that nothing of it stays on disk.</summary>
sealed class RuntimeCall
{
    const int LongestOutput = 64 * 1024, LongestWords = 4096;

    int log = -1, errors = -1;

    public int Pid { get; private set; }
    /// <summary>It makes a process that becomes ours: an unknown child's end may be that process's.</summary>
    public bool Adopts { get; private init; }
    public required Action<bool, string> Done { get; init; }

    Stdio? stdio;

    /// <param name="stdio">The new process's streams, which the runtime hands on; null for a verb that makes no process.</param>
    public static RuntimeCall Start(Orders orders, string[] verb, Stdio? stdio, int nothing, Action<bool, string> done)
    {
        var call = new RuntimeCall { Adopts = stdio is not null, stdio = stdio, Done = done };
        try
        {
            call.log = Sys.Above(Sys.Memfd("runtime-log"));
            call.errors = Sys.Above(Sys.Memfd("runtime-errors"));
            if (call.log < 0 || call.errors < 0) throw ShimException.Of("ShimFailed", "memfd_create", Math.Min(call.log, call.errors));
            string[] front = [orders.Runtime, "--root", orders.RuntimeRoot, "--log", $"/proc/{Environment.ProcessId}/fd/{call.log}", "--log-format", "json"];
            int pid = new Spawn
            {
                Program = orders.Runtime,
                Arguments = [.. front, .. verb],
                Environment = MinimalEnvironment(),
                Stdin = stdio?.Container?.In ?? nothing,
                Stdout = stdio?.Container?.Out ?? call.errors,
                Stderr = stdio?.Container?.Error ?? call.errors,
            }.Start();
            if (pid < 0) throw ShimException.Of("RuntimeFailed", orders.Runtime, pid);
            call.Pid = pid;
            return call;
        }
        catch
        {
            call.Release();
            throw;
        }
    }

    public static string[] MinimalEnvironment() =>
        ["PATH=" + (Environment.GetEnvironmentVariable("PATH") is { Length: > 0 } path ? path : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")];

    public void Ended(int status)
    {
        bool succeeded = status == 0;
        string words = succeeded ? "" : Words(status);
        Release();
        Done(succeeded, words);
    }

    /// <summary>Nobody wants to hear how it ended.</summary>
    public void Discard() => Release();

    void Release()
    {
        Sys.Close(log);
        Sys.Close(errors);
        log = errors = -1;
    }

    string Words(int status)
    {
        string? words = LastError(Content(log)) ?? LastLine(Content(errors)) ?? stdio?.WordsOfFailure();
        if (words is null)
            words = (status & 0x7f) != 0 ? $"the runtime was ended by signal {status & 0x7f}" : $"the runtime ended with {(status >> 8) & 0xff} and no word";
        return words.Length > LongestWords ? words[..LongestWords] : words;
    }

    static byte[] Content(int fd)
    {
        if (fd < 0) return [];
        Sys.SeekStart(fd);
        return Files.ReadSmall(fd, LongestOutput, out _) ?? [];
    }

    /// <summary>The message of the last line that a runtime logged as an error.</summary>
    static string? LastError(byte[] log)
    {
        string? last = null;
        foreach (string line in Encoding.UTF8.GetString(log).Split('\n'))
        {
            if (line.Length == 0) continue;
            try
            {
                using var json = JsonDocument.Parse(line);
                if (json.RootElement.TryGetProperty("level", out var level) && level.GetString() is "error" or "fatal"
                    && json.RootElement.TryGetProperty("msg", out var message)) last = message.GetString();
            }
            catch (Exception e) when (e is JsonException or InvalidOperationException)
            {
                // Not a runtime that keeps to the format: its standard error may say more.
            }
        }
        return last;
    }

    public static string? LastLine(ReadOnlySpan<byte> errors)
    {
        string[] lines = Encoding.UTF8.GetString(errors).Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        return lines.Length > 0 ? lines[^1] : null;
    }
}
