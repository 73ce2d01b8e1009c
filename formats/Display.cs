using System.Globalization;

namespace Containers.Formats;

/// <summary>How the views in this folder put values into words. Objects keep raw values; nothing else may use these words.</summary>
public static class Display
{
    static readonly string[] units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

    /// <summary>Three digits at most and a binary unit: <c>1.5 MiB</c>. Empty for no value.</summary>
    public static string Bytes(long? bytes)
    {
        if (bytes is not { } value)
            return "";
        double amount = value;
        int unit = 0;
        for (; Math.Abs(amount) >= 999.5 && unit < units.Length - 1; unit++)
            amount /= 1024;
        string format = unit == 0 || Math.Abs(amount) >= 99.95 ? "0" : Math.Abs(amount) >= 9.995 ? "0.0" : "0.00";
        return amount.ToString(format, CultureInfo.InvariantCulture) + " " + units[unit];
    }

    /// <summary>A limit, <c>none</c> where there is none.</summary>
    public static string Limit(long? bytes) => bytes is null ? "none" : Bytes(bytes);

    /// <summary>The two largest units of a span: <c>3d 4h</c>, <c>2m 5s</c>, <c>12s</c>, <c>1.25s</c>, <c>12ms</c>.</summary>
    public static string Span(TimeSpan? span)
    {
        if (span is not { } value)
            return "";
        FormattableString text = value switch
        {
            { TotalDays: >= 1 } => $"{(long)value.TotalDays}d {value.Hours}h",
            { TotalHours: >= 1 } => $"{value.Hours}h {value.Minutes}m",
            { TotalMinutes: >= 1 } => $"{value.Minutes}m {value.Seconds}s",
            { TotalSeconds: >= 10 } => $"{value.TotalSeconds:0}s",
            { TotalSeconds: >= 1 } => $"{value.TotalSeconds:0.##}s",
            { Ticks: 0 } => $"0s",
            _ => $"{value.TotalMilliseconds:0.#}ms",
        };
        return text.ToString(CultureInfo.InvariantCulture);
    }

    /// <summary>A moment in the reader's own time zone, to the second.</summary>
    public static string Moment(DateTimeOffset? time) => time?.ToLocalTime().ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture) ?? "";

    /// <summary>How long ago it was.</summary>
    public static string Age(DateTimeOffset? time) => time is { } then ? Span(TimeSpan.FromSeconds(Math.Floor((DateTimeOffset.UtcNow - then).TotalSeconds))) : "";

    public static string Percent(double? percent) => percent is { } value ? value.ToString("0.0", CultureInfo.InvariantCulture) + "%" : "";

    /// <summary>A command line for reading: arguments with blanks stand in quotes.</summary>
    public static string Command(IEnumerable<string>? arguments)
        => arguments is null ? "" : string.Join(' ', arguments.Select(argument => argument.Length == 0 || argument.Any(char.IsWhiteSpace) ? $"'{Visible(argument)}'" : Visible(argument)));

    /// <summary>Control characters shown, so that a program's name or output cannot steer the terminal from a table.</summary>
    public static string Visible(string? text)
        => text is null ? "" : text.Any(char.IsControl) ? string.Concat(text.Select(c => char.IsControl(c) ? '\uFFFD' : c)) : text;
}
