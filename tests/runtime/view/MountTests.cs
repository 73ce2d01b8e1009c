using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>The container's mounts: kinds, options, targets, and links that want to lead outside.</summary>
public sealed class MountTests : RuntimeTest
{
    /// <summary>One line of /proc/self/mountinfo (proc_pid_mountinfo(5)).</summary>
    sealed record Entry(string Root, string Target, string[] Options, string[] Propagation, string Type, string[] SuperOptions);

    static List<Entry> Parse(IEnumerable<string> lines)
    {
        List<Entry> entries = [];
        foreach (var line in lines)
        {
            var fields = line.Split(' ');
            var dash = Array.IndexOf(fields, "-");
            entries.Add(new Entry(fields[3], fields[4], fields[5].Split(','), fields[6..dash], fields[dash + 1], fields[dash + 3].Split(',')));
        }
        return entries;
    }

    List<Entry> MountsOf(Func<Bundle, Bundle> change) =>
        Parse(Run(change(NewBundle().Args("cat", "/proc/self/mountinfo"))).Ends(0).Lines);

    [RuntimeFact]
    public void The_default_mounts_are_there_with_their_kinds_and_options()
    {
        var mounts = MountsOf(bundle => bundle);
        (string Target, string Type, string[] Options)[] expected =
        [
            ("/proc", "proc", ["rw"]),
            ("/dev", "tmpfs", ["nosuid"]),
            ("/dev/pts", "devpts", ["nosuid", "noexec"]),
            ("/dev/shm", "tmpfs", ["nosuid", "nodev", "noexec"]),
            ("/dev/mqueue", "mqueue", ["nosuid", "nodev", "noexec"]),
            ("/sys", "sysfs", ["ro", "nosuid", "nodev", "noexec"]),
            .. File.Exists("/sys/fs/cgroup/cgroup.controllers")
                ? ((string, string, string[])[])[("/sys/fs/cgroup", "cgroup2", ["ro", "nosuid", "nodev", "noexec"])]
                : [("/sys/fs/cgroup", "tmpfs", ["nosuid", "nodev", "noexec"]), ("/sys/fs/cgroup/memory", "cgroup", ["ro", "nosuid", "nodev", "noexec"])],
        ];
        foreach (var (target, type, options) in expected)
        {
            var entry = Assert.Single(mounts, mount => mount.Target == target);
            Assert.Equal(type, entry.Type);
            Assert.Subset(new HashSet<string>(entry.Options), new HashSet<string>(options));
        }
        Assert.Contains("gid=5", mounts.Single(mount => mount.Target == "/dev/pts").SuperOptions);
        Assert.Contains("ptmxmode=666", mounts.Single(mount => mount.Target == "/dev/pts").SuperOptions);
        Assert.Contains("size=65536k", mounts.Single(mount => mount.Target == "/dev").SuperOptions);
    }

    [RuntimeTheory]
    [InlineData(false)]
    [InlineData(true)]
    public void The_hosts_mounts_are_out_of_reach(bool noPivot)
    {
        var bundle = NewBundle().Shell($"cat /proc/self/mountinfo; ls /; ls -d /proc/1/root{Folder} 2>&1; true");
        string[] flags = noPivot ? ["--no-pivot"] : [];
        var result = Run(bundle, flags).Ends(0);
        var mounts = Parse(result.Lines.Where(line => line.Contains(" - ")));
        Assert.Equal("/", mounts[0].Target);
        Assert.EndsWith("/rootfs", mounts[0].Root);
        Assert.All(mounts.Skip(1), mount => Assert.True(
            mount.Target.StartsWith("/proc") || mount.Target.StartsWith("/dev") || mount.Target.StartsWith("/sys"), mount.Target));
        Assert.Contains("No such file or directory", result.Stdout);
    }

