using System.Diagnostics;
using System.Text.Json;

namespace Containers;

/// <summary>One run of psrun that answers one JSON object on standard output.</summary>
static class HelperCall
{
    /// <param name="answer">Reads what is wanted from the answer; not called for an error.</param>
    /// <param name="failed">Makes an exception of an error's id and message.</param>
    internal static T Run<T>(string helper, IEnumerable<string> arguments, Func<JsonElement, T> answer, Func<string, string, ContainerException> failed)
    {
        try
        {
            using var process = Process.Start(ClosedProgram.Of(helper, arguments))!;
            process.StandardInput.Close();
            var words = process.StandardError.ReadToEndAsync();
            var output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return Read(output, words.GetAwaiter().GetResult(), answer, failed);
        }
        catch (System.ComponentModel.Win32Exception e) { throw failed("ShimFailed", $"'{helper}' could not be started: {e.Message}"); }
    }

    internal static T Read<T>(string output, string words, Func<JsonElement, T> answer, Func<string, string, ContainerException> failed)
    {
        try
        {
            using var json = JsonDocument.Parse(output);
            if (json.RootElement.TryGetProperty("error", out var error)) { throw failed(error.GetProperty("id").GetString() ?? "", ShimErrors.Printable(error.GetProperty("message").GetString() ?? "")); }
            return answer(json.RootElement);
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw failed("ShimFailed", words.Length > 0 ? ShimErrors.Printable(words) : "psrun ended without an answer");
        }
    }
}
