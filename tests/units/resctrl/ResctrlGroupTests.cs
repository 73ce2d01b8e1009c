using System.Text;
using Containers.Linux;
using Containers.Linux.Oci;
using Containers.Linux.Resctrl;
using Xunit;

namespace Containers.Tests.Units.Resctrl;

public sealed class ResctrlGroupTests : IDisposable
{
    readonly RecordedResctrl tree = RecordedResctrl.New();

    public void Dispose() => tree.Dispose();

    static LinuxIntelRdt Rdt(string? closId = null, string? cache = null, string? bandwidth = null, string[]? schemata = null, bool? monitoring = null) =>
        new() { ClosId = closId, L3CacheSchema = cache, MemBwSchema = bandwidth, Schemata = schemata?.ToList(), EnableMonitoring = monitoring };

    ResctrlGroup Create(LinuxIntelRdt rdt, string id = "box")
    {
        var group = ResctrlGroup.Of(rdt, id);
        group.Create(tree, rdt, tree.Made.Add);
        return group;
    }

    string Refusal(LinuxIntelRdt rdt, string id = "box") => Assert.Throws<ResctrlException>(() => Create(rdt, id)).Id;

    [Fact]
    public void Without_a_class_the_container_has_its_own_and_it_goes_with_it()
    {
        var group = Create(Rdt(cache: "L3:0=7f0;1=1f", bandwidth: "MB:0=20;1=70"));
        Assert.Equal(new ResctrlGroup("box", null), group);
        Assert.Equal("L3:0=7f0;1=1f\nMB:0=20;1=70\n", tree.Schemata("box"));
        Assert.Equal(["box"], tree.Made);
        tree.RemoveGroup("box");
        Assert.False(tree.Has("box"));
        tree.RemoveGroup("box");
    }

    [Fact]
    public void A_group_of_the_containers_name_that_others_made_stays()
    {
        tree.Add("box");
        Create(Rdt());
        Assert.Empty(tree.Made);
    }

    [Fact]
    public void A_class_with_a_name_is_made_and_never_removed()
    {
        var group = Create(Rdt("gold", cache: "L3:0=f"));
        Assert.Equal(new ResctrlGroup("gold", null), group);
        Assert.Equal("L3:0=f\n", tree.Schemata("gold"));
        Assert.Empty(tree.Made);
    }

    [Fact]
    public void A_class_without_any_schema_has_to_be_there()
    {
        Assert.Equal("ResctrlGroupMissing", Refusal(Rdt("gold")));
        Assert.False(tree.Has("gold"));
        tree.Add("gold");
        Create(Rdt("gold"));
        Assert.Equal(RecordedResctrl.Default, tree.Schemata("gold"));
        Assert.Equal("", Create(Rdt("/")).Class);
        Assert.Equal(RecordedResctrl.Default, tree.Schemata(""));
        Assert.Empty(tree.Made);
    }

    [Theory]
    [InlineData("L3:0=7ff", null, true)]
    [InlineData("L3:1=07FF;0=7ff", "MB:1=100", true)]
    [InlineData("L3:0=7f", null, false)]
    [InlineData("L3:2=7ff", null, false)]
    [InlineData("L2:0=7ff", null, false)]
    [InlineData("L3:0=7ff", "MB:0=10", false)]
    [InlineData("nonsense", null, false)]
    [InlineData("L3:0", null, false)]
    public void A_class_that_is_there_must_have_the_schemas(string cache, string? bandwidth, bool same)
    {
        tree.Add("gold");
        if (same) { Create(Rdt("gold", cache, bandwidth)); }
        else { Assert.Equal("ResctrlMismatch", Refusal(Rdt("gold", cache, bandwidth))); }
        Assert.Equal(RecordedResctrl.Default, tree.Schemata("gold"));
        Assert.Empty(tree.Made);
    }

    [Fact]
    public void Schemata_are_written_last_and_also_to_a_class_that_is_there()
    {
        // A write of its own, which the recorded file keeps alone.
        Create(Rdt(cache: "L3:0=f", schemata: ["L2:0=3", "MB:0=50"]));
        Assert.Equal("L2:0=3\nMB:0=50\n", tree.Schemata("box"));
        tree.Add("gold");
        Create(Rdt("gold", schemata: ["L3:0=1"]));
        Assert.Equal("L3:0=1\n", tree.Schemata("gold"));
        Create(Rdt("/", schemata: ["MB:0=90"]));
        Assert.Equal("MB:0=90\n", tree.Schemata(""));
    }

    [Theory]
    [InlineData(null, "box", "box/mon_groups/box", "box")]
    [InlineData("gold", "gold", "gold/mon_groups/box", "gold/mon_groups/box")]
    [InlineData("/", "", "mon_groups/box", "mon_groups/box")]
    public void A_container_that_is_measured_has_a_group_for_that_which_goes_with_it(string? closId, string @class, string monitor, string made)
    {
        tree.Add("gold");
        Assert.Equal(new ResctrlGroup(@class, monitor), Create(Rdt(closId, monitoring: true)));
        Assert.True(tree.Has(monitor + "/tasks"));
        Assert.Equal([made], tree.Made);
        tree.RemoveGroup(made);
        Assert.False(tree.Has(monitor));
        Assert.True(tree.Has("gold/tasks"));
        Assert.True(tree.Has("tasks"));
    }

