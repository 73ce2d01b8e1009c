using Containers.Linux.Cgroups;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Containers.Tests.Units.Cgroups;

public class ResourceValuesTests
{
    static readonly Config Config = Config.QuickThrowOnFailure.WithMaxTest(1000);

    [Theory]
    [InlineData(2, 1)]
    [InlineData(1024, 39)]
    [InlineData(512, 20)]
    [InlineData(262144, 10000)]
    [InlineData(0, 1)]
    [InlineData(ulong.MaxValue, 10000)]
    public void Shares_make_runcs_weights(ulong shares, ulong weight) => Assert.Equal(weight, ResourceValues.SharesToWeight(shares));

    [Theory]
    [InlineData(10, 1)]
    [InlineData(1000, 10000)]
    [InlineData(500, 4950)]
    [InlineData(0, 1)]
    public void Block_weights_make_runcs_weights(ushort weight, ulong expected) => Assert.Equal(expected, ResourceValues.BlkioToIoWeight(weight));

    [Fact]
    public void More_shares_never_make_less_weight() =>
        Check.One(Config, Prop.ForAll((uint a, uint b) =>
            ResourceValues.SharesToWeight(Math.Min(a, b)) <= ResourceValues.SharesToWeight(Math.Max(a, b))));

    [Fact]
    public void Weights_that_users_name_become_shares_of_the_same_proportion_and_are_read_back()
    {
        Assert.Equal((1024ul, 3072ul, 10ul, 102400ul), (ResourceValues.SharesOf(100), ResourceValues.SharesOf(300), ResourceValues.SharesOf(1), ResourceValues.SharesOf(10000)));
        for (long weight = 1; weight <= 10000; weight++) { Assert.Equal(weight, ResourceValues.WeightOf((long)ResourceValues.SharesOf(weight))); }
        Assert.Equal((1, 10000), (ResourceValues.WeightOf(2), ResourceValues.WeightOf(262144)));
    }

    [Fact]
    public void Every_weight_has_shares_that_make_it_and_no_fewer_do()
    {
        for (ulong weight = 1; weight <= 10000; weight++)
        {
            var shares = ResourceValues.WeightToShares(weight);
            Assert.Equal(weight, ResourceValues.SharesToWeight(shares));
            if (shares > 2) { Assert.Equal(weight - 1, ResourceValues.SharesToWeight(shares - 1)); }
        }
    }

    [Fact]
    public void Swap_alone_and_memory_are_what_was_asked_for() =>
        Check.One(Config, Prop.ForAll((PositiveInt memory, NonNegativeInt swap) =>
            ResourceValues.SwapAlone((long)memory.Get + swap.Get, memory.Get) == swap.Get));

    [Theory]
    [InlineData(null, null, null)]
    [InlineData(0L, 5L, null)]
    [InlineData(-1L, 5L, -1L)]
    [InlineData(-1L, null, -1L)]
    [InlineData(null, -1L, -1L)]
    [InlineData(7L, 5L, 2L)]
    public void Swap_counts_memory_too(long? both, long? memory, long? alone) => Assert.Equal(alone, ResourceValues.SwapAlone(both, memory));

    [Theory]
    [InlineData(4L, 5L)]
    [InlineData(4L, null)]
    [InlineData(4L, -1L)]
    [InlineData(-2L, 5L)]
    public void Swap_below_memory_is_refused(long both, long? memory) =>
        Assert.Equal("CgroupLimitRefused", Assert.Throws<CgroupException>(() => ResourceValues.SwapAlone(both, memory)).Id);
}
