using System.Globalization;
using System.Management.Automation;

namespace Containers.Cmdlets;

/// <summary>Takes times as <c>20ms</c>, <c>500us</c>, <c>1.5s</c>, <c>00:00:01</c> or a TimeSpan. A bare number is refused: PowerShell would take it for
/// ticks of 100 ns, and nobody means these.</summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class SpanAttribute : ArgumentTransformationAttribute
{
    public override object Transform(EngineIntrinsics engineIntrinsics, object inputData) => inputData is null ? null! : Parse(inputData);

    /// <exception cref="ArgumentTransformationMetadataException">It is no time.</exception>
    public static TimeSpan Parse(object value)
    {
        object plain = value is PSObject wrapped ? wrapped.BaseObject : value;
        if (plain is TimeSpan span)
            return span;
        // PowerShell takes 20s for a short and 20us for an unsigned one, and keeps what was typed beside it.
        if (plain is string or short or ushort)
        {
            string text = Arguments.Text(value);
            foreach ((string unit, double ticks) in new[] { ("ms", (double)TimeSpan.TicksPerMillisecond), ("us", 10), ("µs", 10), ("s", TimeSpan.TicksPerSecond) })
            {
                if (text.EndsWith(unit, StringComparison.Ordinal) && double.TryParse(text[..^unit.Length], NumberStyles.Float, CultureInfo.InvariantCulture, out double number) && number is >= 0 and < 1e9)
                    return TimeSpan.FromTicks((long)Math.Round(number * ticks));
            }
            if (text.Contains(':', StringComparison.Ordinal) && TimeSpan.TryParse(text, CultureInfo.InvariantCulture, out span))
                return span;
        }
        throw new ArgumentTransformationMetadataException($"'{plain}' is not a time: write 20ms, 500us, 1.5s, or a TimeSpan.");
    }
}