    [RuntimeTheory]
    [InlineData("ro", "ro")]
    [InlineData("nosuid", "nosuid")]
    [InlineData("nodev", "nodev")]
    [InlineData("noexec", "noexec")]
    [InlineData("noatime", "noatime")]
    [InlineData("nodiratime", "nodiratime")]
    [InlineData("relatime", "relatime")]
    [InlineData("rw", "rw")]
    public void A_mount_option_arrives(string option, string seen)
    {
        var entry = MountsOf(b => b.Mount("/mnt", "tmpfs", "tmpfs", option)).Single(mount => mount.Target == "/mnt");
        Assert.Contains(seen, entry.Options);
    }

    [RuntimeTheory]
    [InlineData("ro", "ro")]
    [InlineData("nosuid", "nosuid")]
    [InlineData("nodev", "nodev")]
    [InlineData("noexec", "noexec")]
    public void A_bind_mount_has_its_options(string option, string seen)
    {
        var source = Directory.CreateDirectory(Path.Combine(Folder, "source")).FullName;
        var entry = MountsOf(b => b.Mount("/mnt", "bind", source, "bind", option)).Single(mount => mount.Target == "/mnt");
        Assert.Contains(seen, entry.Options);
        Assert.EndsWith("/source", entry.Root);
    }

    [RuntimeFact]
    public void A_tmpfs_has_its_size_and_mode()
    {
        var bundle = NewBundle().Shell("stat -c %a /mnt; df -k /mnt | tail -n1").Mount("/mnt", "tmpfs", "tmpfs", "size=1024k", "mode=1770");
        var lines = Run(bundle).Ends(0).Lines;
        Assert.Equal("1770", lines[0]);
        Assert.Equal("1024", lines[1].Split(' ', StringSplitOptions.RemoveEmptyEntries)[1]);
    }

    [RuntimeFact]
    public void A_bind_mount_shows_the_hosts_files_and_writes_to_them()
    {
        var source = Directory.CreateDirectory(Path.Combine(Folder, "source")).FullName;
        File.WriteAllText(Path.Combine(source, "in"), "from the host\n");
        var bundle = NewBundle().Shell("cat /mnt/in; echo back >/mnt/out").Mount("/mnt", "bind", source, "rbind", "rw");
        Assert.Equal("from the host\n", Run(bundle).Ends(0).Stdout);
        Assert.Equal("back\n", File.ReadAllText(Path.Combine(source, "out")));
    }

    [RuntimeFact]
    public void A_read_only_bind_mount_cannot_be_written()
    {
        var source = Directory.CreateDirectory(Path.Combine(Folder, "source")).FullName;
        var result = Run(NewBundle().Args("touch", "/mnt/file").Mount("/mnt", "bind", source, "rbind", "ro")).Ends(1);
        Assert.Contains("Read-only file system", result.Stderr);
        Assert.Empty(Directory.GetFiles(source));
    }

    [RuntimeFact]
    public void A_file_is_bound_onto_a_target_that_is_made()
    {
        var source = Path.Combine(Folder, "a file");
        File.WriteAllText(source, "content\n");
        var bundle = NewBundle().Args("cat", "/new/deep/file").Mount("/new/deep/file", "bind", source, "bind", "ro")
            .Change(b => b.Config["root"]!["readonly"] = false);
        Assert.Equal("content\n", Run(bundle).Ends(0).Stdout);
        Assert.True(File.Exists(bundle.InRootfs("/new/deep/file")));
    }

    [RuntimeFact]
    public void A_missing_target_folder_is_made_even_below_a_read_only_root()
    {
        var entry = MountsOf(b => b.Mount("/new/deep/folder", "tmpfs", "tmpfs")).Single(mount => mount.Target == "/new/deep/folder");
        Assert.Equal("tmpfs", entry.Type);
    }

    [RuntimeTheory]
    [InlineData("bind", false)]
    [InlineData("rbind", true)]
    public void Mounts_below_a_source_come_along_with_rbind_alone(string option, bool expected)
    {
        var source = Directory.CreateDirectory(Path.Combine(Folder, "source")).FullName;
        var below = Directory.CreateDirectory(Path.Combine(source, "below")).FullName;
        if (Native.mount("tmpfs", below, "tmpfs", 0, "size=64k") != 0)
            throw Native.Failure("mount");
        try
        {
            File.WriteAllText(Path.Combine(below, "mark"), "");
            var bundle = NewBundle().Shell("test -e /mnt/below/mark && echo yes || echo no").Mount("/mnt", "bind", source, option);
            Assert.Equal(expected ? "yes\n" : "no\n", Run(bundle).Ends(0).Stdout);
        }
        finally
        {
            Native.umount2(below, 0);
        }
    }

