using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Containers.Linux.Cgroups;
using Containers.Linux.Oci;

namespace Containers.Tests.Runtime;

/// <summary>unit show, unit set: against a bus of our own, where its library is; and against systemd itself, where that runs.</summary>
public sealed class UnitTests : RuntimeTest
{
    const string Ours = "it has no such command";

    sealed class BusFactAttribute : FactAttribute
    {
        public BusFactAttribute() => Skip = Native.geteuid() != 0 ? "needs root" : UnderTest.IsRunc || UnderTest.IsCrun ? Ours
            : !NativeLibrary.TryLoad("libsystemd.so.0", out _) ? "there is no libsystemd.so.0" : null;
    }

    FakeSystemd Bus() => new(Path.Combine(Folder, "bus")) { Units = { ["web.service"] = ("loaded", "active", "/system.slice/web.service"), ["off.service"] = ("loaded", "inactive", "") } };

    Result Ask(FakeSystemd systemd, params string[] words) => Runtime.Do(new SpawnOptions { Environment = { ["DBUS_SYSTEM_BUS_ADDRESS"] = systemd.Address } }, ["unit", .. words]);

    static string? ErrorOf(Result result) => (string?)JsonNode.Parse(result.Ends(1).Stdout)!["error"]!["id"];

    [BusFact]
    public void A_unit_is_shown_with_its_group()
    {
        using FakeSystemd systemd = Bus();
        Assert.Equal("""{"loadState":"loaded","activeState":"active","controlGroup":"/system.slice/web.service"}""", Ask(systemd, "show", "web.service").Ends(0).Stdout.Trim());
        Assert.Equal("""{"loadState":"loaded","activeState":"inactive","controlGroup":null}""", Ask(systemd, "show", "off.service").Ends(0).Stdout.Trim());
        Assert.Equal("not-found", (string?)JsonNode.Parse(Ask(systemd, "show", "none.service").Ends(0).Stdout)!["loadState"]);
        systemd.Units["-.slice"] = ("loaded", "active", "/");
        Assert.Contains("\"controlGroup\":\"/\"", Ask(systemd, "show", "--", "-.slice").Ends(0).Stdout);
        // A kind without processes.
        Assert.Equal("""{"loadState":"not-found","activeState":"inactive","controlGroup":null}""", Ask(systemd, "show", "some.target").Ends(0).Stdout.Trim());
    }

    [BusFact]
    public void Every_property_that_limits_become_reaches_systemd_as_its_type()
    {
        using FakeSystemd systemd = Bus();
        var change = new CgroupLimitChange
        {
            Memory = 64 << 20, MemorySwap = 96 << 20, MemoryHigh = 48 << 20, MemoryLow = -1, MemoryMinimum = 1 << 20, Cpu = 0.25, CpuWeight = 50, CpuSet = "0-2,9", MemorySet = "", ProcessLimit = -1, IoWeight = 300,
            IoLimit = [new("8:0", 1000, -1, 30, null)], IoLatency = new Dictionary<string, TimeSpan> { ["8:16"] = TimeSpan.FromMilliseconds(10) },
            DeviceRule = [new() { Allow = false, Type = "a", Access = "rwm" }, new() { Allow = true, Type = "c", Major = 10, Minor = 229, Access = "rw" }],
        };
        var properties = UnitLimits.Of(change, new CgroupLimits(), v2: true, "Character devices:\n136 pts\n");
        string[] words = [.. properties.SelectMany(property => new[] { "--property", property })];
        Ask(systemd, ["set", "--runtime", .. words, "web.service"]).Ends(0);
        Ask(systemd, ["set", "--property", "CPUWeight=idle", "web.service"]).Ends(0);
        Assert.Equal(2, systemd.Changes.Count);
        var (unit, runtime, told) = systemd.Changes[0];
        Assert.Equal(("web.service", true), (unit, runtime));
        Assert.Equal(
            [
                "MemoryMax=67108864", "MemorySwapMax=33554432", "MemoryHigh=50331648", "MemoryLow=0", "MemoryMin=1048576", "CPUQuotaPerSecUSec=250000", "CPUWeight=50", "AllowedCPUs=[7 2]", "AllowedMemoryNodes=[]",
                "TasksMax=18446744073709551615", "IOWeight=300", "IOReadBandwidthMax=[[/dev/block/8:0 1000]]", "IOWriteBandwidthMax=[[/dev/block/8:0 18446744073709551615]]", "IOReadIOPSMax=[[/dev/block/8:0 30]]",
                "IODeviceLatencyTargetUSec=[[/dev/block/8:16 10000]]", "DevicePolicy=strict", "DeviceAllow=[]", "DeviceAllow=[[/dev/char/10:229 rw]]",
            ], told.Take(18));
        // The devices that every container has.
        Assert.Contains("DeviceAllow=[[/dev/char/1:3 rwm]]", told);
        Assert.Contains("DeviceAllow=[[char-pts rwm]]", told);
        Assert.False(systemd.Changes[1].Runtime);
        Assert.Equal(["CPUWeight=0"], systemd.Changes[1].Properties);
    }

