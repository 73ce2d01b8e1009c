using Containers.Linux.Cgroups;
using Xunit;

namespace Containers.Tests.Units.Cgroups;

/// <summary>Limits in systemd's words.</summary>
public sealed class UnitLimitsTests
{
    static List<string> Of(CgroupLimitChange change, CgroupLimits? now = null, bool v2 = true) => UnitLimits.Of(change, now ?? new CgroupLimits(), v2, "");

    [Fact]
    public void Memory_and_swap_together_become_memory_and_swap()
    {
        Assert.Equal(["MemoryMax=100", "MemorySwapMax=50"], Of(new() { Memory = 100, MemorySwap = 150 }));
        Assert.Equal(["MemorySwapMax=80"], Of(new() { MemorySwap = 180 }, new() { Memory = 100 }));
        // The sum stays when memory alone is named, and no limit for memory means swap as well.
        Assert.Equal(["MemoryMax=60", "MemorySwapMax=90"], Of(new() { Memory = 60 }, new() { Memory = 100, MemorySwap = 150 }));
        Assert.Equal(["MemoryMax=60"], Of(new() { Memory = 60 }));
        Assert.Equal(["MemoryMax=infinity", "MemorySwapMax=infinity"], Of(new() { Memory = -1 }, new() { Memory = 100, MemorySwap = 150 }));
        Assert.Equal(["MemorySwapMax=infinity"], Of(new() { MemorySwap = -1 }, new() { Memory = 100 }));
    }

    [Fact]
    public void A_promise_that_is_taken_back_is_one_of_nothing()
    {
        Assert.Equal(["MemoryHigh=infinity", "MemoryLow=0", "MemoryMin=0"], Of(new() { MemoryHigh = -1, MemoryLow = -1, MemoryMinimum = -1 }));
        Assert.Equal(["MemoryLow=7"], Of(new() { MemoryReservation = 7 }));
    }

    [Fact]
    public void Processors_are_hundredths_of_a_second()
    {
        Assert.Equal(["CPUQuotaPerSecUSec=1500000"], Of(new() { Cpu = 1.5 }));
        Assert.Equal(["CPUQuotaPerSecUSec=290000"], Of(new() { Cpu = 0.29 }));
        Assert.Equal(["CPUQuotaPerSecUSec=infinity"], Of(new() { Cpu = -1 }));
        Assert.Equal("InvalidLimit", Assert.Throws<CgroupException>(() => Of(new() { Cpu = 0.125 })).Id);
        Assert.Equal(["CPUWeight=idle"], Of(new() { CpuIdle = true }));
        Assert.Equal(["CPUWeight=100"], Of(new() { CpuIdle = false }, new() { CpuIdle = true }));
        Assert.Empty(Of(new() { CpuIdle = false }, new() { CpuIdle = false }));
        Assert.Equal(["AllowedCPUs=0-1", "AllowedMemoryNodes="], Of(new() { CpuSet = "0-1", MemorySet = "" }));
    }

    [Fact]
    public void Disks_are_named_by_their_numbers()
    {
        Assert.Equal(["IOReadBandwidthMax=/dev/block/8:0 5", "IOWriteIOPSMax=/dev/block/8:0 infinity"], Of(new() { IoLimit = [new("8:0", 5, null, null, -1)] }));
        Assert.Equal(["IODeviceLatencyTargetUSec=/dev/block/8:0 infinity"], Of(new() { IoLatency = new Dictionary<string, TimeSpan> { ["8:0"] = TimeSpan.Zero } }));
        Assert.Equal(["IOWeight=3", "IOWriteBandwidthMax=/dev/block/8:0 6"], Of(new() { IoWeight = 3, IoLimit = [new("8:0", null, 6, null, null)] }, v2: false));
    }