    [RuntimeTheory]
    [InlineData("rshared", "shared:")]
    [InlineData("shared", "shared:")]
    [InlineData("rslave", "master:")]
    [InlineData("slave", "master:")]
    [InlineData("private", "")]
    [InlineData("rprivate", "")]
    [InlineData("unbindable", "unbindable")]
    public void A_bind_mount_has_its_propagation(string option, string seen)
    {
        const ulong shared = 1 << 20;
        var source = Directory.CreateDirectory(Path.Combine(Folder, "source")).FullName;
        if (Native.mount("tmpfs", source, "tmpfs", 0, "size=64k") != 0 || Native.mount("", source, null, shared, null) != 0)
            throw Native.Failure("mount");
        try
        {
            var entry = MountsOf(b => b.Mount("/mnt", "bind", source, "rbind", option)).Single(mount => mount.Target == "/mnt");
            if (seen == "")
                Assert.Empty(entry.Propagation);
            else
                Assert.Contains(entry.Propagation, field => field.StartsWith(seen));
        }
        finally
        {
            Native.umount2(source, 0);
        }
    }

    [RuntimeTheory]
    [InlineData("private")]
    [InlineData("rprivate")]
    [InlineData("slave")]
    [InlineData("rslave")]
    public void The_root_gives_no_mount_away(string propagation) =>
        Assert.DoesNotContain(RootPropagation(propagation), field => field.StartsWith("shared:"));

    [RuntimeTheory(NotUnderRunc = "it makes a bind mount of a private parent, which is private")]
    [InlineData("shared")]
    [InlineData("rshared")]
    public void The_root_is_shared_where_the_bundle_says_so(string propagation) =>
        Assert.Contains(RootPropagation(propagation), field => field.StartsWith("shared:"));

    string[] RootPropagation(string propagation) =>
        MountsOf(bundle => bundle.Change(b => b.Linux["rootfsPropagation"] = propagation))[0].Propagation;

    [RuntimeFact]
    public void Mounts_made_inside_do_not_reach_the_host()
    {
        var bundle = NewBundle().Shell("mount -t tmpfs inner /work && grep -c ' /work ' /proc/self/mountinfo").Change(b =>
        {
            foreach (var set in (string[])["bounding", "effective", "permitted"])
                b.Process["capabilities"]![set]!.AsArray().Add((JsonNode)"CAP_SYS_ADMIN");
        });
        Assert.Equal("1\n", Run(bundle).Ends(0).Stdout);
        AssertNothingLeft();
    }

    [RuntimeTheory]
    [InlineData("/etc")]
    [InlineData("../../../../../../../../etc")]
    [InlineData("/../../etc")]
    [InlineData("/proc/1/root/etc")]
    public void A_link_in_a_targets_path_stays_inside(string link)
    {
        var bundle = NewBundle().Args("true").Mount($"/trap/{Tag}", "tmpfs", "tmpfs").Change(b => b.Config["root"]!["readonly"] = false);
        File.CreateSymbolicLink(bundle.InRootfs("/trap"), link);
        var result = Run(bundle);

        // Where the link leads to a place of the container, the mount is made there; else it is refused.
        Assert.False(Directory.Exists($"/etc/{Tag}"), result.ToString());
        Assert.False(Directory.Exists($"/proc/1/root/etc/{Tag}"), result.ToString());
        if (!link.Contains("proc"))
        {
            result.Ends(0);
            Assert.True(Directory.Exists(bundle.InRootfs($"/etc/{Tag}")));
        }
    }

