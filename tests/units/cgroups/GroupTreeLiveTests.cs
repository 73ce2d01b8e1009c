using System.Text;
using Containers.Linux;
using Containers.Linux.Cgroups;
using Xunit;

namespace Containers.Tests.Units.Cgroups;

/// <summary>Groups and what is below them, made and removed in the kernel.</summary>
[Collection("control groups")]
public class GroupTreeLiveTests
{
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    [CgroupFact]
    public void A_group_is_made_and_removed_in_every_hierarchy()
    {
        using var live = new LiveGroup(create: false);
        Assert.False(live.Group.Exists);
        Assert.True(live.Group.Create());
        Assert.False(live.Group.Create());
        Assert.All(live.Host.Hierarchies, h => Assert.True(Directory.Exists(live.Group.FolderIn(h))));
        live.Group.Remove(live.Parent);
        Assert.False(live.Group.Exists);
        Assert.Equal(0, live.FoldersLeft());
        live.Group.Remove(live.Parent);
    }

    [CgroupFact]
    public void Parents_are_removed_up_to_the_one_named_and_only_when_empty()
    {
        using var live = new LiveGroup(create: false);
        var deep = live.Host.Group(live.Parent + "/a/b/c");
        var beside = live.Host.Group(live.Parent + "/a/x");
        deep.Create();
        beside.Create();
        deep.Remove(live.Parent);
        Assert.False(live.Host.Group(live.Parent + "/a/b").Exists);
        Assert.True(beside.Exists);
        beside.Remove(live.Parent + "/a");
        Assert.False(live.Host.Group(live.Parent + "/a").Exists);
        Assert.True(live.Host.Group(live.Parent).Exists);
    }

    [CgroupFact]
    public void Reading_a_group_that_is_not_there_says_so()
    {
        var none = CgroupHost.Detect().Group($"/pscontainers-none-{Guid.NewGuid():N}");
        Assert.Equal("CgroupNotFound", Assert.Throws<CgroupException>(() => none.ReadStats()).Id);
        Assert.Equal("CgroupNotFound", Assert.Throws<CgroupException>(() => none.ReadLimits()).Id);
        Assert.Empty(none.Processes(recursive: true));
        none.Kill();
        Assert.True(none.WaitEmpty(TimeSpan.Zero));
        Assert.False(none.Frozen);
    }

    [CgroupFact]
    public void The_root_is_neither_killed_nor_limited()
    {
        var root = CgroupHost.Detect().Group("/");
        foreach (var act in (Action[])[root.Kill, root.Freeze, root.Thaw, () => root.Remove(), () => root.Apply(new()), () => root.Create()])
        {
            Assert.Equal("InvalidCgroupPath", Assert.Throws<CgroupException>(act).Id);
        }
    }

    [CgroupFact]
    public void A_group_with_processes_is_not_removed()
    {
        using var live = new LiveGroup();
        var process = live.Start("exec sleep 1000");
        var e = Assert.Throws<CgroupException>(() => live.Group.Remove(wait: TimeSpan.FromMilliseconds(20)));
        Assert.Equal("CgroupBusy", e.Id);
        Assert.Equal([process.Id], live.Group.Processes());
        process.Kill();
        live.Group.Remove(wait: Patience);
        Assert.False(live.Group.Exists);
    }

    [CgroupFact]
    public void Whatever_was_made_inside_is_removed_too()
    {
        using var live = new LiveGroup();
        foreach (var h in live.Host.Hierarchies)
        {
            // Names from inside need not be text.
            foreach (var name in (byte[][])[[.. "plain"u8], [0xff, 0xfe], [.. " -rf\t"u8]])
            {
                Assert.Equal(0, MakeFolder(live.Group.FolderIn(h), name));
                var inner = Encoding.UTF8.GetBytes(live.Group.FolderIn(h) + "/");
                Assert.Equal(0, MakeFolder(null, [.. inner, .. name, .. "/inner"u8]));
            }
        }
        live.Group.Remove();
        Assert.False(live.Group.Exists);
    }

    [CgroupFact]
    public void Groups_nested_beyond_reason_are_refused_and_still_removed()
    {
        using var live = new LiveGroup(LiveGroup.Part(2) ?? LiveGroup.Part(1));
        var folder = live.Group.FolderIn(live.Host.Hierarchies[0]);
        for (var i = 0; i < 300; i++)
        {
            folder += "/d";
            Directory.CreateDirectory(folder);
        }
        Assert.Equal("CgroupTooDeep", Assert.Throws<CgroupException>(() => live.Group.Processes(recursive: true)).Id);
        live.Group.Remove();
        Assert.False(live.Group.Exists);
    }

    [CgroupFact]
    public void Makers_and_removers_of_one_parent_do_not_disturb_each_other()
    {
        using var live = new LiveGroup(create: false);
        Parallel.For(0, 4, new ParallelOptions { MaxDegreeOfParallelism = 4 }, worker =>
        {
            var group = live.Host.Group($"{live.Parent}/p/w{worker}");
            for (var i = 0; i < 40; i++)
            {
                group.Create();
                Assert.True(group.Exists);
                group.Remove(live.Parent);
            }
        });
        Assert.Equal(0, live.FoldersLeft());
    }

    static unsafe int MakeFolder(string? parent, byte[] name)
    {
        byte[] path = [.. Encoding.UTF8.GetBytes(parent is null ? "" : parent + "/"), .. name, 0];
        fixed (byte* p = path) { return (int)Libc.syscall_errno(Libc.SYS_mkdirat, Libc.AT_FDCWD, (nint)p, 0x1ed, 0, 0, 0); }
    }
}
