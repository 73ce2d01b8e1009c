using System.Globalization;

namespace Psrun;

/// <summary>Durations as runc's command line takes them: <c>5s</c>, <c>1m30s</c>, <c>1.5h</c>, <c>500ms</c>.</summary>
static class Durations
{
    static readonly (string Unit, long Nanoseconds)[] s_units = [("ns", 1), ("us", 1_000), ("µs", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000), ("h", 3_600_000_000_000)];

    /// <returns>Nanoseconds, more than 0.</returns>
    public static long Parse(string option, string text)
    {
        decimal total = 0;
        for (int at = 0; at < text.Length;)
        {
            int start = at;
            while (at < text.Length && (char.IsAsciiDigit(text[at]) || text[at] == '.'))
                at++;
            int unit = at;
            while (at < text.Length && !char.IsAsciiDigit(text[at]) && text[at] != '.')
                at++;
            int known = Array.FindIndex(s_units, u => u.Unit == text[unit..at]);
            if (known < 0 || !decimal.TryParse(text[start..unit], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out decimal number) || number > 1_000_000_000)
                throw Wrong(option, text);
            total += number * s_units[known].Nanoseconds;
        }
        return total is >= 1 and <= long.MaxValue ? (long)total : throw Wrong(option, text);
    }

    static PsrunException Wrong(string option, string text) => new($"--{option}: \"{text}\" is not a duration above 0 such as 5s or 1m30s");
}
