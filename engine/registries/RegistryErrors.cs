using System.Text;
using System.Text.Json;

namespace Containers;

/// <summary>The failures of registries. A registry's own words are a stranger's: short, printable, and without anything that was secret.</summary>
static class RegistryErrors
{
    const int LongestWords = 300;

    internal static ContainerException Unavailable(string where, string why, Exception? inner = null) => new(ErrorIds.RegistryUnavailable,
        $"{where} cannot be reached: {why}. Check its name, the network and its proxy, or try again later.", where, ContainerErrorCategory.ConnectionError, inner);

    internal static ContainerException Slow(string where, string why) => new(ErrorIds.RegistryTimeout,
        $"{where} is too slow: {why}. Try again later: what was fetched of a layer so far is kept for a day.", where, ContainerErrorCategory.OperationTimeout);

    internal static ContainerException Protocol(string where, string why, Exception? inner = null) => new(ErrorIds.RegistryProtocol,
        $"{where} does not answer as a registry does: {why}. Is it one, and no proxy or page in its place?", where, ContainerErrorCategory.InvalidData, inner);

    internal static ContainerException NotTrusted(string where, string why, string wayOut, Exception? inner = null) => new(ErrorIds.RegistryNotTrusted,
        $"{where} is not trusted: {why}. {wayOut}", where, ContainerErrorCategory.SecurityError, inner);

    internal static ContainerException Config(string path, string why, Exception? inner = null) => new(ErrorIds.RegistryConfigInvalid,
        $"'{path}' {why}.", path, ContainerErrorCategory.InvalidData, inner);

    internal static ContainerException Credentials(string where, string why, Exception? inner = null) => new(ErrorIds.CredentialUnavailable,
        $"The credentials in {where} cannot be used: {why}.", where, ContainerErrorCategory.ResourceUnavailable, inner);

    /// <summary>The failure that an answer tells.</summary>
    /// <param name="what">What was asked for, as a user would name it.</param>
    internal static ContainerException Of(int status, byte[] body, string what, string host, Func<string, string> scrub)
    {
        var (code, words) = Words(body);
        var told = words.Length > 0 ? $" It says: {scrub(words).TrimEnd('.')}." : "";
        return status switch
        {
            401 => new(ErrorIds.RegistryDenied, $"{host} wants other credentials for {what}.{told} Connect-ContainerRegistry stores them, -Credential gives them once.", what, ContainerErrorCategory.PermissionDenied),
            403 => new(ErrorIds.RegistryDenied, $"{host} does not allow {what}.{told} Use another account, or check the name.", what, ContainerErrorCategory.PermissionDenied),
            404 => new(ErrorIds.ImageNotFound, $"{host} does not have {what}.{told} Find-ContainerImage lists what it has.", what, ContainerErrorCategory.ObjectNotFound),
            429 => new(ErrorIds.RegistryUnavailable, $"{host} takes no more requests for now ({what}).{told} Connect-ContainerRegistry may give more of them; else try again later.", what, ContainerErrorCategory.ResourceBusy),
            >= 500 => new(ErrorIds.RegistryUnavailable, $"{host} failed with status {status} ({what}).{told} Try again later.", what, ContainerErrorCategory.ConnectionError),
            _ => new(ErrorIds.RegistryRefused, $"{host} refused {what} with status {status}{(code.Length > 0 ? $" {code}" : "")}.{told}", what, ContainerErrorCategory.InvalidOperation),
        };
    }

    static (string Code, string Message) Words(byte[] body)
    {
        try
        {
            var error = JsonSerializer.Deserialize(body, RegistryJson.Default.ErrorAnswer)?.Errors?.FirstOrDefault();
            return (Printable(error?.Code), Printable(error?.Message));
        }
        catch (JsonException) { return ("", ""); }
    }

    /// <summary>Words of a stranger on one line of at most 300 characters, without control characters.</summary>
    internal static string Printable(string? words)
    {
        var text = new StringBuilder();
        foreach (var c in words ?? "")
        {
            if (text.Length == LongestWords) { break; }
            text.Append(char.IsControl(c) || char.IsSurrogate(c) || char.GetUnicodeCategory(c) is System.Globalization.UnicodeCategory.Format ? ' ' : c);
        }
        return text.ToString().Trim();
    }
}
