using System.ComponentModel;
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Containers;

/// <summary>Plugins as programs: found in folders, called with an environment and a standard input exactly as libcni gives them.</summary>
sealed class CniPlugin(IReadOnlyList<string> folders, TimeSpan limit)
{
    const int MostOutput = 4 << 20, MostWords = 16 << 10, BusyAttempts = 40, TextFileBusy = 26;
    static readonly TimeSpan busyPause = TimeSpan.FromMilliseconds(50);

    internal IReadOnlyList<string> SearchPath => folders;

    /// <summary>The program of a type in the first folder that has it.</summary>
    /// <exception cref="ContainerException"><c>NetworkPluginNotFound</c>.</exception>
    internal string Find(string type, string network)
    {
        foreach (var folder in folders)
        {
            var path = Path.Combine(folder, type);
            if (File.Exists(path) && (File.GetUnixFileMode(path) & (UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute)) != 0) { return path; }
        }
        throw NetworkErrors.NoPlugin(type, network, folders);
    }

    /// <summary>Calls a plugin once.</summary>
    /// <param name="attachment">Null for what concerns the network alone: the variables are empty then.</param>
    /// <returns>What it answers; null for nothing.</returns>
    /// <exception cref="ContainerException"><c>NetworkPluginNotFound</c>; <c>NetworkPluginFailed</c>, with a <see cref="NetworkPluginException"/> inside.</exception>
    internal async Task<JsonObject?> CallAsync(string network, string type, string command, CniAttachment? attachment, JsonObject configuration, CancellationToken cancel)
    {
        var info = new ProcessStartInfo
        {
            FileName = Find(type, network), WorkingDirectory = "/", UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
        };
        // Plugins run iptables and others by PATH, which the caller's need not reach.
        var path = Environment.GetEnvironmentVariable("PATH") is { Length: > 0 } own ? own : Defaults.Path;
        info.Environment["PATH"] = string.Join(':', path.Split(':').Concat(Defaults.Path.Split(':')).Distinct());
        foreach (var name in info.Environment.Keys.Where(key => key.StartsWith("CNI_", StringComparison.Ordinal)).ToList()) { info.Environment.Remove(name); }
        info.Environment["CNI_COMMAND"] = command;
        info.Environment["CNI_CONTAINERID"] = attachment?.ContainerId ?? "";
        info.Environment["CNI_NETNS"] = attachment?.NetworkNamespace ?? "";
        info.Environment["CNI_ARGS"] = attachment?.ArgumentText ?? "";
        info.Environment["CNI_IFNAME"] = attachment?.Interface ?? "";
        info.Environment["CNI_PATH"] = string.Join(':', folders);

        var (status, output, words) = await RunAsync(network, type, command, info, Encoding.UTF8.GetBytes(configuration.ToJsonString()), cancel).ConfigureAwait(false);
        if (status != 0) { throw NetworkErrors.Failed(network, Read(type, command, status, output, words)); }
        if (output.AsSpan().Trim(" \t\r\n"u8).IsEmpty) { return null; }
        try
        {
            return JsonNode.Parse(output) as JsonObject ?? throw Said(network, type, command, "its answer is no object of JSON");
        }
        catch (JsonException) { throw Said(network, type, command, $"its answer is no JSON: '{Printable(output)}'"); }
    }

    // { "cniVersion", "code", "msg", "details" }; a plugin that was killed, or is a script, says nothing, or something else on standard error.
    static NetworkPluginException Read(string type, string command, int status, byte[] output, byte[] words)
    {
        try
        {
            if (JsonNode.Parse(output) is JsonObject said && said["msg"] is JsonValue text && text.TryGetValue<string>(out var message))
            {
                var code = said["code"] is JsonValue number && number.TryGetValue<int>(out var known) ? known : 0;
                var details = said["details"] is JsonValue more && more.TryGetValue<string>(out var whole) ? ShimErrors.Printable(whole) : null;
                return new NetworkPluginException(type, command, code, ShimErrors.Printable(message).TrimEnd('.'), details);
            }
        }
        catch (Exception e) when (e is JsonException or ArgumentException) { }
        var heard = words.Length > 0 ? words : output;
        return new NetworkPluginException(type, command, 0, $"it ended with status {status}{(heard.Length > 0 ? $" and said '{Printable(heard)}'" : " and said nothing")}", null);
    }

    async Task<(int Status, byte[] Output, byte[] Words)> RunAsync(string network, string type, string command, ProcessStartInfo info, byte[] input, CancellationToken cancel)
    {
        using var process = await StartAsync(network, type, command, info, cancel).ConfigureAwait(false);
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        over.CancelAfter(limit);
        try
        {
            var output = DrainAsync(process.StandardOutput.BaseStream, MostOutput + 1, over.Token);
            var words = DrainAsync(process.StandardError.BaseStream, MostWords, over.Token);
            try
            {
                await process.StandardInput.BaseStream.WriteAsync(input, over.Token).ConfigureAwait(false);
                process.StandardInput.Close();
            }
            catch (IOException) { } // it ended without reading: its status tells
            var answer = await output.ConfigureAwait(false);
            var complaint = await words.ConfigureAwait(false);
            await process.WaitForExitAsync(over.Token).ConfigureAwait(false);
            return answer.Length > MostOutput ? throw Said(network, type, command, $"it answers more than {MostOutput} bytes") : (process.ExitCode, answer, complaint);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested) { throw Said(network, type, command, $"it was not done within {limit.TotalSeconds:0.#} s and was ended"); }
        finally
        {
            if (!process.HasExited) { process.Kill(entireProcessTree: true); }
        }
    }

    static async Task<Process> StartAsync(string network, string type, string command, ProcessStartInfo info, CancellationToken cancel)
    {
        for (var attempt = 1; ; attempt++)
        {
            var process = new Process { StartInfo = info };
            try
            {
                process.Start();
                return process;
            }
            catch (Win32Exception e)
            {
                process.Dispose();
                // Whoever installs it, or a fork of theirs, has it open for a moment longer; libcni waits for that too.
                if (e.NativeErrorCode != TextFileBusy || attempt == BusyAttempts) { throw Said(network, type, command, "it could not be started: " + e.Message); }
            }
            await Task.Delay(busyPause, cancel).ConfigureAwait(false);
        }
    }

    // To the end, so that the program never waits; what is too much is dropped.
    static async Task<byte[]> DrainAsync(Stream from, int most, CancellationToken cancel)
    {
        using var kept = new MemoryStream();
        var buffer = new byte[16 << 10];
        int n;
        while ((n = await from.ReadAsync(buffer, cancel).ConfigureAwait(false)) > 0) { kept.Write(buffer, 0, (int)Math.Min(n, most - kept.Length)); }
        return kept.ToArray();
    }

    static string Printable(byte[] words) => ShimErrors.Printable(Encoding.UTF8.GetString(words, 0, Math.Min(words.Length, 2000)).Trim());

    static ContainerException Said(string network, string type, string command, string message) => NetworkErrors.Failed(network, new NetworkPluginException(type, command, 0, message, null));
}
