using Containers.Linux;

namespace Psrun.Unpack;

/// <summary>How archives write numbers: tar(5), and for PAX records IEEE 1003.1 pax, "pax Extended Header".</summary>
static class TarNumbers
{
    /// <summary>An octal field, or the base-256 of GNU, which has the first bit set and may be negative.</summary>
    public static long Field(ReadOnlySpan<byte> field, string what)
    {
        if ((field[0] & 0x80) != 0)
            return Binary(field, what);
        int i = 0, end = field.Length;
        while (i < end && field[i] == ' ')
            i++;
        long value = 0;
        for (; i < end && field[i] is >= (byte)'0' and <= (byte)'7'; i++)
        {
            if (value > long.MaxValue >> 3)
                throw Bad(what);
            value = value << 3 | (long)(field[i] - '0');
        }
        for (; i < end; i++)
            if (field[i] is not ((byte)' ' or 0))
                throw Bad(what);
        return value;
    }

    static long Binary(ReadOnlySpan<byte> field, string what)
    {
        bool negative = (field[0] & 0x40) != 0;
        // Sign-extended from the seventh bit of the first byte; the eighth is the mark.
        long value = negative ? -1 : 0;
        for (int i = 0; i < field.Length; i++)
        {
            byte b = i == 0 ? (byte)(field[0] & 0x7f | (negative ? 0x80 : 0)) : field[i];
            if (value > long.MaxValue >> 8 || value < long.MinValue >> 8)
                throw Bad(what);
            value = value << 8 | b;
        }
        return value;
    }

    /// <summary>Decimal digits alone.</summary>
    public static long Decimal(ReadOnlySpan<byte> text, string what)
    {
        if (text.IsEmpty || text.Length > 19)
            throw Bad(what);
        long value = 0;
        foreach (byte c in text)
        {
            if (c is < (byte)'0' or > (byte)'9' || value > (long.MaxValue - 9) / 10)
                throw Bad(what);
            value = value * 10 + (c - '0');
        }
        return value;
    }

    /// <summary>Seconds since 1970 with a fraction, possibly before it: <c>-1.5</c> is half a second before second -1.</summary>
    public static timespec Time(ReadOnlySpan<byte> text, string what)
    {
        bool negative = text.Length > 0 && text[0] == '-';
        if (negative)
            text = text[1..];
        int point = text.IndexOf((byte)'.');
        long seconds = Decimal(point < 0 ? text : text[..point], what);
        long nanoseconds = 0;
        if (point >= 0)
        {
            ReadOnlySpan<byte> fraction = text[(point + 1)..];
            for (int i = 0; i < 9; i++)
                nanoseconds = nanoseconds * 10 + (i < fraction.Length ? Decimal(fraction.Slice(i, 1), what) : 0);
        }
        if (!negative)
            return new timespec { tv_sec = seconds, tv_nsec = nanoseconds };
        return nanoseconds == 0 ? new timespec { tv_sec = -seconds } : new timespec { tv_sec = -seconds - 1, tv_nsec = 1_000_000_000 - nanoseconds };
    }

    /// <summary>An owner or group: the highest number is the kernel's "leave as it is".</summary>
    public static uint Id(long value, string what) => value is >= 0 and < uint.MaxValue ? (uint)value : throw Bad(what);

    static UnpackException Bad(string what) => new(UnpackException.LayerInvalid, $"{what} is not a number, or too large");
}
