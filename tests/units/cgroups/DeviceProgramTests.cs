using Containers.Linux;
using Containers.Linux.Cgroups;
using Containers.Linux.Oci;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Containers.Tests.Units.Cgroups;

public class DeviceProgramTests
{
    const int Block = Libc.BPF_DEVCG_DEV_BLOCK, Char = Libc.BPF_DEVCG_DEV_CHAR;

    static readonly string[] Accesses = ["r", "w", "m", "rw", "rm", "wm", "rwm"];

    static readonly string?[] OrNone = [.. Accesses, "", null];

    static LinuxDeviceCgroup Rule(bool allow, string? type, long? major, long? minor, string? access) => new() { Allow = allow, Type = type, Major = major, Minor = minor, Access = access };

    static bool Passes(List<LinuxDeviceCgroup>? rules, int type, uint major, uint minor, string access) =>
        DeviceMachine.Run(DeviceProgram.Build(rules), type, major, minor, DeviceMachine.Bits(access));

    // Few numbers, so that rules meet; the largest, because a comparison in 64 bits would miss it.
    static readonly Gen<LinuxDeviceCgroup> Rules =
        from allow in Gen.Elements(true, false)
        from type in Gen.Elements<string?>("a", "b", "c", "", null)
        from major in Gen.Elements<long?>(null, -1, 0, 1, 136, uint.MaxValue)
        from minor in Gen.Elements<long?>(null, -1, 0, 3, 11, 1L << 31)
        from access in Gen.Elements(type is "b" or "c" ? Accesses : OrNone)
        select Rule(allow, type, major, minor, access);

    static readonly Gen<(LinuxDeviceCgroup[] Rules, int Type, uint Major, uint Minor, string Access)> Cases =
        from rules in Rules.ArrayOf()
        from type in Gen.Elements(Block, Char)
        from major in Gen.Elements<uint>(0, 1, 7, 136, uint.MaxValue)
        from minor in Gen.Elements<uint>(0, 3, 5, 11, 1u << 31)
        from access in Gen.Elements<string>([.. Accesses, ""])
        select (rules, type, major, minor, access);