    [Fact]
    public void Devices_replace_those_there_were()
    {
        Assert.Equal(["DevicePolicy=auto", "DeviceAllow="], Of(new() { DeviceRule = [new() { Allow = true, Type = "a", Access = "rwm" }] }));
        var strict = Of(new() { DeviceRule = [new() { Allow = true, Type = "c", Major = 10, Minor = 229, Access = "rw" }] });
        Assert.Equal(["DevicePolicy=strict", "DeviceAllow=", "DeviceAllow=/dev/char/10:229 rw"], strict.Take(3));
        Assert.Contains("DeviceAllow=/dev/char/1:3 rwm", strict);
        // systemd could not say it, and saying half of it would allow too much.
        Assert.Equal("DeviceRule", Assert.Throws<CgroupNotSupportedException>(() =>
            Of(new() { DeviceRule = [new() { Allow = true, Type = "a", Access = "rwm" }, new() { Allow = false, Type = "b", Major = 8, Access = "w" }] })).Feature);
    }

    public static TheoryData<CgroupLimitChange, string> Without() => new()
    {
        { new() { Swappiness = 5 }, "Swappiness" }, { new() { CpuBurst = TimeSpan.Zero }, "CpuBurst" }, { new() { CpuSetPartition = CgroupPartition.Root }, "CpuSetPartition" },
        { new() { HugePageLimit = new Dictionary<string, long>() }, "HugePageLimit" }, { new() { RdmaLimit = new Dictionary<string, string>() }, "RdmaLimit" }, { new() { NetClass = 1 }, "NetClass" },
        { new() { NetPriority = new Dictionary<string, uint>() }, "NetPriority" }, { new() { OomGroup = true }, "OomGroup" }, { new() { OomKillDisable = false }, "OomKillDisable" },
        { new() { Values = new Dictionary<string, string>() }, "Value" },
    };

    [Theory]
    [MemberData(nameof(Without))]
    public void What_systemd_has_no_property_for_is_refused_by_name(CgroupLimitChange change, string name) => Assert.Equal(name, Assert.Throws<CgroupNotSupportedException>(() => Of(change)).Feature);

    public static TheoryData<CgroupLimitChange, string> OnV2Alone() => new()
    {
        { new() { MemorySwap = 5 }, "MemorySwap" }, { new() { MemoryHigh = 5 }, "MemoryHigh" }, { new() { MemoryLow = 5 }, "MemoryLow" }, { new() { MemoryMinimum = 5 }, "MemoryMinimum" },
        { new() { MemoryReservation = 5 }, "MemoryReservation" }, { new() { CpuIdle = true }, "CpuIdle" }, { new() { CpuSet = "0" }, "CpuSet" }, { new() { MemorySet = "0" }, "MemorySet" },
        { new() { IoLimit = [new("8:0", null, null, 1, null)] }, "IoLimit" }, { new() { IoLatency = new Dictionary<string, TimeSpan>() }, "IoLatency" },
    };

    [Theory]
    [MemberData(nameof(OnV2Alone))]
    public void What_systemd_has_on_v2_alone_is_refused_by_name_on_v1(CgroupLimitChange change, string name) =>
        Assert.Equal(name, Assert.Throws<CgroupNotSupportedException>(() => Of(change, v2: false)).Feature);

    [Fact]
    public void The_rest_goes_there_too() => Assert.Equal(["MemoryMax=5", "MemoryLimit=5", "CPUQuotaPerSecUSec=500000", "CPUWeight=100", "TasksMax=9"], Of(new() { Memory = 5, Cpu = 0.5, CpuWeight = 100, ProcessLimit = 9 }, v2: false));

    [Theory]
    [InlineData("nginx", "nginx.service")]
    [InlineData("nginx.service", "nginx.service")]
    [InlineData("user@1000.service", "user@1000.service")]
    [InlineData("a.b", "a.b.service")]
    [InlineData("dev-sda1.swap", "dev-sda1.swap")]
    [InlineData("-.slice", "-.slice")]
    [InlineData("home-x\\x2dy.mount", "home-x\\x2dy.mount")]
    [InlineData("", null)]
    [InlineData(".service", null)]
    [InlineData("getty@.service", null)]
    [InlineData("../x.service", null)]
    [InlineData("a b", null)]
    [InlineData("ngin*", null)]
    [InlineData("--runtime", "--runtime.service")]
    public void A_units_name_gets_its_ending(string text, string? name) => Assert.Equal(name, SystemdUnit.FullName(text));
}