    [Fact]
    public void Processes_enter_the_class_and_then_the_group_that_measures()
    {
        var files = Create(Rdt(monitoring: true)).OpenTasks(tree);
        Assert.Equal(["box/tasks", "box/mon_groups/box/tasks"], files.Select(fd => Path.GetRelativePath(tree.Root, new FileInfo($"/proc/self/fd/{fd}").LinkTarget!)));
        files.ForEach(fd => Libc.close(fd));
        Assert.Single(Create(Rdt(), "other").OpenTasks(tree), fd => Libc.close(fd) == 0);
    }

    [Theory]
    [InlineData("..")]
    [InlineData(".")]
    [InlineData("a/b")]
    [InlineData("/a")]
    [InlineData("a/")]
    [InlineData("../info")]
    [InlineData("a\nb")]
    [InlineData("a\0b")]
    [InlineData("\u007f")]
    [InlineData("info")]
    [InlineData("mon_groups")]
    [InlineData("mon_data")]
    public void What_cannot_be_a_class_is_refused(string closId)
    {
        Assert.Equal("InvalidIntelRdt", Refusal(Rdt(closId, schemata: ["L3:0=1"])));
        Assert.Equal(["info", "mon_groups", "schemata", "tasks"], Directory.GetFileSystemEntries(tree.Root).Select(Path.GetFileName).Order());
    }

    [Fact]
    public void A_class_that_is_too_long_or_no_group_is_refused()
    {
        Assert.Equal("InvalidIntelRdt", Refusal(Rdt(new string('a', 256))));
        Assert.Equal("InvalidIntelRdt", Refusal(Rdt(new string('ä', 128))));
        Assert.Equal("ResctrlGroupMissing", Refusal(Rdt(new string('a', 255))));
        // A file of resctrl's own, and a link to somewhere else.
        Assert.Equal("ResctrlGroupMissing", Refusal(Rdt("tasks")));
        File.CreateSymbolicLink(Path.Combine(tree.Root, "link"), "/");
        Assert.Equal("ResctrlGroupMissing", Refusal(Rdt("link")));
        Assert.Equal("ResctrlRefused", Refusal(Rdt("link", schemata: ["L3:0=1"])));
    }

    [Fact]
    public void A_containers_id_that_resctrl_has_already_is_refused()
    {
        Assert.Equal("InvalidIntelRdt", Refusal(Rdt(), "info"));
        Assert.Equal("InvalidIntelRdt", Refusal(Rdt("gold", schemata: ["L3:0=1"], monitoring: true), ".."));
        Assert.Equal("InvalidIntelRdt", Refusal(Rdt(), "mon_data"));
    }

    [Theory]
    [InlineData("L3:0=1\u0001", null, null)]
    [InlineData(null, "MB:0=1\nL3:0=1", null)]
    [InlineData(null, "L3:0=1", null)]
    [InlineData(null, null, "L3:0=1\nMB:0=1")]
    public void What_is_no_schema_is_refused(string? cache, string? bandwidth, string? line) =>
        Assert.Equal("InvalidIntelRdt", Refusal(Rdt(cache: cache, bandwidth: bandwidth, schemata: line is null ? null : [line])));

    [Fact]
    public void A_cache_may_be_split_for_code_and_data()
    {
        Create(Rdt(cache: "L3CODE:0=f0\nL3DATA:0=f\n"));
        Assert.Equal("L3CODE:0=f0\nL3DATA:0=f\n", tree.Schemata("box"));
    }

    [Fact]
    public void An_update_is_written_and_can_be_taken_back()
    {
        var group = Create(Rdt());
        var before = group.Update(tree, "L3:0=3", "MB:0=30");
        Assert.Equal("L3:0=3\nMB:0=30\n", tree.Schemata("box"));
        group.Restore(tree, before);
        Assert.Equal(RecordedResctrl.Default.Trim(), tree.Schemata("box").Trim());
        Assert.Equal("InvalidIntelRdt", Assert.Throws<ResctrlException>(() => group.Update(tree, null, "0=30")).Id);
        tree.RemoveGroup("box");
        Assert.Equal("ResctrlGroupMissing", Assert.Throws<ResctrlException>(() => group.Update(tree, "L3:0=3", null)).Id);
    }

    [Fact]
    public void The_kernels_words_for_a_refusal_are_told()
    {
        File.WriteAllText(tree.PathOf("info/last_cmd_status"), "mask is not contiguous\n");
        var group = Create(Rdt());
        File.Delete(tree.PathOf("box/schemata"));
        Directory.CreateDirectory(tree.PathOf("box/schemata"));
        Assert.Contains("linux.intelRdt.schemata", Assert.Throws<ResctrlException>(() => Create(Rdt(schemata: ["L3:0=5"]))).Message);
        Assert.Equal("box", group.Class);
    }

    [Fact]
    public void The_tree_is_the_one_that_the_mount_table_names()
    {
        List<MountInfo> mounts = [];
        Assert.True(MountInfo.TryParse(Encoding.UTF8.GetBytes($"""
            25 1 0:19 / /sys rw,nosuid - sysfs sysfs rw
            40 25 0:30 / /sys/fs/resctrl rw - resctrl resctrl rw,cdp
            41 25 0:30 /gold /elsewhere rw - resctrl resctrl rw
            42 25 0:31 / /other rw - tmpfs resctrl rw
            """), mounts));
        Assert.Equal("/sys/fs/resctrl", ResctrlTree.Find(mounts)!.Root);
        Assert.Null(ResctrlTree.Find(mounts.FindAll(mount => mount.Type != "resctrl")));
    }
}