    [RuntimeFact]
    public void A_target_that_is_itself_a_link_stays_inside()
    {
        var bundle = NewBundle().Args("cat", "/proc/self/mountinfo").Mount("/trap", "tmpfs", "tmpfs");
        File.CreateSymbolicLink(bundle.InRootfs("/trap"), "/work");
        var mounts = Parse(Run(bundle).Ends(0).Lines);
        Assert.Equal("tmpfs", mounts.Single(mount => mount.Target == "/work").Type);
    }

    [RuntimeFact]
    public void A_root_whose_proc_is_a_link_is_refused()
    {
        var bundle = NewBundle().Args("true");
        Directory.Delete(bundle.InRootfs("/proc"));
        File.CreateSymbolicLink(bundle.InRootfs("/proc"), "/work");
        Run(bundle).Ends(1);
        AssertNothingLeft();
    }

    [RuntimeFact]
    public void Dots_in_a_target_stay_inside()
    {
        var bundle = NewBundle().Args("cat", "/proc/self/mountinfo").Mount("/work/../../../../tmp", "tmpfs", "tmpfs");
        var mounts = Parse(Run(bundle).Ends(0).Lines);
        Assert.Equal("tmpfs", mounts.Single(mount => mount.Target == "/tmp").Type);
    }

    [RuntimeFact]
    public void Later_mounts_may_stand_on_earlier_ones()
    {
        var bundle = NewBundle().Shell("ls /mnt").Mount("/mnt", "tmpfs", "tmpfs").Mount("/mnt/inner", "tmpfs", "tmpfs");
        Assert.Equal("inner\n", Run(bundle).Ends(0).Stdout);
    }

    [RuntimeFact]
    public void A_missing_bind_source_is_refused_by_name()
    {
        var result = Run(NewBundle().Args("true").Mount("/mnt", "bind", "/absent/source", "bind")).Ends(1);
        Assert.Contains("/absent/source", result.Stderr);
        Assert.Contains("no such file or directory", result.Stderr);
        AssertNothingLeft();
    }

    [RuntimeFact]
    public void A_proc_of_a_joined_pid_namespace_shows_that_namespace()
    {
        var (_, holder) = Start(Sleeper());
        var bundle = NewBundle().Shell("tr '\\0' ' ' </proc/1/cmdline").Namespace("pid", $"/proc/{holder}/ns/pid");
        Assert.Equal("sleep 1000 ", Run(bundle).Ends(0).Stdout);
    }

    [RuntimeTheory(NotUnderCrun = "the kernel's mode stays whatever the tmpfs covers")]
    [InlineData("711\n", "nosuid")]
    [InlineData("711\n", "ro")]
    [InlineData("750\n", "mode=750")]
    public void A_tmpfs_without_a_mode_has_that_of_the_folder_it_covers(string mode, string option)
    {
        if (UnderTest.IsRunc && option != "nosuid") // 1.1 knows only the folder's, and closes it too early
            return;
        var bundle = NewBundle().Args("stat", "-c", "%a", "/covered").Mount("/covered", "tmpfs", "tmpfs", option);
        Directory.CreateDirectory(bundle.InRootfs("/covered"), (UnixFileMode)0x1C9);
        Assert.Equal(mode, Run(bundle).Ends(0).Stdout);
        if (option == "nosuid")
            Assert.Equal("1777\n", Run(NewBundle().Args("stat", "-c", "%a", "/missing").Mount("/missing", "tmpfs", "tmpfs", option).Change(b => b.Config["root"]!["readonly"] = false)).Ends(0).Stdout);
    }

    static string Options(Result result, string target, bool fileSystems) =>
        result.Ends(0).Lines.Last(line => line.Split(' ')[4] == target).Split(' ') is var fields && fileSystems ? fields[^1] : fields[5];

