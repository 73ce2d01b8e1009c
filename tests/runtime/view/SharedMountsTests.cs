using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>Containers without a mount namespace of their own: in the caller's, or in one that is joined by path.</summary>
public sealed class SharedMountsTests : RuntimeTest
{
    const string Leaves = "it leaves its mounts behind";

    internal static Bundle Without(Bundle bundle) => bundle.WithoutNamespace("mount").Change(b =>
    {
        b.Linux.Remove("maskedPaths");
        b.Linux.Remove("readonlyPaths");
    });

    int MountsAt(string path, string pid = "self") => File.ReadLines($"/proc/{pid}/mountinfo").Count(line => line.Split(' ')[4] == path);

    [RuntimeFact(NotUnderRunc = Leaves, NotUnderCrun = Leaves)]
    public void Without_one_the_container_is_in_the_callers_and_has_its_own_root()
    {
        var bundle = Without(NewBundle()).Shell("readlink /proc/self/ns/mnt; ls -d /work /home; cat /etc/group; ls /dev/null /proc/self/stat");
        var result = Run(bundle).Ends(0);
        Assert.Equal(HostState.Link("/proc/self/ns/mnt"), result.Lines[0]);
        Assert.Equal("/work", result.Lines[1]);
        Assert.Contains("extra:x:2000:user", result.Stdout);
        Assert.Contains("/proc/self/stat", result.Stdout);
        AssertNothingLeft();
    }

    [RuntimeFact(NotUnderRunc = Leaves, NotUnderCrun = Leaves)]
    public void An_exec_sees_that_root_too()
    {
        var (id, _) = Start(Without(Sleeper()));
        var result = Runtime.Exec(id, "/bin/sh", "-c", "cat /etc/group; ls -d /home");
        Assert.Contains("extra:x:2000:user", result.Stdout);
        Assert.Contains("/home", result.Stderr);
    }

    [RuntimeFact(NotUnderRunc = Leaves, NotUnderCrun = Leaves)]
    public void Nothing_that_was_mounted_before_goes_and_nothing_else_stays()
    {
        var bundle = Without(NewBundle()).Args("true");
        const ulong bind = 4096;
        if (Native.mount(bundle.RootfsPath, bundle.RootfsPath, null, bind, null) != 0)
            throw Native.Failure("mount");
        try
        {
            Run(bundle).Ends(0);
            Assert.Equal(1, MountsAt(bundle.RootfsPath));
            Run(bundle.Args("absent")).Ends(1);
            Assert.Equal(1, MountsAt(bundle.RootfsPath));
        }
        finally
        {
            Native.umount2(bundle.RootfsPath, 0);
        }
        AssertNothingLeft();
    }

    [RuntimeTheory(NotUnderRunc = "it fails when the root is not the joined namespace's", NotUnderCrun = Leaves)]
    [InlineData(false)]
    [InlineData(true)]
    public void One_that_is_joined_holds_the_containers_tree_until_delete(bool damaged)
    {
        using var holder = Spawn.Start(Folder, "/usr/bin/unshare", ["--mount", "/bin/sleep", "1000"]);
        Until(() => HostState.Link($"/proc/{holder.Pid}/ns/mnt") is { } link && link != HostState.Link("/proc/self/ns/mnt"));
        var file = Path.Combine(Folder, "file");
        File.WriteAllText(file, "by a relative path");
        var bundle = NewBundle().Args("sleep", "1000").Mount("/tmp/file", "bind", "../file", "bind", "ro").Namespace("mount", $"/proc/{holder.Pid}/ns/mnt");
        var (id, pid) = Start(bundle);
        Assert.Equal(HostState.Link($"/proc/{holder.Pid}/ns/mnt"), HostState.Link($"/proc/{pid}/ns/mnt"));
        Assert.Equal(1, MountsAt(bundle.RootfsPath, holder.Pid.ToString()));
        Assert.Equal(0, MountsAt(bundle.RootfsPath));
        Assert.Equal("by a relative path", Runtime.Exec(id, "cat", "/tmp/file").Ends(0).Stdout);
        if (damaged)
            File.WriteAllText(Path.Combine(Runtime.Root, id, "state.json"), "{");
        Runtime.Do("delete", "--force", id).Ends(0);
        Assert.DoesNotContain(Tag, File.ReadAllText($"/proc/{holder.Pid}/mountinfo"));
    }

    [RuntimeFact(NotUnderRunc = "it fails without naming the cause", NotUnderCrun = "it fails without naming the cause")]
    public void One_without_the_bundle_is_refused_by_name()
    {
        var (_, holder) = Start(Sleeper());
        var result = Run(NewBundle().Args("true").Namespace("mount", $"/proc/{holder}/ns/mnt")).Ends(1);
        Assert.Contains("mount namespace", result.Stderr);
    }
}
