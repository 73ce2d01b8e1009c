using System.ComponentModel;
using System.Diagnostics;
using System.Text;
using System.Text.Json;

namespace Containers;

/// <summary>
/// A program that keeps credentials (docker-credential-helpers): <c>docker-credential-NAME get|store|erase</c>. What is secret goes through its
/// standard input and output, and never into its arguments.
/// </summary>
static class CredentialHelper
{
    const int MostOutput = 64 << 10;
    const string NotFound = "credentials not found in native keychain";

    /// <summary>What the helper has for a registry; null when it has nothing.</summary>
    /// <exception cref="ContainerException"><c>CredentialUnavailable</c>.</exception>
    internal static async Task<RegistryCredential?> GetAsync(string name, string server, TimeSpan limit, CancellationToken cancel)
    {
        var (status, output) = await RunAsync(name, "get", Encoding.UTF8.GetBytes(server), limit, cancel).ConfigureAwait(false);
        if (status != 0) { return Encoding.UTF8.GetString(output).Trim() == NotFound ? null : throw Failed(name, $"it ended with status {status} for '{server}'"); }
        HelperCredential? credential;
        try { credential = JsonSerializer.Deserialize(output, RegistryJson.Default.HelperCredential); }
        catch (JsonException) { throw Failed(name, "its answer is no JSON"); }
        if (credential?.Secret is not { Length: > 0 } secret) { return null; }
        return credential.UserName == "<token>" ? new RegistryCredential("", "", IdentityToken: secret) : new RegistryCredential(credential.UserName ?? "", secret);
    }

    internal static async Task StoreAsync(string name, string server, RegistryCredential credential, TimeSpan limit, CancellationToken cancel)
    {
        var input = JsonSerializer.SerializeToUtf8Bytes(new HelperCredential { ServerUrl = server, UserName = credential.UserName, Secret = credential.Secret }, RegistryJson.Default.HelperCredential);
        var (status, _) = await RunAsync(name, "store", input, limit, cancel).ConfigureAwait(false);
        if (status != 0) { throw Failed(name, $"it ended with status {status} when it was to store credentials for '{server}'"); }
    }

    /// <returns>Whether it had something.</returns>
    internal static async Task<bool> EraseAsync(string name, string server, TimeSpan limit, CancellationToken cancel) =>
        (await RunAsync(name, "erase", Encoding.UTF8.GetBytes(server), limit, cancel).ConfigureAwait(false)).Status == 0;

    internal static string ProgramOf(string name) => "docker-credential-" + name;

    static async Task<(int Status, byte[] Output)> RunAsync(string name, string verb, byte[] input, TimeSpan limit, CancellationToken cancel)
    {
        var info = new ProcessStartInfo
        {
            FileName = Find(name), WorkingDirectory = "/", UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
        };
        info.ArgumentList.Add(verb);
        using var process = new Process { StartInfo = info };
        try { process.Start(); }
        catch (Win32Exception e) { throw Failed(name, "it could not be started: " + e.Message, e); }
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        over.CancelAfter(limit);
        try
        {
            // Its complaints may repeat what it was given: they are read, so that it does not wait, and shown to nobody.
            var complaining = process.StandardError.BaseStream.CopyToAsync(Stream.Null, over.Token);
            try
            {
                await process.StandardInput.BaseStream.WriteAsync(input, over.Token).ConfigureAwait(false);
                process.StandardInput.Close();
            }
            catch (IOException) { } // it ended without reading: its status tells
            var output = new byte[MostOutput];
            var n = await process.StandardOutput.BaseStream.ReadAtLeastAsync(output, MostOutput, throwOnEndOfStream: false, over.Token).ConfigureAwait(false);
            if (n == MostOutput) { throw Failed(name, $"it answers more than {MostOutput} bytes"); }
            await complaining.ConfigureAwait(false);
            await process.WaitForExitAsync(over.Token).ConfigureAwait(false);
            return (process.ExitCode, output[..n]);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested) { throw Failed(name, $"it did not answer within {limit.TotalSeconds:0.#} s"); }
        finally
        {
            if (!process.HasExited) { process.Kill(); }
        }
    }

    static string Find(string name)
    {
        // The name comes from a file and becomes a path.
        if (name.Length is 0 or > 64 || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '.')) { throw RegistryErrors.Credentials($"the helper '{RegistryErrors.Printable(name)}'", "that is no name of a helper"); }
        var program = ProgramOf(name);
        return (Environment.GetEnvironmentVariable("PATH") ?? Defaults.Path).Split(':').Where(folder => folder.StartsWith('/')).Select(folder => Path.Combine(folder, program)).FirstOrDefault(File.Exists)
            ?? throw Failed(name, "there is no such program on PATH");
    }

    static ContainerException Failed(string name, string why, Exception? inner = null) => RegistryErrors.Credentials($"'{ProgramOf(name)}'", why, inner);
}
