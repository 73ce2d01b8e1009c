using System.Globalization;

namespace Psrun;

/// <summary>Sizes in bytes as runc's command line takes them: <c>67108864</c>, <c>64m</c>, <c>64MB</c>, <c>1.5GiB</c>; every unit is a power of 1024.</summary>
static class Sizes
{
    /// <param name="option">For the message.</param>
    /// <returns>Bytes; -1 for "no limit".</returns>
    public static long Parse(string option, string text)
    {
        if (text == "-1")
            return -1;
        string trimmed = text.Trim();
        int digits = 0;
        while (digits < trimmed.Length && (char.IsAsciiDigit(trimmed[digits]) || trimmed[digits] == '.'))
            digits++;
        int shift = trimmed[digits..].Trim().ToLowerInvariant() switch
        {
            "" or "b" => 0,
            "k" or "kb" or "kib" => 10,
            "m" or "mb" or "mib" => 20,
            "g" or "gb" or "gib" => 30,
            "t" or "tb" or "tib" => 40,
            "p" or "pb" or "pib" => 50,
            _ => -1,
        };
        if (shift < 0 || !decimal.TryParse(trimmed[..digits], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out decimal number) || number >= long.MaxValue >> shift)
            throw new PsrunException($"--{option}: \"{text}\" is not a size such as 67108864, 64m or 1.5GiB");
        return (long)(number * (1L << shift));
    }
}
