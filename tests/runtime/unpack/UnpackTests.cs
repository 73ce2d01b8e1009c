using System.IO.Compression;
using System.Text;
using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>What is taken from a layer, against stat and GNU tar.</summary>
public class UnpackTests : UnpackTest
{
    const string NotRunc = "unpack is psrun's own";

    [RuntimeFact(NotUnderRunc = NotRunc)]
    public void Entries_get_type_mode_owner_and_time()
    {
        var root = Unpack(new TarFile()
            .Folder("d", mode: 0x5ff, owner: 7).File("d/f", "text", mode: 0x9ed, owner: 1000, time: 1).Link("d/l", "../no/where")
            .HardLink("d/h", "d/f").Entry('3', "null", major: 1, minor: 3, mode: 0x1b6).Entry('4', "disk", major: 259, minor: 300).Entry('6', "fifo"));
        Assert.Equal(
            ["d d 02777 7:7 1700000000.0000000000 2 ", "d/f f 04755 1000:1000 1.0000000000 2 ", "d/h f 04755 1000:1000 1.0000000000 2 ",
                "d/l l 0777 0:0 1700000000.0000000000 1 ../no/where", "disk b 0644 0:0 1700000000.0000000000 1 ", "fifo p 0644 0:0 1700000000.0000000000 1 ",
                "null c 0666 0:0 1700000000.0000000000 1 "],
            Tool("/bin/sh", "-c", "cd \"$1\" && find . -mindepth 1 -printf '%P %y %#m %U:%G %T@ %n %l\\n' | sort", "sh", root));
        Assert.Equal(["1:3", "103:12c"], Tool("/usr/bin/stat", "-c", "%t:%T", $"{root}/null", $"{root}/disk"));
        Assert.Equal("text", File.ReadAllText($"{root}/d/h"));
    }

    [RuntimeFact(NotUnderRunc = NotRunc)]
    public void Pax_records_say_what_headers_cannot()
    {
        var longName = string.Join('/', Enumerable.Repeat(new string('n', 200), 5));
        var root = Unpack(new TarFile()
            .GlobalPax(("mtime", "5.5"))
            .Pax(("path", "plain"), ("uid", "4294967294"), ("mtime", "-1.25"), ("SCHILY.xattr.user.note", "\u0001v"), ("SCHILY.xattr.trusted.overlay.opaque", "y")).File("x", "1")
            .Pax(("path", longName)).File("y", "2")
            .File("z", "3"));
        Assert.Equal(["4294967294 -1.250000000"], Tool("/usr/bin/stat", "-c", "%u %.9Y", $"{root}/plain"));
        Assert.Equal(["5.5000000000"], Tool("/usr/bin/find", $"{root}/z", "-printf", "%T@\\n"));
        Assert.Equal("2", File.ReadAllText($"{root}/{longName}"));
        var attributes = string.Join('\n', Tool("/usr/bin/getfattr", "-d", "-m", "-", "-e", "hex", "--absolute-names", $"{root}/plain"));
        Assert.Contains("user.note=0x0176", attributes);
        Assert.Contains("trusted.overlay.overlay.opaque=0x79", attributes);
        Assert.DoesNotContain("trusted.overlay.opaque=", attributes);
    }

    [RuntimeTheory(NotUnderRunc = NotRunc)]
    [InlineData("gnu")]
    [InlineData("pax")]
    [InlineData("oldgnu")]
    [InlineData("ustar")]
    [InlineData("v7")]
    public void What_GNU_tar_writes_is_what_GNU_tar_unpacks(string format)
    {
        var (source, archive, theirs) = (Path.Combine(Folder, "source"), Path.Combine(Folder, "a.tar"), Path.Combine(Folder, "theirs"));
        var odd = format is "gnu" or "pax" or "oldgnu";
        Tool("/bin/sh", "-c", $$"""
            set -e; mkdir -p "$1/a/b" "$2"; cd "$1"
            echo one >a/one; ln a/one a/b/two; ln -s ../one a/b/link; mkfifo a/fifo; chmod 4751 a/one; chmod 1777 a/b
            head -c 3000000 /dev/urandom >large; : >empty; truncate -s 5M hole; printf x | dd of=hole bs=1 seek=2000000 conv=notrunc 2>/dev/null
            touch -d '1999-12-31 23:59:59.123456789' a/one; chown 1234:5678 large
            {{(odd ? "mkdir -p \"$(printf 'l%.0s' $(seq 200))/x\"; echo deep >\"$(printf 'l%.0s' $(seq 200))/x/$(printf 'n%.0s' $(seq 250))\"; printf 'q' >\"$(printf 'a\\nb\\377')\"" : ":")}}
            {{(format == "pax" ? "setfattr -n user.k -v v large" : ":")}}
            touch -d '2001-01-01' a/b a .
            tar --format={{format}} --sparse --xattrs --xattrs-include='*' -cf "$3" . 2>/dev/null || tar --format={{format}} -cf "$3" .
            tar --xattrs --xattrs-include='*' --same-owner -xpf "$3" -C "$2"
            """, "sh", source, theirs, archive);
        var root = Unpack(File.ReadAllBytes(archive), "--base");
        try { Assert.Equal(Listing(theirs), Listing(root)); }
        // .NET cannot name what is no UTF-8.
        finally { Tool("/bin/rm", "-rf", source, theirs, root); }
    }

