using System.IO.Compression;
using System.Text;

namespace Containers.Tests.Runtime;

/// <summary>Names that would lead an unpacker out that makes them as they stand, sizes that would fill the host, and streams that are damaged anywhere.</summary>
public class HostilePathTests : UnpackTest
{
    const string NotRunc = "unpack is psrun's own";

    static bool Long => Environment.GetEnvironmentVariable("CONTAINERS_TEST_LONG") == "1";

    [RuntimeFact(NotUnderRunc = NotRunc)]
    public void Absolute_names_are_names_in_the_layer()
    {
        var root = Unpack(new TarFile().Folder(Outside[1..]).File($"{Outside}/made", "1").Pax(("path", $"//{Outside}/made2")).File("x", "2").Folder($"{Outside}/folder").Link($"{Outside}/link", "made")
            .Entry('6', $"{Outside}/pipe").HardLink($"{Outside}/hard", $"{Outside}/made"));
        Assert.Equal(["folder", "hard", "link", "made", "made2", "pipe"], Directory.GetFileSystemEntries(root + Outside).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        // The host's own are there by these names, and are not in the layer.
        foreach (var name in new[] { $"{Outside}/witness", "/etc/passwd", "/dev/null", "/proc/self/exe" })
            Assert.Equal("LayerInvalid", Refused(new TarFile().HardLink("h", name).ToArray()));
    }

    [RuntimeFact(NotUnderRunc = NotRunc)]
    public void A_hard_link_to_a_device_is_one_of_the_layers_own()
    {
        var root = Unpack(new TarFile().Entry('3', "zero", major: 1, minor: 5).HardLink("other", "zero").Link("far", "/dev").Folder("dev"));
        Assert.Equal(["1:5 2"], Tool("/usr/bin/stat", "-c", "%t:%T %h", $"{root}/other"));
        Assert.Equal("LayerInvalid", Refused(new TarFile().Link("far", "/dev").HardLink("h", "far/null").ToArray()));
        Assert.Equal("LayerInvalid", Refused(new TarFile().Link("far", "../../../../../../../dev").HardLink("h", "far/null").ToArray()));
    }

    [RuntimeFact(NotUnderRunc = NotRunc)]
    public void Whiteouts_hide_in_the_layer_alone()
    {
        var lower = Unpack(new TarFile().Folder("d").File("d/f"));
        var root = Unpack(new TarFile().Link("l", Outside).File("l/.wh.witness").Link("u", "../../../../../../.." + Outside).File("u/.wh..wh..opq").File($"{Outside}/.wh.witness2"), "--lower", lower);
        Assert.Equal(["0:0"], Tool("/usr/bin/stat", "-c", "%t:%T", $"{root}{Outside}/witness"));
        Assert.Equal(["y"], Tool("/usr/bin/getfattr", "-n", "trusted.overlay.opaque", "--only-values", "--absolute-names", root + Outside));
        foreach (var name in new[] { ".wh.../witness", ".wh./x", "d/.wh.f/x" })
            Assert.Equal("LayerInvalid", Refused(new TarFile().File(name).ToArray(), "--lower", lower));
    }

    [RuntimeFact(NotUnderRunc = NotRunc)]
    public void Names_are_as_long_and_as_odd_as_the_kernel_has_them()
    {
        var (most, deep) = (new string('n', 255), string.Join('/', Enumerable.Repeat(new string('d', 200), 20)));
        var root = Unpack(new TarFile().Pax(("path", most)).File("x", "1").Pax(("path", "a\nb\u001b[31m")).File("x", "2").Pax(("path", deep)).File("x", "3").Pax(("path", "\u00ff\u00fe")).File("x", "4"));
        Assert.Equal("1", File.ReadAllText($"{root}/{most}"));
        Assert.Equal(["2"], Tool("/bin/sh", "-c", "cd \"$1\" && cat \"$(printf 'a\\nb\\033[31m')\"", "sh", root));
        Assert.Equal("3", File.ReadAllText($"{root}/{deep}"));
        Tool("/bin/rm", "-rf", root);
        // What is refused is told without the power to write a terminal.
        var said = Try(new TarFile().Pax(("path", "a\n\u001b[31m/../x")).File("x").ToArray(), out _, "--base").Ends(1);
        Assert.DoesNotContain('\u001b', string.Join('\n', said.Lines));
        Assert.Single(said.Lines);
        AssertWitness();
    }

    [RuntimeFact(NotUnderRunc = NotRunc)]
    public void A_number_may_be_written_in_base_256()
    {
        static Action<byte[]> Number(int at, int length, long value) => header =>
        {
            for (var i = 0; i < length; i++)
                header[at + length - 1 - i] = i < 8 ? (byte)(value >> (8 * i)) : (byte)(value < 0 ? 0xff : 0);
            header[at] = (byte)(header[at] & 0x7f | 0x80);
        };
        var root = Unpack(new TarFile().Entry('0', "f", "data"u8.ToArray(), change: Number(108, 8, 4_000_000_000) + Number(116, 8, 70_000) + Number(136, 12, -5) + Number(124, 12, 4)));
        Assert.Equal(["4000000000 70000 -5 4"], Tool("/usr/bin/stat", "-c", "%u %g %Y %s", $"{root}/f"));
        foreach (var bad in new[] { Number(124, 12, -1), Number(108, 8, -1), Number(108, 8, 4_294_967_295), header => header.AsSpan(124, 12).Fill(0xbf) })
            Assert.Equal("LayerInvalid", Refused(new TarFile().Entry('0', "f", "data"u8.ToArray(), change: bad).ToArray()));
    }

    [RuntimeFact(NotUnderRunc = NotRunc)]
    public void Capabilities_and_set_id_bits_are_the_files_own()
    {
        const string capability = "\u0001\0\0\u0002\0\u0004\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        var root = Unpack(new TarFile().Pax(("SCHILY.xattr.security.capability", capability)).File("ping", "x", mode: 0x9ed, owner: 5));
        Assert.Equal(["04755 5:5"], Tool("/usr/bin/find", root, "-name", "ping", "-printf", "%#m %U:%G\\n"));
        Assert.Contains("security.capability=0x0100000200040000000000000000000000000000", string.Join(' ', Tool("/usr/bin/getfattr", "-d", "-m", "-", "-e", "hex", "--absolute-names", $"{root}/ping")));
    }

    /// <summary>In a user namespace ids are those of its map, capabilities hold in it alone, and devices of the host cannot be made: podman does the same.</summary>
    [RuntimeFact(NotUnderRunc = NotRunc)]
    public void Without_root_nothing_gets_more_than_its_user_has()
    {
        const string capability = "\u0001\0\0\u0002\0\u0004\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        string InNamespace(TarFile layer, out string root)
        {
            var file = Path.Combine(Folder, "rootless");
            File.WriteAllBytes(file, layer.ToArray());
            root = Directory.CreateTempSubdirectory("rootless-").FullName;
            Tool("/bin/chown", "100000:100000", root);
            // Where that user gets to it, wherever it was built.
            var own = Path.Combine(Folder, "psrun");
            File.Copy(UnderTest.Program, own);
            // With maps of its own, which newuidmap writes for a plain user. The pipe opens when the namespace is there.
            return string.Join('\n', Tool("/bin/sh", "-c", """
                set -e; pipe=$1; shift; mkfifo "$pipe"
                unshare --user --keep-caps /bin/sh -c 'read -r go <"$0"; exec setpriv --reuid=0 --regid=0 --clear-groups "$@"' "$pipe" "$@" & pid=$!
                exec 3>"$pipe"; echo 0 100000 65536 >/proc/$pid/uid_map; echo 0 100000 65536 >/proc/$pid/gid_map; echo go >&3
                wait $pid
                """, "sh", Path.Combine(Folder, "pipe"), own, "unpack", "--base", file, root));
        }
        Assert.Contains("\"diffId\"", InNamespace(new TarFile().Pax(("SCHILY.xattr.security.capability", capability)).File("ping", "x", mode: 0x9ed, owner: 5).File("mine", "y", mode: 0x9ed).Entry('3', "null", major: 1, minor: 3).Entry('4', "disk", major: 8), out var root));
        Assert.Equal(["mine 04755 100000", "ping 04755 100005"], Tool("/bin/sh", "-c", "cd \"$1\" && find . -mindepth 1 -printf '%P %#m %U\\n' | sort", "sh", root));
        // The third version of the attribute, which names the namespace's root.
        Assert.Contains("security.capability=0x0100000300040000000000000000000000000000a0860100", string.Join(' ', Tool("/usr/bin/getfattr", "-d", "-m", "-", "-e", "hex", "--absolute-names", $"{root}/ping")));
        Directory.Delete(root, recursive: true);
    }

    /// <summary>Damage at any place of each form ends with a word or leaves the content as it was; it never ends in a crash, a hang, or something else's content.</summary>
    [RuntimeFact(NotUnderRunc = NotRunc)]
    public void Damage_at_any_place_is_found()
    {
        var random = new Random(20_261_121);
        var noise = new byte[40_000];
        random.NextBytes(noise);
        var plain = new TarFile().Folder("a").Entry('0', "a/noise", noise).File("a/text", string.Concat(Enumerable.Range(0, 10_000))).Link("l", "a").ToArray();
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Optimal, leaveOpen: true))
            gzip.Write(plain);
        File.WriteAllBytes(Path.Combine(Folder, "p"), plain);
        Tool("/usr/bin/zstd", "-q", "--check", Path.Combine(Folder, "p"), "-o", Path.Combine(Folder, "p.zst"));
        foreach (var whole in new[] { plain, packed.ToArray(), File.ReadAllBytes(Path.Combine(Folder, "p.zst")) })
        {
            for (var run = 0; run < (Long ? 1000 : 15); run++)
            {
                var damaged = whole.ToArray();
                if (run % 3 == 0)
                    damaged = damaged[..random.Next(damaged.Length)];
                else
                    damaged[random.Next(damaged.Length)] ^= (byte)(1 << random.Next(8));
                var result = Try(damaged, out var root, "--base", "--diff-id", Sha256(plain));
                Assert.True(result.ExitCode is 0 or 1 && result.Lines.Length == 1 && result.Stderr.Length == 0, $"{run}: {result}");
                AssertWitness();
                if (result.ExitCode == 0)
                    Assert.Equal(noise, File.ReadAllBytes($"{root}/a/noise"));
                Tool("/bin/rm", "-rf", root);
            }
        }
    }

    /// <summary>Ten gigabytes of zeros in ten megabytes, and the ratio that stops them after one. What is skipped is counted too, and costs no disk here.</summary>
    [RuntimeFact(NotUnderRunc = NotRunc)]
    public void Zeros_without_end_end()
    {
        using var piece = new MemoryStream();
        using (var gzip = new GZipStream(piece, CompressionLevel.SmallestSize, leaveOpen: true))
            gzip.Write(new byte[10 << 20]);
        var file = Path.Combine(Folder, "zeros.gz");
        using (var stream = File.Create(file))
        {
            using (var gzip = new GZipStream(stream, CompressionLevel.Fastest, leaveOpen: true))
                gzip.Write(new TarFile().Entry('0', ".wh..wh.plnk/zeros", change: h => Encoding.ASCII.GetBytes("77777777777\0").CopyTo(h, 124)).Open());
            for (var i = 0; i < 1000; i++)
                stream.Write(piece.ToArray());
        }
        Assert.InRange(new FileInfo(file).Length, 1 << 20, 20 << 20);
        foreach (var options in new[] { new[] { "--max-ratio", "10" }, ["--max-bytes", "100000000"] })
        {
            var root = Directory.CreateDirectory(Path.Combine(Folder, "zeros")).FullName;
            var said = Runtime.Do(["unpack", "--base", .. options, file, root]).Ends(1);
            Assert.Contains("LayerTooLarge", said.Lines[^1]);
            Directory.Delete(root, recursive: true);
        }
    }
}
