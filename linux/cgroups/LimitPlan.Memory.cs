namespace Containers.Linux.Cgroups;

sealed partial class LimitPlan
{
    bool AsksForMemory => change is not
    {
        Memory: null, MemorySwap: null, MemoryHigh: null, MemoryLow: null, MemoryMinimum: null, MemoryReservation: null, Swappiness: null, OomGroup: null, OomKillDisable: null,
    };

    void Memory()
    {
        if (!AsksForMemory) { return; }
        var first = change.Memory is not null ? nameof(change.Memory) : change.MemorySwap is not null ? nameof(change.MemorySwap) : change.OomGroup is not null ? nameof(change.OomGroup)
            : change.OomKillDisable is not null ? nameof(change.OomKillDisable) : change.MemoryHigh is not null ? nameof(change.MemoryHigh) : nameof(change.MemoryReservation);
        var folder = Folder(first, "memory", out var version);
        if (version == 1) { MemoryV1(folder); }
        else { MemoryV2(folder); }
    }

    void MemoryV1(string folder)
    {
        const string Limit = "memory.limit_in_bytes", Both = "memory.memsw.limit_in_bytes";
        const string V2Alone = "v1 has nothing like it";
        Refuse(change.MemoryHigh is not null, CgroupLimitName.MemoryHigh, V2Alone);
        Refuse(change.MemoryLow is not null, CgroupLimitName.MemoryLow, V2Alone + "; MemoryReservation is v1's soft limit");
        Refuse(change.MemoryMinimum is not null, CgroupLimitName.MemoryMinimum, V2Alone);
        Refuse(change.OomGroup is not null, CgroupLimitName.OomGroup, V2Alone);

        var limit = change.Memory is { } memory ? Amount(nameof(change.Memory), memory) : (long?)null;
        var swap = change.MemorySwap is { } both ? Amount(nameof(change.MemorySwap), both) : (long?)null;
        var counted = CgroupFiles.Exists(folder, Both);
        // "No limit" for memory alone means swap as well.
        if (limit == -1 && swap is null && counted) { swap = -1; }
        var nowBoth = counted ? CgroupLimits.Bounded(CgroupFiles.ReadNumber(folder, Both)) : null;
        CheckSwap(limit ?? CgroupLimits.Bounded(CgroupFiles.ReadNumber(folder, Limit)), swap, nowBoth, limit is not null);
        if (limit > 0) { RefuseBelowUse(folder, limit.Value, CgroupFiles.ReadNumber(folder, "memory.usage_in_bytes"), "total_inactive_file"u8, "total_active_file"u8); }

        // Memory may never be above memory and swap together, not even between two writes: whichever grows goes first.
        var swapFirst = swap == -1 || (swap is not null && nowBoth is not null && swap > nowBoth);
        if (swap is not null && swapFirst) { Add(nameof(change.MemorySwap), folder, Both, Text(swap.Value)); }
        if (limit is not null) { Add(nameof(change.Memory), folder, Limit, Text(limit.Value)); }
        if (swap is not null && !swapFirst) { Add(nameof(change.MemorySwap), folder, Both, Text(swap.Value)); }

        if (change.MemoryReservation is { } soft) { Add(nameof(change.MemoryReservation), folder, "memory.soft_limit_in_bytes", Text(Amount(nameof(change.MemoryReservation), soft))); }
        if (change.Swappiness is { } swappiness)
        {
            if (swappiness is < 0 or > 100) { throw Invalid(nameof(change.Swappiness), swappiness, "it is from 0 to 100"); }
            Add(nameof(change.Swappiness), folder, "memory.swappiness", Text(swappiness));
        }
        if (change.OomKillDisable is { } off)
        {
            var now = CgroupFiles.Keyed(CgroupFiles.Read(folder, "memory.oom_control"), "oom_kill_disable"u8);
            if (now != (off ? 1 : 0)) { Add(nameof(change.OomKillDisable), folder, "memory.oom_control", off ? "1" : "0", undo: now is null ? null : Text(now.Value)); }
        }
    }

