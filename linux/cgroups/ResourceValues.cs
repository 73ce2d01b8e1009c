using System.Globalization;

namespace Containers.Linux.Cgroups;

/// <summary>How v1's numbers, which specs are written in, become v2's. The same as in runc, so that a spec means the same under both. What users ask for by
/// our own words keeps its proportion on both.</summary>
public static class ResourceValues
{
    /// <summary>CPU shares (2 … 262144) as a weight (1 … 10000). Shares beyond the range count as its ends.</summary>
    public static ulong SharesToWeight(ulong shares) => 1 + (Math.Clamp(shares, 2, 262144) - 2) * 9999 / 262142;

    /// <summary>The fewest shares that make this weight.</summary>
    public static ulong WeightToShares(ulong weight) => 2 + ((Math.Clamp(weight, 1, 10000) - 1) * 262142 + 9998) / 9999;

    /// <summary>Shares (v1) in the proportion of weights (v2), by the kernel's defaults of 1024 and 100: three times the weight is three times the time. What
    /// runc makes of a spec's shares is no proportion, so that it has no part in what a user asks for as a weight.</summary>
    public static ulong SharesOf(long weight) => Math.Max(2, ((ulong)weight * 1024 + 50) / 100);

    /// <summary>The weight (1 … 10000) in the proportion of shares (v1).</summary>
    public static long WeightOf(long shares) => Math.Clamp((shares * 100 + 512) / 1024, 1, 10000);

    /// <summary>A block I/O weight (10 … 1000) as io.weight (1 … 10000).</summary>
    public static ulong BlkioToIoWeight(ushort weight) => 1 + (ulong)(Math.Clamp(weight, (ushort)10, (ushort)1000) - 10) * 9999 / 990;

    /// <summary>A limit of memory and swap together as one of swap alone. -1 is no limit; 0 or null is "not given".</summary>
    /// <returns>Null: leave it as it is.</returns>
    /// <exception cref="CgroupException"><c>CgroupLimitRefused</c>: swap limited without memory, or below it.</exception>
    public static long? SwapAlone(long? memoryAndSwap, long? memory)
    {
        var both = memoryAndSwap ?? 0;
        var limit = memory ?? 0;
        // "No limit" for memory alone has always meant swap as well.
        if (both == 0) { return limit == -1 ? -1 : null; }
        if (both == -1) { return -1; }
        if (both < 0) { throw Refused($"memory.swap: {both} is neither a size nor -1"); }
        if (limit <= 0) { throw Refused("memory.swap: needs memory.limit, because it counts memory and swap together"); }
        if (both < limit) { throw Refused($"memory.swap: {both} is below memory.limit {limit}, though it counts memory and swap together"); }
        return both - limit;
    }

    /// <summary><c>max</c> for what is below 0.</summary>
    internal static string OrMax(long value) => value < 0 ? "max" : value.ToString(CultureInfo.InvariantCulture);

    /// <summary>Null for "not given": specs written in Go say 0 where they mean nothing.</summary>
    internal static long? Given(long? value) => value is null or 0 ? null : value;

    internal static ulong? Given(ulong? value) => value is null or 0 ? null : value;

    internal static uint? Given(ushort? value) => value is null or 0 ? null : (uint)value;

    /// <summary>A size as file names have it, <c>2MB</c>: letters and digits alone, because it becomes part of a path.</summary>
    internal static string PageSize(string? size)
    {
        var digits = 0;
        while (size is not null && digits < size.Length && char.IsAsciiDigit(size[digits])) { digits++; }
        return size is not null && digits is > 0 and < 20 && size[digits..] is "KB" or "MB" or "GB" ? size!
            : throw Refused($"hugepageLimits.pageSize: \"{CgroupPath.Printable(size ?? "")}\" is not a size such as 2MB");
    }

    /// <param name="message">Begins with the member below <c>linux.resources</c>.</param>
    internal static CgroupException Refused(string message) => new("CgroupLimitRefused", "linux.resources." + message);
}
