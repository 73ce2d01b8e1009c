using System.IO.Compression;
using System.Text;

namespace Containers.Tests.Runtime;

/// <summary>Layers that mean harm, or are broken: each ends with a word, nothing outside is touched, and nothing hangs.</summary>
public class HostileLayerTests : UnpackTest
{
    const string NotRunc = "unpack is psrun's own";

    [RuntimeTheory(NotUnderRunc = NotRunc)]
    [InlineData("../outside/f")]
    [InlineData("a/../../outside/f")]
    [InlineData("..")]
    [InlineData("a/..")]
    public void Names_that_lead_out_are_refused(string name)
    {
        Assert.Equal("LayerInvalid", Refused(new TarFile().Folder("a").File(name, "x").ToArray()));
        Assert.Equal("LayerInvalid", Refused(new TarFile().Folder("a").Folder(name).ToArray()));
        Assert.Equal("LayerInvalid", Refused(new TarFile().Folder("a").HardLink("h", name).ToArray()));
        Assert.Equal("LayerInvalid", Refused(new TarFile().Pax(("path", name)).File("x").ToArray()));
    }

    [RuntimeFact(NotUnderRunc = NotRunc)]
    public void Links_lead_only_inside()
    {
        // Absolute, upwards, through a chain, and swapped between two entries.
        var root = Unpack(new TarFile().Link("abs", Outside).File("abs/f", "1").Link("up", "../../../../../.." + Outside).File("up/g", "2")
            .Link("one", "two").Link("two", Outside).File("one/h", "3").Folder("s").File("s/a").Link("s2", "s").Link("s", Outside).File("s/i", "4"));
        Assert.True(File.Exists($"{root}{Outside}/f"));
        Assert.True(File.Exists($"{root}{Outside}/g"));
        Assert.True(File.Exists($"{root}{Outside}/h"));
        Assert.True(File.Exists($"{root}{Outside}/i"));
        AssertWitness();
    }

    [RuntimeFact(NotUnderRunc = NotRunc)]
    public void A_file_written_over_a_link_replaces_the_link()
    {
        var root = Unpack(new TarFile().Link("w", $"{Outside}/witness").File("w", "mine").HardLink("w2", "w").Link("x", $"{Outside}/witness").HardLink("y", "x").File("y", "over"));
        Assert.Equal("mine", File.ReadAllText($"{root}/w"));
        Assert.Equal($"{Outside}/witness", new FileInfo($"{root}/x").LinkTarget);
        Assert.Equal("over", File.ReadAllText($"{root}/y"));
        Assert.Equal("LayerInvalid", Refused(new TarFile().Link("l", Outside).HardLink("h", "l/witness").ToArray()));
    }

    [RuntimeFact(NotUnderRunc = NotRunc)]
    public void What_makes_no_sense_is_refused()
    {
        byte[][] layers =
        [
            new TarFile().Link("a", "b").Link("b", "a").File("a/x").ToArray(),
            new TarFile().File("f").File("f/under").ToArray(),
            new TarFile().HardLink("h", "missing").ToArray(),
            new TarFile().Folder("d").HardLink("h", "d").ToArray(),
            new TarFile().HardLink("h", "/").ToArray(),
            new TarFile().File(".").ToArray(),
            new TarFile().Link("l", "").ToArray(),
            new TarFile().Folder(".wh.d").File(".wh.d/x").ToArray(),
            new TarFile().File(new string('n', 90) + "/" + "x").Pax(("path", new string('n', 256))).File("x").ToArray(),
            new TarFile().Pax(("path", string.Join('/', Enumerable.Repeat("nnnnnnnn", 600)))).File("x").ToArray(),
            new TarFile().Pax(("path", "a\0b")).File("x").ToArray(),
            new TarFile().Pax(("uid", "4294967295")).File("x").ToArray(),
            new TarFile().Pax(("uid", "-1")).File("x").ToArray(),
            new TarFile().Pax(("size", "99999999999999999999")).File("x").ToArray(),
            new TarFile().Pax(("size", "9000000000000000000")).File("x").ToArray(),
            new TarFile().Entry('x', "pax", "99 path=x\n"u8.ToArray()).File("x").ToArray(),
            new TarFile().Entry('x', "pax", "nonsense"u8.ToArray()).File("x").ToArray(),
            new TarFile().Entry('M', "multi").ToArray(),
            new TarFile().Entry('0', "f", change: h => h[124] = 0xff).ToArray(),
            new TarFile().Entry('0', "f", change: h => "zzz"u8.CopyTo(h.AsSpan(100))).ToArray(),
            new TarFile().Entry('L', "n", new byte[2 << 20]).ToArray(),
            new TarFile().Pax(("GNU.sparse.major", "0"), ("GNU.sparse.minor", "1"), ("GNU.sparse.size", "10"), ("GNU.sparse.map", "5,10")).File("s", "0123456789").ToArray(),
            new TarFile().Pax(("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "10")).File("s", "999999\n").ToArray(),
            new TarFile().File("f", new string('x', 5000)).Open()[..3000],
            [.. new TarFile().File("f").Open(), 1, 2, 3],
            Encoding.ASCII.GetBytes(new string('x', 2048)),
        ];
        for (var i = 0; i < layers.Length; i++)
        {
            var id = Refused(layers[i]);
            Assert.True(id == "LayerInvalid", $"layer {i}: {id}");
        }
        foreach (var whiteout in new[] { ".wh.", ".wh..", ".wh..." })
            Assert.Equal("LayerInvalid", Refused(new TarFile().File(whiteout).ToArray(), "--lower", Outside));
        Assert.Equal("LayerInvalid", Refused(new TarFile().File("../.wh.witness").ToArray(), "--lower", Outside));
    }

    [RuntimeFact(NotUnderRunc = NotRunc)]
    public void Limits_hold()
    {
        using var zeros = new MemoryStream();
        using (var gzip = new GZipStream(zeros, CompressionLevel.SmallestSize, leaveOpen: true))
            gzip.Write(new TarFile().File("z", new string('\0', 20_000_000)).ToArray());
        Assert.True(zeros.Length < 100_000);
        Assert.Equal("LayerTooLarge", Refused(zeros.ToArray(), "--max-bytes", "10000000"));
        var many = new TarFile();
        for (var i = 0; i < 50; i++)
            many.GlobalPax(("comment", "x"));
        Assert.Equal("LayerTooLarge", Refused(many.ToArray(), "--max-entries", "40"));
    }

    [RuntimeFact(NotUnderRunc = NotRunc)]
    public void Damaged_compression_is_refused()
    {
        var plain = new TarFile().File("f", string.Concat(Enumerable.Range(0, 50_000))).ToArray();
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Optimal, leaveOpen: true))
            gzip.Write(plain);
        File.WriteAllBytes(Path.Combine(Folder, "p"), plain);
        Tool("/usr/bin/zstd", "-q", Path.Combine(Folder, "p"), "-o", Path.Combine(Folder, "p.zst"));
        foreach (var whole in new[] { packed.ToArray(), File.ReadAllBytes(Path.Combine(Folder, "p.zst")) })
        {
            Assert.Contains(Refused(whole[..(whole.Length / 2)], "--diff-id", Sha256(plain)), new[] { "LayerInvalid", "DigestMismatch" });
            var flipped = whole.ToArray();
            flipped[whole.Length / 2] ^= 0x40;
            Assert.Contains(Refused(flipped, "--diff-id", Sha256(plain)), new[] { "LayerInvalid", "DigestMismatch" });
        }
    }