    [RuntimeTheory(NotUnderRunc = NotRunc)]
    [InlineData("0.0")]
    [InlineData("0.1")]
    [InlineData("1.0")]
    public void Sparse_files_keep_their_holes(string version)
    {
        var archive = Path.Combine(Folder, "a.tar");
        Tool("/bin/sh", "-c", """
            set -e; mkdir "$1"; cd "$1"; truncate -s 64M f
            for at in 1 7 20 33 60; do printf "at $at" | dd of=f bs=1 seek=$((at * 1000000)) conv=notrunc 2>/dev/null; done
            tar --format=pax --sparse --sparse-version="$2" -cf "$3" f
            """, "sh", Path.Combine(Folder, "source"), version, archive);
        var root = Unpack(File.ReadAllBytes(archive), "--base");
        Assert.Equal(File.ReadAllBytes(Path.Combine(Folder, "source/f")), File.ReadAllBytes($"{root}/f"));
        Assert.True(long.Parse(Tool("/usr/bin/stat", "-c", "%b", $"{root}/f")[0]) < 2000);
    }

    [RuntimeFact(NotUnderRunc = NotRunc)]
    public void Compression_is_told_by_the_content_and_the_digest_is_of_what_is_inside()
    {
        var plain = new TarFile().File("f", new string('x', 300_000)).ToArray();
        var gzip = new MemoryStream();
        using (var stream = new GZipStream(gzip, CompressionLevel.Fastest, leaveOpen: true))
            stream.Write(plain);
        File.WriteAllBytes(Path.Combine(Folder, "p"), plain);
        Tool("/usr/bin/zstd", "-q", Path.Combine(Folder, "p"), "-o", Path.Combine(Folder, "p.zst"));
        foreach (var layer in new[] { plain, gzip.ToArray(), File.ReadAllBytes(Path.Combine(Folder, "p.zst")) })
        {
            var result = Try(layer, out var root, "--base", "--diff-id", Sha256(plain)).Ends(0);
            Assert.Equal(Sha256(plain), (string)JsonNode.Parse(result.Lines[^1])!["diffId"]!);
            Assert.Equal(300_000, new FileInfo($"{root}/f").Length);
        }
        Assert.Equal("DigestMismatch", Refused(gzip.ToArray(), "--diff-id", Sha256(gzip.ToArray())));
    }

    [RuntimeFact(NotUnderRunc = NotRunc)]
    public void A_layer_comes_from_standard_input_too()
    {
        var root = Path.Combine(Folder, "r");
        Directory.CreateDirectory(root);
        var text = Encoding.UTF8.GetString(new TarFile().File("f", "piped").ToArray());
        Runtime.Do(new SpawnOptions { Input = text }, "unpack", "--base", "-", root).Ends(0);
        Assert.Equal("piped", File.ReadAllText($"{root}/f"));
    }

