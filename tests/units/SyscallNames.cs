using System.Reflection;
using System.Runtime.InteropServices;
using Containers.Linux;
using Xunit;

namespace Containers.Tests.Units;

/// <summary>The tables of names against the constants they name.</summary>
public class SyscallNames
{
    static IEnumerable<(string Name, int Value)> Constants(string prefix) =>
        typeof(Libc).GetFields(BindingFlags.Public | BindingFlags.Static)
            .Where(f => f.IsLiteral && f.FieldType == typeof(int) && f.Name.StartsWith(prefix, StringComparison.Ordinal))
            .Select(f => (f.Name, (int)f.GetRawConstantValue()!));

    [Fact]
    public void Capabilities_are_named_both_ways()
    {
        foreach ((string name, int value) in Constants("CAP_").Where(c => c.Name != "CAP_LAST_CAP"))
        {
            Assert.Equal(name, Capabilities.Name(value));
            Assert.True(Capabilities.TryNumber(name, out int number));
            Assert.Equal(value, number);
        }
        Assert.Equal(Capabilities.Last + 1, Enumerable.Range(0, 64).Count(i => Capabilities.Name(i) is not null));
    }

    [Theory]
    [InlineData("")]
    [InlineData("CHOWN")]
    [InlineData("cap_chown")]
    [InlineData("CAP_CHOWN ")]
    [InlineData("CAP_41")]
    public void Other_spellings_of_capabilities_are_refused(string name) => Assert.False(Capabilities.TryNumber(name, out _));

    [Fact]
    public void Resource_limits_are_named_both_ways()
    {
        foreach ((string name, int value) in Constants("RLIMIT_"))
        {
            Assert.Equal(name, ResourceLimits.Name(value));
            Assert.True(ResourceLimits.TryNumber(name, out int number));
            Assert.Equal(value, number);
        }
        Assert.All(Enumerable.Range(0, ResourceLimits.Count), i => Assert.NotNull(ResourceLimits.Name(i)));
        Assert.Null(ResourceLimits.Name(ResourceLimits.Count));
        Assert.Null(ResourceLimits.Name(-1));
        Assert.False(ResourceLimits.TryNumber("RLIMIT_UNKNOWN", out _));
    }

    [Fact]
    public void Error_texts_are_libcs_in_small_letters()
    {
        int named = 0;
        for (int errno = 1; errno < 200; errno++)
        {
            string libc = Marshal.GetPInvokeErrorMessage(errno);
            if (libc.StartsWith("Unknown error", StringComparison.Ordinal))
            {
                Assert.Equal($"unknown error {errno}", Errnos.Text(errno));
                Assert.Equal($"errno {errno}", Errnos.Name(errno));
                continue;
            }
            Assert.Equal(libc.ToLowerInvariant(), Errnos.Text(errno));
            Assert.Matches("^E[A-Z0-9]+$", Errnos.Name(errno));
            named++;
        }
        Assert.Equal(131, named);
    }

    [Fact]
    public void Error_names_are_the_constants()
    {
        for (int errno = 1; errno < 200; errno++)
            if (Errnos.Name(errno) is ['E', ..] name)
                Assert.Equal(errno, typeof(Libc).GetField(name)?.GetRawConstantValue());
        Assert.Equal("EAGAIN", Errnos.Name(Libc.EWOULDBLOCK));
    }

    [Fact]
    public void Signals_are_named_both_ways()
    {
        for (int signal = 1; signal <= Signals.Highest; signal++)
        {
            string name = Signals.Name(signal);
            Assert.True(Signals.TryParse(name, out int parsed), name);
            Assert.Equal(signal, parsed);
            Assert.True(Signals.TryParse(signal.ToString(), out parsed));
            Assert.Equal(signal, parsed);
            Assert.True(Signals.TryParse(name.ToLowerInvariant(), out parsed));
            Assert.Equal(signal, parsed);
            if (name.StartsWith("SIG", StringComparison.Ordinal))
                Assert.True(Signals.TryParse(name.AsSpan(3), out parsed) && parsed == signal, name);
        }
    }

    [Theory]
    [InlineData("SIGRTMIN", 34)]
    [InlineData("RTMIN+1", 35)]
    [InlineData("SIGRTMIN+30", 64)]
    [InlineData("SIGRTMAX", 64)]
    [InlineData("rtmax-30", 34)]
    [InlineData("SIGCLD", 17)]
    [InlineData("POLL", 29)]
    [InlineData("iot", 6)]
    [InlineData("UNUSED", 31)]
    [InlineData("09", 9)]
    public void Other_names_of_signals_are_known(string text, int signal)
    {
        Assert.True(Signals.TryParse(text, out int parsed));
        Assert.Equal(signal, parsed);
    }

    [Theory]
    [InlineData("")]
    [InlineData("0")]
    [InlineData("65")]
    [InlineData("-1")]
    [InlineData("+9")]
    [InlineData("9 ")]
    [InlineData("100")]
    [InlineData("SIG")]
    [InlineData("SIG9")]
    [InlineData("SIGSIGTERM")]
    [InlineData("TERM ")]
    [InlineData("RTMIN-1")]
    [InlineData("RTMIN+31")]
    [InlineData("RTMIN+")]
    [InlineData("RTMIN++1")]
    [InlineData("RTMIN+1+")]
    [InlineData("RTMAX-31")]
    [InlineData("RTMAX+1")]
    [InlineData("２")]
    [InlineData("32x")]
    public void What_is_no_signal_is_refused(string text) => Assert.False(Signals.TryParse(text, out _));
}
