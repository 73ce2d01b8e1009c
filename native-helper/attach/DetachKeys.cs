namespace Psrun.Attaching;

/// <summary>
/// Looks for a sequence of keys in what is typed. Its first keys are held back until it is sure that they are not its beginning; without keys everything passes.
/// </summary>
sealed class DetachKeys(byte[] keys)
{
    int held;

    /// <summary>How many bytes more than were typed may pass at once.</summary>
    public int MostHeld => keys.Length;

    /// <param name="pass">gets what is for the program; as long as what was typed and <see cref="MostHeld"/> together</param>
    /// <returns>How many bytes pass, or -1 when the sequence was typed.</returns>
    public int Filter(ReadOnlySpan<byte> typed, Span<byte> pass)
    {
        int count = 0;
        foreach (byte key in typed)
        {
            // What was held back was no beginning: its first byte passes, and the rest of it may be one.
            while (held > 0 && key != keys[held])
            {
                int next = held - 1;
                while (next > 0 && !keys.AsSpan(held - next, next).SequenceEqual(keys.AsSpan(0, next))) next--;
                keys.AsSpan(0, held - next).CopyTo(pass[count..]);
                count += held - next;
                held = next;
            }
            if (keys.Length == 0 || key != keys[held]) pass[count++] = key;
            else if (++held == keys.Length) return -1;
        }
        return count;
    }
}
