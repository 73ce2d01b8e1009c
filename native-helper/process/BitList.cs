using System.Globalization;

namespace Psrun.Processes;

/// <summary>Lists of processors and memory nodes such as <c>0-3,7</c> (cpuset(7), "List format"), as bit masks for system calls.</summary>
static class BitList
{
    /// <summary>Beyond what any kernel is configured for.</summary>
    const int Limit = 16384;

    /// <param name="field">The specification's member, for the message.</param>
    public static ulong[] Parse(string text, string field)
    {
        var mask = new ulong[1];
        foreach (string part in text.Split(','))
        {
            string[] ends = part.Trim().Split('-');
            if (ends.Length > 2 || !TryNumber(ends[0], out int first) || !TryNumber(ends[^1], out int last) || last < first)
                throw new PsrunException($"{field}: \"{text}\" is not a list such as 0-3,7");
            if (last >= mask.Length * 64)
                Array.Resize(ref mask, last / 64 + 1);
            for (int i = first; i <= last; i++)
                mask[i / 64] |= 1ul << i % 64;
        }
        return mask;
    }

    static bool TryNumber(string text, out int number) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number) && number < Limit;
}
