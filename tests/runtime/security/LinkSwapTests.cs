namespace Containers.Tests.Runtime;

/// <summary>
/// A neighbour exchanges names in a shared volume while mounts are made: CVE-2021-30465, CVE-2024-45310, CVE-2025-31133, CVE-2025-52565, and the source races of CVE-2024-23651's kind. The
/// exchange is real, by another process, for as long as the test lasts.
/// </summary>
public sealed class LinkSwapTests : RuntimeTest
{
    /// <summary>A volume in which "data" is a folder one moment and a link to the victim the next. The victim is the same path on the host and in the container.</summary>
    (string Volume, string Victim) Volume()
    {
        var volume = Directory.CreateDirectory(Path.Combine(Folder, "volume")).FullName;
        var victim = Directory.CreateDirectory(Path.Combine(Folder, "victim")).FullName;
        Directory.CreateDirectory(Path.Combine(volume, "data"));
        File.CreateSymbolicLink(Path.Combine(volume, "swap"), victim);
        return (volume, victim);
    }

    static Bundle InRoot(Bundle bundle, string victim)
    {
        Directory.CreateDirectory(bundle.InRootfs(victim));
        return bundle;
    }

    [RuntimeFact(NotUnderRunc = "it refuses what changes under its hands")]
    public void A_mount_whose_target_is_exchanged_stays_inside_the_root()
    {
        var (volume, victim) = Volume();
        using var swapper = new Swapper(Folder, Path.Combine(volume, "data"), Path.Combine(volume, "swap"));
        var ways = new HashSet<string>();
        for (var i = 0; i < Rounds.Of(40, 2000); i++)
        {
            var bundle = InRoot(NewBundle().Args("grep", "the-marked-one", "/proc/self/mountinfo"), victim)
                .Mount("/volume", "bind", volume, "bind").Mount("/volume/data", "tmpfs", "the-marked-one");
            var line = Assert.Single(Run(bundle).Ends(0).Lines);
            var where = line.Split(' ')[4];
            // Outside of the root the mount would have vanished with the host's tree.
            Assert.Contains(where, (string[])["/volume/data", "/volume/swap", victim]);
            ways.Add(where);
        }
        swapper.AssertRuns();
        Assert.True(ways.Count > 1 || !Rounds.Long, "the exchange never hit: " + string.Join(' ', ways));
        Assert.Empty(Directory.GetFileSystemEntries(victim));
    }

    [RuntimeFact(NotUnderRunc = "1.1.5 is open to it")]
    public void Nothing_is_made_on_the_host_for_a_target_that_is_missing()
    {
        var (volume, victim) = Volume();
        using var swapper = new Swapper(Folder, Path.Combine(volume, "data"), Path.Combine(volume, "swap"));
        var file = Path.Combine(Folder, "file");
        File.WriteAllText(file, "");
        for (var i = 0; i < Rounds.Of(40, 2000); i++)
        {
            var bundle = InRoot(NewBundle().Args("true"), victim)
                .Mount("/volume", "bind", volume, "bind").Mount($"/volume/data/folder{i}/below", "tmpfs", "tmpfs").Mount($"/volume/data/file{i}", "bind", file, "bind");
            // A folder that was made on one side and is looked for on the other is an error like any other.
            Run(bundle);
            Assert.Empty(Directory.GetFileSystemEntries(victim));
        }
        swapper.AssertRuns();
    }

    [RuntimeFact]
    public void The_exchange_does_hit_a_careless_program()
    {
        // What the two tests above rest on: look first, make then, and sooner or later it is made in the wrong place.
        var (volume, victim) = Volume();
        using var swapper = new Swapper(Folder, Path.Combine(volume, "data"), Path.Combine(volume, "swap"));
        var until = Environment.TickCount64 + 30_000;
        for (var i = 0; Directory.GetFileSystemEntries(victim).Length == 0; i++)
        {
            Assert.True(Environment.TickCount64 < until, "it never hit");
            var path = Path.Combine(volume, "data");
            if (new DirectoryInfo(path).LinkTarget is null)
            {
                try
                {
                    Directory.CreateDirectory(Path.Combine(path, $"made{i}"));
                }
                catch (IOException)
                {
                }
            }
        }
        swapper.AssertRuns();
    }

