using Containers.Linux.Cgroups;
using Containers.Linux.Oci;
using Xunit;

namespace Containers.Tests.Units.Cgroups;

/// <summary>What <c>linux.cgroupsPath</c> and limits mean to a systemd driver.</summary>
public sealed class SystemdUnitTests
{
    [Theory]
    [InlineData(null, false, "psrun-box.scope", "/system.slice/psrun-box.scope")]
    [InlineData("", true, "psrun-box.scope", "/user.slice/psrun-box.scope")]
    [InlineData("machine.slice:libpod:abc", false, "libpod-abc.scope", "/machine.slice/libpod-abc.scope")]
    [InlineData(":cri-containerd:abc", false, "cri-containerd-abc.scope", "/system.slice/cri-containerd-abc.scope")]
    [InlineData("a-b-c.slice:x:y", false, "x-y.scope", "/a.slice/a-b.slice/a-b-c.slice/x-y.scope")]
    [InlineData("-.slice:x:y", false, "x-y.scope", "/x-y.scope")]
    [InlineData("a.slice::y", false, "y.scope", "/a.slice/y.scope")]
    [InlineData("a.slice:x:a-y.slice", false, "a-y.slice", "/a.slice/a-y.slice")]
    public void A_path_names_a_unit_and_its_group(string? path, bool user, string name, string group)
    {
        var unit = SystemdUnit.Parse(path, "box", user);
        Assert.Equal(name, unit.Name);
        Assert.Equal(group, unit.Path);
    }

    [Theory]
    [InlineData("/absolute")]
    [InlineData("a.slice:b")]
    [InlineData("a.slice:b:c:d")]
    [InlineData("a:b:c")]
    [InlineData(".slice:b:c")]
    [InlineData("a--b.slice:b:c")]
    [InlineData("a/b.slice:b:c")]
    [InlineData("a.slice:b:../c")]
    [InlineData("a.slice:b:c d")]
    [InlineData("a.slice:b:")]
    [InlineData("a.slice:b:-x-.slice")]
    public void What_is_no_unit_is_refused(string path) => Assert.Equal("InvalidCgroupPath", Assert.Throws<CgroupException>(() => SystemdUnit.Parse(path, "box", false)).Id);

    static object? Value(List<SystemdProperty> properties, string name) => properties.Find(p => p.Name == name)?.Value;

    [Fact]
    public void Limits_of_v2_are_systemds_properties()
    {
        var properties = SystemdProperties.Of(
            new LinuxResources
            {
                Memory = new LinuxMemory { Limit = 1000, Swap = 3000, Reservation = 500 },
                Cpu = new LinuxCpu { Shares = 1024, Quota = 25500, Period = 100000, Cpus = "0-2,9", Mems = "0" },
                Pids = new LinuxPids { Limit = -1 },
                Unified = new Dictionary<string, string> { ["memory.high"] = "max", ["cpu.max"] = "1 2" },
            }, v2: true, devices: false, "");
        Assert.Equal(1000ul, Value(properties, "MemoryMax"));
        Assert.Equal(2000ul, Value(properties, "MemorySwapMax"));
        Assert.Equal(500ul, Value(properties, "MemoryLow"));
        Assert.Equal(ulong.MaxValue, Value(properties, "MemoryHigh"));
        Assert.Equal(ResourceValues.SharesToWeight(1024), Value(properties, "CPUWeight"));
        // 255 ms a second, in whole hundredths of a processor
        Assert.Equal(260_000ul, Value(properties, "CPUQuotaPerSecUSec"));
        Assert.Equal(100_000ul, Value(properties, "CPUQuotaPeriodUSec"));
        Assert.Equal(new byte[] { 0b0000_0111, 0b0000_0010 }, Value(properties, "AllowedCPUs"));
        Assert.Equal(ulong.MaxValue, Value(properties, "TasksMax"));
        Assert.DoesNotContain(properties, p => p.Name.StartsWith("Device", StringComparison.Ordinal));
    }

    [Fact]
    public void Limits_of_v1_have_their_own_names()
    {
        var properties = SystemdProperties.Of(
            new LinuxResources { Memory = new LinuxMemory { Limit = 1000 }, Cpu = new LinuxCpu { Shares = 77, Quota = -1 }, BlockIo = new LinuxBlockIo { Weight = 300 } }, v2: false, devices: false, "");
        Assert.Equal(1000ul, Value(properties, "MemoryLimit"));
        Assert.Equal(77ul, Value(properties, "CPUShares"));
        Assert.Equal(ulong.MaxValue, Value(properties, "CPUQuotaPerSecUSec"));
        Assert.Equal(300ul, Value(properties, "BlockIOWeight"));
    }

    [Fact]
    public void Devices_are_those_that_rules_allow()
    {
        const string groups = "Character devices:\n  1 mem\n136 pts\n\nBlock devices:\n136 other\n";
        LinuxDeviceCgroup Rule(bool allow, string type, long? major, long? minor, string access) => new() { Allow = allow, Type = type, Major = major, Minor = minor, Access = access };
        var properties = SystemdProperties.Of(new LinuxResources { Devices = [Rule(false, "a", null, null, "rwm"), Rule(true, "c", 10, 229, "rw"), Rule(false, "c", 10, 229, "w"), Rule(true, "b", 777, null, "r")] },
            v2: true, devices: false, groups);
        Assert.Equal("strict", Value(properties, "DevicePolicy"));
        var allowed = Assert.IsType<(string, string)[]>(Value(properties, "DeviceAllow"));
        Assert.Contains(("/dev/char/10:229", "rw"), allowed);
        Assert.Contains(("/dev/char/1:3", "rwm"), allowed);
        Assert.Contains(("char-pts", "rwm"), allowed);
        Assert.Contains(("block-*", "m"), allowed);
        Assert.DoesNotContain(allowed, pair => pair.Item1.Contains("other") || pair.Item1.Contains("777"));

        var all = SystemdProperties.Of(new LinuxResources { Devices = [Rule(true, "a", null, null, "rwm")] }, v2: true, devices: false, groups);
        Assert.Equal("auto", Value(all, "DevicePolicy"));
        Assert.Empty(Assert.IsType<(string, string)[]>(Value(all, "DeviceAllow")));
        Assert.Equal("strict", Value(SystemdProperties.Of(null, v2: true, devices: true, groups), "DevicePolicy"));
    }
}