    [Fact]
    public void The_instructions_decide_what_the_rules_mean() =>
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(5000), Prop.ForAll(Cases.ToArbitrary(), c =>
            Passes([.. c.Rules], c.Type, c.Major, c.Minor, c.Access) == DeviceMachine.Reference(c.Rules, c.Type, c.Major, c.Minor, c.Access)));

    [Fact]
    public void A_request_for_several_accesses_passes_when_each_of_them_does() =>
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(1000), Prop.ForAll(Cases.ToArbitrary(), c =>
            Passes([.. c.Rules], c.Type, c.Major, c.Minor, c.Access) == c.Access.All(one => Passes([.. c.Rules], c.Type, c.Major, c.Minor, one.ToString()))));

    [Theory]
    [InlineData(Char, 1, 3, "rw", true)]
    [InlineData(Char, 5, 2, "rwm", true)]
    [InlineData(Char, 136, 77, "rw", true)]
    [InlineData(Char, 1, 11, "m", true)]
    [InlineData(Block, 8, 0, "m", true)]
    [InlineData(Char, 1, 11, "r", false)]
    [InlineData(Char, 5, 1, "r", false)]
    [InlineData(Block, 1, 3, "r", false)]
    [InlineData(Block, 8, 0, "w", false)]
    public void Without_rules_there_are_the_default_devices_and_no_others(int type, uint major, uint minor, string access, bool passes)
    {
        Assert.Equal(passes, Passes(null, type, major, minor, access));
        Assert.Equal(passes, Passes([Rule(false, null, null, null, "rwm")], type, major, minor, access));
    }

    [Fact]
    public void A_later_rule_wins_and_can_cut_a_hole()
    {
        List<LinuxDeviceCgroup> rules = [Rule(true, "c", 10, null, "rwm"), Rule(false, "c", 10, 200, "w"), Rule(true, "c", 10, 200, "m")];
        Assert.Equal((true, true, true, false, false), (Passes(rules, Char, 10, 1, "rw"), Passes(rules, Char, 10, 200, "r"), Passes(rules, Char, 10, 200, "rm"),
            Passes(rules, Char, 10, 200, "rw"), Passes(rules, Block, 10, 1, "r")));
    }

    [Fact]
    public void Accesses_allowed_by_different_rules_add_up()
    {
        List<LinuxDeviceCgroup> rules = [Rule(true, "c", 10, -1, "r"), Rule(true, "c", 10, 200, "w")];
        Assert.Equal((true, false), (Passes(rules, Char, 10, 200, "rw"), Passes(rules, Char, 10, 201, "rw")));
    }

    [Fact]
    public void A_rule_for_all_makes_those_before_it_void()
    {
        Assert.True(Passes([Rule(false, "c", 1, 11, "rwm"), Rule(true, "a", -1, -1, "rwm")], Char, 1, 11, "rwm"));
        Assert.False(Passes([Rule(true, "c", 1, 11, "rwm"), Rule(false, null, null, null, null)], Char, 1, 11, "r"));
    }

    [Fact]
    public void Where_everything_is_allowed_a_denied_default_device_stays_denied()
    {
        List<LinuxDeviceCgroup> rules = [Rule(true, "a", null, null, null), Rule(false, "c", 1, 3, "w")];
        Assert.Equal((false, true, true), (Passes(rules, Char, 1, 3, "rw"), Passes(rules, Char, 1, 3, "r"), Passes(rules, Block, 8, 0, "rwm")));
    }

    [Fact]
    public void A_rule_of_type_a_may_be_narrower_than_everything()
    {
        List<LinuxDeviceCgroup> rules = [Rule(true, "a", 8, null, "r")];
        Assert.Equal((true, true, false, false), (Passes(rules, Block, 8, 1, "r"), Passes(rules, Char, 8, 1, "r"), Passes(rules, Char, 8, 1, "w"), Passes(rules, Char, 9, 1, "r")));
    }

    [Theory]
    [InlineData("x", 1L, "r")]
    [InlineData("c\n", 1L, "r")]
    [InlineData("c", 1L, "rx")]
    [InlineData("c", 1L, "")]
    [InlineData("b", 1L, null)]
    [InlineData("c", -2L, "r")]
    [InlineData("c", 1L << 32, "r")]
    public void A_rule_that_makes_no_sense_is_refused_by_name(string type, long major, string? access)
    {
        var e = Assert.Throws<CgroupException>(() => DeviceProgram.Build([Rule(true, type, major, null, access)]));
        Assert.Equal("CgroupLimitRefused", e.Id);
        Assert.StartsWith("linux.resources.devices", e.Message);
    }

    [Fact]
    public void A_hybrid_host_without_v1s_controller_enforces_rules_in_its_v2_tree()
    {
        using var recorded = RecordedHost.Hybrid(devices: false);
        recorded.Host.Group("/g").Apply(new() { Devices = [Rule(true, "c", 1, 11, "r")] });
        var (folder, program) = Assert.Single(recorded.DevicePrograms);
        Assert.EndsWith("/unified/g", folder);
        Assert.True(DeviceMachine.Run(program, Char, 1, 11, Libc.BPF_DEVCG_ACC_READ));
    }

    [Fact]
    public void Where_v1_has_the_controller_no_program_is_made()
    {
        using var recorded = RecordedHost.Hybrid();
        recorded.Write("devices", "/g", "devices.allow");
        recorded.Write("devices", "/g", "devices.deny");
        recorded.Host.Group("/g").Apply(null, create: true);
        Assert.Empty(recorded.DevicePrograms);
        Assert.Equal("a\n", recorded.Read("devices", "/g", "devices.deny"));
    }

    [Fact]
    public void Without_controller_and_without_v2_tree_nothing_pretends_to_deny()
    {
        using var recorded = RecordedHost.V1WithoutDevices();
        Assert.Equal("linux.resources.devices", Assert.Throws<CgroupNotSupportedException>(() => recorded.Host.Group("/g").Apply(null, create: true)).Feature);
        recorded.Host.Group("/g").Apply(null);
    }

    [Fact]
    public void What_a_hybrid_host_left_to_its_v2_tree_is_refused_and_not_enabled()
    {
        using var recorded = RecordedHost.Hybrid();
        foreach (var (member, controller, limits) in ((string, string, LinuxResources)[])
        [
            ("linux.resources.hugepageLimits", "hugetlb", new() { HugepageLimits = [new() { PageSize = "2MB", Limit = 0 }] }),
            ("linux.resources.rdma", "rdma", new() { Rdma = new() { ["mlx5_0"] = new() { HcaHandles = 1 } } }),
        ])
        {
            var e = Assert.Throws<CgroupNotSupportedException>(() => recorded.Host.Group("/g").Apply(limits));
            Assert.Equal(member, e.Feature);
            Assert.Contains($"{controller} is mounted on no v1 hierarchy", e.Message);
        }
        Assert.Equal("", recorded.Read(2, "/", "cgroup.subtree_control"));
    }
}