    [RuntimeFact(NotUnderRunc = NotRunc)]
    public void Whiteouts_hide_what_is_below_and_not_what_the_layer_made()
    {
        string Opaque(string path) => Tool("/bin/sh", "-c", "getfattr -n trusted.overlay.opaque --only-values --absolute-names \"$1\" 2>/dev/null || echo none", "sh", path)[0];
        var root = Unpack(new TarFile().Folder("a").File("a/.wh.gone").Folder("b").File("b/.wh..wh..opq").File("b/new", "n")
            .File(".wh.c").Folder("c").File("c/x").Folder("d").File("d/y").File(".wh.d").File("e", "stays").File(".wh.e").File(".wh..wh.plnk/1.2", "aufs"), "--lower", Outside);
        Assert.Equal(["0:0"], Tool("/usr/bin/stat", "-c", "%t:%T", $"{root}/a/gone"));
        Assert.Equal(["y", "y", "y", "none"], new[] { "b", "c", "d", "a" }.Select(n => Opaque($"{root}/{n}")));
        Assert.Equal("stays", File.ReadAllText($"{root}/e"));
        Assert.Equal(["a", "b", "c", "d", "e"], Directory.GetFileSystemEntries(root).Select(p => Path.GetFileName(p)!).Order());
        // Nothing lies below the first layer.
        Assert.Equal(["f"], Directory.GetFileSystemEntries(Unpack(new TarFile().File(".wh.x").File("f"))).Select(Path.GetFileName));
    }

    [RuntimeFact(NotUnderRunc = NotRunc)]
    public void The_last_entry_of_a_name_wins()
    {
        var root = Unpack(new TarFile().Folder("a").File("a/in").File("a", "file").Folder("b").File("b", "x").Folder("b").File("b/new", "n")
            .File("c", "1").HardLink("c2", "c").File("c", "2").Link("l", "/etc").File("l", "plain").Link("s", "b").Folder("s"));
        Assert.Equal("file", File.ReadAllText($"{root}/a"));
        Assert.Equal(["new"], Directory.GetFileSystemEntries($"{root}/b").Select(Path.GetFileName));
        Assert.Equal(("2", "1"), (File.ReadAllText($"{root}/c"), File.ReadAllText($"{root}/c2")));
        Assert.Equal("plain", File.ReadAllText($"{root}/l"));
        Assert.Null(new FileInfo($"{root}/s").LinkTarget);
    }

    [RuntimeFact(NotUnderRunc = NotRunc)]
    public void What_a_layer_builds_on_is_taken_from_below()
    {
        var below = Unpack(new TarFile().Folder("usr", mode: 0x1c0, owner: 5).Folder("usr/lib", mode: 0x1f8, owner: 6, time: 77).File("usr/lib/so", "library", mode: 0x1ed, owner: 8, time: 99).Link("lib", "usr/lib"));
        var layer = new TarFile().File("lib/new", "n").HardLink("copy", "usr/lib/so").File("nowhere/x");
        Assert.Equal("NeedsLower", Refused(layer.ToArray(), "--compression", "none"));
        var root = Unpack(layer, "--lower", below);
        Assert.Equal("usr/lib", new FileInfo($"{root}/lib").LinkTarget);
        Assert.Equal("n", File.ReadAllText($"{root}/usr/lib/new"));
        Assert.Equal(["0700 5", "0770 6", "0755 8", "0755 0"], Tool("/usr/bin/stat", "-c", "%04a %u", $"{root}/usr", $"{root}/usr/lib", $"{root}/copy", $"{root}/nowhere"));
        Assert.Equal(["77", "99"], Tool("/usr/bin/stat", "-c", "%Y", $"{root}/usr/lib", $"{root}/copy"));
        Assert.Equal(["2"], Tool("/usr/bin/stat", "-c", "%h", $"{root}/copy"));
        Assert.Equal("library", File.ReadAllText($"{root}/usr/lib/so"));
        // What an upper layer has removed is not below any more.
        var removed = Unpack(new TarFile().Folder("usr").File("usr/.wh.lib"), "--lower", below);
        Assert.Equal("LayerInvalid", Refused(new TarFile().HardLink("copy", "usr/lib/so").ToArray(), "--lower", removed, "--lower", below));
    }

    [RuntimeTheory(NotUnderRunc = NotRunc)]
    [InlineData("unpack")]
    [InlineData("unpack", "x")]
    [InlineData("unpack", "--base", "--lower", "/", "/dev/null", "/proc")]
    [InlineData("unpack", "--max-bytes", "0", "/dev/null", "/proc")]
    [InlineData("unpack", "--diff-id", "sha256:xyz", "/dev/null", "/proc")]
    [InlineData("unpack", "--what", "/dev/null", "/proc")]
    public void Bad_command_lines_are_refused(params string[] arguments) => Assert.StartsWith("psrun: ", Runtime.Do(arguments).Ends(1).Stderr);
}
