using System.Net.Http.Headers;
using System.Text;

namespace Containers;

/// <summary>How a registry wants to be shown who asks (RFC 9110, 11.3; distribution's token specification).</summary>
sealed record RegistryChallenge(string Scheme, string? Realm, string? Service, string? Scope)
{
    /// <summary>The challenge that can be answered: Bearer before Basic; null when there is none.</summary>
    internal static RegistryChallenge? Of(HttpResponseHeaders headers)
    {
        RegistryChallenge? basic = null;
        foreach (var one in headers.WwwAuthenticate)
        {
            if (one.Scheme.Equals("Basic", StringComparison.OrdinalIgnoreCase)) { basic = new RegistryChallenge("Basic", null, null, null); }
            if (!one.Scheme.Equals("Bearer", StringComparison.OrdinalIgnoreCase)) { continue; }
            var parameters = Parameters(one.Parameter ?? "");
            return new RegistryChallenge("Bearer", parameters.GetValueOrDefault("realm"), parameters.GetValueOrDefault("service"), parameters.GetValueOrDefault("scope"));
        }
        return basic;
    }

    /// <summary><c>name=word</c> and <c>name="text"</c>, separated by commas.</summary>
    internal static Dictionary<string, string> Parameters(string text)
    {
        var found = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        var at = 0;
        while (at < text.Length)
        {
            while (at < text.Length && text[at] is ' ' or ',' or '\t') { at++; }
            var equals = at < text.Length ? text.IndexOf('=', at) : -1;
            if (equals < 0) { break; }
            var name = text[at..equals].Trim();
            at = equals + 1;
            var value = new StringBuilder();
            if (at < text.Length && text[at] == '"')
            {
                for (at++; at < text.Length && text[at] != '"'; at++)
                {
                    if (text[at] == '\\' && at + 1 < text.Length) { at++; }
                    value.Append(text[at]);
                }
                at++;
            }
            else
            {
                while (at < text.Length && text[at] != ',') { value.Append(text[at++]); }
            }
            found.TryAdd(name, value.ToString().Trim());
        }
        return found;
    }
}