    [RuntimeFact(NotUnderRunc = "it gives the source of a bind mount to mount(2) once more", NotUnderCrun = "it knows remount for bind mounts alone")]
    public void A_remount_changes_what_is_there()
    {
        var bundle = NewBundle().Args("cat", "/proc/self/mountinfo").Mount("/both", "bind", Folder, "bind", "nosuid")
            .Mount("/dev/shm", "tmpfs", "shm", "remount", "ro", "size=8k", "noatime").Mount("/both", "bind", Folder, "bind", "remount", "ro", "nodev");
        var result = Run(bundle);
        Assert.Contains("size=8k", Options(result, "/dev/shm", fileSystems: true));
        Assert.StartsWith("ro", Options(result, "/dev/shm", fileSystems: true));
        // What was not named stays.
        foreach (var option in (string[])["ro", "nosuid", "nodev", "noexec", "noatime"])
            Assert.Contains(option, Options(result, "/dev/shm", fileSystems: false).Split(','));
        foreach (var option in (string[])["ro", "nosuid", "nodev"])
            Assert.Contains(option, Options(result, "/both", fileSystems: false).Split(','));
        // A bind mount's file system is the host's.
        Assert.StartsWith("rw", Options(result, "/both", fileSystems: true));

        Assert.StartsWith("rw", Options(Run(NewBundle().Args("cat", "/proc/self/mountinfo").Mount("/tmpfs", "tmpfs", "tmpfs", "ro").Mount("/tmpfs", "tmpfs", "tmpfs", "remount", "rw")),
            "/tmpfs", fileSystems: false));
    }

    [RuntimeTheory(NotUnderRunc = "it fails in words of its own", NotUnderCrun = "it fails in words of its own")]
    [InlineData("/work", "no mount is there")]
    [InlineData("/absent", "nothing is there")]
    public void A_remount_of_what_is_no_mount_is_refused_by_name(string target, string why)
    {
        Assert.True(Run(NewBundle().Args("true").Mount(target, "tmpfs", "tmpfs", "remount", "ro")).Ends(1).Stderr.Contains("remount " + target), why);
        AssertNothingLeft();
    }

    const string OwnWord = "an option of util-linux's mount(8) that it does not know";

    /// <summary>X-mount.subdir: the source is the root of the lookup, so that no link in it leads out (CVE-2017-1002101, CVE-2021-25741).</summary>
    [RuntimeTheory(NotUnderRunc = OwnWord, NotUnderCrun = OwnWord)]
    [InlineData("deep/part", "inner")]
    [InlineData("relative", "inner")]
    [InlineData("absolute", "inner")]
    [InlineData("deep/part/file", "inner")]
    [InlineData("out", null)]
    [InlineData("../source/deep/part", null)]
    [InlineData("absent", null)]
    public void A_part_of_a_source_is_bound_and_nothing_outside_of_it(string part, string? expected)
    {
        var source = Path.Combine(Folder, "source");
        Directory.CreateDirectory(Path.Combine(source, "deep/part"));
        File.WriteAllText(Path.Combine(source, "deep/part/file"), "inner\n");
        File.CreateSymbolicLink(Path.Combine(source, "relative"), "deep/../deep/part");
        File.CreateSymbolicLink(Path.Combine(source, "absolute"), "/deep/part");
        File.CreateSymbolicLink(Path.Combine(source, "out"), Folder);
        var result = Run(NewBundle().Shell("cat /mnt/file 2>/dev/null || cat /mnt").Mount(part.EndsWith("file") ? "/mnt/file" : "/mnt", "bind", source, "rbind", $"X-mount.subdir={part}"));
        if (expected != null)
            Assert.Equal(expected + "\n", result.Ends(0).Stdout);
        else
            Assert.Contains($"bind {part} of {source} to /mnt: ", result.Ends(1).Stderr);
        AssertNothingLeft();
    }

    [RuntimeTheory(NotUnderRunc = OwnWord, NotUnderCrun = OwnWord)]
    [InlineData("tmpfs", "X-mount.subdir=a")]
    [InlineData("bind", "X-mount.subdir=")]
    public void A_part_of_nothing_is_refused_by_name(string type, string option)
    {
        Assert.Contains("X-mount.subdir", Run(NewBundle().Args("true").Mount("/mnt", type, type == "bind" ? Folder : "tmpfs", option)).Ends(1).Stderr);
        AssertNothingLeft();
    }
}