    /// <summary>Mutations of an archive of everything. The long run has ten thousand.</summary>
    [RuntimeFact(NotUnderRunc = NotRunc)]
    public void Mutated_archives_neither_get_out_nor_crash_nor_hang()
    {
        var seed = new TarFile().Folder("a").File("a/f", "data").Link("a/l", "../..").Link("up", "..").HardLink("a/h", "a/f").Entry('6', "p")
            .Pax(("path", "a/long"), ("mtime", "1.5"), ("SCHILY.xattr.user.a", "b")).File("x", "y").Entry('L', "././@LongLink", "a/gnu\0"u8.ToArray()).File("z")
            .Pax(("GNU.sparse.major", "0"), ("GNU.sparse.minor", "1"), ("GNU.sparse.size", "20"), ("GNU.sparse.map", "5,10")).File("s", "0123456789").File("a/.wh.gone").ToArray();
        var runs = Environment.GetEnvironmentVariable("CONTAINERS_TEST_LONG") == "1" ? 10_000 : 250;
        var random = new Random(20_240_601);
        using var watcher = new OutsideWatcher(Folder, Outside, ["a", "f", "x", "z", "s", "p", "up", "gnu", "long", "gone", "w", "outside"]);
        string[] words = ["..", "/", "../outside/", ".wh.", "\0", "\n", "a/l/outside/witness", "up/outside/w", "\u00ff"];
        for (var run = 0; run < runs; run++)
        {
            var layer = seed.ToArray();
            for (var changes = random.Next(1, 6); changes > 0; changes--)
            {
                var header = random.Next(layer.Length / 512) * 512;
                switch (random.Next(4))
                {
                    case 0: layer[random.Next(layer.Length)] ^= (byte)(1 << random.Next(8)); break;
                    case 1: Encoding.Latin1.GetBytes(words[random.Next(words.Length)]).CopyTo(layer, header + random.Next(2) * 157); break;
                    case 2: layer[header + 156] = (byte)"0123456xgLKSVM"[random.Next(14)]; break;
                    default: layer = layer[..random.Next(1, layer.Length + 1)]; if (layer.Length < 1024) { layer = [.. layer, .. new byte[1024]]; } break;
                }
            }
            // With right checksums the mutations get further.
            for (var at = 0; at + 512 <= layer.Length; at += 512)
            {
                if (!layer.AsSpan(at + 257, 5).SequenceEqual("ustar"u8))
                    continue;
                layer.AsSpan(at + 148, 8).Fill((byte)' ');
                var sum = 0;
                for (var i = 0; i < 512; i++)
                    sum += layer[at + i];
                Encoding.ASCII.GetBytes(Convert.ToString(sum, 8).PadLeft(6, '0') + "\0 ").CopyTo(layer, at + 148);
            }
            var result = Try(layer, out var root, random.Next(2) == 0 ? ["--base", "--max-bytes", "1000000"] : ["--lower", Outside, "--max-bytes", "1000000"]);
            Assert.True(result.ExitCode is 0 or 1 && result.Lines.Length == 1 && result.Stderr.Length == 0, $"mutation {run}: {result}");
            AssertWitness();
            if (!Directory.EnumerateFileSystemEntries(root).Any())
                continue;
            // .NET cannot name what is no UTF-8.
            Tool("/bin/rm", "-rf", root);
        }
        Assert.Empty(watcher.Seen());
    }
}