    [BusFact]
    public void What_systemd_refuses_has_an_id()
    {
        using FakeSystemd systemd = Bus();
        Assert.Equal("UnitNotFound", ErrorOf(Ask(systemd, "set", "--property", "TasksMax=5", "none.service")));
        foreach (var (name, id) in ((string, string)[])
        [
            ("org.freedesktop.DBus.Error.AccessDenied", "NotPermitted"), ("org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", "NotPermitted"), ("org.freedesktop.DBus.Error.InvalidArgs", "Refused"),
            ("org.freedesktop.DBus.Error.PropertyReadOnly", "Refused"), ("org.freedesktop.DBus.Error.NoReply", "SystemdUnavailable"),
        ])
        {
            systemd.Refusal = name;
            Assert.Equal(id, ErrorOf(Ask(systemd, "set", "--property", "TasksMax=5", "web.service")));
        }
        Assert.Empty(systemd.Changes);
    }

    [BusFact]
    public void A_unit_stands_still_and_goes_on()
    {
        using FakeSystemd systemd = Bus();
        Assert.Contains("\"controlGroup\":\"/system.slice/web.service\"", Ask(systemd, "freeze", "web.service").Ends(0).Stdout);
        Ask(systemd, "thaw", "web.service").Ends(0);
        Assert.Equal(["FreezeUnit", "ThawUnit"], systemd.Changes.Select(change => change.Properties[0]));
        Assert.Equal("UnitNotFound", ErrorOf(Ask(systemd, "freeze", "none.service")));
        systemd.Refusal = "org.freedesktop.DBus.Error.NotSupported";
        Assert.Equal("NotSupported", ErrorOf(Ask(systemd, "freeze", "web.service")));
    }

    [BusFact]
    public void Without_a_bus_it_says_so()
    {
        var result = Runtime.Do(new SpawnOptions { Environment = { ["DBUS_SYSTEM_BUS_ADDRESS"] = "unix:path=" + Path.Combine(Folder, "none") } }, "unit", "show", "web.service");
        // With a systemd its private socket answers in the bus' place.
        if (!Directory.Exists("/run/systemd/system"))
            Assert.Equal("SystemdUnavailable", ErrorOf(result));
    }

    [RuntimeTheory(NotUnderRunc = Ours, NotUnderCrun = Ours)]
    [InlineData("unit")]
    [InlineData("unit", "show")]
    [InlineData("unit", "stop", "a.service")]
    [InlineData("unit", "show", "a.service", "b.service")]
    [InlineData("unit", "show", "--runtime", "a.service")]
    [InlineData("unit", "thaw", "--property", "TasksMax=5", "a.service")]
    [InlineData("unit", "set", "a.service")]
    [InlineData("unit", "set", "--property", "ExecStart=x", "a.service")]
    [InlineData("unit", "set", "--property", "MemoryMax=1G", "a.service")]
    [InlineData("unit", "set", "--property", "MemoryMax", "a.service")]
    [InlineData("unit", "set", "--property", "DeviceAllow=x", "a.service")]
    [InlineData("unit", "set", "--property", "AllowedCPUs=0-9999999", "a.service")]
    [InlineData("unit", "set", "--property", "IOReadBandwidthMax=/dev/sda", "a.service")]
    public void What_it_does_not_take_is_refused_before_anybody_is_asked(params string[] words)
    {
        var result = Runtime.Do(words).Ends(1);
        Assert.Empty(result.Stdout);
        Assert.NotEmpty(result.Stderr);
    }

