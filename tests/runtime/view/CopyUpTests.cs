namespace Containers.Tests.Runtime;

/// <summary>tmpcopyup: a tmpfs that begins with the content of the folder that it covers.</summary>
public sealed class CopyUpTests : RuntimeTest
{
    Bundle WithContent(string script)
    {
        var bundle = NewBundle().Shell(script).WriteFile("/data/a/b/deep", "deep\n").WriteFile("/data/program", "#!/bin/sh\necho ran\n", Permission.Program);
        for (var i = 0; i < 150; i++)
            bundle.WriteFile($"/data/many/a-long-enough-name-{i}", "x");
        bundle.WriteFile("/data/many/folder/inside", "y").WriteFile("/data/zero", "");
        File.CreateSymbolicLink(bundle.InRootfs("/data/link"), "a/b/deep");
        if (!UnderTest.IsRunc) // which fails on anything but files, folders and links
            Native.mkfifo(bundle.InRootfs("/data/fifo"), 0x1b6);
        Native.lchown(bundle.InRootfs("/data/a/b/deep"), 7, 8);
        Native.lchown(bundle.InRootfs("/data/link"), 9, 10);
        Native.lchown(bundle.InRootfs("/data"), 11, 12);
        File.SetUnixFileMode(bundle.InRootfs("/data/many"), (UnixFileMode)0x1ED | UnixFileMode.StickyBit);
        File.SetLastWriteTimeUtc(bundle.InRootfs("/data/zero"), DateTime.UnixEpoch.AddDays(1));
        return bundle;
    }

    [RuntimeFact]
    public void The_content_is_there_whole()
    {
        var bundle = WithContent("cat /data/link; /data/program; ls /data/many | wc -l; cat /data/many/folder/inside; stat -c '%F %u:%g' /data/a/b/deep /data/link; "
            + "stat -c %a /data/many; stat -c %Y /data/zero; touch /data/a/new").Mount("/data", "tmpfs", "tmpfs", "tmpcopyup");
        var result = Run(bundle).Ends(0);
        Assert.StartsWith("deep\nran\n151\ny", result.Stdout);
        Assert.Contains("regular file 7:8\nsymbolic link 9:10\n", result.Stdout);
        Assert.Contains("1755\n", result.Stdout);
        Assert.False(File.Exists(bundle.InRootfs("/data/a/new")));
    }

    [RuntimeFact]
    public void The_mount_takes_the_folders_mode_unless_it_has_its_own()
    {
        Assert.Equal("755\n", Run(WithContent("stat -c %a /data").Mount("/data", "tmpfs", "tmpfs", "tmpcopyup")).Ends(0).Stdout);
        if (!UnderTest.IsRunc) // which knows only the folder's
            Assert.Equal("711\n", Run(WithContent("stat -c %a /data").Mount("/data", "tmpfs", "tmpfs", "tmpcopyup", "mode=711")).Ends(0).Stdout);
    }

    [RuntimeFact(NotUnderRunc = "it gives the mount to root and the files the time of the copy")]
    public void Owners_and_times_stay()
    {
        var result = Run(WithContent("stat -c '%u:%g' /data; stat -c %Y /data/zero; stat -c %F /data/fifo").Mount("/data", "tmpfs", "tmpfs", "tmpcopyup")).Ends(0);
        Assert.Equal("11:12\n86400\nfifo\n", result.Stdout);
    }

    [RuntimeFact(NotUnderRunc = "1.1 cannot fill a tmpfs that is read-only")]
    public void A_read_only_copy_is_full_and_closed()
    {
        var result = Run(WithContent("cat /data/a/b/deep; touch /data/new").Mount("/data", "tmpfs", "tmpfs", "tmpcopyup", "ro")).Ends(1);
        Assert.Equal("deep\n", result.Stdout);
        Assert.Contains("Read-only file system", result.Stderr);
    }

    [RuntimeFact]
    public void What_does_not_fit_fails_the_start()
    {
        var bundle = NewBundle().Args("true").WriteFile("/data/big", new string('x', 1 << 20)).Mount("/data", "tmpfs", "tmpfs", "tmpcopyup", "size=64k");
        Run(bundle).Ends(1);
        AssertNothingLeft();
    }

    [RuntimeFact(NotUnderRunc = "it leaves the option out")]
    public void On_anything_but_a_tmpfs_it_is_refused_by_name()
    {
        Assert.Contains("tmpcopyup", Run(NewBundle().Args("true").Mount("/mnt", "bind", Folder, "bind", "tmpcopyup")).Ends(1).Stderr);
        AssertNothingLeft();
    }

    [RuntimeFact]
    public void A_remount_is_refused_by_name()
    {
        if (!UnderTest.IsRunc)
            Assert.Contains("tmpcopyup", Run(NewBundle().Args("true").Mount("/dev/shm", "tmpfs", "tmpfs", "remount", "tmpcopyup")).Ends(1).Stderr);
        AssertNothingLeft();
    }
}
