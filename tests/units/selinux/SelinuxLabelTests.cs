using System.Text;
using Containers.Linux;
using Containers.Linux.Selinux;
using Xunit;

namespace Containers.Tests.Units.Selinux;

public class SelinuxLabelTests
{
    static List<MountInfo> Mounts(params string[] lines)
    {
        List<MountInfo> mounts = [];
        Assert.True(MountInfo.TryParse(Encoding.UTF8.GetBytes(string.Join('\n', lines)), mounts));
        return mounts;
    }

    const string Writable = "30 25 0:20 / /sys/fs/selinux rw,nosuid,noexec,relatime shared:4 - selinuxfs selinuxfs rw";
    const string ReadOnlyMount = "31 30 0:20 / /sys/fs/selinux ro,nosuid,noexec,relatime - selinuxfs selinuxfs rw";
    const string ReadOnlyFileSystem = "32 30 0:20 / /selinux rw - selinuxfs selinuxfs ro";
    const string Other = "25 1 0:19 / /sys rw,nosuid - sysfs sysfs rw,seclabel";
    const string Init = "system_u:system_r:init_t:s0";

    [Theory]
    [InlineData(true, Init, Other, Writable)]
    [InlineData(true, Init + "\0", Writable, Other)]
    [InlineData(false, Init, Other)]
    [InlineData(false, Init, Writable, ReadOnlyMount)]
    [InlineData(true, Init, ReadOnlyMount, Writable)]
    [InlineData(false, Init, ReadOnlyFileSystem)]
    [InlineData(false, "kernel\0", Writable)]
    [InlineData(false, "kernel\n", Writable)]
    [InlineData(false, "", Writable)]
    [InlineData(false, null, Writable)]
    public void It_is_enabled_where_its_file_system_can_be_written_and_a_policy_is_loaded(bool enabled, string? current, params string[] mounts) =>
        Assert.Equal(enabled, SelinuxLabel.IsEnabled(Mounts(mounts), current));

    [Theory]
    [InlineData("tmpfs", MountLabelWay.Context)]
    [InlineData("devpts", MountLabelWay.Context)]
    [InlineData("overlay", MountLabelWay.Context)]
    [InlineData("ext4", MountLabelWay.Context)]
    [InlineData("mqueue", MountLabelWay.Attribute)]
    [InlineData("proc", MountLabelWay.None)]
    [InlineData("sysfs", MountLabelWay.None)]
    [InlineData("cgroup", MountLabelWay.None)]
    [InlineData("cgroup2", MountLabelWay.None)]
    public void A_file_system_is_labelled_in_its_own_way(string type, MountLabelWay way) => Assert.Equal(way, SelinuxLabel.WayOf(type));

    [Theory]
    [InlineData(true, "context=system_u:object_r:tmp_t:s0")]
    [InlineData(true, "size=64k", "rootcontext=a:b:c")]
    [InlineData(true, "fscontext=a:b:c", "mode=755")]
    [InlineData(true, "defcontext=a:b:c")]
    [InlineData(false, "size=64k", "mode=755")]
    [InlineData(false, "contexts=3", "context")]
    [InlineData(false)]
    public void Options_that_name_a_label_are_told(bool named, params string[] options) => Assert.Equal(named, SelinuxLabel.IsNamedBy(options));

    [Fact]
    public void A_label_is_one_line_that_the_kernel_takes_in_one_write()
    {
        Assert.Null(SelinuxLabel.Problem("system_u:system_r:container_t:s0:c1,c2"));
        Assert.Null(SelinuxLabel.Problem(new string('a', 4095)));
        Assert.NotNull(SelinuxLabel.Problem(new string('a', 4096)));
        Assert.NotNull(SelinuxLabel.Problem(new string('ä', 2048)));
        Assert.NotNull(SelinuxLabel.Problem("a:b:c\nd:e:f"));
        Assert.NotNull(SelinuxLabel.Problem("a:b:c\0"));
    }
}