    [SystemdFact]
    public void Limits_of_a_unit_are_systemds_and_the_kernels()
    {
        var unit = $"psrt-{Tag}.service";
        var file = "/run/systemd/system/" + unit;
        File.WriteAllText(file, "[Service]\nExecStart=/bin/sleep 1000\n");
        try
        {
            Do("systemctl", "daemon-reload").Ends(0);
            Assert.Contains("\"activeState\":\"inactive\",\"controlGroup\":null", Runtime.Do("unit", "show", unit).Ends(0).Stdout);
            Do("systemctl", "start", unit).Ends(0);
            Assert.Contains($"\"activeState\":\"active\",\"controlGroup\":\"/system.slice/{unit}\"", Runtime.Do("unit", "show", unit).Ends(0).Stdout);
            Assert.Equal("UnitNotFound", ErrorOf(Runtime.Do("unit", "set", "--property", "TasksMax=5", $"psrt-{Tag}-none.service")));

            var host = CgroupHost.Detect();
            var group = host.Group("/system.slice/" + unit);
            Change(unit, host, group, ["--runtime"], new CgroupLimitChange
            {
                Memory = 64 << 20, MemorySwap = 96 << 20, MemoryHigh = 48 << 20, MemoryLow = 8 << 20, MemoryMinimum = 4 << 20, Cpu = 0.25, CpuWeight = 50, CpuSet = "0", ProcessLimit = 33,
                DeviceRule = [new() { Allow = false, Type = "a", Access = "rwm" }],
            });
            var now = group.ReadLimits();
            if (host.Kind == CgroupKind.V2)
            {
                Assert.Equal((64L << 20, 96L << 20, 48L << 20, 8L << 20, 4L << 20), (now.Memory, now.MemorySwap, now.MemoryHigh, now.MemoryLow, now.MemoryMinimum));
                Assert.Equal((50L, "0"), (now.CpuWeight, now.Cpus));
                Assert.Equal(0.25, now.CpuQuota / now.CpuPeriod);
            }
            Assert.Equal((64L << 20, 33L), (now.Memory, now.Pids));
            Assert.Equal("33", Property(unit, "TasksMax"));
            Assert.Equal("strict", Property(unit, "DevicePolicy"));
            Assert.False(Directory.Exists($"/etc/systemd/system.control/{unit}.d"));

            Change(unit, host, group, ["--runtime"], group.Clearing([CgroupLimitName.Memory, CgroupLimitName.ProcessLimit]));
            Assert.Null(group.ReadLimits().Pids);
            Assert.Null(group.ReadLimits().Memory);

            if (host.Kind == CgroupKind.V2)
            {
                Runtime.Do("unit", "freeze", unit).Ends(0);
                Assert.True(group.Frozen);
                Runtime.Do("unit", "thaw", unit).Ends(0);
                Assert.False(group.Frozen);
            }
            else
                Assert.Equal("NotSupported", ErrorOf(Runtime.Do("unit", "freeze", unit)));

            Change(unit, host, group, [], new CgroupLimitChange { ProcessLimit = 44 });
            Assert.NotEmpty(Directory.GetFiles($"/etc/systemd/system.control/{unit}.d"));
            Do("systemctl", "restart", unit).Ends(0);
            Assert.Equal(44, group.ReadLimits().Pids);
        }
        finally
        {
            Do("systemctl", "revert", unit);
            Do("systemctl", "stop", unit);
            File.Delete(file);
            Do("systemctl", "daemon-reload");
        }
    }

    void Change(string unit, CgroupHost host, ControlGroup group, string[] flags, CgroupLimitChange change)
    {
        if (host.Kind != CgroupKind.V2)
            change = new CgroupLimitChange { Memory = change.Memory, ProcessLimit = change.ProcessLimit, DeviceRule = change.DeviceRule };
        _ = group.PlanLimits(change);
        var properties = UnitLimits.Of(change, group.ReadLimits(), host.Kind == CgroupKind.V2, File.ReadAllText("/proc/devices"));
        Runtime.Do(["unit", "set", .. flags, .. properties.SelectMany(property => new[] { "--property", property }), unit]).Ends(0);
    }

    string Property(string unit, string name) => Do("systemctl", "show", "--value", "-p", name, unit).Ends(0).Stdout.Trim();

    Result Do(string program, params string[] arguments) => Spawn.Run(Folder, UnderTest.InPath(program)!, arguments, new SpawnOptions { Timeout = TimeSpan.FromSeconds(120) });
}