    [RuntimeFact(NotUnderRunc = "it looks twice")]
    public void A_source_that_is_exchanged_is_looked_at_once()
    {
        // A file one moment, a folder the next: what was found decides what is made in the container, and is what is mounted.
        var sources = Directory.CreateDirectory(Path.Combine(Folder, "sources")).FullName;
        File.WriteAllText(Path.Combine(sources, "one"), "file\n");
        Directory.CreateDirectory(Path.Combine(sources, "other"));
        File.WriteAllText(Path.Combine(sources, "other/inside"), "folder\n");
        using var swapper = new Swapper(Folder, Path.Combine(sources, "one"), Path.Combine(sources, "other"));
        var seen = new HashSet<string>();
        for (var i = 0; i < Rounds.Of(40, 1000); i++)
        {
            var bundle = NewBundle().Shell("cat /given 2>/dev/null || cat /given/inside").Mount("/given", "bind", Path.Combine(sources, "one"), "bind");
            seen.Add(Run(bundle).Ends(0).Stdout);
        }
        swapper.AssertRuns();
        Assert.Subset(new HashSet<string> { "file\n", "folder\n" }, seen);
    }

    [RuntimeFact(NotUnderRunc = "1.1.5 is open to it")]
    public void A_masked_path_is_hidden_or_the_start_fails_while_the_null_device_is_exchanged()
    {
        var dev = Directory.CreateDirectory(Path.Combine(Folder, "dev")).FullName;
        Spawn.Run(Folder, "/bin/mknod", [Path.Combine(dev, "null"), "c", "1", "3"]).Ends(0);
        File.CreateSymbolicLink(Path.Combine(dev, "swap"), "/work/other");
        using var swapper = new Swapper(Folder, Path.Combine(dev, "null"), Path.Combine(dev, "swap"));
        int hidden = 0, refused = 0;
        for (var i = 0; i < Rounds.Of(40, 1000); i++)
        {
            var bundle = NewBundle().Args("cat", "/work/masked").WriteFile("/work/masked", "hidden\n").WriteFile("/work/other", "shown\n");
            for (var m = bundle.Mounts.Count - 1; m >= 0; m--)
            {
                if (((string)bundle.Mounts[m]!["destination"]!).StartsWith("/dev", StringComparison.Ordinal))
                    bundle.Mounts.RemoveAt(m);
            }
            bundle.Linux["maskedPaths"] = Bundle.Strings("/work/masked", "/work/masked", "/work/masked", "/work/masked");
            var result = Run(bundle.Mount("/dev", "bind", dev, "bind"));
            if (result.ExitCode == 0)
                hidden++;
            else
                refused++;
            Assert.Equal("", result.Stdout);
        }
        swapper.AssertRuns();
        Assert.True(refused > 0, $"the exchange never hit in {hidden} starts");
    }

    [RuntimeTheory(NotUnderRunc = "1.1.5 is open to it", NotUnderCrun = "it takes the folder for a device of the host")]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(false, false)]
    public void A_link_in_place_of_dev_leads_to_nothing_of_the_host(bool mounted, bool inside)
    {
        // CVE-2026-41579: devices and links are made where the image's /dev leads. Without a mount over it they go into the image.
        var outside = Directory.CreateDirectory(Path.Combine(Folder, "outside")).FullName;
        var bundle = NewBundle().Args("ls", "-l", "/dev/null", "/dev/fd").Change(b => b.Config["root"]!["readonly"] = false);
        if (Directory.Exists(bundle.InRootfs("/dev")))
            Directory.Delete(bundle.InRootfs("/dev"), recursive: true);
        File.CreateSymbolicLink(bundle.InRootfs("/dev"), outside);
        if (!mounted)
            bundle.Change(b =>
            {
                foreach (var mount in b.Mounts.Where(mount => ((string)mount!["destination"]!).StartsWith("/dev")).ToList())
                    b.Mounts.Remove(mount);
            });
        // The same path inside the image, or nowhere.
        if (inside)
            Directory.CreateDirectory(bundle.InRootfs(outside));
        Assert.Contains(inside ? "/proc/self/fd" : "/dev", Run(bundle).Ends(inside ? 0 : 1).ToString());
        Assert.Empty(Directory.GetFileSystemEntries(outside));
        AssertNothingLeft();
    }
}