    void MemoryV2(string folder)
    {
        Refuse(change.Swappiness is not null, CgroupLimitName.Swappiness, "the v2 tree has nothing like it");
        Refuse(change.OomKillDisable is not null, CgroupLimitName.OomKillDisable, "v2 has nothing like it; MemoryHigh slows a group down instead of killing");
        if (change is { MemoryReservation: not null, MemoryLow: not null }) { throw Invalid(nameof(change.MemoryReservation), change.MemoryReservation, "on v2 it is the same as MemoryLow: give one of them"); }

        var nowLimit = CgroupFiles.ReadNumber(folder, "memory.max");
        var nowSwap = CgroupFiles.ReadNumber(folder, "memory.swap.max");
        var limit = change.Memory is { } memory ? Amount(nameof(change.Memory), memory) : (long?)null;
        var both = change.MemorySwap is { } asked ? Amount(nameof(change.MemorySwap), asked) : (long?)null;
        if (limit == -1 && both is null) { both = -1; }
        var after = limit is null ? nowLimit : limit == -1 ? null : limit;
        CheckSwap(after, both, nowLimit + nowSwap, limit is not null);
        // The sum stays what it was when memory alone is named, as on v1.
        if (both is null && limit > 0 && nowLimit is not null && nowSwap is not null) { both = nowLimit + nowSwap; }
        if (limit > 0) { RefuseBelowUse(folder, limit.Value, CgroupFiles.ReadNumber(folder, "memory.current"), "inactive_file"u8, "active_file"u8); }

        if (both is not null && (Offers(folder, "memory.swap.max") || both > after))
        {
            Add(nameof(change.MemorySwap), folder, "memory.swap.max", both == -1 ? "max" : Text(both.Value - after!.Value));
        }
        if (limit is not null) { Add(nameof(change.Memory), folder, "memory.max", Max(limit.Value)); }
        if (change.MemoryHigh is { } high) { Add(nameof(change.MemoryHigh), folder, "memory.high", Max(Amount(nameof(change.MemoryHigh), high))); }
        if ((change.MemoryLow ?? change.MemoryReservation) is { } low)
        {
            var word = change.MemoryLow is not null ? nameof(change.MemoryLow) : nameof(change.MemoryReservation);
            Add(word, folder, "memory.low", Text(Protected(word, low)));
        }
        if (change.MemoryMinimum is { } minimum) { Add(nameof(change.MemoryMinimum), folder, "memory.min", Text(Protected(nameof(change.MemoryMinimum), minimum))); }
        if (change.OomGroup is { } together) { Add(nameof(change.OomGroup), folder, "memory.oom.group", together ? "1" : "0"); }
    }

    // A promise that is taken back is one of no bytes.
    static long Protected(string limit, long value) => value switch
    {
        -1 => 0,
        >= 0 => value,
        _ => throw Invalid(limit, value, "it is a number of bytes, or -1 for none"),
    };

    /// <param name="limit">Of memory, as it will be; null for none.</param>
    /// <param name="both">Of both, as asked for; null for "stays".</param>
    /// <param name="nowBoth">Of both, as it is; null for none.</param>
    void CheckSwap(long? limit, long? both, long? nowBoth, bool limitChanges)
    {
        if (limit == -1) { limit = null; }
        if (both > 0 && limit is null) { throw Invalid(nameof(change.MemorySwap), both, "it is memory and swap together, so it needs Memory too"); }
        if (both > 0 && both < limit) { throw Invalid(nameof(change.MemorySwap), both, $"it is memory and swap together, so it is at least Memory, which is {limit}"); }
        if (both is null && limitChanges && limit > nowBoth) { throw Invalid(nameof(change.Memory), limit, $"memory and swap together are limited to {nowBoth}; give -MemorySwap as well"); }
    }

    // v2 would kill for it at once, and v1 reclaims for a long time before it says EBUSY. File cache can go without harm.
    static void RefuseBelowUse(string folder, long limit, long? usage, ReadOnlySpan<byte> inactiveKey, ReadOnlySpan<byte> activeKey)
    {
        if (usage is null || usage <= limit) { return; }
        var stat = CgroupFiles.Read(folder, "memory.stat");
        var cache = (CgroupFiles.Keyed(stat, inactiveKey) ?? 0) + (CgroupFiles.Keyed(stat, activeKey) ?? 0);
        if (usage - cache > limit)
        {
            throw new CgroupException("CgroupLimitRefused", $"Memory: {limit} bytes are below the {usage - cache} that are in use in {folder} and cannot be given back; stop something in the group first, or choose more");
        }
    }
}
